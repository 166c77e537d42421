"""What runs on a host, how its flags are set, and how it is started anew.

`detect` finds the services of a host; `systemd` and `process` restart theirs; `manual` says what to type
where a person must do it; `flags` gives the new state of the file that holds a service's flags.
"""

"""Finds the services of a host, sets their flags, restarts and reloads them.

`detect` finds the services of a host; `systemd` and `process` restart theirs; `manual` gives the commands for the user
to run; `flags` gives the new state of the file that holds a service's flags.
"""

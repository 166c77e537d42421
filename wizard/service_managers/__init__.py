"""Finds the services of a host, sets their flags, restarts and reloads them.

`discovery` finds the services of a host; `systemd`, `docker`, `quadlet` and `supervised` restart and reload theirs;
`manual` gives the commands for the user to run; `flags` edits the file with a service's flags; `registry` lists the
managers.
"""

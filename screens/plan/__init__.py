"""The screen of a plan: its steps by host and component, diffs and manual commands."""

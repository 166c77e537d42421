"""The screen of a lab: its steps, commands, checks and hints."""

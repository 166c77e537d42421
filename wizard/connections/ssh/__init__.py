"""Hosts over SSH: configuration, host keys, login, files and programs."""

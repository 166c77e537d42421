"""Dialogs, which cover a screen until they are answered; each returns one typed result."""

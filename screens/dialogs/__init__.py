"""What stands before a screen until it is answered; each returns one typed result."""

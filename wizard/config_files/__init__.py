"""Configuration files as text in, text out: nothing here opens a file, a socket or a process."""

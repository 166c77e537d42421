"""Configuration files as pure functions from text to text: nothing here opens a file, a socket or a process."""

"""What the screens share and do not draw: the engine in threads, the run, the hosts, the current stack."""

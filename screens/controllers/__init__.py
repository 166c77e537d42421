"""The shared logic of the screens, which draws nothing: engine threads, the run, the hosts, the current stack."""

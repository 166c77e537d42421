"""The page of a run: its steps, its hosts, its log."""

"""Ways to reach a host. Each is a `base.Connection`, and callers use them alike."""

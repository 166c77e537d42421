"""Ways to reach a machine: each is a `base.Connection`, and nothing above can tell them apart."""

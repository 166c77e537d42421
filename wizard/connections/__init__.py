"""Ways to reach a machine: each file holds one `model.Connection`, and nothing above can tell them apart."""

"""What an error text means: the catalogue of causes, and the questions that tell them apart on a host."""

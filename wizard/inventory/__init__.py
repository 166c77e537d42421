"""Which hosts and components there are: the stack file, and the host lists of other programs."""

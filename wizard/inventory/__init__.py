"""The sources of hosts and components: the stack file, and the host lists of other programs."""

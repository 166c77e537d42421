"""The wizard's interface to the engine: every engine call that a screen makes, to be made in a thread."""

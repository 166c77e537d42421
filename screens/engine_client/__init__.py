"""The wizard's door to the engine: every call that a screen makes of it, each to be made in a thread."""

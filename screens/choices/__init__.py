"""The screen on which levels of protection are chosen, and the words for each level."""

"""The wizard: the terminal interface. It shows what the engine reports and asks the engine's questions.

Nothing is decided here.
"""

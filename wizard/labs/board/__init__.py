"""The instructor's board: how far each student of a class is, hints to them, and what a class leaves as a table."""

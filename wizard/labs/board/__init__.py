"""The instructor's board: each student's progress, messages to the students, and a table of the results."""

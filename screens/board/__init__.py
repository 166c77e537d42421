"""The board of a class: a row for each student, and the selected student beside or below the rows."""

"""The screen of a class: a row for each student, and the selected one beside or below it."""

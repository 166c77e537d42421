"""The audit page: its score, its findings, and the navigation to the fix of each finding."""

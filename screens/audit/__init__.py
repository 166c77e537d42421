"""The screen of an audit: its score, its findings, and the way to what fixes each."""

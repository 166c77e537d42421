"""Edits YAML in place: only the bytes that must change do."""

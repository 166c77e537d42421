"""Connections to hosts. Each kind is a `base.Connection`, and callers use all kinds alike."""

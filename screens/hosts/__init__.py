"""The screen on which hosts are chosen, added and tested."""

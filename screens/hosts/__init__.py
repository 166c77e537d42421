"""The page on which hosts are chosen, added and tested."""

"""The page on which protection levels are chosen, and the text for each level."""

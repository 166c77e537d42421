"""Navigation that asks first or starts something: the menu, securing, runs, recovery."""

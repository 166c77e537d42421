"""The ways between screens that ask first or start something: the menu, securing, runs, recovery."""

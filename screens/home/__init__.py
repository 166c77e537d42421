"""The first screen: what runs on the current hosts, how it is protected, and the menu."""

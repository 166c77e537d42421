"""Finds the cause of an error text: a catalogue of causes, and questions to the hosts that tell them apart."""

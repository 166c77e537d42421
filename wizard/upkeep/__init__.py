"""What keeps a secured stack secured: what expires, its renewal, metrics, alert rules, drift and the timer."""

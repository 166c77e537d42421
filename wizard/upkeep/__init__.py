"""Keeps a secured stack secured: expiry and renewal of certificates, metrics, alert rules, drift and the timer."""

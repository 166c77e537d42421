"""How Prometheus logs in as a client: by OAuth2 or with a token."""

"""How Prometheus logs in where it is a client: by OAuth2, or with a token."""

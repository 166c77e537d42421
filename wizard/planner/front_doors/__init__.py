"""Front doors: the reverse proxy before components, with its files, users, probes and questions."""

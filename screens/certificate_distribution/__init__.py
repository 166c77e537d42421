"""The certificate distribution: where each certificate is created, which hosts get it, and whether it arrived."""

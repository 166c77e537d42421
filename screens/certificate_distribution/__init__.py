"""Where each certificate is made, which hosts it goes to, and whether it arrived."""

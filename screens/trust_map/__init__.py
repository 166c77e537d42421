"""The trust map: which client connects to which server, with which certificate, verified with which CA."""

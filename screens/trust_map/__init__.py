"""The trust map: who connects to whom, with which certificate, checked against what."""

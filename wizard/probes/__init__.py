"""Asks as a client of Prometheus would: by Go's rules, wanted and unwanted requests alike, never raising."""

from wizard.probes.attempts import run, wait
from wizard.probes.commands import curl, curl_asking, curl_config

__all__ = ["curl", "curl_asking", "curl_config", "run", "wait"]

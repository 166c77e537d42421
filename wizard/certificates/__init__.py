"""Reads certificates and verifies them by the rules of Go, the language of every Prometheus component.

The functions are pure and work on bytes. Issuing certificates and probing servers use the same verdict.
"""

from wizard.certificates.go_verify import matches_name, name_fault, pool, unread, verdict
from wizard.certificates.reader import bundle, chain, key_text, load, one_line, summary, system_roots
from wizard.certificates.review import describe, matches, problems

__all__ = [
    "bundle",
    "chain",
    "describe",
    "key_text",
    "load",
    "matches",
    "matches_name",
    "name_fault",
    "one_line",
    "pool",
    "problems",
    "summary",
    "system_roots",
    "unread",
    "verdict",
]

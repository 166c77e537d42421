"""Reads certificates and judges them by the rules of Go, the language of every Prometheus component.

Pure functions on bytes: whoever makes certificates and whoever meets them on the wire share one verdict.
"""

from wizard.trust.certificates import bundle, chain, key_text, load, one_line, summary, system_roots
from wizard.trust.review import describe, matches, problems
from wizard.trust.verdict import matches_name, name_fault, pool, unread, verdict

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

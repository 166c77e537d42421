"""What Go's verdict depends on besides the certificate: the version of Go that a program was built with.

Each field is one rule that changed, named after what the newer versions do. A program built from a module with an
older `go` line keeps some older rules (GODEBUG's defaults); that is not visible from outside and not modelled.

The verdicts of 1.24 to 1.27 are tested against Go itself. Those of 1.19 differ in what is malformed in ways that only
damage makes (leading zeros in an OID, 24 hours in a time zone).

| built with | by |
|---|---|
| 1.19 | Debian 12 |
| 1.24 (up to 1.24.10) | Debian 13 |
| 1.25 (and from 1.24.11 on) | Prometheus 3.8 |
| 1.26, 1.27 | Debian unstable, today's upstream |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """The rules of one version of Go; the defaults are those of the newest. Each stands for itself in caches."""

    version: str
    refuses_negative_serials: bool = True
    """From 1.23 on."""
    refuses_short_rsa_keys: bool = True
    """Below 1,024 bits; from 1.24 on."""
    checks_policies: bool = True
    """From 1.24 on."""
    policies_first: bool = True
    """Before the extended key usages, with words of their own where all chains fail; from 1.24.11 and 1.25 on."""
    refuses_critical_hints: bool = True
    """Key identifiers and authority information access must not be critical; from 1.23 on."""
    names_duplicate: bool = True
    """The error of a duplicate extension names its OID; from 1.24 on."""
    widens_excluded_wildcards: bool = True
    """An excluded subtree holds for a wildcard that could stand for a name in it (CVE-2025-61727); 1.24.11, 1.25.5."""
    counts_many_names: bool = True
    """From 100 names on the error tells their number only (CVE-2025-61729); 1.24.11, 1.25.5."""
    refuses_bare_dot: bool = True
    """A constraint of a single dot is no domain; from 1.24.8 and 1.25.2 on."""
    reads_t61_as_latin1: bool = True
    """And refuses reserved UTF-16 code points in BMPString; from 1.25 on."""
    path_length_is_unsigned: bool = True
    """From 1.25 on."""
    constraints_last: bool = True
    """Name constraints are checked on finished chains, sorted; before 1.26 on each candidate in turn."""
    counts_each_candidate: bool = True
    """A candidate that is in the chain already counts as a signature check; from 1.26 on."""
    prunes_after_mappings: bool = True
    """Of the policy graph, once; before 1.26 after each mapping that is inhibited."""
    parses_points_strictly: bool = True
    """Words of the newer parser of elliptic curve points; from 1.26 on."""
    bracketed_are_addresses: bool = True
    """Brackets in the host of a URI hold IPv6 addresses only; from 1.24.8 and 1.25.2 on."""
    strict_url_hosts: bool = True
    """Nothing stands before those brackets, and http hosts have one colon; from 1.26 on."""
    allows_any_attribute: bool = True
    """Values in distinguished names that are no strings; from 1.27 on."""
    refuses_mapped_addresses: bool = True
    """IPv4 addresses written as IPv6 in SANs and constraints; from 1.27 on."""
    masks_subtrees: bool = True
    """Host bits of address constraints are taken off before sorting; from 1.27 on."""
    knows_ml_dsa: bool = True
    """From 1.27 on."""
    reads_zones: bool = True
    """`fe80::1%eth0` is an address; from 1.27 on."""
    distrusts_keys: bool = True
    """A list of keys that no chain may hold; from 1.27 on."""
    at_sign_ends_mailbox: bool = True
    """A mailbox' domain holds no `@`; from 1.27 on."""
    hints_refused_parents: bool = True
    """The candidate that the error names may have failed otherwise than by its signature; from 1.20 on."""
    checks_all_names: bool = True
    """Name constraints hold for every certificate below; before 1.20 for the leaf and the CA itself."""
    refuses_lone_star: bool = True
    """The SAN `*` is no pattern; by 1.24."""
    refuses_leading_dots: bool = True
    """A domain that is no constraint begins with a label; from 1.24 on."""
    passes_over_unread_keys: bool = True
    """A candidate whose key is of an unknown kind is not tried; from 1.20 on."""
    hides_sha1_switch: bool = True
    """The error of SHA-1 does not tell how to allow it; from 1.24 on."""


_V27: Final = Rules(version="1.27")
_BEFORE_27: Final = {
    "allows_any_attribute": False,
    "refuses_mapped_addresses": False,
    "masks_subtrees": False,
    "knows_ml_dsa": False,
    "reads_zones": False,
    "distrusts_keys": False,
    "at_sign_ends_mailbox": False,
}
_BEFORE_26: Final = _BEFORE_27 | {
    "constraints_last": False,
    "counts_each_candidate": False,
    "prunes_after_mappings": False,
    "parses_points_strictly": False,
    "strict_url_hosts": False,
}
_BEFORE_25: Final = _BEFORE_26 | {
    "policies_first": False,
    "widens_excluded_wildcards": False,
    "counts_many_names": False,
    "bracketed_are_addresses": False,
    "refuses_bare_dot": False,
    "reads_t61_as_latin1": False,
    "path_length_is_unsigned": False,
}
_BEFORE_24: Final = _BEFORE_25 | {
    "refuses_negative_serials": False,
    "refuses_short_rsa_keys": False,
    "checks_policies": False,
    "refuses_critical_hints": False,
    "names_duplicate": False,
    "refuses_leading_dots": False,
    "hides_sha1_switch": False,
}
_BEFORE_20: Final = _BEFORE_24 | {
    "hints_refused_parents": False,
    "checks_all_names": False,
    "refuses_lone_star": False,
    "passes_over_unread_keys": False,
}

NEWEST: Final = _V27
VERSIONS: Final = {
    "1.27": _V27,
    "1.26": Rules(version="1.26", **_BEFORE_27),
    "1.25": Rules(version="1.25", **_BEFORE_26),
    "1.24": Rules(version="1.24", **_BEFORE_25),
    "1.19": Rules(version="1.19", **_BEFORE_20),
}


def rules_of(version: str) -> Rules:
    """The rules of a version of Go as it names itself ('go1.24.4'); the newest for what is newer or not understood."""
    found = re.match(r"(?:go)?1\.(\d+)(?:\.(\d+))?", version)
    if found is None:
        return NEWEST
    minor, patch = int(found[1]), int(found[2] or 0)
    if minor == 24 and patch >= 11:
        return VERSIONS["1.25"]
    if minor < 24:
        return VERSIONS["1.19"]
    return VERSIONS.get(f"1.{minor}", NEWEST)

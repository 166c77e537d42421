"""Recognises clients that log the same error texts of Go as a scrape job, but are configured in another place.

The table of these clients is `assets/clients.yaml`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wizard.diagnostics import tables
from wizard.log_records import Record

# Marks of a record about a scrape. Other names in such a record are names of jobs and targets, not of the client.
_SCRAPE: Final = re.compile(
    r"scrape_pool=|component=\"?scrape manager|Scrape failed|\blib/promscrape/|(?i:can(?:no|')t scrape?\b)|Failed to scrape Prometheus endpoint"
    r"|\bDOWN\b[^\n]{0,300}\dm?s ago\b"
)
# Addresses and names of the server: an error about a server named grafana was not necessarily logged by Grafana.
_ADDRESSES: Final = re.compile(
    r"https?://[^\s\"'\\]{1,500}"
    r"|\b(?:valid for|match|lookup|dial \w{2,10}|target=|host:?) [^\n]{0,300}?(?=: |[\"\x1f]|$)"
    r"|\b[\w-]{1,80}(?:\.[\w-]{1,80}){1,10}(?::\d{1,5})?\b|\b[\w-]{1,80}:\d{2,5}\b"
)


@dataclass(frozen=True, slots=True)
class Client:
    """One row of the table of clients."""

    id: str
    patterns: tuple[re.Pattern[str], ...]
    names: tuple[re.Pattern[str], ...]
    """Patterns that are not searched in addresses, as the address of a server may match them, too."""
    told: str
    """A sentence that says which client sent a request to which server."""
    fixes: Mapping[str, str]
    """What to do, by the kind of setting to change; where a kind is missing, the fix of the error text applies."""
    ours: bool
    """Whether both ends belong to the stack, so that the faults and questions of the error text apply."""


@functools.cache
def clients() -> tuple[Client, ...]:
    """Returns all rows of the table of clients. It is read once."""
    return tuple(
        Client(
            id=row["id"],
            patterns=tuple(re.compile(pattern) for pattern in row["match"]),
            names=tuple(re.compile(pattern) for pattern in row.get("named", ())),
            told=row["told"],
            fixes=row["fixes"],
            ours=row.get("ours", False),
        )
        for row in tables.rows("clients.yaml")
    )


def client_of(record: Record) -> Client | None:
    """Returns the client that logged the record; None for a scrape job or an unknown client."""
    if _SCRAPE.search(record.text):
        return None
    text = f"{record.program}: {record.text}" if record.program else record.text
    without_addresses = _ADDRESSES.sub(" ", text)
    return next((client for client in clients() if _is_logged_by(client, text, without_addresses)), None)


def _is_logged_by(client: Client, text: str, without_addresses: str) -> bool:
    """Whether a client logged `text`; `without_addresses` is the same text with its addresses removed."""
    return any(pattern.search(text) for pattern in client.patterns) or any(
        pattern.search(without_addresses) for pattern in client.names
    )

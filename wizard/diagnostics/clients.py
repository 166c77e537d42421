"""The clients that write Go's error texts as a scrape job does, and have their settings elsewhere (`assets/clients.yaml`)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wizard.diagnostics import tables
from wizard.log_records import Record

# A record about a scrape says so itself; the names of its job and target say nothing about who asked.
_SCRAPE: Final = re.compile(
    r"scrape_pool=|component=\"?scrape manager|Scrape failed|\blib/promscrape/|cannot scrape target|Failed to scrape Prometheus endpoint"
)
# Who was asked, and by which names: a server that is called grafana was not written about by Grafana.
_ADDRESSES: Final = re.compile(
    r"https?://[^\s\"'\\]{1,500}"
    r"|\b(?:valid for|match|lookup|dial \w{2,10}|target=|host:?) [^\n]{0,300}?(?=: |[\"\x1f]|$)"
    r"|\b[\w-]{1,80}(?:\.[\w-]{1,80}){1,10}(?::\d{1,5})?\b|\b[\w-]{1,80}:\d{2,5}\b"
)


@dataclass(frozen=True, slots=True)
class Client:
    """One row of the table of clients: one that writes Go's texts too, and has its settings elsewhere."""

    id: str
    patterns: tuple[re.Pattern[str], ...]
    names: tuple[re.Pattern[str], ...]
    """Patterns that a server's address may match, too, so they do not count in one."""
    told: str
    """A sentence: which client asked which server."""
    fixes: Mapping[str, str]
    """What to do, by the kind of setting that mends it; for one that is not among them the text's own fix stands."""
    ours: bool
    """Whether both ends belong to a stack, so that the faults and questions of the text fit."""


@functools.cache
def clients() -> tuple[Client, ...]:
    """All clients that are told apart from a scrape job; read once."""
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
    """Who wrote the record, if it was one of them."""
    if _SCRAPE.search(record.text):
        return None
    text = f"{record.program}: {record.text}" if record.program else record.text
    without = _ADDRESSES.sub(" ", text)
    return next((each for each in clients() if _wrote(each, text, without)), None)


def _wrote(client: Client, text: str, without: str) -> bool:
    """Whether a client wrote `text`; `without` is the same without the addresses in it."""
    return any(pattern.search(text) for pattern in client.patterns) or any(
        pattern.search(without) for pattern in client.names
    )

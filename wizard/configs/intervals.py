"""How often each job of a prometheus.yml is scraped: its own interval, else the global one, else a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wizard.configs import _fields
from wizard.configs._jobs import NAME, listing
from wizard.configs._libyaml import without_collector
from wizard.configs._yaml import load
from wizard.configs.durations import seconds

USUAL: Final = (60.0, 10.0)
"""Prometheus' own scrape_interval and scrape_timeout, in seconds."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """(interval, timeout) in seconds: of jobs by name, and of all others."""

    usual: tuple[float, float] = USUAL
    jobs: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, job: str) -> tuple[float, float]:
        """(interval, timeout) of the job of that name, in seconds."""
        return self.jobs.get(job, self.usual)


@lru_cache(maxsize=8)
def intervals(content: bytes, usual: tuple[float, float] = USUAL) -> Intervals:
    """The intervals of a configuration.

    Args:
        content: a prometheus.yml, or a file that it includes.
        usual: what holds where it says nothing.

    Raises:
        ConfigError: it is not YAML, or scrape_configs is not a list of mappings.
    """
    with without_collector():
        document = load(content, NAME)
        listed = listing(document)
        root = _fields.fields([document.root] if document.root is not None else [])
        usual = _said(_fields.inner(root, "global"), usual)
        nodes = listed.value if listed is not None else []
        jobs = [_fields.fields([node]) for node in nodes]
        return Intervals(usual, {_fields.value(of, "job_name"): _said(of, usual) for of in jobs})


def _said(of: _fields.Fields, usual: tuple[float, float]) -> tuple[float, float]:
    interval = seconds(_fields.value(of, "scrape_interval")) or usual[0]
    timeout = seconds(_fields.value(of, "scrape_timeout")) or usual[1]
    return interval, min(timeout, interval)

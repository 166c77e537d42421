"""How often each job of a prometheus.yml is scraped: by its own interval, the global one, or once a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wizard.config_files.durations import seconds
from wizard.config_files.prometheus.scrape_jobs import NAME, job_list
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import load

USUAL: Final = (60.0, 10.0)
"""Prometheus' default scrape_interval and scrape_timeout, in seconds."""


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
    """Parses the intervals of a configuration.

    Args:
        content: a prometheus.yml, or a file that it includes.
        usual: the default for jobs without an interval.

    Raises:
        ConfigError: it is not YAML, or scrape_configs is not a list of mappings.
    """
    document = load(content, NAME)
    listed = job_list(document)
    root = fields.fields([document.root] if document.root is not None else [])
    usual = _read_intervals(fields.inner(root, "global"), usual)
    nodes = listed.value if listed is not None else []
    jobs = [fields.fields([node]) for node in nodes]
    return Intervals(
        usual, {fields.value(mapping, "job_name"): _read_intervals(mapping, usual) for mapping in jobs}
    )


def _read_intervals(mapping: fields.Fields, usual: tuple[float, float]) -> tuple[float, float]:
    interval = seconds(fields.value(mapping, "scrape_interval")) or usual[0]
    timeout = seconds(fields.value(mapping, "scrape_timeout")) or usual[1]
    return interval, min(timeout, interval)

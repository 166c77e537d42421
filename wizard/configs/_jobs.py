"""Reads the scrape jobs of a prometheus.yml, and remembers where each stands so that one can be edited alone."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from wizard.configs import _fields, _spans
from wizard.configs._libyaml import without_collector
from wizard.configs._yaml import Document, load, text_of
from wizard.errors import ConfigError
from wizard.redact import MASK

NAME = "prometheus.yml"
OTHER_AUTH = ("authorization", "oauth2", "bearer_token", "bearer_token_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeJob:
    """One scrape job as Prometheus understands it, merge keys and aliases resolved."""

    name: str
    scheme: str
    metrics_path: str
    targets: tuple[str, ...]
    """Those of static_configs; what a service discovery finds is not known here."""
    static: bool
    """False if any of its targets come from a service discovery."""
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str] = field(repr=False)
    """A password in clear is masked."""
    other_auth: str
    """'' or the key that authenticates in place of basic_auth."""
    line: int
    rewritten: bool = False
    """Whether relabelling sets __address__: what is scraped is then not what the targets say (blackbox)."""


@dataclass(frozen=True, slots=True)
class Region:
    """The whole lines of one job in a block list: what can be read and edited without the rest."""

    start: int
    end: int
    line: int
    """Of its first line, from 1."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The jobs of a file and, where each can be edited alone, their places (else empty)."""

    jobs: tuple[ScrapeJob, ...]
    tails: tuple[int, ...] = ()
    """Where each job's last value ends in the text; before the first, where the list begins."""
    starts: tuple[tuple[int, int], ...] = ()
    """Index and line (from 1) of each job's first key."""

    def region(self, text: str, index: int) -> Region | None:
        """The lines of a job in the text of the file, or None if it cannot be edited alone."""
        if not self.tails:
            return None
        mark = _spans.dash_after(text, self.tails[index])
        start = _spans.line_start(text, mark)
        if text[start:mark].strip():
            return None
        first, line = self.starts[index]
        end = _spans.after_comments(text, self.tails[index + 1], mark - start)
        return Region(start, end, line - text.count("\n", start, first))


def jobs(content: bytes) -> tuple[ScrapeJob, ...]:
    """All the scrape jobs, in the order of the file.

    Raises:
        ConfigError: it is not YAML, or scrape_configs is not a list of mappings.
    """
    return survey(content).jobs


def job_for(content: bytes, names: Sequence[str], port: int) -> tuple[ScrapeJob, ...]:
    """The jobs that scrape one of these host names or addresses on that port, by a static target."""
    wanted = {(_same(name), port) for name in names}
    return tuple(
        job
        for job in jobs(content)
        if not job.rewritten and any(_address(target, job.scheme) in wanted for target in job.targets)
    )


@lru_cache(maxsize=4)
def survey(content: bytes) -> Survey:
    """What `jobs` returns and where each stands; remembered, as a preview asks for it several times."""
    with without_collector():
        document = load(content, NAME)
        listed = listing(document)
        if listed is None:
            return Survey(())
        found = tuple(_job(document, node) for node in listed.value)
        alone = not document.aliases and not listed.flow_style and len(found) > 0
        if not alone:
            return Survey(found)
        tails = [listed.start_mark.index, *(_spans.tail(document, node) for node in listed.value)]
        starts = [(node.start_mark.index, node.start_mark.line + 1) for node in listed.value]
        return Survey(found, tuple(tails), tuple(starts))


def listing(document: Document) -> SequenceNode | None:
    """The list below scrape_configs, or None if there is none or it is null."""
    root = document.root
    if root is None or text_of(root):
        return None
    if not isinstance(root, MappingNode):
        if isinstance(root, SequenceNode):
            raise ConfigError(
                "a prometheus.yml is a mapping, this is a list",
                where=document.where(root),
                todo="Check whether this is the right file",
            )
        return None
    node = _fields.own(root, "scrape_configs")
    if node is None or isinstance(node, SequenceNode):
        return node
    if isinstance(node, MappingNode) or text_of(node):
        raise ConfigError(
            "scrape_configs is not a list", where=document.where(node), todo="Begin each job with a dash"
        )
    return None


def index_of(content: bytes, name: str) -> int:
    """Position of the job of that name.

    Raises:
        ConfigError: there is none (the nearest name is given), or there are two.
    """
    found = [number for number, job in enumerate(jobs(content)) if job.name == name]
    if not found:
        near = difflib.get_close_matches(name, [job.name for job in jobs(content)], n=1)
        raise ConfigError(
            f"there is no scrape job {name!r}",
            where=NAME,
            todo=f"Did you mean {near[0]!r}?" if near else "Check the job_name",
        )
    if len(found) > 1:
        raise ConfigError(
            f"there are {len(found)} scrape jobs {name!r}",
            where=f"{NAME}:{jobs(content)[found[1]].line}",
            todo="Give each its own job_name; Prometheus refuses the file as it is",
        )
    return found[0]


def _job(document: Document, node: Node) -> ScrapeJob:
    if not isinstance(node, MappingNode):
        raise ConfigError(
            "a scrape job is not a mapping",
            where=document.where(node),
            todo="Write it as `- job_name: …` with the rest indented below",
        )
    of = _fields.fields([node])
    targets: list[str] = []
    for group in _fields.items(of, "static_configs"):
        targets += [text_of(target) for target in _fields.items(_fields.fields([group]), "targets")]
    basic = _fields.texts(_fields.inner(of, "basic_auth"))
    if "password" in basic:
        basic["password"] = MASK
    return ScrapeJob(
        name=_fields.value(of, "job_name"),
        scheme=_fields.value(of, "scheme") or "http",
        metrics_path=_fields.value(of, "metrics_path") or "/metrics",
        targets=tuple(targets),
        static=not any(key.endswith("_sd_configs") for key in of),
        tls=_fields.texts(_fields.inner(of, "tls_config")),
        basic_auth=basic,
        other_auth=next((key for key in OTHER_AUTH if _fields.given(of, key)), ""),
        line=node.start_mark.line + document.first_line,
        rewritten=any(
            _fields.value(_fields.fields([rule]), "target_label") == "__address__"
            for rule in _fields.items(of, "relabel_configs")
        ),
    )


def _address(target: str, scheme: str) -> tuple[str, int]:
    host, colon, port = target.strip().rpartition(":")
    if not colon or not port.isdigit():
        host, port = target.strip(), "443" if scheme.lower() == "https" else "80"
    return _same(host), int(port)


def _same(name: str) -> str:
    """One spelling for each host: lower case, no brackets, addresses in their shortest form."""
    bare = name.strip().strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(bare).compressed
    except ValueError:
        return bare

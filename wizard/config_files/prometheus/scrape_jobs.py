"""Parses the scrape jobs of a prometheus.yml, with the place of each so that one can be edited alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from wizard import endpoints
from wizard.config_files.prometheus.relabeling import Rule, rule
from wizard.config_files.yaml_edit import fields, positions
from wizard.config_files.yaml_edit.document import Document, load, text_of
from wizard.errors import ConfigError
from wizard.redact import MASK

NAME = "prometheus.yml"
OTHER_AUTH = ("authorization", "oauth2", "bearer_token", "bearer_token_file")
CLIENT_AUTH = (*OTHER_AUTH, "sigv4", "azuread", "google_iam")
"""The other kinds of authentication for alertmanagers, remote_write and remote_read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeJob:
    """One scrape job as Prometheus understands it, with merge keys and aliases resolved."""

    name: str
    scheme: str
    metrics_path: str
    targets: tuple[str, ...]
    """The targets of static_configs; those of a service discovery are unknown here."""
    static: bool
    """False if any of its targets come from a service discovery."""
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str] = field(repr=False)
    """An inline password is masked."""
    other_auth: str
    """The key that authenticates instead of basic_auth; '' for none."""
    line: int
    rewritten: bool = False
    """Whether relabeling sets __address__, so that the scraped addresses are not those of the targets (blackbox)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that share labels: an entry of static_configs or of a target file."""

    targets: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Discovery:
    """The sources of a job's targets, and the changes to them before they are scraped."""

    groups: tuple[Group, ...]
    files: tuple[str, ...]
    """The entries of file_sd_configs: paths and globs as written."""
    others: tuple[str, ...]
    """The keys of the discoveries that only Prometheus itself can query."""
    rules: tuple[Rule, ...]
    params: Mapping[str, str]
    """The first value of each query parameter."""


@dataclass(frozen=True, slots=True)
class Region:
    """The whole lines of one job in a block list, which can be read and edited without the rest."""

    start: int
    end: int
    line: int
    """Line number of its first line, from 1."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The jobs of a file and, if each can be edited alone, their places (else empty)."""

    jobs: tuple[ScrapeJob, ...]
    discoveries: tuple[Discovery, ...] = ()
    """One per job."""
    elsewhere: int = 0
    """Line of scrape_config_files, which add jobs of other files; 0 if there are none."""
    included: tuple[str, ...] = ()
    """The entries of scrape_config_files as written, paths and globs."""
    clients: tuple[tuple[str, int, MappingNode], ...] = ()
    """Kind (`alertmanagers`, `remote_write`, `remote_read`), index and node of each other client block."""
    tails: tuple[int, ...] = ()
    """The offset at which each job's last value ends; before the first, the offset at which the list begins."""
    starts: tuple[tuple[int, int], ...] = ()
    """Index and line (from 1) of each job's first key."""

    def region(self, text: str, index: int) -> Region | None:
        """The lines of a job in the text of the file, or None if it cannot be edited alone."""
        if not self.tails:
            return None
        mark = positions.dash_after(text, self.tails[index])
        start = positions.line_start(text, mark)
        if text[start:mark].strip():
            return None
        first, line = self.starts[index]
        end = positions.after_comments(text, self.tails[index + 1], mark - start)
        return Region(start, end, line - text.count("\n", start, first))


def jobs(content: bytes) -> tuple[ScrapeJob, ...]:
    """Parses all scrape jobs, in the order of the file.

    Raises:
        ConfigError: it is not YAML, or scrape_configs is not a list of mappings.
    """
    return survey(content).jobs


def job_for(content: bytes, names: Sequence[str], port: int) -> tuple[ScrapeJob, ...]:
    """The jobs that scrape one of these host names or addresses on that port, by a static target."""
    wanted = {(endpoints.canonical(name), port) for name in names}
    return tuple(
        job
        for job in jobs(content)
        if not job.rewritten and any(endpoints.split(target, job.scheme) in wanted for target in job.targets)
    )


@lru_cache(maxsize=4)
def survey(content: bytes) -> Survey:
    """The result of `jobs` with the place of each; cached, as a preview calls it several times."""
    document = load(content, NAME)
    listed = job_list(document)
    more = fields.own(document.root, "scrape_config_files")
    elsewhere = more.start_mark.line + 1 if isinstance(more, SequenceNode) and more.value else 0
    included = tuple(map(text_of, more.value)) if isinstance(more, SequenceNode) else ()
    if listed is None:
        return Survey((), (), elsewhere, included, client_blocks(document))
    both = [_job(document, node) for node in listed.value]
    found, discoveries = tuple(job for job, _ in both), tuple(each for _, each in both)
    alone = not document.aliases and not listed.flow_style and len(found) > 0
    if not alone:
        return Survey(found, discoveries, elsewhere, included, client_blocks(document))
    tails = [listed.start_mark.index, *(positions.tail(document, node) for node in listed.value)]
    starts = [(node.start_mark.index, node.start_mark.line + 1) for node in listed.value]
    clients = client_blocks(document)
    return Survey(found, discoveries, elsewhere, included, clients, tuple(tails), tuple(starts))


def job_list(document: Document) -> SequenceNode | None:
    """The list below scrape_configs; None if it is missing or null."""
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
    node = fields.own(root, "scrape_configs")
    if node is None or isinstance(node, SequenceNode):
        return node
    if isinstance(node, MappingNode) or text_of(node):
        raise ConfigError(
            "scrape_configs is not a list", where=document.where(node), todo="Begin each job with a dash"
        )
    return None


def client_blocks(document: Document) -> tuple[tuple[str, int, MappingNode], ...]:
    """Every entry of alertmanagers, remote_write and remote_read: kind, index, node."""
    root = fields.fields([document.root] if document.root is not None else [])
    mapping = {"alertmanagers": fields.inner(root, "alerting"), "remote_write": root, "remote_read": root}
    return tuple(
        (kind, index, node)
        for kind, holder in mapping.items()
        for index, node in enumerate(fields.items(holder, kind))
        if isinstance(node, MappingNode)
    )


def index_of(content: bytes, name: str) -> int:
    """Position of the job with that name.

    Raises:
        ConfigError: there is none (the message has the nearest name), or there are two.
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


def group(node: Node) -> Group:
    """Parses an entry of static_configs."""
    mapping = fields.fields([node])
    return Group(
        tuple(text_of(target) for target in fields.items(mapping, "targets")),
        fields.texts(fields.inner(mapping, "labels")),
    )


def _job(document: Document, node: Node) -> tuple[ScrapeJob, Discovery]:
    if not isinstance(node, MappingNode):
        raise ConfigError(
            "a scrape job is not a mapping",
            where=document.where(node),
            todo="Write it as `- job_name: …` with the rest indented below",
        )
    mapping = fields.fields([node])
    found = discovery(mapping)
    job = ScrapeJob(
        name=fields.value(mapping, "job_name"),
        scheme=fields.value(mapping, "scheme") or "http",
        metrics_path=fields.value(mapping, "metrics_path") or "/metrics",
        targets=tuple(target for each in found.groups for target in each.targets),
        static=not any(key.endswith("_sd_configs") for key in mapping),
        tls=fields.texts(fields.inner(mapping, "tls_config")),
        basic_auth=masked_login(mapping),
        other_auth=other_auth(mapping),
        line=node.start_mark.line + document.first_line,
        rewritten=any(each.target_label == "__address__" for each in found.rules),
    )
    return job, found


def masked_login(mapping: fields.Fields) -> dict[str, str]:
    """The settings of basic_auth, with an inline password masked."""
    basic = fields.texts(fields.inner(mapping, "basic_auth"))
    if "password" in basic:
        basic["password"] = MASK
    return basic


def other_auth(mapping: fields.Fields, ways: Sequence[str] = OTHER_AUTH) -> str:
    """The key that authenticates instead of basic_auth, or ''."""
    return next((key for key in ways if fields.is_given(mapping, key)), "")


def discovery(mapping: fields.Fields) -> Discovery:
    """The sources of the targets of a scrape job or a block of alertmanagers."""
    params: dict[str, str] = {}
    for key, nodes in fields.inner(mapping, "params").items():
        listed = fields.items({key: nodes}, key)
        if listed:
            params[key] = text_of(listed[0])
    return Discovery(
        groups=tuple(group(each) for each in fields.items(mapping, "static_configs")),
        files=tuple(
            text_of(path)
            for each in fields.items(mapping, "file_sd_configs")
            for path in fields.items(fields.fields([each]), "files")
        ),
        others=tuple(
            key
            for key in mapping
            if key.endswith("_sd_configs") and key != "file_sd_configs" and fields.items(mapping, key)
        ),
        rules=tuple(rule(each) for each in fields.items(mapping, "relabel_configs")),
        params=params,
    )

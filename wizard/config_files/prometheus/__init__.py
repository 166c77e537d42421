"""Parses a prometheus.yml, and edits scheme, TLS and login of its jobs and other clients.

Every edit takes and returns the bytes of the file. The result differs only in the lines of the job or block,
and a second call with the same arguments returns the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Unpack

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from wizard.config_files.http_client import Settings, wanted_settings
from wizard.config_files.prometheus import client_settings, job_split
from wizard.config_files.prometheus.client_blocks import ClientBlock, clients, secure_client
from wizard.config_files.prometheus.scrape_jobs import (
    NAME,
    ScrapeJob,
    discovery,
    index_of,
    job_for,
    job_list,
    jobs,
    survey,
)
from wizard.config_files.prometheus.targets import (
    Scraped,
    included_files,
    included_patterns,
    scraped_targets,
    sd_files,
    unknown_jobs,
)
from wizard.config_files.prometheus.validation import check
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, compose, decode, load, text_of
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Value
from wizard.errors import ConfigError

__all__ = [
    "ClientBlock",
    "ScrapeJob",
    "Scraped",
    "add_job",
    "check",
    "clients",
    "included_files",
    "included_patterns",
    "job_for",
    "jobs",
    "probe_url",
    "scraped_targets",
    "sd_files",
    "secure_client",
    "secure_job",
    "set_module",
    "split_job",
    "unknown_jobs",
]


def secure_job(content: bytes, *, job: str, scheme: str, **settings: Unpack[Settings]) -> bytes:
    """Makes one scrape job use the given scheme, tls_config and basic_auth; '' leaves a setting as it is.

    Present settings are replaced only where they differ. `insecure_skip_verify` becomes false as soon as TLS is
    wanted, because it disables verification against the CA. An inline password is replaced
    by `password_file`.

    Args:
        content: the file.
        job: its job_name, which must be unique.
        scheme: 'https', 'http', or ''.
        settings: see `http_client.Settings`.

    Raises:
        ConfigError: no such job, another kind of authentication, or an edit that would change more than the job.
    """
    want = wanted_settings(scheme, **settings)

    def change(document: Document, path: Path) -> Document:
        edited = client_settings.secure(document, path, _job_node(document, path), want)
        client_settings.confirm(edited, _job_node(edited, path), want)
        return edited

    return _in_job(content, index_of(content, job), change)


def split_job(content: bytes, *, job: str, targets: Sequence[str], new_job: str) -> bytes:
    """Moves some static targets of a job to a new job after it: a copy of its text with only these targets.

    A relabeling rule sets their label `job` to the old name, so that queries and dashboards still work. The
    copy has no service discovery: discovered targets stay with the old job.

    Raises:
        ConfigError: a target is missing, none would be left, the name is taken, or anchors prevent the edit.
    """
    index = index_of(content, job)
    if any(each.name == new_job for each in jobs(content)):
        raise ConfigError(
            f"there is a scrape job {new_job!r} already", where=NAME, todo="Choose another name"
        )
    spaced = _has_blank_lines(content)
    return _in_job(
        content,
        index,
        lambda document, path: job_split.split(
            document, path, moved=frozenset(targets), name=new_job, spaced=spaced
        ),
    )


def add_job(
    content: bytes, *, job: str, target: str, scheme: str = "", **settings: Unpack[Settings]
) -> bytes:
    """Adds a scrape job with one static target after the last job, with the same indentation.

    Args:
        content: the file; scrape_configs is added if it is missing or empty.
        job: its job_name, which must be free.
        target: host:port.

    Raises:
        ConfigError: the name is taken, or scrape_configs is an alias.
    """
    want = wanted_settings(scheme, **settings)
    present = jobs(content)
    if any(each.name == job for each in present):
        raise ConfigError(
            f"there is a scrape job {job!r} already",
            where=NAME,
            todo="Change that job, or choose another name",
        )
    value: dict[str, Value] = {"job_name": job}
    if want.scheme:
        value["scheme"] = want.scheme
    value |= {**want.blocks, "static_configs": [{"targets": [target]}]}

    def change(document: Document, path: Path) -> Document:
        editor = Editor(document)
        editor.append(path[:-1], value, spaced=_has_blank_lines(content))
        return editor.apply()

    if present:
        return _in_job(content, len(present) - 1, change)
    document = load(content, NAME)
    editor = Editor(document)
    root = document.root
    if isinstance(root, MappingNode) and fields.own(root, "scrape_configs") is not None:
        editor.append(("scrape_configs",), value)
    else:
        editor.insert((), {"scrape_configs": [value]})
    return editor.apply().content


def probe_url(content: bytes, *, job: str, old: str, new: str) -> bytes:
    """Changes one static target of a job, everywhere in the job: blackbox_exporter's targets are URLs.

    Raises:
        ConfigError: no such job, or it has neither the old target nor the new one.
    """

    def change(document: Document, path: Path) -> Document:
        editor = Editor(document)
        targets = list(_own_targets(document, path))
        for place, node in targets:
            if text_of(node) == old != new:
                editor.put(place, client_settings.in_hand(node, new))
        if not any(text_of(node) in (old, new) for _, node in targets):
            raise ConfigError(
                f"the job does not name the target {old} itself",
                where=document.where(_job_node(document, path)),
                todo="Check its static_configs",
            )
        return editor.apply()

    return _in_job(content, index_of(content, job), change)


def set_module(content: bytes, *, job: str, module: str) -> bytes:
    """Makes a job probe with this module of blackbox_exporter: the first value of params.module.

    Raises:
        ConfigError: no such job, or an edit that would change more than this.
    """

    def change(document: Document, path: Path) -> Document:
        node = _job_node(document, path)
        if discovery(fields.fields([node])).params.get("module") == module:
            return document
        editor = Editor(document)
        params = fields.own(node, "params")
        listed = fields.own(params, "module")
        if params is None:
            editor.insert(path, {"params": {"module": [module]}})
        elif listed is None:
            editor.insert((*path, "params"), {"module": [module]})
        elif isinstance(listed, SequenceNode) and listed.value:
            editor.put((*path, "params", "module", 0), client_settings.in_hand(listed.value[0], module))
        else:
            editor.append((*path, "params", "module"), module)
        edited = editor.apply()
        if discovery(fields.fields([_job_node(edited, path)])).params.get("module") != module:
            raise ConfigError(
                "a merge key (<<) in this job overrides the settings above it",
                where=document.where(node),
                todo="Move the line with << to the top of the job, then try again",
            )
        return edited

    return _in_job(content, index_of(content, job), change)


def _own_targets(document: Document, path: Path) -> Iterator[tuple[Path, Node]]:
    """Yields the static targets in the job itself, each with its path."""
    groups = fields.own(_job_node(document, path), "static_configs")
    for number, group in enumerate(groups.value if isinstance(groups, SequenceNode) else ()):
        listed = fields.own(group, "targets")
        for index, node in enumerate(listed.value if isinstance(listed, SequenceNode) else ()):
            yield (*path, "static_configs", number, "targets", index), node


def _in_job(content: bytes, index: int, change: Callable[[Document, Path], Document]) -> bytes:
    """Edits one job, on its own lines if possible: parsing 5,000 others again would take longer."""
    mark, text = decode(content, NAME)
    region = survey(content).region(text, index)
    if region is None:
        return change(load(content, NAME), ("scrape_configs", index)).content
    part = compose(text[region.start : region.end], name=NAME, first_line=region.line)
    if not isinstance(part.root, SequenceNode) or len(part.root.value) != 1:
        return change(load(content, NAME), ("scrape_configs", index)).content
    edited = change(part, (0,))
    if edited is part:
        return content
    return mark + "".join((text[: region.start], edited.text, text[region.end :])).encode()


def _has_blank_lines(content: bytes) -> bool:
    """Whether a blank line separates the last two jobs."""
    text, found = decode(content, NAME)[1], survey(content)
    if len(found.jobs) < 2:
        return False
    last, before = (found.region(text, len(found.jobs) - back) for back in (1, 2))
    if last is None or before is None:
        return False
    return any(not line.strip() for line in text[before.end : last.start].splitlines())


def _job_node(document: Document, path: Path) -> MappingNode:
    listed = document.root if isinstance(document.root, SequenceNode) else job_list(document)
    assert listed is not None and isinstance(path[-1], int)
    node = listed.value[path[-1]]
    assert isinstance(node, MappingNode)
    return node

"""The targets that Prometheus scrapes, as on its own target page, computed from files alone."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ruamel.yaml.nodes import MappingNode, SequenceNode

from wizard.config_files.prometheus.relabeling import relabel, trouble
from wizard.config_files.prometheus.scrape_jobs import Discovery, Group, ScrapeJob, discovery, group, survey
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import data, load, null
from wizard.errors import ConfigError

_PARAM = "__param_"
_PORTS = {"http": "80", "": "80", "https": "443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """One target as it is scraped, which means after relabeling."""

    job: str
    """The job_name of its scrape job."""
    address: str
    """host:port, an IPv6 address in brackets; the default port of the scheme if none is given."""
    scheme: str
    path: str
    instance: str
    job_label: str
    """The label `job` of its series, which may differ from the job's name."""
    source: str
    """'static', or the absolute path of the target file."""
    param_target: str
    """The address or URL that is probed through this target (blackbox_exporter's `target`), or ''."""
    module: str
    """The module with which it is probed, or ''."""
    discovered: str
    """Its __address__ before relabeling."""


def scraped_targets(
    content: bytes, *, folder: str, files: Mapping[str, bytes | None], major: int = 3
) -> tuple[Scraped, ...]:
    """All static and file-based targets after relabeling; see `unknown_jobs` for the ones that are missing.

    Args:
        content: a prometheus.yml.
        folder: absolute path of the file's folder.
        files: the target files by absolute path, None for a missing one; globs are matched against
            these paths. As in Prometheus, a damaged or missing file adds nothing.
        major: version of Prometheus. 2 adds the scheme's port to `instance` if the target has none, and
            the job's params take precedence over a target's labels `__param_…`.

    Raises:
        ConfigError: it is not a prometheus.yml.
    """
    return _scraped_targets(content, folder, tuple(sorted(files.items())), major)


def sd_files(content: bytes, folder: str) -> tuple[str, ...]:
    """Absolute paths and globs (`*` in the last part) of all target files, each once.

    Those of scrape jobs come first, then those of alertmanagers.
    """
    listed = survey(content)
    others = (discovery(fields.fields([node])) for _, _, node in listed.clients)
    found = (
        _join_path(folder, path) for each in (*listed.discoveries, *others) for path in each.files if path
    )
    return tuple(dict.fromkeys(found))


def included_patterns(content: bytes, folder: str) -> tuple[str, ...]:
    """Absolute paths and globs of the files whose jobs a prometheus.yml adds by scrape_config_files, each once."""
    return tuple(dict.fromkeys(_join_path(folder, path) for path in survey(content).included if path))


def included_files(content: bytes, *, folder: str, files: Mapping[str, bytes | None]) -> tuple[str, ...]:
    """Those of `files` that scrape_config_files name, in Prometheus' order; missing ones are left out.

    Args:
        content: a prometheus.yml.
        folder: absolute path of the file's folder.
        files: the contents by absolute path; globs are matched against these paths.
    """
    found = (
        path
        for pattern in included_patterns(content, folder)
        for path in _matching_paths("/", pattern, files)
        if files[path] is not None
    )
    return tuple(dict.fromkeys(found))


def unknown_jobs(
    content: bytes, *, folder: str = "", files: Mapping[str, bytes | None] | None = None
) -> tuple[tuple[str, str], ...]:
    """The jobs whose targets `scraped_targets` cannot return completely, with the reason as a clause such as `its …`.

    A job can appear more than once. Without `files`, scrape_config_files, whose jobs are in other files, appears
    under that name; with them, see `included_files`.

    Args:
        content: a prometheus.yml.
        folder: as for `scraped_targets`.
        files: as for `scraped_targets`; without it, target files are not checked.
    """
    listed = survey(content)
    found: list[tuple[str, str]] = []
    for job, sources in zip(listed.jobs, listed.discoveries, strict=True):
        found += [(job.name, f"its targets come from {key}") for key in sources.others]
        found += [(job.name, why) for why in (trouble(rule) for rule in sources.rules) if why][:1]
        for path in sources.files if files is not None else ():
            found += [(job.name, why) for why in _unread(_join_path(folder, path), files or {})]
    if listed.elsewhere and files is None:
        found.append(("scrape_config_files", f"further jobs stand in other files (line {listed.elsewhere})"))
    return tuple(found)


@lru_cache(maxsize=8)
def _scraped_targets(
    content: bytes, folder: str, files: tuple[tuple[str, bytes | None], ...], major: int
) -> tuple[Scraped, ...]:
    listed = survey(content)
    contents = dict(files)
    found: list[Scraped] = []
    for job, sources in zip(listed.jobs, listed.discoveries, strict=True):
        if any(trouble(rule) for rule in sources.rules):
            continue
        # Of targets with the same labels, Prometheus scrapes one, and shows the __address__ that the last one had before.
        once: dict[frozenset[tuple[str, str]], Scraped] = {}
        for source, each in groups(sources, folder, contents):
            for target in each.targets:
                labels = _labels(job, sources, each, target=target, major=major)
                if labels is not None:
                    once[frozenset(labels.items())] = _target(
                        job, labels, source=source, discovered=target, major=major
                    )
        found += once.values()
    return tuple(found)


def _labels(
    job: ScrapeJob, sources: Discovery, each: Group, *, target: str, major: int
) -> dict[str, str] | None:
    """The labels with which a target is scraped, or None if it is dropped."""
    target_labels = {name: text for name, text in each.labels.items() if text}
    params = {_PARAM + key: text for key, text in sources.params.items()}
    labels = {
        "job": job.name,
        "__metrics_path__": job.metrics_path,
        "__scheme__": job.scheme,
        **({**target_labels, **params} if major < 3 else {**params, **target_labels}),
        "__address__": target,
    }
    after = relabel(labels, sources.rules)
    if after is None or not after.get("__address__") or "/" in after["__address__"]:
        return None
    return {name: text for name, text in after.items() if not name.startswith("__meta_")}


def _target(job: ScrapeJob, labels: dict[str, str], *, source: str, discovered: str, major: int) -> Scraped:
    scheme, plain = labels.get("__scheme__", ""), labels["__address__"]
    address = with_port(plain, scheme)
    shown = address if major < 3 and not plain.endswith(":") else plain
    return Scraped(
        job=job.name,
        address=address,
        scheme=scheme or "http",
        path=labels.get("__metrics_path__", ""),
        instance=labels.get("instance") or shown,
        job_label=labels.get("job", ""),
        source=source,
        param_target=labels.get(_PARAM + "target", ""),
        module=labels.get(_PARAM + "module", ""),
        discovered=discovered,
    )


def with_port(address: str, scheme: str) -> str:
    """The address with the default port of the scheme, if it has none."""
    if _has_port(address):
        return address + _PORTS.get(scheme, "") if address.endswith(":") else address
    return f"{address}:{_PORTS[scheme]}" if _has_port(address + ":1") and scheme in _PORTS else address


def _has_port(address: str) -> bool:
    """Whether Go's net.SplitHostPort accepts it."""
    host, colon, port = address.rpartition(":")
    if not colon or any(bracket in port for bracket in "[]"):
        return False
    if host.startswith("["):
        return host.endswith("]") and not any(bracket in host[1:-1] for bracket in "[]")
    return not any(each in host for each in ":[]")


def groups(sources: Discovery, folder: str, files: Mapping[str, bytes | None]) -> Iterator[tuple[str, Group]]:
    """Yields all known targets before relabeling, each with 'static' or the path of its file."""
    for each in sources.groups:
        yield "static", each
    for path in dict.fromkeys(
        found for name in sources.files for found in _matching_paths(folder, name, files)
    ):
        for each in _read(path, files[path]):
            yield path, Group(each.targets, {**each.labels, "__meta_filepath": path})


def _matching_paths(folder: str, name: str, files: Mapping[str, bytes | None]) -> list[str]:
    path = _join_path(folder, name)
    pattern = _glob(path)
    return sorted(each for each in files if each == path or (pattern and pattern.fullmatch(each)))


def _unread(path: str, files: Mapping[str, bytes | None]) -> Iterator[str]:
    if not _glob(path) and files.get(path) is None:
        yield f"its target file {path} is not there"
    for found in _matching_paths("/", path, files):
        content = files[found]
        if content is not None and _parse_groups(found, content) is None:
            yield f"its target file {found} is damaged, and Prometheus ignores it"


def _join_path(folder: str, path: str) -> str:
    return path if path.startswith("/") else posixpath.normpath(posixpath.join(folder, path))


@lru_cache(maxsize=256)
def _glob(path: str) -> re.Pattern[str] | None:
    """The pattern of Go's filepath.Glob as a regular expression, or None for a plain path (or an invalid pattern)."""
    if not any(each in path for each in "*?["):
        return None
    parts: list[str] = []
    at = 0
    while at < len(path):
        each = path[at]
        at += 1
        if each == "*":
            parts.append("[^/]*")
        elif each == "?":
            parts.append("[^/]")
        elif each == "[":
            end = path.find("]", at + 1 + path.startswith("^", at))
            inside = path[at:end] if end > 0 else ""
            if not inside:
                return None
            negative = inside.startswith("^")
            parts.append(f"(?!/)[{'^' * negative}{_in_class(inside[negative:])}]")
            at = end + 1
        elif each == "\\" and at < len(path):
            parts.append(re.escape(path[at]))
            at += 1
        else:
            parts.append(re.escape(each))
    try:
        return re.compile("".join(parts))
    except re.error:
        return None


def _in_class(text: str) -> str:
    """Escapes a character class: every character but the dash is literal."""
    return "".join(each if each in "-\\" else re.escape(each) for each in text)


def _read(path: str, content: bytes | None) -> tuple[Group, ...]:
    return (_parse_groups(path, content) or ()) if content is not None else ()


@lru_cache(maxsize=256)
def _parse_groups(path: str, content: bytes) -> tuple[Group, ...] | None:
    """The groups of a target file, or None if Prometheus would not accept it."""
    ending = posixpath.splitext(path)[1].lower()
    if ending == ".json":
        return _json(content)
    return _yaml(content) if ending in (".yml", ".yaml") else None


def _json(content: bytes) -> tuple[Group, ...] | None:
    try:
        listed = json.loads(content.decode())
    except (ValueError, RecursionError):
        return None
    found: list[Group] = []
    if listed is None:
        return ()
    for each in listed if isinstance(listed, list) else [None]:
        if not isinstance(each, dict):
            return None
        # Go ignores upper and lower case in the keys of JSON.
        mapping = {key.lower(): value for key, value in each.items()}
        targets, labels = mapping.pop("targets", None) or [], mapping.pop("labels", None) or {}
        if mapping or not isinstance(targets, list) or not isinstance(labels, dict):
            return None
        if not all(isinstance(text, str) for text in (*targets, *labels.values())):
            return None
        found.append(Group(tuple(targets), labels))
    return tuple(found)


def _yaml(content: bytes) -> tuple[Group, ...] | None:
    try:
        document = load(content)
        data(document)
    except ConfigError:
        return None
    if null(document.root):
        return ()
    if not isinstance(document.root, SequenceNode):
        return None
    found: list[Group] = []
    for node in document.root.value:
        mapping = fields.fields([node])
        if not isinstance(node, MappingNode) or not set(mapping) <= {"targets", "labels"}:
            return None
        found.append(group(node))
    return tuple(found)

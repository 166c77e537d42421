"""The blocks besides jobs that make Prometheus a client: alertmanagers, remote_write and remote_read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, Unpack, cast

from ruamel.yaml.nodes import MappingNode

from wizard.config_files.http_client import Settings, wanted_settings
from wizard.config_files.prometheus import client_settings
from wizard.config_files.prometheus.relabeling import relabel, trouble
from wizard.config_files.prometheus.scrape_jobs import (
    CLIENT_AUTH,
    NAME,
    client_blocks,
    discovery,
    masked_login,
    other_auth,
    survey,
)
from wizard.config_files.prometheus.targets import groups, with_port
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, load
from wizard.errors import ConfigError
from wizard.redact import MASK

Kind: TypeAlias = Literal["alertmanagers", "remote_write", "remote_read"]

_USERINFO = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBlock:
    """One entry of alertmanagers, remote_write or remote_read with merge keys and aliases resolved."""

    kind: Kind
    index: int
    """Position in its list, from 0."""
    title: str
    """Its name in messages: `alertmanagers 1`, `remote_write "its name or url"`."""
    targets: tuple[str, ...]
    """host:port of each of its servers after relabeling."""
    static: bool
    """False if a service discovery, or a relabeling that cannot be followed, may add other servers."""
    scheme: str
    url: str
    """'' for alertmanagers; a user and password in it are masked."""
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str] = field(repr=False)
    """An inline password is masked."""
    other_auth: str
    """The key that authenticates instead of basic_auth; `url` for a user name in the url; '' for none."""
    line: int


def clients(
    content: bytes, *, folder: str = "/", files: Mapping[str, bytes | None] | None = None
) -> tuple[ClientBlock, ...]:
    """Parses all blocks: alertmanagers, then remote_write, then remote_read.

    Args:
        content: a prometheus.yml.
        folder: absolute path of its folder.
        files: target files of alertmanagers, as for `scraped`; without them only static targets are known.

    Raises:
        ConfigError: it is not a prometheus.yml.
    """
    return tuple(
        _block(cast(Kind, kind), index, node, folder=folder, files=files)
        for kind, index, node in survey(content).clients
    )


def secure_client(
    content: bytes, block: ClientBlock, *, scheme: str = "https", **settings: Unpack[Settings]
) -> bytes:
    """Makes one block use https, tls_config and basic_auth by the rules of `secure_job`.

    Alertmanagers get a `scheme`. For the others the url changes, and a port that it omits is written out,
    because the server keeps its port.

    Args:
        content: the file, in which `block` is still at the same place (by kind and index).
        block: from `clients`.
        scheme: 'https', 'http', or '' to keep it.
        settings: see `http_client.Settings`.

    Raises:
        ConfigError: there is no such block, it authenticates differently, or an edit would change more than it.
    """
    want = wanted_settings(scheme, **settings)
    kind = client_settings.Kind(
        words=f"this entry of {block.kind}",
        scheme="scheme" if block.kind == "alertmanagers" else "url",
        rivals=CLIENT_AUTH,
    )
    document = load(content, NAME)
    path: Path = (block.kind, block.index)
    if block.kind == "alertmanagers":
        path = ("alerting", *path)
    edited = client_settings.secure(document, path, _node(document, block), want, kind)
    if edited is document:
        return content
    client_settings.confirm(edited, _node(edited, block), want, kind)
    return edited.content


def _node(document: Document, block: ClientBlock) -> MappingNode:
    for kind, index, node in client_blocks(document):
        if (kind, index) == (block.kind, block.index):
            return node
    raise ConfigError(
        f"there is no {block.title} any more", where=NAME, todo="Read the file again, then try again"
    )


def _block(
    kind: Kind, index: int, node: MappingNode, *, folder: str, files: Mapping[str, bytes | None] | None
) -> ClientBlock:
    mapping = fields.fields([node])
    url = fields.value(mapping, "url") if kind != "alertmanagers" else ""
    masked = _USERINFO.sub(MASK + "@", url)
    sources = discovery(mapping)
    followed = not any(trouble(rule) for rule in sources.rules)
    complete = not sources.others and (files is not None or not sources.files)
    if kind == "alertmanagers":
        title = f"alertmanagers {index + 1}"
        targets = tuple(dict.fromkeys(_alertmanagers(mapping, folder, files or {}))) if followed else ()
        scheme = fields.value(mapping, "scheme") or "http"
    else:
        title = f'{kind} "{fields.value(mapping, "name") or masked}"'
        scheme = url.partition("://")[0].lower() if "://" in url else ""
        host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
        targets = (with_port(host, scheme),) if host else ()
    other = other_auth(mapping, CLIENT_AUTH)
    return ClientBlock(
        kind=kind,
        index=index,
        title=title,
        targets=targets,
        static=kind != "alertmanagers" or (complete and followed),
        scheme=scheme,
        url=masked,
        tls=fields.texts(fields.inner(mapping, "tls_config")),
        basic_auth=masked_login(mapping),
        other_auth=other or ("url" if client_settings.userinfo(url) else ""),
        line=node.start_mark.line + 1,
    )


def _alertmanagers(mapping: fields.Fields, folder: str, files: Mapping[str, bytes | None]) -> Iterator[str]:
    sources = discovery(mapping)
    scheme = fields.value(mapping, "scheme") or "http"
    path = "/" + fields.value(mapping, "path_prefix").strip("/")
    for _, each in groups(sources, folder, files):
        for target in each.targets:
            labels = {**each.labels, "__address__": target, "__scheme__": scheme, "__alerts_path__": path}
            after = relabel(labels, sources.rules)
            if after is not None and after.get("__address__"):
                yield with_port(after["__address__"], after.get("__scheme__", ""))

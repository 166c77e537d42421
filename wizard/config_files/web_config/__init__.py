"""Parses and edits the web configuration file (web.yml): TLS, users and headers of servers of the Prometheus family.

Edits keep every byte that need not change: other users, headers, comments and settings stay, and a second call
with the same arguments returns the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.prometheus import client_settings
from wizard.config_files.web_config.validation import (
    NAME,
    check,
    duration,
    number,
    unfamiliar,
    unsupported_settings,
    weak,
)
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, load, null, text_of
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Plain, Value, bare
from wizard.errors import ConfigError
from wizard.model import RateLimit

__all__ = [
    "WebConfig",
    "check",
    "parse",
    "secure",
    "unfamiliar",
    "unsupported_settings",
    "weak",
    "without_users",
]

_SECTIONS = ("tls_server_config", "http_server_config", "rate_limit", "basic_auth_users")

_HEADER = (
    "Web configuration: what this server demands of those who connect (TLS, passwords).\n"
    "Written by Firescreen, free to edit: later runs change only the settings that they are asked to change."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """The settings of a web configuration; an empty text stands for a setting that is not made."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP headers of every response, with their values."""
    rate_limit: RateLimit | None = None
    """As written; a burst that is missing or not a number counts as 0, which allows no request."""
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """User name to bcrypt hash."""
    inline: tuple[str, ...] = ()
    """Those of cert, key and client_ca that are inline in the file (toolkit 0.11 and newer)."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line (from 1) of the value of each setting above, by field name, and of each section."""

    @property
    def encrypted(self) -> bool:
        """Whether the server uses TLS."""
        return bool(self.cert_file or self.key_file or self.inline or self.client_auth_type)


def parse(content: bytes) -> WebConfig:
    """Parses a web configuration; an empty file requires nothing.

    Raises:
        ConfigError: it is not YAML, or a section is not a mapping.
    """
    document = load(content, NAME)
    root = _root(document)
    tls, http, limit, users = (fields.inner(root, section) for section in _SECTIONS)
    names = ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version")
    headers = fields.inner(http, "headers")
    return WebConfig(
        **{name: fields.value(tls, name) for name in names},
        client_allowed_sans=tuple(text_of(node) for node in fields.items(tls, "client_allowed_sans")),
        headers={name: fields.value(headers, name) for name in headers},
        rate_limit=(
            RateLimit(fields.value(limit, "interval"), number(fields.value(limit, "burst")) or 0)
            if limit
            else None
        ),
        users={name: fields.value(users, name) for name in users},
        inline=tuple(
            name
            for name in ("cert", "key", "client_ca")
            if fields.value(tls, name) and not fields.value(tls, f"{name}_file")
        ),
        lines={
            name: nodes[-1].start_mark.line + document.first_line
            for mapping in (root, tls, http, limit)
            for name, nodes in mapping.items()
        },
    )


def secure(  # noqa: PLR0913 - one argument for each setting
    content: bytes | None,
    *,
    cert_file: str = "",
    key_file: str = "",
    users: Mapping[str, str] | None = None,
    client_ca_file: str = "",
    client_auth_type: str = "",
    client_allowed_sans: Sequence[str] = (),
    min_version: str = "",
    headers: Mapping[str, str] | None = None,
    rate_limit: RateLimit | None = None,
    header: str = "",
) -> bytes:
    """Makes a web configuration require the given settings; empty or missing ones stay as they are.

    Args:
        content: the present file, or None for a new one.
        cert_file: path as the server sees it; the other paths likewise.
        users: user name to bcrypt hash, to add or replace. Others stay.
        client_auth_type: e.g. RequireAndVerifyClientCert.
        client_allowed_sans: the names of which a client certificate must have one. A present list is
            changed to exactly these names; their order stays.
        min_version: TLS10, TLS11, TLS12 or TLS13.
        headers: HTTP headers to add or change. Others stay.
        rate_limit: an interval of the same length in another notation stays as it is.
        header: the text of the comment at the top of a new file; '' for the default one.

    Raises:
        ConfigError: it is not YAML, or an edit would change more than these settings.
    """
    given = {
        "cert_file": cert_file,
        "key_file": key_file,
        "client_ca_file": client_ca_file,
        "client_auth_type": client_auth_type,
        "min_version": min_version,
    }
    tls = {name: text for name, text in given.items() if text}
    http_sections = _http_sections(headers or {}, rate_limit)
    if content is None:
        lines = (header or _HEADER).splitlines()
        content = "".join(f"# {line}".rstrip() + "\n" for line in lines).encode()
    document = load(content, NAME)
    _root(document)
    editor = Editor(document)
    if not isinstance(document.root, MappingNode):
        whole: dict[str, Value] = dict(tls)
        if client_allowed_sans:
            whole["client_allowed_sans"] = list(client_allowed_sans)
        sections = {"tls_server_config": whole, **http_sections, "basic_auth_users": dict(users or {})}
        editor.insert((), {key: value for key, value in sections.items() if value})
        return editor.apply().content
    client_settings.settle(editor, document, (), document.root, "tls_server_config", tls)
    _set_values(editor, (), document.root, http_sections)
    client_settings.settle(editor, document, (), document.root, "basic_auth_users", users or {}, rivalries={})
    edited = _allow(editor.apply(), client_allowed_sans)
    _confirm(edited, tls=tls, users=users or {}, headers=headers or {}, rate_limit=rate_limit)
    return edited.content


def without_users(content: bytes) -> bytes:
    """A web configuration that requires no password.

    Raises:
        ConfigError: it is not YAML, or the edit would change more than the users.
    """
    document = load(content, NAME)
    if "basic_auth_users" not in _root(document):
        return content
    editor = Editor(document)
    editor.remove(("basic_auth_users",))
    return editor.apply().content


def _http_sections(headers: Mapping[str, str], rate_limit: RateLimit | None) -> dict[str, Value]:
    """The sections beside TLS and users that have settings, as YAML values."""
    sections: dict[str, Value] = {}
    if headers:
        sections["http_server_config"] = {"headers": dict(headers)}
    if rate_limit is not None:
        is_duration = duration(rate_limit.interval) is not None
        interval = Plain(rate_limit.interval) if is_duration else rate_limit.interval
        sections["rate_limit"] = {"interval": interval, "burst": Plain(str(rate_limit.burst))}
    return sections


def _set_values(editor: Editor, path: Path, node: Node, want: Mapping[str, Value]) -> None:
    """Sets these values in the mapping at `path`; nested mappings are merged, not replaced."""
    new: dict[str, Value] = {}
    for key, value in want.items():
        here = fields.own(node, key)
        if here is None:
            new[key] = value
        elif isinstance(here, MappingNode) and isinstance(value, Mapping):
            _set_values(editor, (*path, key), here, value)
        elif not _has_value(here, value):
            editor.put((*path, key), value)
    editor.insert(path, new)


def _has_value(node: Node, value: Value) -> bool:
    # A number in quotes is a text to the program, which rejects it.
    if not isinstance(node, ScalarNode) or (node.style and isinstance(value, Plain)):
        return False
    text, wanted = text_of(node), bare(value)
    return text == wanted or (duration(text) is not None and duration(text) == duration(str(wanted)))


def _allow(document: Document, names: Sequence[str]) -> Document:
    """The document with exactly these allowed names; present ones keep their place."""
    key = "client_allowed_sans"
    tls = fields.inner(_root(document), "tls_server_config")
    if not names or {text_of(node) for node in fields.items(tls, key)} == set(names):
        return document
    path: Path = ("tls_server_config", key)
    section = fields.own(document.root, "tls_server_config")
    here = fields.own(section, key)
    editor = Editor(document)
    if not isinstance(here, SequenceNode):
        assert isinstance(document.root, MappingNode)
        _set_values(editor, (), document.root, {"tls_server_config": {key: list(names)}})
        return editor.apply()
    present = [text_of(node) for node in here.value]
    missing = [name for name in dict.fromkeys(names) if name not in present]
    surplus = [index for index, name in enumerate(present) if name not in names]
    for index, name in zip(surplus, missing, strict=False):
        editor.put((*path, index), name)
    editor.remove_items(path, surplus[len(missing) :])
    document = editor.apply()
    for name in missing[len(surplus) :]:
        editor = Editor(document)
        editor.append(path, name)
        document = editor.apply()
    return document


def _root(document: Document) -> fields.Fields:
    root = document.root
    if root is not None and not null(root) and not isinstance(root, MappingNode):
        raise ConfigError(
            "a web configuration is a mapping of settings, this is something else",
            where=document.where(root),
            todo="Check whether this is the right file",
        )
    mapping = fields.fields([root] if root is not None else [])
    for key in _SECTIONS:
        for node in mapping.get(key, ()):
            if not isinstance(node, MappingNode) and not null(node):
                raise ConfigError(
                    f"{key} is not a mapping",
                    where=document.where(node),
                    todo=(
                        "Write one `user: hash` a line below it, with a space after the colon"
                        if key == "basic_auth_users"
                        else "Write one `setting: value` a line below it"
                    ),
                )
    return mapping


def _confirm(
    document: Document,
    *,
    tls: Mapping[str, str],
    users: Mapping[str, str],
    headers: Mapping[str, str],
    rate_limit: RateLimit | None,
) -> None:
    root = _root(document)
    sections = {key: fields.inner(root, key) for key in _SECTIONS}
    limit = {}
    if rate_limit is not None:
        limit = {"interval": rate_limit.interval, "burst": str(rate_limit.burst)}
    for key, mapping, want in (
        ("tls_server_config", sections["tls_server_config"], tls),
        ("http_server_config", fields.inner(sections["http_server_config"], "headers"), headers),
        ("rate_limit", sections["rate_limit"], limit),
        ("basic_auth_users", sections["basic_auth_users"], users),
    ):
        now = fields.texts(mapping)
        if any(
            now.get(name) != text
            and (duration(text) is None or duration(now.get(name, "")) != duration(text))
            for name, text in want.items()
        ):
            raise ConfigError(
                f"a merge key (<<) overrides what {key} says above it",
                where=document.where(root[key][-1]),
                todo="Move the line with << to the top of its mapping, then try again",
            )

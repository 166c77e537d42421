"""The web configuration file: what a server of the Prometheus family demands of those who connect to it.

Reads it, and makes it demand TLS and passwords by byte-keeping edits: other users, headers, comments and
settings stay as they are, and a second call with the same arguments returns the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode

from wizard.configs import _fields, _secure
from wizard.configs._render import Value
from wizard.configs._web_check import NAME, check
from wizard.configs._yaml import Document, load, null
from wizard.configs.edit import Editor
from wizard.errors import ConfigError

__all__ = ["WebConfig", "check", "parse", "secure"]

_HEADER = (
    "Web configuration: what this server demands of those who connect (TLS, passwords).\n"
    "Written by Firescreen, free to edit: later runs change only the settings that they are asked to change."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """What a web configuration says; an empty text is a setting that it does not make."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    min_version: str = ""
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """User name to bcrypt hash."""
    inline: tuple[str, ...] = ()
    """Which of cert, key and client_ca stand in the file itself (toolkit 0.11 and newer)."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """For each setting above, by its name, and each section, the line (from 1) of its value."""

    @property
    def encrypted(self) -> bool:
        """Whether the server speaks TLS."""
        return bool(self.cert_file or self.key_file or self.inline or self.client_auth_type)


def parse(content: bytes) -> WebConfig:
    """Reads a web configuration; an empty file is one that demands nothing.

    Raises:
        ConfigError: it is not YAML, or a section is not a mapping.
    """
    document = load(content, NAME)
    root = _root(document)
    tls = _fields.inner(root, "tls_server_config")
    users = _fields.inner(root, "basic_auth_users")
    names = ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version")
    return WebConfig(
        **{name: _fields.value(tls, name) for name in names},
        users={name: _fields.value(users, name) for name in users},
        inline=tuple(
            name
            for name in ("cert", "key", "client_ca")
            if _fields.value(tls, name) and not _fields.value(tls, f"{name}_file")
        ),
        lines={
            name: nodes[-1].start_mark.line + document.first_line
            for of in (root, tls)
            for name, nodes in of.items()
        },
    )


def secure(
    content: bytes | None,
    *,
    cert_file: str = "",
    key_file: str = "",
    users: Mapping[str, str] | None = None,
    client_ca_file: str = "",
    client_auth_type: str = "",
    header: str = "",
) -> bytes:
    """Makes a web configuration demand what is given; what is '' or not named stays as it is.

    Args:
        content: the file as it is, or None for a new one.
        cert_file: path as the server sees it; the other paths likewise.
        users: user name to bcrypt hash, to be added or replaced. Others stay.
        client_auth_type: e.g. RequireAndVerifyClientCert.
        header: the text of the comment on top of a new file; '' for a short one of ours.

    Raises:
        ConfigError: it is not YAML, or an edit would reach beyond what was asked for.
    """
    tls = {
        name: text
        for name, text in (
            ("cert_file", cert_file),
            ("key_file", key_file),
            ("client_ca_file", client_ca_file),
            ("client_auth_type", client_auth_type),
        )
        if text
    }
    if content is None:
        lines = (header or _HEADER).splitlines()
        content = "".join(f"# {line}".rstrip() + "\n" for line in lines).encode()
    document = load(content, NAME)
    _root(document)
    sections: dict[str, Value] = {
        key: dict(want)
        for key, want in (("tls_server_config", tls), ("basic_auth_users", users or {}))
        if want
    }
    editor = Editor(document)
    if not isinstance(document.root, MappingNode):
        editor.insert((), sections)
        return editor.apply().content
    for key, want in (("tls_server_config", tls), ("basic_auth_users", users or {})):
        rivals = _secure.RIVALS if key == "tls_server_config" else {}
        _secure.settle(editor, document, (), document.root, key, want, rivalries=rivals)
    edited = editor.apply()
    _confirm(edited, tls, users or {})
    return edited.content


def _root(document: Document) -> _fields.Fields:
    root = document.root
    if root is not None and not null(root) and not isinstance(root, MappingNode):
        raise ConfigError(
            "a web configuration is a mapping of settings, this is something else",
            where=document.where(root),
            todo="Check whether this is the right file",
        )
    of = _fields.fields([root] if root is not None else [])
    for key in ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"):
        for node in of.get(key, ()):
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
    return of


def _confirm(document: Document, tls: Mapping[str, str], users: Mapping[str, str]) -> None:
    root = _root(document)
    for key, want in (("tls_server_config", tls), ("basic_auth_users", users)):
        now = _fields.texts(_fields.inner(root, key))
        if any(now.get(name) != text for name, text in want.items()):
            raise ConfigError(
                f"a merge key (<<) overrides what {key} says above it",
                where=document.where(root[key][-1]),
                todo="Move the line with << to the top of its mapping, then try again",
            )

"""Alertmanager's `--cluster.tls-config` file: TLS for the gossip between its instances, apart from the web port.

Each instance is server and client of the others, so the file has two sections, and versions before 0.26 panic
if one is missing. The peers connect to IP addresses: the certificate must have these, or `server_name` must say
which of its names to verify. Edits keep every byte that need not change.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from wizard.config_files.prometheus import client_settings
from wizard.config_files.web_config import files, validation
from wizard.config_files.web_config.known_names import is_covered
from wizard.config_files.web_config.pem import Read
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, data, load, merges, null
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Value
from wizard.errors import ConfigError

__all__ = ["ClusterConfig", "check", "parse", "secure"]

NAME = "cluster.yml"
_SERVER = "tls_server_config"
_CLIENT = "tls_client_config"
_CLIENT_FIELDS = (
    "ca",
    "ca_file",
    "ca_ref",
    "cert",
    "cert_file",
    "cert_ref",
    "key",
    "key_file",
    "key_ref",
    "server_name",
    "insecure_skip_verify",
    "min_version",
    "max_version",
)
_POLICY = "RequireAndVerifyClientCert"
_HEADER = (
    "# How this Alertmanager and its peers speak to each other: TLS, with a certificate on both sides.\n"
    "# Written by Firescreen, free to edit: later runs change only the settings that they are asked to change.\n"
)


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The single settings of each section, by name."""

    server: Mapping[str, str] = field(default_factory=dict)
    client: Mapping[str, str] = field(default_factory=dict)


def parse(content: bytes) -> ClusterConfig:
    """Parses the file.

    Raises:
        ConfigError: it is not YAML, or a section is not a mapping.
    """
    mapping = _root(load(content, NAME))
    return ClusterConfig(*(fields.texts(fields.inner(mapping, section)) for section in (_SERVER, _CLIENT)))


def secure(
    content: bytes | None, *, cert_file: str, key_file: str, ca_file: str, server_name: str = ""
) -> bytes:
    """Makes the peers require each other's certificate; all other settings stay.

    Args:
        content: the present file, or None for a new one.
        cert_file: certificate for both purposes, server and client; a path as Alertmanager sees it, like the
            other two.
        ca_file: the CA of all peers' certificates.
        server_name: a name that all certificates have, if they lack the IP addresses.

    Raises:
        ConfigError: it is not YAML, or an edit would change more than these settings.
    """
    pair = {"cert_file": cert_file, "key_file": key_file}
    wanted = {
        _SERVER: {**pair, "client_ca_file": ca_file, "client_auth_type": _POLICY},
        _CLIENT: {**pair, "ca_file": ca_file, **({"server_name": server_name} if server_name else {})},
    }
    document = load(_HEADER.encode() if content is None else content, NAME)
    _root(document)
    editor = Editor(document)
    if not isinstance(document.root, MappingNode):
        sections: dict[str, Value] = dict(wanted)
        editor.insert((), sections)
        return editor.apply().content
    for section, want in wanted.items():
        client_settings.settle(editor, document, (), document.root, section, want, checked=section == _CLIENT)
    edited = editor.apply()
    mapping = _root(edited)
    for section, want in wanted.items():
        now = fields.texts(fields.inner(mapping, section))
        if any(now.get(name) != text for name, text in want.items()):
            raise ConfigError(
                f"a merge key (<<) overrides what {section} says above it",
                where=edited.where(mapping[section][-1]),
                todo="Move the line with << to the top of its mapping, then try again",
            )
    return edited.content


def check(
    content: bytes, *, toolkit: str = "", read: Read | None = None, folder: str = ""
) -> tuple[str, ...]:
    """Finds what Alertmanager would reject, or accept although it leaves the gossip unprotected, like `web.check`.

    Args:
        content: the file.
        toolkit: version of the exporter toolkit in Alertmanager; '' for the newest.
        read: returns the content of a file named in it, by absolute path.
        folder: folder of the file, at which its relative paths begin.
    """
    try:
        document = load(content)
        data(document)
        mapping = _root(document)
    except ConfigError as problem:
        return (str(problem),)
    found = [
        f"{_line(document, nodes[-1])}: there is no setting {key!r} at the top (there are {_SERVER} and {_CLIENT})"
        for key, nodes in mapping.items()
        if key not in (_SERVER, _CLIENT) and (is_covered(toolkit) or key == "tls_config")
    ]
    found += [
        f"line {document.first_line}: {section} is missing, and Alertmanager needs both sections (add it)"
        for section in (_SERVER, _CLIENT)
        if section not in mapping or null(mapping[section][-1])
    ]
    found += validation.server_section(document, mapping, toolkit=toolkit, read=read, folder=folder)
    server = fields.inner(mapping, _SERVER)
    if server and fields.value(server, "client_auth_type") != _POLICY:
        place = _line(document, mapping[_SERVER][-1])
        found.append(f"{place}: anybody may join the gossip (add client_auth_type: {_POLICY})")
    return (*found, *_client(document, mapping, read, folder, toolkit))


def _client(
    document: Document, mapping: fields.Fields, read: Read | None, folder: str, toolkit: str
) -> Iterator[str]:
    for node in mapping.get(_CLIENT, ()):
        for key, _ in node.value if isinstance(node, MappingNode) else ():
            name = str(key.value) if isinstance(key, ScalarNode) else "?"
            if name not in _CLIENT_FIELDS and not merges(key):
                if not is_covered(toolkit) and name not in validation.SERVER_FIELDS:
                    continue  # a newer Alertmanager may have it
                near = difflib.get_close_matches(name, _CLIENT_FIELDS, n=1, cutoff=0.5)
                todo = f"did you mean {near[0]}?" if near else "remove it"
                yield f"{_line(document, key)}: there is no setting {name!r} in {_CLIENT} ({todo})"
    tls = fields.inner(mapping, _CLIENT)
    for kind in ("ca", "cert", "key") if tls else ():
        if not any(fields.value(tls, kind + end) for end in ("", "_file", "_ref")):
            yield f"{_line(document, mapping[_CLIENT][-1])}: {kind}_file is missing in {_CLIENT} (add it)"
    if fields.truth(fields.value(tls, "insecure_skip_verify")):
        place = _line(document, tls["insecure_skip_verify"][-1])
        yield f"{place}: insecure_skip_verify accepts every certificate (remove it)"
    yield from files.check(document, tls, read, folder=folder, ca="ca")


def _line(document: Document, node: Node) -> str:
    return f"line {node.start_mark.line + document.first_line}"


def _root(document: Document) -> fields.Fields:
    root = document.root
    mapping = fields.fields([root] if root is not None else [])
    sections = [(key, node) for key in (_SERVER, _CLIENT) for node in mapping.get(key, ())]
    for what, node in (("the file", root), *sections):
        if node is not None and not null(node) and not isinstance(node, MappingNode):
            raise ConfigError(
                f"{what} is not a mapping of settings",
                where=document.where(node),
                todo="Write one `setting: value` a line below it",
            )
    return mapping

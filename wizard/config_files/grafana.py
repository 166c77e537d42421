"""Byte-keeping edits of Grafana's data-source provisioning file, for data sources that query a secured Prometheus.

Certificates and passwords stay in files: Grafana reads them through its own `$__file{…}`. Every edit takes and
returns the bytes of the file, and a second call with the same arguments returns the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, SequenceNode

from wizard.config_files.prometheus import client_settings
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, Path, load, null
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Plain, Value
from wizard.errors import ConfigError
from wizard.redact import MASK

NAME = "Grafana's data sources"

_HEADER = re.compile(r"httpHeaderName\d+")
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_TRUE = Plain("true")
_FALSE = Plain("false")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One data source of the file."""

    name: str
    type: str
    """Such as `prometheus` or `alertmanager`."""
    url: str
    """As written, with variables; a user and password in it are masked."""
    access: str
    """`proxy` if Grafana itself sends the requests; `direct` if the user's browser does, for which no file helps."""
    line: int
    says: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Its single values, with those below jsonData and secureJsonData, as written: secrets too."""

    def is_on(self, key: str) -> bool:
        """Whether a setting is true."""
        return fields.truth(self.says.get(key, ""))


def datasources(content: bytes) -> tuple[DataSource, ...]:
    """Parses all data sources, in the order of the file.

    Raises:
        ConfigError: it is not YAML, or datasources is not a list of mappings.
    """
    document = load(content, NAME)
    found: list[DataSource] = []
    for node in _sources(document):
        mapping = fields.fields([node])
        below = [fields.texts(fields.inner(mapping, key)) for key in ("jsonData", "secureJsonData")]
        found.append(
            DataSource(
                name=fields.value(mapping, "name"),
                type=fields.value(mapping, "type"),
                url=_USERINFO.sub(MASK + "@", fields.value(mapping, "url")),
                access=fields.value(mapping, "access") or "proxy",
                line=node.start_mark.line + 1,
                says={**fields.texts(mapping), **below[0], **below[1]},
            )
        )
    return tuple(found)


def secure_datasource(
    content: bytes,
    *,
    name: str,
    ca: str = "",
    cert: str = "",
    key: str = "",
    user: str = "",
    password_file: str = "",
    server_name: str = "",
) -> bytes:
    """Makes one data source use https with the given settings; '' leaves a setting as it is.

    tlsSkipVerify becomes false, an inline password is replaced by `password_file`, and a port that the url
    omits is written out, because the server keeps its port.

    Args:
        content: the file.
        name: of the data source, which must be unique.
        ca: absolute path of the CA bundle, as Grafana's host sees it.
        cert: path of the client certificate.
        key: path of its key.
        user: user name.
        password_file: path of the file whose only content is the password.
        server_name: the name that the server's certificate must have, if it is not that of the url.

    Raises:
        ConfigError: no such data source, another kind of authentication, a url that begins with a variable, a path
            that Grafana could not read, or an edit that would change more than this data source.
    """
    document = load(content, NAME)
    index, node = _find_source(document, name)
    mapping = fields.fields([node])
    path: Path = ("datasources", index)
    if user or password_file:
        _refuse_rivals(document, node)
    editor = Editor(document)
    _use_https(editor, document, path, node)
    login: dict[str, str | Plain] = {"basicAuth": _TRUE} if user or password_file else {}
    if user:
        login["basicAuthUser"] = user.replace("$", "$$")
    _set_values(editor, path, node, login)
    if password_file and fields.own(node, "basicAuthPassword") is not None:
        editor.remove((*path, "basicAuthPassword"))
    options: dict[str, str | Plain] = {}
    if ca:
        options["tlsAuthWithCACert"] = _TRUE
    if cert or key:
        options["tlsAuth"] = _TRUE
    if server_name:
        options["serverName"] = server_name.replace("$", "$$")
    if fields.value(fields.inner(mapping, "jsonData"), "tlsSkipVerify").lower() == "true":
        options["tlsSkipVerify"] = _FALSE
    _set_values_below(editor, path, node, key="jsonData", values=options)
    files = {"tlsCACert": ca, "tlsClientCert": cert, "tlsClientKey": key, "basicAuthPassword": password_file}
    secrets = {name: _from_file(file) for name, file in files.items() if file}
    _set_values_below(editor, path, node, key="secureJsonData", values=secrets)
    return editor.apply().content


def set_url(content: bytes, *, name: str, url: str) -> bytes:
    """Sets the URL of one data source.

    Raises:
        ConfigError: no such data source, or its url has a user and password.
    """
    document = load(content, NAME)
    index, node = _find_source(document, name)
    url_node = fields.own(node, "url")
    if url_node is None or client_settings.userinfo(fields.value(fields.fields([node]), "url")):
        raise ConfigError(
            "this data source has no url of its own, or one with a user name",
            where=document.where(url_node or node),
            todo="Write the url out, without user and password, then try again",
        )
    editor = Editor(document)
    editor.put(("datasources", index, "url"), client_settings.in_hand(url_node, url))
    return editor.apply().content


def _use_https(editor: Editor, document: Document, path: Path, node: MappingNode) -> None:
    """Makes the url of a data source begin with https:// and have a port.

    Raises:
        ConfigError: the url begins with a variable, or with neither http:// nor https://.
    """
    url_node = fields.own(node, "url")
    url = fields.value(fields.fields([node]), "url")
    secure_url = client_settings.with_scheme(url, "https")
    if not secure_url:
        raise ConfigError(
            "the url does not begin with http:// or https:// and a host",
            where=document.where(url_node or node),
            todo="Write the url out, then try again",
        )
    if secure_url == url:
        return
    if url_node is None:
        editor.insert(path, {"url": secure_url})
    else:
        editor.put((*path, "url"), client_settings.in_hand(url_node, secure_url))


def _set_values_below(
    editor: Editor, path: Path, node: MappingNode, *, key: str, values: Mapping[str, str | Plain]
) -> None:
    """Sets these values in the mapping below `key`, which is added if it is missing."""
    below = fields.own(node, key)
    if not values:
        return
    if below is None:
        editor.insert(path, {key: dict(values)})
    elif isinstance(below, MappingNode):
        _set_values(editor, (*path, key), below, values)
    else:
        editor.put((*path, key), dict(values))


def _set_values(editor: Editor, path: Path, node: MappingNode, values: Mapping[str, str | Plain]) -> None:
    """Sets these values in a mapping."""
    mapping = fields.fields([node])
    new: dict[str, Value] = {}
    for key, value in values.items():
        text = value.word if isinstance(value, Plain) else value
        if fields.value(mapping, key) == text:
            continue
        if fields.own(node, key) is None:
            new[key] = value
        else:
            editor.put((*path, key), value)
    if new:
        editor.insert(path, new)


def _from_file(path: str) -> str:
    if not path.startswith("/") or any(each in path for each in "{}$\n"):
        raise ConfigError(
            f"Grafana cannot read a secret from the path {path!r}",
            where=NAME,
            todo="Use an absolute path without braces and dollar signs",
        )
    return f"$__file{{{path}}}"


def _refuse_rivals(document: Document, node: MappingNode) -> None:
    """Refuses settings that would send another Authorization header, or forward the user's own login."""
    mapping = fields.fields([node])
    options = fields.inner(mapping, "jsonData")
    rivals = [key for key in ("oauthPassThru", "sigV4Auth") if fields.value(options, key).lower() == "true"]
    rivals += [
        key
        for key in options
        if _HEADER.fullmatch(key) and fields.value(options, key).lower() == "authorization"
    ]
    if client_settings.userinfo(fields.value(mapping, "url")):
        rivals.append("a user name in its url")
    if rivals:
        raise ConfigError(
            f"this data source authenticates with {rivals[0]} already",
            where=document.where(node),
            todo="Remove that if a user and password are to replace it",
        )


def _find_source(document: Document, name: str) -> tuple[int, MappingNode]:
    found = [
        (index, node)
        for index, node in enumerate(_sources(document))
        if fields.value(fields.fields([node]), "name") == name
    ]
    if len(found) != 1:
        raise ConfigError(
            f"there are {len(found)} data sources {name!r}" if found else f"there is no data source {name!r}",
            where=NAME,
            todo="Give each its own name" if found else "Check the name",
        )
    return found[0]


def _sources(document: Document) -> list[MappingNode]:
    root = document.root
    if null(root):
        return []
    listed = fields.own(root, "datasources")
    if null(listed) and isinstance(root, MappingNode):
        return []
    if not isinstance(listed, SequenceNode) or not all(
        isinstance(each, MappingNode) for each in listed.value
    ):
        raise ConfigError(
            "a provisioning file has a list of data sources below `datasources:`",
            where=document.where(listed or root),
            todo="Check whether this is the right file",
        )
    return list(listed.value)

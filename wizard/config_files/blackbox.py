"""Byte-keeping edits of blackbox_exporter's own configuration: the modules with which it probes.

Every edit takes and returns the bytes of the file, and a second call with the same arguments returns the same
bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, Unpack

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.http_client import Settings, Wanted, wanted_settings
from wizard.config_files.prometheus import client_settings
from wizard.config_files.prometheus.scrape_jobs import OTHER_AUTH, masked_login, other_auth
from wizard.config_files.prometheus.validation import UNSEEN, client
from wizard.config_files.web_config.pem import Read
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, data, load, null, text_of
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Plain, Value, bare
from wizard.errors import ConfigError

NAME = "blackbox.yml"
PROBERS = ("http", "tcp", "icmp", "dns", "grpc", "unix", "websocket")

_WORD = re.compile(r"[A-Za-z0-9_./+-]+")
_Tree: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module with merge keys and aliases resolved; the last four fields are those of its `http` block."""

    name: str
    prober: str
    line: int
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str] = field(repr=False)
    """An inline password is masked."""
    other_auth: str
    """The key that authenticates instead of basic_auth; '' for none."""


def modules(content: bytes) -> tuple[Module, ...]:
    """Parses all modules, in the order of the file.

    Raises:
        ConfigError: it is not YAML, or modules is not a mapping of mappings.
    """
    document = load(content, NAME)
    found: list[Module] = []
    for key, node in _pairs(document):
        mapping = fields.fields([node])
        http = fields.inner(mapping, "http")
        found.append(
            Module(
                name=text_of(key),
                prober=fields.value(mapping, "prober"),
                line=key.start_mark.line + 1,
                tls=fields.texts(fields.inner(http, "tls_config")),
                basic_auth=masked_login(http),
                other_auth=other_auth(http),
            )
        )
    return tuple(found)


def secure_module(content: bytes, *, module: str, **settings: Unpack[Settings]) -> bytes:
    """Makes one http module use the given tls_config and basic_auth; '' leaves a setting as it is.

    The rules are those of `prometheus.secure_job`: rival settings are removed, and insecure_skip_verify becomes
    false as soon as a CA, a certificate or a server name is given.

    Args:
        content: the file.
        module: name of the module.
        settings: see `http_client.Settings`.

    Raises:
        ConfigError: no such module, another prober, another kind of authentication, or an edit that would change
            more than this module.
    """
    want = wanted_settings(**settings)
    document = load(content, NAME)
    http = _http_block(document, module)
    kind = client_settings.Kind(words=f"the module {module!r}", scheme="")
    path = ("modules", module)
    if null(http):
        added: _Tree = {**want.blocks}
        if not added:
            return content
        editor = Editor(document)
        if http is None:
            editor.insert(path, {"http": added})
        else:
            editor.put((*path, "http"), added)
        edited = editor.apply()
    elif isinstance(http, MappingNode):
        edited = client_settings.secure(document, (*path, "http"), http, want, kind)
    else:
        raise ConfigError(
            "http is not a mapping", where=document.where(http), todo="Write its settings indented below it"
        )
    if edited is document:
        return content
    now = fields.own(_module(edited, module), "http")
    assert isinstance(now, MappingNode)
    client_settings.confirm(edited, now, want, kind)
    return edited.content


def _http_block(document: Document, module: str) -> Node | None:
    """The value of `http` in a module; None if it has none.

    Raises:
        ConfigError: no such module, another prober, or a block that is merged from elsewhere.
    """
    node = _module(document, module)
    settings = fields.fields([node])
    prober = fields.value(settings, "prober")
    if prober != "http":
        raise ConfigError(
            f"the prober of the module {module!r} is {prober or 'not set'}, not http",
            where=document.where(node),
            todo="Choose a module whose prober is http",
        )
    http = fields.own(node, "http")
    if http is None and fields.inner(settings, "http"):
        raise ConfigError(
            f"http of the module {module!r} comes through a merge key (<<)",
            where=document.where(node),
            todo="Write http out in this module, or add a module like it",
        )
    return http


def add_module(content: bytes, *, name: str, like: str = "", **settings: Unpack[Settings]) -> bytes:
    """Appends an http module with these settings, and all others of the module `like` (none if '').

    Comments of the other module are not copied, and its merge keys and aliases are written out.

    Raises:
        ConfigError: a module with other settings has this name, or there is no http module `like`.
    """
    want = wanted_settings(**settings)
    document = load(content, NAME)
    value = _module_like(document, like, want)
    editor = Editor(document)
    root = document.root
    listed = fields.own(root, "modules")
    modules_by_name = {text_of(key): node for key, node in _pairs(document)}
    if name in modules_by_name:
        if bare(_copy_settings(fields.fields([modules_by_name[name]]))) == bare(value):
            return content
        raise ConfigError(
            f"there is a module {name!r} already, with other settings",
            where=document.where(modules_by_name[name]),
            todo="Secure that module, or choose another name",
        )
    if listed is None:
        editor.insert((), {"modules": {name: value}})
    else:
        editor.insert(("modules",), {name: value})
    return editor.apply().content


def _module_like(document: Document, like: str, want: Wanted) -> _Tree:
    """An http module with the wanted settings, and all others of the module `like` (none if '').

    Raises:
        ConfigError: there is no http module `like`, or it authenticates in another way.
    """
    value: _Tree = {"prober": "http"}
    if like:
        node = _module(document, like)
        if fields.value(fields.fields([node]), "prober") != "http":
            raise ConfigError(
                f"the prober of the module {like!r} is not http",
                where=document.where(node),
                todo="Choose a module whose prober is http",
            )
        value = _copy_settings(fields.fields([node]))
    http = value.get("http")
    settings: _Tree = dict(http) if isinstance(http, dict) else {}
    rival = next((key for key in OTHER_AUTH if key in settings), "")
    if want.basic_auth and rival:
        raise ConfigError(
            f"the module {like!r} authenticates with {rival}, and only one way is allowed",
            where=NAME,
            todo="Choose another module to copy",
        )
    for key, block in want.blocks.items():
        old = settings.get(key)
        settings[key] = _with_wanted(old if isinstance(old, dict) else {}, block)
    if settings:
        value["http"] = settings
    return value


def check(content: bytes, *, read: Read | None = None) -> tuple[str, ...]:
    """Finds what would not work or is not safe, one sentence each: `line N: what (what to do)`.

    Args:
        content: the file.
        read: returns the content of a file named in it, as the exporter's host sees it. Without it, files are not
            checked.
    """
    try:
        document = load(content)
        data(document)
        return tuple(_findings(document, read))
    except ConfigError as problem:
        return (str(problem),)


def unfamiliar(content: bytes) -> tuple[str, ...]:
    """Finds probers that are unknown here but that a newer exporter may have; in the form of `check`.

    The exporter looks at a prober only when it is used; its `--config.check` does not report it either.
    """
    try:
        document = load(content)
        pairs = _pairs(document)
    except ConfigError:
        return ()
    return tuple(
        f"line {key.start_mark.line + 1}: module {text_of(key)!r}: the prober {prober!r} is not known here "
        f"(write one of {', '.join(PROBERS)}, unless the exporter is newer)"
        for key, node in pairs
        if (prober := fields.value(fields.fields([node]), "prober")) and prober not in PROBERS
    )


def _findings(document: Document, read: Read | None) -> Iterator[str]:
    for key, node in _pairs(document):
        line, label = f"line {key.start_mark.line + 1}", f"module {text_of(key)!r}"
        mapping = fields.fields([node])
        if not fields.value(mapping, "prober"):
            yield f"{line}: {label}: there is no prober (write one of {', '.join(PROBERS)})"
        for each in mapping.get("http", [])[-1:]:
            yield from client(document, label, each, ways=OTHER_AUTH, read=_absolute(read))


def _absolute(read: Read | None) -> Read | None:
    """`read` without relative paths: at which folder these begin depends on the exporter's version."""
    if read is None:
        return None
    return lambda path: read(path) if path.startswith("/") else UNSEEN


def _pairs(document: Document) -> list[tuple[Node, Node]]:
    """The name and node of each module.

    Raises:
        ConfigError: modules is not a mapping of mappings.
    """
    root = document.root
    if null(root):
        return []
    listed = fields.own(root, "modules")
    if not isinstance(root, MappingNode) or not (null(listed) or isinstance(listed, MappingNode)):
        raise ConfigError(
            "a blackbox.yml has its modules, each with its name, below `modules:`",
            where=document.where(listed or root),
            todo="Check whether this is the right file",
        )
    pairs: list[tuple[Node, Node]] = list(listed.value) if isinstance(listed, MappingNode) else []
    for key, node in pairs:
        if not isinstance(node, MappingNode) or not isinstance(key, ScalarNode):
            raise ConfigError(
                "a module is not a mapping",
                where=document.where(key),
                todo="Write `prober: …` and the rest indented below its name",
            )
    return pairs


def _module(document: Document, name: str) -> MappingNode:
    for key, node in _pairs(document):
        if text_of(key) == name and isinstance(node, MappingNode):
            return node
    raise ConfigError(f"there is no module {name!r}", where=NAME, todo="Check the name of the module")


def _copy_settings(mapping: fields.Fields) -> _Tree:
    """The same settings to be written again; numbers and words stay without quotes, nulls are left out."""
    result: _Tree = {}
    for key, nodes in mapping.items():
        written = [node for node in nodes if not null(node)]
        if written and isinstance(written[-1], MappingNode):
            result[key] = _copy_settings(fields.inner(mapping, key))
        elif written:
            result[key] = _value_of(written[-1])
    return result


def _value_of(node: Node) -> Value:
    if isinstance(node, SequenceNode):
        return [_value_of(each) for each in node.value]
    if isinstance(node, MappingNode):
        return _copy_settings(fields.fields([node]))
    text = text_of(node)
    plain = isinstance(node, ScalarNode) and not node.style
    return Plain(text) if plain and _WORD.fullmatch(text) else text


def _with_wanted(old: Mapping[str, Value], wanted: Mapping[str, str]) -> _Tree:
    """A tls_config or basic_auth with the wanted settings, without their rivals, and with verification enabled."""
    gone = {rival for key in wanted for rival in client_settings.RIVALS.get(key, ())}
    kept = {key: value for key, value in old.items() if key not in gone}
    if "insecure_skip_verify" in kept:
        kept["insecure_skip_verify"] = Plain("false")
    return {**kept, **wanted}

"""The routes of an exporter_exporter: the http modules of its configuration, which it serves at one port.

Parses them, and adds one by a byte-keeping edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode

from wizard.config_files.proxies.included_files import Files
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import load, null
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Plain, Value
from wizard.errors import ConfigError
from wizard.model import ProxyRoute

PORT = 9999
"""The default port, if its flags set none."""


def includes(content: bytes, folder: str) -> tuple[str, ...]:
    """(): the folders of further modules are in its flags."""
    del content, folder
    return ()


def routes(main: str, files: Files) -> tuple[ProxyRoute, ...]:
    """One route per module that scrapes an exporter over HTTP; modules that run a program have none."""
    return tuple(route for path, content in files.items() for route in _of_file(path, content, path == main))


def sites(main: str, files: Files) -> tuple[()]:
    """(): it has no server names."""
    del main, files
    return ()


def _of_file(path: str, content: bytes, is_main: bool) -> Iterator[ProxyRoute]:
    try:
        root = load(content, path).root
    except ConfigError:
        return
    if not isinstance(root, MappingNode):
        return
    if not is_main:  # a file of config.dirs is one module with the file's name
        yield from _of_module(path, path.rpartition("/")[2].rpartition(".")[0], root)
        return
    modules = fields.own(root, "modules")
    for key, module in modules.value if isinstance(modules, MappingNode) else ():
        if isinstance(module, MappingNode):
            yield from _of_module(path, str(key.value), module)


def _of_module(path: str, name: str, module: MappingNode) -> Iterator[ProxyRoute]:
    mapping = fields.fields([module])
    http = fields.inner(mapping, "http")
    port = fields.value(http, "port")
    if fields.value(mapping, "method") != "http" or not port.isdecimal():
        return
    scheme = "https" if fields.value(http, "scheme") == "https" else "http"
    yield ProxyRoute(
        host="",
        program="exporter_exporter",
        file=path,
        line=http["port"][-1].start_mark.line + 1,
        upstream=f"{fields.value(http, 'address') or 'localhost'}:{port}",
        scheme="https" if scheme == "https" else "http",
        text=f"module {name}: port: {port}",
        port=PORT,
        path=f"/proxy?module={name}",
        authorization="authorization" in {each.lower() for each in fields.inner(http, "headers")},
    )


@dataclass(frozen=True, slots=True)
class Module:
    """A module that scrapes an exporter over HTTP."""

    name: str
    upstream: str
    """host:port of the exporter."""
    scheme: str
    path: str
    """As written, e.g. '/metrics'. A path without its slash (Debian's 'probe') is sent as it is: exporters answer 400."""


def modules(content: bytes, path: str) -> tuple[Module | str, ...]:
    """The modules of a main configuration; for those that run a program, or are damaged, only the name.

    Raises:
        ConfigError: the file cannot be parsed.
    """
    found: list[Module | str] = []
    listed = fields.own(load(content, path).root, "modules")
    for key, module in listed.value if isinstance(listed, MappingNode) else ():
        mapping = fields.fields([module])
        http = fields.inner(mapping, "http")
        if fields.value(mapping, "method") != "http":
            found.append(str(key.value))
            continue
        upstream = f"{fields.value(http, 'address') or 'localhost'}:{fields.value(http, 'port')}"
        asks = fields.value(http, "path") or "/metrics"
        found.append(Module(str(key.value), upstream, fields.value(http, "scheme") or "http", asks))
    return tuple(found)


def add_module(content: bytes, path: str, module: Module) -> bytes:
    """The configuration with one more module after the others; every other byte stays.

    Raises:
        ConfigError: the edit would change more than that.
    """
    document = load(content, path)
    host, _, port = module.upstream.rpartition(":")
    asks: dict[str, Value] = {"address": host, "port": Plain(port)}
    if module.path != "/metrics":
        asks["path"] = module.path
    value: Value = {"method": "http", "http": asks}
    listed = fields.own(document.root, "modules") if isinstance(document.root, MappingNode) else None
    editor = Editor(document)
    if listed is None:
        editor.insert((), {"modules": {module.name: value}})
    elif null(listed):
        editor.put(("modules",), {module.name: value})
    else:
        editor.insert(("modules",), {module.name: value})
    return editor.apply().content

"""Parses the files of a Compose project into services as Compose sees them, with the place of each value.

Several `-f` files, `extends`, `include`, anchors and merge keys are followed. The files themselves are not interpolated,
since edits need them as written: a service's definitions point into them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.compose import values
from wizard.config_files.compose.interpolation import expand
from wizard.config_files.compose.values import Healthcheck, Port, Volume
from wizard.config_files.shell_syntax import split
from wizard.config_files.yaml_edit.document import Document, Path, alias_ids, load, null, text_of
from wizard.errors import ConfigError

Fetch = Callable[[str], bytes | None]
"""The content of a file by its path; None if it cannot be read."""

_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Definition:
    """One mapping that defines a service, or from which the service takes keys by `extends`."""

    file: str
    path: Path
    """Path of the mapping within the file."""
    node: Node = field(repr=False)
    direct: bool = True
    """Whether the mapping has the service's own name; False for one that `extends` brings in."""

    @property
    def keys(self) -> dict[str, Node]:
        """All keys, with those of merge keys."""
        return values.mapping(self.node)

    @property
    def written(self) -> dict[str, Node]:
        """The keys written in the mapping itself."""
        return values.own_keys(self.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with all definitions merged and variables expanded; paths stay as written."""

    name: str
    image: str = ""
    command: tuple[str, ...] | None = None
    """The words of the command; None if the image's own command applies."""
    entrypoint: tuple[str, ...] | None = None
    user: str = ""
    hostname: str = ""
    network_mode: str = ""
    aliases: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    healthcheck: Healthcheck | None = None
    environment: tuple[tuple[str, str], ...] = ()
    extra_hosts: tuple[str, ...] = ()
    definitions: tuple[Definition, ...] = field(default=(), repr=False)
    """Its definitions; later ones override earlier ones."""

    def setting(self, key: str) -> Definition | None:
        """The definition whose value of `key` applies if a later value replaces an earlier one; None if none has it."""
        for definition in reversed(self.definitions):
            node = definition.keys.get(key)
            if node is not None and (not null(node) or node.tag):
                return definition
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A Compose project: its main files in order of precedence, and its services by name."""

    files: tuple[str, ...]
    documents: Mapping[str, Document] = field(repr=False)
    """The main files, and those that `extends` and `include` name, by path."""
    services: Mapping[str, Service]
    folder: str
    """The project's folder, at which relative paths of the main files begin."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """The folder at which relative paths of an included file begin, by the file's path."""
    name: str = ""
    """The name set in the files; '' if Compose uses the folder's name."""
    missing: tuple[str, ...] = ()
    """Files named by `extends` or `include` that could not be read."""

    def service(self, name: str) -> Service:
        """The service of that name.

        Raises:
            ConfigError: the files define no such service.
        """
        found = self.services.get(name)
        if found is None:
            raise ConfigError(
                f"there is no service {name!r} in it",
                where=", ".join(self.files),
                todo="Check which files the project was started from",
            )
        return found

    def where(self, definition: Definition, node: Node | None = None) -> str:
        """File and line of a definition, or of a node in its file."""
        return self.documents[definition.file].where(node or definition.node)


def read(
    files: Sequence[str], fetch: Fetch, variables: Mapping[str, str] | None = None, *, folder: str = ""
) -> Project:
    """Parses a project.

    Args:
        files: paths of its main files, in the order of `-f` (Docker's label
            `com.docker.compose.project.config_files` has them).
        fetch: reads a file by its path; also called for files that `extends` and `include` name, with absolute paths
            that begin at the folder of the naming file.
        variables: the variables in `.env` and the environment, as far as they are known.
        folder: the project's folder if it is not that of the first file (`--project-directory`; Docker's label
            `com.docker.compose.project.working_dir` has it).

    Raises:
        ConfigError: a main file cannot be read, or a file is not the YAML that Compose requires.
    """
    reader = _Reader(fetch)
    for path in files:
        if reader.document(path) is None:
            raise ConfigError(
                "this compose file cannot be read", where=path, todo="Check the path and its mode"
            )
    definitions: dict[str, list[Definition]] = {}
    for path in reader.with_included(files):
        for name, node in reader.service_nodes(path).items():
            here = Definition(path, ("services", name), node)
            definitions.setdefault(name, []).extend([*reader.base_definitions(here), here])
    defined = dict(variables or {})
    services = {name: _service(name, tuple(found), defined) for name, found in definitions.items()}
    named = (text_of(values.mapping(reader.documents[path].root).get("name")) for path in reversed(files))
    return Project(
        files=tuple(files),
        documents=reader.documents,
        services=services,
        folder=folder or posixpath.dirname(files[0]),
        folders=reader.folders,
        name=expand(next(filter(None, named), ""), defined),
        missing=tuple(dict.fromkeys(reader.missing)),
    )


class _Reader:
    """Parses each file once, and follows names of other files."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.documents: dict[str, Document] = {}
        self.missing: list[str] = []
        self.folders: dict[str, str] = {}

    def document(self, path: str) -> Document | None:
        if path not in self.documents:
            content = self._fetch(path)
            if content is None:
                self.missing.append(path)
                return None
            document = load(content, path)
            if (
                document.root is not None
                and not isinstance(document.root, MappingNode)
                and not null(document.root)
            ):
                raise ConfigError(
                    "a compose file is a mapping", where=path, todo="Check whether this is the right file"
                )
            # A file with aliases that refer to themselves fails here, not while its keys are followed.
            alias_ids(document)
            self.documents[path] = document
        return self.documents[path]

    def service_nodes(self, path: str) -> dict[str, Node]:
        """The services defined in a file."""
        document = self.document(path)
        return values.mapping(values.mapping(document.root).get("services")) if document is not None else {}

    def with_included(self, files: Sequence[str], depth: int = 0) -> Iterator[str]:
        """Yields the files, each after those that it includes."""
        for path in files:
            document = self.document(path)
            if document is None or depth > _DEEPEST:
                continue
            included = values.mapping(document.root).get("include")
            for each in included.value if isinstance(included, SequenceNode) else ():
                node = values.mapping(each).get("path") if isinstance(each, MappingNode) else each
                named = [beside(path, text) for text in values.texts(node)]
                folder = text_of(values.mapping(each).get("project_directory"))
                for one in named:
                    self.folders[one] = beside(path, folder) if folder else posixpath.dirname(named[0])
                yield from self.with_included([one for one in named if one not in files], depth + 1)
            yield path

    def base_definitions(self, definition: Definition, depth: int = 0) -> list[Definition]:
        """The definitions that `extends` brings in, the most distant first."""
        node = definition.keys.get("extends")
        if node is None or depth > _DEEPEST:
            return []
        fields = {key: text_of(value) for key, value in values.mapping(node).items()}
        name = fields.get("service", text_of(node) if isinstance(node, ScalarNode) else "")
        path = beside(definition.file, fields["file"]) if fields.get("file") else definition.file
        found = self.service_nodes(path).get(name)
        if found is None:
            return []
        base = Definition(path, ("services", name), found, direct=False)
        return [*self.base_definitions(base, depth + 1), base]


def beside(path: str, other: str) -> str:
    """The path of a file that the file at `path` names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), other))


def words_of(node: Node | None) -> tuple[str, ...] | None:
    """The words of a command or entrypoint, not yet expanded; None for null."""
    if node is None or null(node):
        return None
    if isinstance(node, SequenceNode):
        return values.texts(node)
    return tuple(word.text for word in split(text_of(node), c_escapes=False))


def _service(name: str, definitions: tuple[Definition, ...], variables: Mapping[str, str]) -> Service:
    bare = Service(name=name, definitions=definitions)

    def node(key: str) -> Node | None:
        setting = bare.setting(key)
        return setting.keys[key] if setting is not None else None

    def text(key: str) -> str:
        return expand(text_of(node(key)), variables)

    def words(key: str) -> tuple[str, ...] | None:
        found = words_of(node(key))
        return tuple(expand(word, variables) for word in found) if found is not None else None

    def every(key: str) -> Iterator[Node]:
        for each in merge_list(bare, key):
            yield from each[1].value

    networks = [each.keys["networks"] for each in definitions if "networks" in each.keys]
    environment = dict(pair for each in definitions for pair in values.pairs(each.keys.get("environment")))
    hosts = [each.keys.get("extra_hosts") for each in definitions]
    volumes = {each.target: each for each in map(values.volume, every("volumes")) if each is not None}
    ports = [each for each in map(values.port, every("ports")) if each is not None]
    healthcheck = values.healthcheck(node("healthcheck"))
    return replace(
        bare,
        image=text("image"),
        command=words("command"),
        entrypoint=words("entrypoint"),
        user=text("user"),
        hostname=text("hostname"),
        network_mode=text("network_mode"),
        aliases=tuple(dict.fromkeys(alias for each in networks for alias in _aliases(each, variables))),
        networks=tuple(dict.fromkeys(name for each in networks for name in _names(each))),
        volumes=tuple(_expanded_volume(each, variables) for each in volumes.values()),
        ports=tuple(
            dict.fromkeys(
                values.Port(
                    *(expand(part, variables) for part in (p.target, p.published, p.host_ip, p.protocol))
                )
                for p in ports
            )
        ),
        healthcheck=healthcheck
        and replace(healthcheck, test=tuple(expand(word, variables) for word in healthcheck.test)),
        environment=tuple((key, expand(value, variables)) for key, value in environment.items()),
        extra_hosts=tuple(
            dict.fromkeys(
                expand(f"{key}:{value}" if value else key, variables)
                for each in hosts
                for key, value in values.pairs(each)
            )
        ),
    )


def merge_list(service: Service, key: str) -> list[tuple[Definition, SequenceNode]]:
    """The values of a list that all definitions add to (volumes, ports), with their places.

    The tags `!reset` and `!override` drop the earlier values.
    """
    found: list[tuple[Definition, SequenceNode]] = []
    for definition in service.definitions:
        node = definition.keys.get(key)
        if node is None:
            continue
        if str(node.tag or "") in ("!reset", "!override"):
            found = []
        if str(node.tag or "") != "!reset" and isinstance(node, SequenceNode):
            found.append((definition, node))
    return found


def _expanded_volume(volume: Volume, variables: Mapping[str, str]) -> Volume:
    return replace(volume, source=expand(volume.source, variables), target=expand(volume.target, variables))


def _names(networks: Node) -> tuple[str, ...]:
    return tuple(values.mapping(networks)) if isinstance(networks, MappingNode) else values.texts(networks)


def _aliases(networks: Node, variables: Mapping[str, str]) -> Iterator[str]:
    for each in values.mapping(networks).values():
        for alias in values.texts(values.mapping(each).get("aliases")):
            yield expand(alias, variables)

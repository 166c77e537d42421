"""Edits of a service in a Compose project: flags, mounts, published ports and the healthcheck.

Every other byte of every file stays, and a second edit changes nothing. A value which another service uses too never
changes for that service: the edit writes the value out where only this service reads it, or is refused. A `Change`
must contain no secret: everyone who may read a Compose file may read all of it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from wizard.config_files.compose import command, forms, healthcheck, values
from wizard.config_files.compose.command import Flags
from wizard.config_files.compose.forms import Mount
from wizard.config_files.compose.healthcheck import Demands
from wizard.config_files.compose.interpolation import escape, expand
from wizard.config_files.compose.project import Definition, Project, Service, merge_list, words_of
from wizard.config_files.shell_syntax import find_flag
from wizard.config_files.yaml_edit import positions, style
from wizard.config_files.yaml_edit.document import Document, alias_ids, null
from wizard.config_files.yaml_edit.editor import Block, Editor, Path, Plain, Value
from wizard.errors import ConfigError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The changes of a service; settings that exist already stay."""

    flags: Mapping[str, str] = field(default_factory=dict)
    """Values by flag name without dashes, as the program will see them."""
    image_command: tuple[str, ...] = ()
    """The image's own command (Config.Cmd), which must be repeated if the files set none."""
    mounts: tuple[Mount, ...] = ()
    loopback: tuple[int, ...] = ()
    """Ports of the container to publish on 127.0.0.1 only."""
    demands: Demands | None = None
    """The requirements that the healthcheck must meet; None leaves it alone."""
    compose_1: bool = False
    """Whether Compose 1.x reads the files, which accepts an address in short form only."""
    image_healthcheck: tuple[str, ...] = ()
    """The image's own test (Config.Healthcheck.Test), which applies if the files set none."""


def edit(
    project: Project, service: str, change: Change, variables: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The new content of each file that must change, by path; {} if the project is up to date.

    Args:
        project: the project from `project.read`.
        service: name of the service.
        change: the changes to make.
        variables: as for `project.read`.

    Raises:
        ConfigError: something cannot be changed safely; says what, where, and what to do.
    """
    editing = _Editing(project, project.service(service), dict(variables or {}), compose_1=change.compose_1)
    if change.flags:
        editing.set_flags(Flags(change.flags, editing.variables), change.image_command)
    for mount in change.mounts:
        editing.check_mount(mount)
    editing.add_mounts([mount for mount in change.mounts if not editing.has_mount(mount)])
    if change.loopback:
        editing.bind_to_loopback(change.loopback)
    if change.demands is not None:
        editing.mend_healthcheck(change.demands, change.image_healthcheck)
    return editing.contents()


class _Editing:
    """Collects the edits of one service, file by file."""

    def __init__(
        self, project: Project, service: Service, variables: Mapping[str, str], *, compose_1: bool
    ) -> None:
        self._compose_1 = compose_1
        self._project = project
        self._service = service
        self.variables = variables
        self._editors: dict[str, Editor] = {}

    def contents(self) -> dict[str, bytes]:
        """The new content of each file that changes."""
        after = {path: editor.apply().content for path, editor in self._editors.items()}
        return {path: new for path, new in after.items() if new != self._project.documents[path].content}

    # -- flags --------------------------------------------------------------------------------------------

    def set_flags(self, flags: Flags, image_command: tuple[str, ...]) -> None:
        """Sets flags in `command`, or in `entrypoint` if they are there."""
        entrypoint, words = self._words("entrypoint"), self._words("command")
        if not flags.missing_from((*entrypoint, *(words or image_command))):
            return
        for each in (entrypoint, words):
            if command.shell_script(each):
                names = " ".join(f"--{name}={value}" for name, value in flags.wanted.items())
                raise self._refusal(
                    f"it is started by a shell script ({each[0]})", f"Add {names} to the script yourself"
                )
        under = {name for name in flags.wanted if find_flag(entrypoint, name)}
        # A service with its own entry point does not get the image's command.
        if entrypoint and not words and any(word.startswith("-") for word in entrypoint[1:]):
            under = set(flags.wanted)
        self._set("entrypoint", Flags({name: flags.wanted[name] for name in under}, flags.variables), ())
        command_flags = {name: value for name, value in flags.wanted.items() if name not in under}
        default = () if entrypoint else tuple(escape(word) for word in image_command)
        self._set("command", Flags(command_flags, flags.variables), default)

    def _words(self, key: str) -> tuple[str, ...]:
        setting = self._service.setting(key)
        return (words_of(setting.keys[key]) or ()) if setting is not None else ()

    def _set(self, key: str, flags: Flags, default: tuple[str, ...]) -> None:
        words = self._words(key) or default
        if not flags.missing_from(words):
            return
        setting = self._service.setting(key)
        if setting is not None and self._words(key) and self._here(setting, key):
            node = setting.written[key]
            self._own(setting, node)
            path = (*setting.path, key)
            command.set_flags(self._document(setting), self._editor(setting), path, node, flags)
            return
        like = setting.keys[key] if setting is not None else None
        self._write(setting, key, command.word_list(flags.add_to(words), like=like))

    # -- mounts -------------------------------------------------------------------------------------------

    def check_mount(self, mount: Mount) -> None:
        """Refuses a mount if something else is mounted at its target."""
        source = self._mounts().get(mount.target)
        if source is not None and source != self._at(self._project.folder, mount.source):
            raise self._refusal(
                f"{mount.target} is mounted from {source or 'a volume of its own'} already",
                "Choose another folder in the container",
            )

    def has_mount(self, mount: Mount) -> bool:
        """Whether something is mounted at its target."""
        return mount.target in self._mounts()

    def _mounts(self) -> dict[str, str]:
        """The present mounts: sources by target in the container; relative paths begin at the working folder."""
        found = {}
        for definition, node in merge_list(self._service, "volumes"):
            folder = self._project.folders.get(definition.file, self._project.folder)
            if definition.file not in (*self._project.files, *self._project.folders):
                folder = posixpath.dirname(definition.file)
            for each in filter(None, map(values.volume, node.value)):
                source, target = (expand(path, self.variables) for path in (each.source, each.target))
                found[posixpath.normpath(target)] = (
                    self._at(folder, source) if each.kind == "bind" else source
                )
        return found

    @staticmethod
    def _at(folder: str, path: str) -> str:
        return posixpath.normpath(posixpath.join(folder, path))

    def add_mounts(self, mounts: Sequence[Mount]) -> None:
        """Adds mounts to the service's list, in the list's form."""
        if not mounts:
            return
        lists = [(each, node) for each, node in merge_list(self._service, "volumes") if each.direct]
        for definition, node in reversed(lists):
            if self._here(definition, "volumes"):
                self._own(definition, node)
                for mount in mounts:
                    value = self._mount(mount, definition, node)
                    self._editor(definition).append((*definition.path, "volumes"), value)
                return
        if lists:
            definition, node = lists[-1]
            present = [values.value_of(each) for each in node.value]
            added = [self._mount(each, definition, node) for each in mounts]
            self._write(definition, "volumes", Block([*present, *added]))
        else:
            home = self._home(None)
            self._write(None, "volumes", Block([self._mount(each, home, None) for each in mounts]))

    def _mount(self, mount: Mount, home: Definition, like: Node | None) -> Value:
        """A mount as this file must have it: in included files, relative paths begin at other folders."""
        here, there = self._project.folder, self._project.folders.get(home.file, self._project.folder)
        if not mount.source.startswith("/") and here != there:
            path = posixpath.relpath(posixpath.join(here or ".", mount.source), there or ".")
            mount = replace(mount, source=path if path.startswith(".") else f"./{path}")
        return forms.mount_like(mount, like, compose_1=self._compose_1)

    # -- ports --------------------------------------------------------------------------------------------

    def bind_to_loopback(self, ports: Sequence[int]) -> None:
        """Publishes these ports of the container on 127.0.0.1 only, each at its present place."""
        for definition, node in merge_list(self._service, "ports"):
            found = [index for index, each in enumerate(node.value) if self._publishes(each, ports)]
            if not found:
                continue
            if not definition.direct:
                raise self._refusal(
                    "its ports are published by a service that it extends",
                    f"Publish them on 127.0.0.1 there ({self._project.where(definition, node)})",
                )
            if not self._here(definition, "ports"):
                changed = [
                    forms.on_loopback(each, compose_1=self._compose_1)
                    if index in found
                    else values.value_of(each)
                    for index, each in enumerate(node.value)
                ]
                self._write(definition, "ports", Block(changed))
                continue
            self._own(definition, node)
            for index in found:
                self._bind(definition, (*definition.path, "ports", index), node.value[index])

    def _publishes(self, node: Node, ports: Sequence[int]) -> bool:
        """Whether an entry publishes one of these ports on more than the loopback address."""
        port = values.port(node)
        if isinstance(node, ScalarNode) and port is not None:
            port = values.short_port(expand(str(node.value), self.variables))
        if port is None or port.host_ip in _LOOPBACK:
            return False
        return any(port.covers(each) for each in ports)

    def _bind(self, definition: Definition, path: Path, node: Node) -> None:
        editor = self._editor(definition)
        if isinstance(node, MappingNode) and self._compose_1:
            editor.replace(path, forms.short_port(node))
            return
        if isinstance(node, MappingNode):
            key = (*path, "host_ip")
            if "host_ip" in values.own_keys(node):
                editor.put(key, Plain("127.0.0.1"))
            else:
                address: Value = Plain("127.0.0.1")
                editor.insert(
                    path, {"host_ip": forms.in_quotes(address) if style.key_quote(node) else address}
                )
            return
        self._plain_port(definition, node)
        editor.put(path, forms.on_loopback(node, compose_1=self._compose_1))

    def _plain_port(self, definition: Definition, node: Node) -> None:
        """Refuses an entry with colons within a variable."""
        text = str(node.value)
        if len(values.split_at_colons(text)) != len(values.split_at_colons(expand(text, self.variables))):
            raise self._refusal(
                f"the published port {text} is put together from a variable",
                f"Write 127.0.0.1: before it yourself ({self._project.where(definition, node)})",
            )

    # -- healthcheck --------------------------------------------------------------------------------------

    def mend_healthcheck(self, demands: Demands, image_test: tuple[str, ...]) -> None:
        """Changes the test so that the component's requirements do not make the container unhealthy."""
        check, definition = self._service.healthcheck, self._service.setting("healthcheck")
        if check is not None and check.disabled:
            return
        own = [
            each
            for each in self._service.definitions
            if "test" in values.mapping(each.keys.get("healthcheck"))
        ]
        node = values.mapping(own[-1].keys["healthcheck"])["test"] if own else None
        present = tuple(expand(word, {}) for word in forms.healthcheck_test(node)) if own else image_test
        try:
            wanted = healthcheck.adapt_test(present, demands)
        except ConfigError as problem:
            raise self._refusal(problem.what, problem.todo) from problem
        if wanted == present:
            return
        value = forms.test_like(node, [escape(word) for word in wanted])
        if own and own[-1].direct and self._here(own[-1], "healthcheck"):
            block = own[-1].written["healthcheck"]
            self._own(own[-1], block)
            if "test" in values.own_keys(block):
                self._editor(own[-1]).replace((*own[-1].path, "healthcheck", "test"), value)
            else:
                self._editor(own[-1]).insert((*own[-1].path, "healthcheck"), {"test": value})
        elif definition is not None and definition.direct and self._here(definition, "healthcheck"):
            self._editor(definition).insert((*definition.path, "healthcheck"), {"test": value})
        else:
            source = own[-1] if own else definition
            before = values.mapping(source.keys["healthcheck"]) if source is not None else {}
            written = {key: values.value_of(each) for key, each in before.items() if key != "test"}
            self._write(source, "healthcheck", {"test": value, **written})

    # -- places -------------------------------------------------------------------------------------------

    def _write(self, setting: Definition | None, key: str, value: Value) -> None:
        """Sets a value for this service alone: in the last file that may have it, or in place of an alias or null."""
        home = self._home(setting)
        self._own(home, None)
        path = (*home.path, key)
        if style.key_quote(home.node):
            value = forms.in_quotes(value)
        if key in home.written:
            self._editor(home).replace(path, value)
        else:
            self._editor(home).insert(home.path, {key: value})

    def _home(self, setting: Definition | None) -> Definition:
        """The definition for the service's own value: it overrides `setting`, or is its first definition."""
        definitions = self._service.definitions
        first = definitions.index(setting) if setting is not None else 0
        direct = [each for each in definitions[first:] if each.direct]
        return direct[-1] if setting is not None else direct[0]

    def _here(self, definition: Definition, key: str) -> bool:
        """Whether the service's own mapping has the value itself: no alias, no merge key, no null."""
        if not definition.direct or key not in definition.written:
            return False
        slot = positions.child(self._document(definition), definition.node, key)
        return slot is not None and not slot.alias and not null(slot.node)

    def _own(self, definition: Definition, node: Node | None) -> None:
        """Refuses a node that another part of the file uses too, by an anchor."""
        document = self._document(definition)
        twice = alias_ids(document)
        for each in (definition.node, node):
            if each is not None and id(each) in twice:
                raise self._refusal(
                    "another part of the file uses this too, by an anchor, so that a change of it would change both",
                    f"Write out what stands at {document.where(each)} where its alias is used, then try again",
                )

    def _document(self, definition: Definition) -> Document:
        return self._project.documents[definition.file]

    def _editor(self, definition: Definition) -> Editor:
        return self._editors.setdefault(definition.file, Editor(self._document(definition)))

    def _refusal(self, what: str, todo: str) -> ConfigError:
        last = self._service.definitions[-1]
        return ConfigError(
            f"the service {self._service.name} cannot be changed: {what}",
            where=self._project.where(last),
            todo=todo,
        )

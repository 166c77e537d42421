"""Parses host lists of other programs: Ansible's inventories (INI, YAML, JSON), Prometheus' file_sd.

Only this one file is read: no program is run, no other file is opened, templates are not filled in.
"""

from __future__ import annotations

import itertools
import re
import shlex
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from wizard.errors import InputError
from wizard.redact import plain

MOST = 2000
"""The most hosts in one file: a short range can stand for very many."""
_DEEPEST = 20
_RANGE = re.compile(r"\[([0-9A-Za-z]+):([0-9A-Za-z]+)(?::(\d+))?\]")
_SECTION = re.compile(r"\[([^:\]]+)(?::(\w+))?\]\s*(?:#.*)?")
_INI = re.compile(r"^(?:\[[\w.-]+(?::\w+)?\]|[^\s#;=]+[ \t]+\w+=)", re.MULTILINE)
"""A line that only INI has: a section, or a host with a variable. YAML would parse some of these as text."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A host of a list, with its effective variables as texts."""

    name: str
    variables: Mapping[str, str]


@dataclass(slots=True)
class _Group:
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


class _Lenient(SafeConstructor):
    """Plain data; a value with a tag of its own (`!vault`) becomes null."""


_Lenient.add_constructor(None, lambda *_: None)


def read(text: str, source: str) -> tuple[Listed, ...]:
    """Parses the hosts of a list, in its order.

    Args:
        text: content of the file.
        source: name of the file for messages.

    Raises:
        InputError: it has none of these formats, or more hosts than anyone has.
    """
    if text.startswith("$ANSIBLE_VAULT"):
        raise InputError(
            "this file is encrypted with Ansible Vault",
            where=source,
            todo="Decrypt a copy: ansible-vault decrypt",
        )
    if text.startswith("#!"):
        raise InputError(
            "this is a program that prints an inventory, and it is not run here",
            where=source,
            todo="Write what it prints into a file: ansible-inventory -i FILE --list > hosts.json",
        )
    data = None if _INI.search(text) else _data(text)
    try:
        if isinstance(data, list):
            return _targets(data, source)
        inventory = _Known(source)
        if isinstance(data, dict):
            inventory.tree(data)
        else:
            inventory.lines(text)
        return inventory.hosts_with_groups()
    except RecursionError:
        raise _nesting_error(source) from None


def _data(text: str) -> Any:
    """The text parsed as YAML (which includes JSON); None if it is not YAML."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Constructor = _Lenient
    try:
        return yaml.load(StringIO(text))
    except (YAMLError, ValueError, RecursionError, TypeError):
        return None


def _targets(data: list[Any], source: str) -> tuple[Listed, ...]:
    """The hosts of a file_sd list: groups with targets."""
    if not all(isinstance(group, dict) and isinstance(group.get("targets"), list) for group in data):
        raise InputError(
            "this is neither an inventory of Ansible nor a list of targets for Prometheus (file_sd)",
            where=source,
            todo="A target list looks like: - targets: ['srv1:9100']",
        )
    found: dict[str, None] = {}
    for target in (target for group in data for target in group["targets"]):
        name = _host(str(target))
        if name:
            found[name] = None
    return tuple(Listed(name, {}) for name in _limit_names(found, source))


def _host(target: str) -> str:
    """The host of host:port; '' for a URL and for a loopback address."""
    if "/" in target:
        return ""
    if target.startswith("["):
        name = target[1:].partition("]")[0]
    else:
        name = target if target.count(":") > 1 else target.partition(":")[0]
    return "" if name in ("localhost", "::1") or name.startswith("127.") else name


def _limit_names(names: Iterable[str], source: str) -> list[str]:
    found = list(itertools.islice(names, MOST + 1))
    if len(found) > MOST:
        raise InputError(
            f"this names more than {MOST} hosts", where=source, todo="Name them in several files"
        )
    return found


class _Known:
    """The groups of an inventory while it is parsed."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._groups: dict[str, _Group] = {"all": _Group()}
        self._own: dict[str, dict[str, str]] = {}

    def group(self, name: str) -> _Group:
        return self._groups.setdefault(name, _Group())

    def host(self, group: str, pattern: str, variables: Mapping[str, str]) -> None:
        """Adds the hosts of a pattern: `srv[01:20]`, `srv1:2222`."""
        pattern, port = _port(pattern)
        more = {"ansible_port": port} if port else {}
        for name in _limit_names(_expand_ranges(pattern), self._source):
            self._own.setdefault(name, {}).update({**more, **variables})
            self.group(group).hosts[name] = None
        if len(self._own) > MOST:
            _limit_names(self._own, self._source)

    # -- YAML and JSON -----------------------------------------------------------------------------------

    def tree(self, data: Mapping[Any, Any]) -> None:
        meta = data.get("_meta")
        for name, content in data.items():
            if name != "_meta":
                self._branch(str(name), content, 0)
        hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
        for name, variables in (hostvars or {}).items() if isinstance(hostvars, dict) else ():
            self._own.setdefault(str(name), {}).update(_texts(variables))

    def _branch(self, name: str, content: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise _nesting_error(self._source)
        group = self.group(name)
        if content is None:
            return
        if not isinstance(content, dict) or not {*map(str, content)} <= {"hosts", "children", "vars"}:
            raise InputError(
                f"group {plain(name, 60)!r} is not written as Ansible reads it",
                where=self._source,
                todo="A group has hosts, children and vars, and nothing else",
            )
        group.variables.update(_texts(content.get("vars")))
        hosts, children = content.get("hosts") or {}, content.get("children") or {}
        for pattern in hosts:
            variables = hosts[pattern] if isinstance(hosts, dict) else None
            self.host(name, str(pattern), _texts(variables))
        for child in children:
            group.children[str(child)] = None
            if isinstance(children, dict):
                self._branch(str(child), children[child], depth + 1)

    # -- INI ---------------------------------------------------------------------------------------------

    def lines(self, text: str) -> None:
        section, kind = "ungrouped", "hosts"
        for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
            if not line or line[0] in "#;":
                continue
            if match := _SECTION.fullmatch(line):
                section, kind = match.group(1).strip(), match.group(2) or "hosts"
                self.group(section)
                if kind not in ("hosts", "vars", "children"):
                    raise self._unreadable(number)
                continue
            try:
                # In [group:vars], the value is everything after the equals sign.
                words = [line] if kind == "vars" else shlex.split(line, comments=True)
            except ValueError:
                raise self._unreadable(number) from None
            if kind == "children":
                self.group(section).children[words[0]] = None
            elif kind == "vars":
                key, sign, value = line.partition("=")
                if not sign:
                    raise self._unreadable(number)
                self.group(section).variables[key.strip()] = _unquote(value)
            else:
                pairs = [word.partition("=") for word in words[1:]]
                if not all(sign for _, sign, _ in pairs):
                    raise self._unreadable(number)
                self.host(section, words[0], {key: value for key, _, value in pairs})

    def _unreadable(self, line: int) -> InputError:
        return InputError(
            "this line is neither of an Ansible inventory nor of a list of targets for Prometheus (file_sd)",
            where=f"{self._source}:{line}",
            todo="Name an inventory in INI or YAML, or a file_sd file in YAML or JSON",
        )

    # -- result -------------------------------------------------------------------------------------------

    def hosts_with_groups(self) -> tuple[Listed, ...]:
        """Every host; its own variables take precedence, then those of the nearer groups."""
        depths = self._depths()
        order = sorted(self._groups, key=lambda name: (name != "all", depths.get(name, 1), name))
        of_host: dict[str, list[str]] = {name: [] for name in self._own}
        for name in order:
            for host in dict.fromkeys(self._below(name)):
                of_host.setdefault(host, []).append(name)
        found = []
        for host, groups in of_host.items():
            variables = dict(self._groups["all"].variables)
            for name in groups:
                variables.update(self._groups[name].variables)
            variables.update(self._own.get(host, {}))
            plain_variables = {key: value for key, value in variables.items() if "{{" not in value}
            found.append(Listed(host, plain_variables))
        return tuple(found)

    def _depths(self) -> dict[str, int]:
        """How far below the top each group is, by its longest path; a cycle ends after as many steps as groups."""
        depths = dict.fromkeys(self._groups, 1) | {"all": 0}
        for _ in range(min(len(self._groups), _DEEPEST)):
            for name, group in self._groups.items():
                for child in group.children:
                    if child in depths:
                        depths[child] = max(depths[child], depths[name] + 1)
        return depths

    def _below(self, name: str) -> Iterator[str]:
        """Yields the hosts of a group and of all groups in it."""
        seen, waiting = {name}, [name]
        while waiting:
            group = self._groups.get(waiting.pop())
            if group is None:
                continue
            yield from group.hosts
            new = [child for child in group.children if child not in seen]
            seen.update(new)
            waiting += new


def _nesting_error(source: str) -> InputError:
    return InputError("its groups are nested too deeply", where=source, todo="Make them flatter")


def _texts(variables: Any) -> dict[str, str]:
    """Variables as texts; lists and mappings are left out, as they do not tell how to reach a host."""
    if not isinstance(variables, dict):
        return {}
    return {str(key): str(value) for key, value in variables.items() if isinstance(value, str | int | float)}


def _unquote(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _port(pattern: str) -> tuple[str, str]:
    """Splits `host:2222` and `[2001:db8::1]:2222`; the colon of a range does not begin a port."""
    if match := re.fullmatch(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::(\d+))?", pattern):
        return match.group(1), match.group(2) or ""
    match = re.fullmatch(r"((?:[^:\[\]]|\[[^\]]*\])+):(\d+)", pattern)
    return (match.group(1), match.group(2)) if match else (pattern, "")


def _expand_ranges(pattern: str) -> Iterator[str]:
    """Yields every name of a pattern with ranges: `srv[01:20]`, `db-[a:f]`, `web[1:9:2]`; lazily, there may be many."""
    match = _RANGE.search(pattern)
    if match is None:
        yield pattern
        return
    head, tail = pattern[: match.start()], pattern[match.end() :]
    for part in _range(match.group(1), match.group(2), int(match.group(3) or 1)):
        for expanded in _expand_ranges(tail):
            yield f"{head}{part}{expanded}"


def _range(first: str, last: str, step: int) -> Iterator[str]:
    if first.isdecimal() and last.isdecimal():
        # A leading zero sets the width of the numbers.
        width = len(first) if first.startswith("0") else 0
        yield from (f"{number:0{width}d}" for number in range(int(first), int(last) + 1, max(step, 1)))
    elif first in string.ascii_letters and last in string.ascii_letters:
        letters = string.ascii_letters
        yield from letters[letters.index(first) : letters.index(last) + 1 : max(step, 1)]
    else:
        yield f"[{first}:{last}]"

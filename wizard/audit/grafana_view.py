"""Reads the effective settings of the Grafana instances on a host: grafana.ini, environment and command line.

A later source overrides an earlier instance: `cfg:default.` arguments, grafana.ini, `GF_` variables, `cfg:` arguments
(Grafana's documentation, "Configure Grafana"). Variables and arguments are read from the running process.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from wizard.model import FileState
from wizard.planner.grafana import Grafana

INI: Final = "/etc/grafana/grafana.ini"
_NAMES: Final = {
    ("auth.anonymous", "enabled"): "GF_AUTH_ANONYMOUS_ENABLED",
    ("security", "admin_password"): "GF_SECURITY_ADMIN_PASSWORD",
}
_TRUE: Final = ("1", "t", "true", "y", "yes", "on")
"""Values that Grafana's INI library reads as true, in lower case."""

# A password is only printed if it is the published default; any other password is masked before it leaves the host.
LOOK: Final = r"""
mask() {
  sed -e '/admin_password=admin$/Ib' -e 's/\(admin_password\)=.*/\1=other/I' \
    -e 's/^\([^=]*\(passw\|secret\|token\|key\)[^=]*\)=.*/\1=other/I'
}
found=
for folder in /proc/[0-9]*; do
  { read -r name < "$folder/comm"; } 2>/dev/null || continue
  case $name in grafana|grafana-server) ;; *) continue ;; esac
  found=1
  printf 'process\t%s\n' "${folder#/proc/}"
  if [ ! -r "$folder/environ" ]; then echo unreadable; continue; fi
  [ "$folder/root/." -ef /. ] || echo inside
  tr '\0' '\n' < "$folder/environ" | grep -E '^GF_(AUTH_ANONYMOUS_ENABLED|SECURITY_ADMIN_PASSWORD|PATHS_CONFIG)=' |
    mask | sed 's/^/variable\t/'
  tr '\0' '\n' < "$folder/cmdline" | mask | sed 's/^/word\t/'
  version=$(head -c 60 "$folder/root/usr/share/grafana/VERSION" 2>/dev/null | head -n 1)
  [ -z "$version" ] || printf 'version\t%s\n' "$version"
done
[ -n "$found" ] || [ -d /etc/grafana ] || exit 0
command -v systemctl >/dev/null || exit 0
systemctl show --no-pager -p FragmentPath -p DropInPaths -p EnvironmentFiles -- grafana-server.service 2>/dev/null |
  sed 's/^[A-Za-z]*=-\{0,1\}//; s/ (ignore_errors=[a-z]*)$//' | tr ' ' '\n' | while read -r file; do
    [ -f "$file" ] || continue
    grep -nE '^[^#;]*GF_(AUTH_ANONYMOUS_ENABLED|SECURITY_ADMIN_PASSWORD)=' "$file" |
      tr -d '"'"'" | sed -n 's/^\([0-9]*\):.*\(GF_[A-Z_]*=[^ ]*\).*/\1\t\2/p' | mask | sed "s|^|line\t$file\t|"
  done
exit 0
"""
"""Prints the running Grafana processes, the settings in their environment and command line, and where units set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A Grafana process."""

    pid: str
    is_readable: bool = True
    is_inside: bool = False
    """Whether it has another root file system than the host, e.g. in a container."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    version: str = ""

    @property
    def config_file(self) -> str:
        """The path of its grafana.ini on the host."""
        named = self.variables.get("GF_PATHS_CONFIG", INI)
        for word, after in zip_longest(self.words, self.words[1:], fillvalue=""):
            flag, _, value = word.partition("=")
            if flag.lstrip("-") == "config" and word.startswith("-"):
                named = value or after
        return f"/proc/{self.pid}/root{named}" if self.is_inside else named


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """A line of a unit file, drop-in or environment file that sets a variable of Grafana."""

    file: str
    line: int
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An effective setting of Grafana, and where it comes from."""

    value: str
    evidence: str
    file: str = ""
    line: int = 0

    @property
    def is_true(self) -> bool:
        """Whether Grafana reads the value as true."""
        return self.value.lower() in _TRUE


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaView:
    """The Grafana instances of a host.

    clients: those with provisioned data sources. package: name and version of its distribution package, or ''.
    """

    clients: tuple[Grafana, ...] = ()
    config_file: str = INI
    running: tuple[Running, ...] = ()
    lines: tuple[SettingLine, ...] = ()
    package: str = ""

    @property
    def instances(self) -> tuple[Running, ...]:
        """The running instances; if there are none, the instance that the unit would start."""
        if self.running:
            return self.running
        return (Running(pid="", variables={each.name: each.value for each in self.lines}),)

    def ini(self, instance: Running) -> str:
        """The path of an instance's grafana.ini."""
        return instance.config_file if instance.pid else self.config_file

    def find_setting(
        self, instance: Running, section: str, key: str, state: FileState | None
    ) -> Setting | None:
        """The effective value of a setting of an instance; None if it is not set.

        Args:
            state: the instance's grafana.ini; None if it does not exist.
        """
        name, shown = _NAMES[section, key], f"[{section}] {key}"
        for word in reversed(instance.words):
            if word.startswith(f"cfg:{section}.{key}="):
                return Setting(
                    value=word.partition("=")[2], evidence=f"{shown} is set on the command line: {word}"
                )
        if name in instance.variables:
            value = instance.variables[name]
            at = [each for each in self.lines if (each.name, each.value) == (name, value)][-1:]
            place = {"file": at[0].file, "line": at[0].line} if at else {}
            return Setting(value=value, evidence=f"{name}={value} in its environment", **place)  # type: ignore[arg-type]
        if state is not None:
            text = state.content.decode("utf-8", "replace")
            value_in_file = _ini(text).get(section, {}).get(key)
            if value_in_file is not None:
                line = _line(text, section, key)
                evidence = f"{shown} = {value_in_file}"
                return Setting(value=value_in_file, evidence=evidence, file=self.ini(instance), line=line)
        for word in reversed(instance.words):
            if word.startswith(f"cfg:default.{section}.{key}="):
                return Setting(
                    value=word.partition("=")[2], evidence=f"{shown} is set on the command line: {word}"
                )
        return None


def parse(output: str) -> tuple[tuple[Running, ...], tuple[SettingLine, ...]]:
    """Parses the output of `LOOK`: the running instances, and the setting lines of unit files."""
    running: list[Running] = []
    lines: list[SettingLine] = []
    for block in re.split(r"(?m)^process\t", output)[1:]:
        rows = block.splitlines()
        running.append(
            Running(
                pid=rows[0],
                is_readable="unreadable" not in rows,
                is_inside="inside" in rows,
                variables=dict(row.partition("=")[::2] for row in _rows_of_kind(rows, "variable")),
                words=tuple(_rows_of_kind(rows, "word")),
                version=next(_rows_of_kind(rows, "version"), "").strip(),
            )
        )
    for row in _rows_of_kind(output.splitlines(), "line"):
        file, number, text = [*row.split("\t"), "", ""][:3]
        name, _, value = text.partition("=")
        if number.isdigit():
            lines.append(SettingLine(file=file, line=int(number), name=name, value=value))
    return tuple(running), tuple(lines)


def _rows_of_kind(rows: list[str], kind: str) -> Iterator[str]:
    return (row.partition("\t")[2] for row in rows if row.startswith(f"{kind}\t"))


def _ini(text: str) -> Mapping[str, Mapping[str, str]]:
    """The sections of a grafana.ini; {} if it cannot be parsed."""
    parser = configparser.RawConfigParser(
        strict=False, default_section="", comment_prefixes=("#", ";"), inline_comment_prefixes=("#", ";")
    )
    try:
        parser.read_string(f"[above all sections]\n{text}")
    except configparser.Error:
        return {}
    return {
        name: {key: value.strip("\"'`") for key, value in parser.items(name)} for name in parser.sections()
    }


def _line(text: str, section: str, key: str) -> int:
    """The number of the last line that sets a key in a section, counted from 1; 0 if there is none."""
    now, found = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            now = bare.strip("[]").strip()
        elif now == section and re.split("[=:]", bare, maxsplit=1)[0].strip() == key:
            found = number
    return found

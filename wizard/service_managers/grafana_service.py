"""Finds the Grafana that systemd runs on a host, and the settings that override its grafana.ini."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from wizard.connections.base import Connection
from wizard.model import GRAFANA, GrafanaOverride, GrafanaServer, Service
from wizard.service_managers.systemd import Systemd

INI: Final = "/etc/grafana/grafana.ini"
_UNIT: Final = "grafana-server"
_VARIABLE: Final = re.compile(r"GF_(SERVER)_(\w+)|GF_(AUTH_ANONYMOUS)_(ENABLED)")
_WORD: Final = re.compile(r"cfg:(?!default\.)(server|auth\.anonymous)\.(\w+)$")

# Only these variables of its environment leave the host: others may be passwords.
_SCRIPT: Final = r"""
[ -e /run/systemd/system ] && [ -d /etc/grafana ] || exit 0
shown=$(systemctl show --no-pager -p LoadState,ActiveState,MainPID -- "$1.service" | tr '\n' ' ')
case $shown in *LoadState=loaded*) ;; *) exit 0 ;; esac
printf 'unit\t%s\n' "$shown"
pid=${shown#*MainPID=} pid=${pid%% *}
[ "$pid" != 0 ] || exit 0
tr '\0' '\n' < "/proc/$pid/environ" 2>/dev/null |
  grep -E '^GF_(SERVER_[A-Z_]+|AUTH_ANONYMOUS_ENABLED|PATHS_CONFIG)=' | sed 's/^/variable\t/'
tr '\0' '\n' < "/proc/$pid/cmdline" 2>/dev/null |
  grep -E -A 1 '^cfg:(server|auth\.anonymous)\.|^--?config(=|$)' | sed 's/^/word\t/'
exit 0
"""


def request() -> tuple[str, ...]:
    """The script that `discover` runs, with its argument."""
    return _SCRIPT, _UNIT


def discover(connection: Connection) -> GrafanaServer | None:
    """The Grafana that a host's systemd has as a unit, running or not; None if there is none."""
    return parse(connection.name, connection.run_script(*request(), timeout=15).stdout)


def parse(host: str, output: str) -> GrafanaServer | None:
    """Parses the output of the script: a line for the unit, and one for each variable and word, as `kind TAB text`."""
    rows = [line.split("\t", 1) for line in output.splitlines()]
    entries = [(row[0], row[1]) for row in rows if len(row) == 2]
    unit = next((text for kind, text in entries if kind == "unit"), "")
    if not unit:
        return None
    state = dict(word.split("=", 1) for word in unit.split() if "=" in word)
    variables = [text for kind, text in entries if kind == "variable"]
    words = [text for kind, text in entries if kind == "word"]
    return GrafanaServer(
        service=Service(
            host=host,
            component=GRAFANA,
            manager=Systemd.name,
            unit=_UNIT,
            active=state.get("ActiveState") in ("active", "reloading"),
            config_file=_config_file(variables, words),
            pid=int(state.get("MainPID") or 0),
        ),
        overrides=(*_of_words(words), *_of_variables(variables)),
    )


def _config_file(variables: list[str], words: list[str]) -> str:
    found = next((each.partition("=")[2] for each in variables if each.startswith("GF_PATHS_CONFIG=")), "")
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        flag, sign, value = word.partition("=")
        if flag in ("--config", "-config"):
            found = value if sign else after
    return found if found.startswith("/") else INI


def _of_words(words: list[str]) -> Iterator[GrafanaOverride]:
    # The last word counts, and words take precedence over variables.
    for word in reversed(words):
        name, sign, value = word.partition("=")
        if sign and (known := _WORD.fullmatch(name)):
            yield GrafanaOverride(section=known[1], key=known[2], value=value, said_by=word)


def _of_variables(variables: list[str]) -> Iterator[GrafanaOverride]:
    for variable in variables:
        name, _, value = variable.partition("=")
        if value and (known := _VARIABLE.fullmatch(name)):
            section = (known[1] or known[3]).lower().replace("auth_", "auth.")
            key = (known[2] or known[4]).lower()
            yield GrafanaOverride(section=section, key=key, value=value, said_by=variable)

"""Caddy's running configuration is compared with its Caddyfile; an unknown one counts as the same."""

from __future__ import annotations

import json

import pytest

from tests.unit.engine.memory import MemoryConnection, completed
from wizard.service_managers import caddy_configuration

MAIN = "/etc/caddy/Caddyfile"
SAVED = "/var/lib/caddy/.config/caddy/autosave.json"
USUAL = f"caddy\x1frun\x1f--environ\x1f--config\x1f{MAIN}\x1f"
ONE = {"apps": {"http": {"servers": {"a": {"listen": [":443"], "routes": []}}}}}
SAME = {"apps": {"http": {"servers": {"a": {"routes": [], "listen": [":443"]}}}}}
OTHER: dict[str, object] = {"apps": {"http": {}}}
UNKEPT = {"admin": {"config": {"persist": False}}, **ONE}


def other_than(output: str, code: int = 0) -> str:
    connection = MemoryConnection("web1", programs={"bash": lambda *words: completed(output, code=code)})
    return caddy_configuration.other_than(connection, MAIN, unit="caddy", program="/usr/bin/caddy")


@pytest.mark.parametrize(
    ("words", "running", "adapted", "expected"),
    [
        (USUAL, json.dumps(ONE), json.dumps(SAME), ""),
        (USUAL, json.dumps(OTHER), json.dumps(ONE), SAVED),
        (USUAL, "", json.dumps(ONE), ""),
        (USUAL, json.dumps(ONE), "", ""),
        (USUAL, json.dumps(OTHER), json.dumps(UNKEPT), ""),
        (f"{USUAL}--envfile\x1f/x\x1f", json.dumps(OTHER), json.dumps(ONE), ""),
        ("caddy\x1frun\x1f--resume\x1f", json.dumps(ONE), json.dumps(ONE), SAVED),
        ("caddy\x1frun\x1f--resume\x1f", "", json.dumps(ONE), ""),
        ("caddy\x1frun\x1f--config\x1f/etc/caddy/c.json\x1f", "", "", "/etc/caddy/c.json"),
        ("caddy\x1frun\x1f--config=/etc/caddy/./Caddyfile\x1f", "", "", ""),
    ],
)
def test_caddys_running_configuration_is_compared_with_its_file(
    words: str, running: str, adapted: str, expected: str
) -> None:
    assert other_than(f"{words}\x1e{SAVED}\x1e{running}\x1e{adapted}") == expected


def test_without_an_answer_the_configuration_counts_as_the_same() -> None:
    assert other_than("", code=127) == ""

"""grafana.ini: read as Grafana reads it, and edited without disturbing another byte."""

from __future__ import annotations

import pytest

from wizard.config_files import grafana_ini
from wizard.errors import ConfigError

WANTED = {"root_url": "https://noc.example.net/grafana/", "serve_from_sub_path": "true"}
EDITS = {
    "commented defaults": (
        "; head\n[server]\n# The full url\n;root_url = %(protocol)s://x/\n\n[security]\nroot_url = other\n",
        (
            "; head\n[server]\nserve_from_sub_path = true\n# The full url\n;root_url = %(protocol)s://x/\n"
            "root_url = https://noc.example.net/grafana/\n\n[security]\nroot_url = other\n"
        ),
    ),
    "odd spelling": (
        "[server]\r\n  root_url: http://old/   ; ours\r\nserve_from_sub_path=false\r\n",
        "[server]\r\n  root_url: https://noc.example.net/grafana/   ; ours\r\nserve_from_sub_path=true\r\n",
    ),
    "the last line counts": (
        "[server]\nroot_url = a\n[paths]\n[server]\nroot_url = b\nserve_from_sub_path = true",
        "[server]\nroot_url = a\n[paths]\n[server]\nroot_url = https://noc.example.net/grafana/\nserve_from_sub_path = true",
    ),
    "no section": (
        "app_mode = production",
        "app_mode = production\n\n[server]\nroot_url = https://noc.example.net/grafana/\nserve_from_sub_path = true\n",
    ),
    "nothing": ("", "[server]\nroot_url = https://noc.example.net/grafana/\nserve_from_sub_path = true\n"),
}


@pytest.mark.parametrize("name", EDITS)
def test_only_the_settings_change(name: str) -> None:
    before, after = EDITS[name]
    # New settings are at the beginning of their section, the last one first.
    found = grafana_ini.with_settings(before.encode(), "server", WANTED)
    expected = {("server", key): value for key, value in WANTED.items()}
    assert expected.items() <= grafana_ini.settings(found).items()
    assert grafana_ini.with_settings(found, "server", WANTED) == found
    if name not in {"no section", "nothing"}:
        assert found.decode() == after
    else:
        assert sorted(found.decode().splitlines()) == sorted(after.splitlines())


def test_a_value_of_several_lines_is_not_edited() -> None:
    text = b"[server]\nroot_url = https://a/ \\\n  b\nhttp_port = 3001\n"
    assert grafana_ini.settings(text)["server", "http_port"] == "3001"
    with pytest.raises(ConfigError, match="goes on in the next line"):
        grafana_ini.with_settings(text, "server", WANTED)


def test_bytes_that_are_no_utf_8_are_kept() -> None:
    text = b"# caf\xe9\n[server]\nhttp_addr = `0.0.0.0`\n"
    assert grafana_ini.settings(text) == {("server", "http_addr"): "0.0.0.0"}
    assert grafana_ini.with_settings(text, "server", {"http_addr": "127.0.0.1"}) == (
        b"# caf\xe9\n[server]\nhttp_addr = 127.0.0.1\n"
    )


def test_booleans_are_read_as_grafana_reads_them() -> None:
    assert all(map(grafana_ini.is_true, ("true", "True", "1", "on", "yes")))
    assert not any(map(grafana_ini.is_true, ("", "false", "0", "maybe")))

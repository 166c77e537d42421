"""Grafana as a systemd service: settings of its environment and command line that override grafana.ini."""

from __future__ import annotations

import pytest

from wizard.service_managers import grafana_service

UNIT = "unit\tLoadState=loaded ActiveState=active MainPID=41\n"


def test_without_the_unit_nothing_is_found() -> None:
    assert grafana_service.parse("web1", "") is None


def test_arguments_win_over_variables_and_the_last_one_counts() -> None:
    found = grafana_service.parse(
        "web1",
        UNIT + "variable\tGF_SERVER_ROOT_URL=https://a/?x=1\n"
        "variable\tGF_SERVER_HTTP_PORT=3001\n"
        "variable\tGF_SERVER_DOMAIN=\n"
        "variable\tGF_AUTH_ANONYMOUS_ENABLED=true\n"
        "word\tcfg:server.root_url=https://b/\n"
        "word\tcfg:server.root_url=https://c/\n"
        "word\t--\n",
    )
    assert found is not None
    assert (found.service.unit, found.service.active, found.service.pid) == ("grafana-server", True, 41)
    said = {
        (each.section, each.key): each.said_by
        for each in found.overrides
        if found.override(each.section, each.key) == each
    }
    assert said == {
        ("server", "root_url"): "cfg:server.root_url=https://c/",
        ("server", "http_port"): "GF_SERVER_HTTP_PORT=3001",
        ("auth.anonymous", "enabled"): "GF_AUTH_ANONYMOUS_ENABLED=true",
    }
    assert found.override("server", "domain") is None


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("", "/etc/grafana/grafana.ini"),
        ("variable\tGF_PATHS_CONFIG=/srv/g.ini\n", "/srv/g.ini"),
        ("variable\tGF_PATHS_CONFIG=/srv/g.ini\nword\t--config=/opt/g.ini\n", "/opt/g.ini"),
        ("word\t-config\nword\t/opt/g.ini\n", "/opt/g.ini"),
        ("word\t--config=\n", "/etc/grafana/grafana.ini"),
    ],
)
def test_the_configuration_of_the_command_line_is_used(arguments: str, path: str) -> None:
    found = grafana_service.parse("web1", UNIT + arguments)
    assert found is not None
    assert found.service.config_file == path


def test_a_stopped_service_is_found_too() -> None:
    found = grafana_service.parse("web1", "unit\tLoadState=loaded ActiveState=inactive MainPID=0\n")
    assert found is not None
    assert not found.service.active

"""Grafana's settings from grafana.ini, its environment and its command line, each overriding the one before."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.audit.views import cases_of, evidence, findings_of, grafana
from wizard.audit import grafana_view
from wizard.audit.grafana_view import Running, SettingLine

OPEN = "[auth.anonymous]\nenabled = true\n"
ANONYMOUS = "GF_AUTH_ANONYMOUS_ENABLED"
PASSWORD = "GF_SECURITY_ADMIN_PASSWORD"
DROPIN = "/etc/systemd/system/grafana-server.service.d/open.conf"


def doors(ini: str, *running: Running, **more: Any) -> list[tuple[str, str, int]]:
    view = grafana({"grafana.ini": ini}, running=running, **more)
    return [(each.evidence, each.file, each.line) for each in findings_of("GRF-01", evidence(hosts=(view,)))]


@pytest.mark.parametrize("value", ["true", "True", "1", "on", "YES", "true ; for the wall", '"true"'])
def test_anonymous_access_is_found_in_every_spelling(value: str) -> None:
    (finding,) = doors(f"[auth.anonymous]\n# enabled = false\nenabled = {value}\n")
    assert finding[1:] == ("/etc/grafana/grafana.ini", 3) and "anonymous access" in finding[0]


@pytest.mark.parametrize("value", ["false", "0", "off", "no", ""])
def test_disabled_anonymous_access_passes(value: str) -> None:
    assert doors(f"[auth.anonymous]\nenabled = {value}\n") == []


def test_the_environment_overrides_the_file() -> None:
    at = (SettingLine(file=DROPIN, line=2, name=ANONYMOUS, value="true"),)
    (finding,) = doors("", Running(pid="7", variables={ANONYMOUS: "true"}), lines=at)
    assert finding == (f"anonymous access: {ANONYMOUS}=true in its environment", DROPIN, 2)
    assert doors(OPEN, Running(pid="7", variables={ANONYMOUS: "false"})) == []
    assert len(doors(OPEN, Running(pid="7"))) == 1
    # A line of the unit counts only if Grafana is stopped: a running one reads it at its next start.
    assert doors("", Running(pid="7"), lines=at) == []
    assert doors("", lines=at) == [finding]


def test_the_command_line_overrides_both_except_for_its_defaults() -> None:
    last = Running(
        pid="7", variables={ANONYMOUS: "false"}, words=("grafana", "cfg:auth.anonymous.enabled=true")
    )
    assert "on the command line" in doors("", last)[0][0]
    default = Running(pid="7", words=("grafana", "cfg:default.auth.anonymous.enabled=true"))
    assert len(doors("", default)) == 1
    assert doors("[auth.anonymous]\nenabled = false\n", default) == []


def test_only_the_default_password_is_found_and_none_is_shown() -> None:
    (finding,) = doors("", Running(pid="7", variables={PASSWORD: "admin"}))
    assert f"{PASSWORD}=admin" in finding[0]
    assert (
        doors("[security]\nadmin_password = admin\n", Running(pid="7", variables={PASSWORD: "other"})) == []
    )


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("--config=/srv/g.ini",), "/srv/g.ini"),
        (("-config", "/srv/g.ini"), "/srv/g.ini"),
        ((), "/etc/grafana/grafana.ini"),
    ],
)
def test_the_configuration_file_of_the_command_line_is_read(words: tuple[str, ...], path: str) -> None:
    assert Running(pid="7", words=("grafana-server", *words)).config_file == path
    assert Running(pid="7", words=words, is_inside=True).config_file == f"/proc/7/root{path}"


def test_an_unreadable_process_is_not_a_pass() -> None:
    view = grafana({}, running=(Running(pid="7", is_readable=False),))
    (case,) = cases_of("GRF-01", evidence(hosts=(view,)))
    assert "by root only" in case.not_checked[0].why and not case.findings


def test_the_version_of_a_container_is_its_own() -> None:
    inside = Running(pid="7", is_inside=True, version="8.3.0")
    view = grafana({}, version="", running=(inside,))
    (finding,) = findings_of("CVE-03", evidence(hosts=(view,)))
    assert "CVE-2021-43798" in finding.evidence and finding.certain
    both = grafana({}, version="grafana 12.0.1", running=(inside,))
    assert findings_of("CVE-03", evidence(hosts=(both,))), (
        "the package says nothing of what runs in a container"
    )


def test_a_real_process_is_found_and_its_secrets_are_not_shown(tmp_path: Path) -> None:
    """The process only has Grafana's name: Grafana itself is in no registry that tests may use."""
    program = tmp_path / "grafana-server"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    given = {
        ANONYMOUS: "true",
        PASSWORD: "hunter2",
        "GF_DATABASE_PASSWORD": "hunter3",
        "PATH": os.environ["PATH"],
    }
    with subprocess.Popen([program, "60"], env=given) as process:
        try:
            deadline = time.monotonic() + 10
            name = Path(f"/proc/{process.pid}/comm")
            while name.read_text() != "grafana-server\n":
                assert time.monotonic() < deadline
                time.sleep(0.01)
            output = subprocess.run(
                ["sh", "-c", grafana_view.LOOK], capture_output=True, text=True, check=True
            )
        finally:
            process.kill()
    assert output.stderr == "" and "hunter" not in output.stdout
    running, _ = grafana_view.parse(output.stdout)
    (mine,) = (each for each in running if each.pid == f"{process.pid}")
    assert mine.is_readable and not mine.is_inside and mine.words[1] == "60"
    assert mine.variables == {ANONYMOUS: "true", PASSWORD: "other"}


def test_a_host_without_grafana_gives_no_result(tmp_path: Path) -> None:
    assert grafana_view.parse("") == ((), ())
    output = "process\t7\nunreadable\nline\t/etc/default/grafana-server\t3\tGF_AUTH_ANONYMOUS_ENABLED=true\n"
    running, lines = grafana_view.parse(output)
    assert [each.is_readable for each in running] == [False]
    assert lines == (SettingLine(file="/etc/default/grafana-server", line=3, name=ANONYMOUS, value="true"),)

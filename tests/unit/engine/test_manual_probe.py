"""One request that a person enters is checked, sent, and shown with equivalent commands."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.loopback import prometheus, serving, target
from wizard import ownfiles
from wizard.engine import manual_probe
from wizard.engine.manual_probe import Request, ask, password_in, probe_of
from wizard.errors import FirescreenError, HostError, InputError
from wizard.model import Forward, HostSpec
from wizard.probes import Target
from wizard.redact import Secret
from wizard.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").ensure()


@pytest.fixture
def place() -> Iterator[str]:
    def answer(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if path == "/page":
            return 200, b"<html>"
        if path == "/login" and "Authorization" not in headers:
            return 401, b"Unauthorized"
        return 200, b"up 1\n"

    with serving(answer) as where:
        yield where


def test_metrics_count_as_an_answer_and_a_page_does_not(place: str, workspace: Workspace) -> None:
    good = ask(Request(url=f" http://{place}/metrics "), workspace)
    assert (good.ok, good.attempt.outcome, good.diagnosis) == (True, "200", None)
    assert good.commands == (good.attempt.curl,)
    assert f"http://{place}/metrics" in good.commands[0]
    page = ask(Request(url=f"http://{place}/page"), workspace)
    assert not page.ok
    assert "expected a valid start token" in page.attempt.reason
    assert page.diagnosis is not None


def test_a_user_and_password_are_sent_and_kept_in_a_private_file(place: str, workspace: Workspace) -> None:
    url = f"http://{place}/login"
    assert ask(Request(url=url), workspace).attempt.outcome == "401"
    found = ask(Request(url=url, user="ada", password=Secret("s3cret")), workspace)
    assert found.ok
    kept = workspace.root / "probes" / "probe.curl"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "s3cret" in kept.read_text()
    assert "s3cret" not in " ".join(found.commands)
    assert str(kept) in found.commands[0]


def test_the_callers_explanation_is_used(place: str, workspace: Workspace) -> None:
    asked: list[str] = []

    def explain(text: str) -> None:
        asked.append(text)

    ask(Request(url=f"http://{place}/login"), workspace, explain=explain)
    assert asked == ["server returned HTTP status 401 Unauthorized"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(url="ftp://x"), "http://"),
        (Request(url="http://x", cacert="/no/such/file"), "cannot be read"),
        (Request(url="http://x", key=__file__), "needs its certificate"),
        (Request(url="http://x", resolve="x:1"), "HOST:PORT:ADDR"),
    ],
)
def test_invalid_input_is_refused(request_: Request, expected: str, workspace: Workspace) -> None:
    with pytest.raises(InputError, match=expected):
        probe_of(request_, workspace)


def test_files_are_named_with_absolute_paths(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.crt").write_text("x")
    forward = Forward(HostSpec(name="a", connect="ssh"), "127.0.0.1:9100")
    found = probe_of(
        Request(
            url="https://a:9100", cacert="ca.crt", resolve="a:9100:127.0.0.1", insecure=True, forward=forward
        ),
        workspace,
    )
    assert found.ca_file == str(tmp_path / "ca.crt")
    assert (found.resolve, found.insecure, found.forward) == ("a:9100:127.0.0.1", True, forward)


def test_a_workspace_that_cannot_be_written_is_reported(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ownfiles, "replace", full)
    with pytest.raises(HostError, match="No space left"):
        probe_of(Request(url="http://x", user="ada"), workspace)


# -- a Prometheus --------------------------------------------------------------------------------------------

DOWN = "server returned HTTP status 401 Unauthorized"


def test_targets_of_prometheus_are_listed_with_diagnoses(workspace: Workspace) -> None:
    with serving(prometheus(target("srv1:9100"), target("srv2:9100", health="down", error=DOWN))) as place:
        found = ask(Request(url=f"http://{place}", what="targets"), workspace)
    assert [(each.instance, each.health) for each in found.targets] == [
        ("srv1:9100", "up"),
        ("srv2:9100", "down"),
    ]
    assert list(found.meanings) == [DOWN]
    assert len(found.commands) == 1


def test_up_is_queried_with_curl_and_promtool(workspace: Workspace, tmp_path: Path) -> None:
    def answer(path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        row = {"metric": {"job": "node", "instance": "srv1:9100"}, "value": [1, "1"]}
        return 200, json.dumps({"status": "success", "data": {"result": [row]}}).encode()

    with serving(answer) as place:
        asked = Request(url=f"http://{place}/graph", what="up", user="ada", password=Secret("s3cret"))
        found = ask(asked, workspace)
        plain = ask(Request(url=f"http://{place}", what="up"), workspace)
        blind = ask(Request(url=f"http://{place}", what="up", insecure=True), workspace)
    assert [each.health for each in found.targets] == ["up"]
    assert "promtool" in found.commands[1]
    config = (workspace.root / "probes" / "probe.http.yml").read_text()
    assert "password_file" in config
    assert "s3cret" not in config
    assert (workspace.root / "probes" / "probe.password").read_text() == "s3cret"
    assert "http.config.file" not in plain.commands[1]
    assert len(blind.commands) == 1, "promtool knows no -k"


def test_promtool_cannot_show_a_certificate_without_its_key(workspace: Workspace, tmp_path: Path) -> None:
    certificate = tmp_path / "a.crt"
    certificate.write_text("x")
    found = ask(Request(url="http://127.0.0.1:1", what="up", cert=str(certificate)), workspace)
    assert len(found.commands) == 1
    assert not found.ok


def test_a_password_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    assert password_in(path).reveal() == "s3cret"
    with pytest.raises(InputError, match="cannot be read"):
        password_in(tmp_path / "nowhere")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FirescreenError):
        password_in(path)


def test_not_every_error_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual_probe, "_MEANINGS", 1)
    one = Target(job="a", instance="b", health="down", error=DOWN)
    other = replace(one, error="x509: certificate signed by unknown authority")
    assert list(manual_probe._meanings((one, one, other))) == [DOWN]
    assert manual_probe._meanings((replace(one, error="nobody knows this one"),)) == {}

"""The command line as other programs use it: JSON on standard output, exit codes, and bad input that changes nothing."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import firescreen
from tests.integration.snapshot import differences, snapshot
from tests.processes import run_program
from wizard import practice as practice_stack
from wizard.inventory import stack_file
from wizard.model import ComponentSpec, HostSpec
from wizard.practice import PracticeStack

Run = Callable[..., subprocess.CompletedProcess[str]]
Shell = subprocess.CompletedProcess[str]

FRONT = [sys.executable, "-m", "screens"]


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Run:
    """Returns a function that runs `firescreen` in a workspace of its own, or in that of the practice fixture."""

    def call(*words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Shell:
        return run_program(
            [*FRONT, "--workspace", str(tmp_path / "workspace"), *words],
            input=stdin,
            timeout=120,
            env={**os.environ, "FIRESCREEN_CACHE": str(cache), **(env or {})},
        )

    return call


def json_document(ended: Shell) -> Any:
    """Returns the one JSON document on standard output."""
    return json.loads(ended.stdout)


def test_plan_apply_verify_and_undo_from_a_pipe(run: Run, practice: PracticeStack, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    found = run("scan", "practice", "--json")
    assert found.returncode == 3
    assert {row["state"] for row in json_document(found)["components"]} == {"open"}
    before = snapshot(workspace)

    planned = run("plan", "practice", "--json")
    assert planned.returncode == 3
    assert {"changes", "restarts", "warnings"} <= json_document(planned).keys()
    change = next(
        entry
        for entry in json_document(planned)["changes"]
        if entry["path"].endswith("etc/prometheus/prometheus.yml")
    )
    assert {"host", "kind", "path", "diff", "commands"} <= change.keys()
    assert "+    scheme: https" in change["diff"]
    assert differences(before, snapshot(workspace)) == []

    summary, detailed = run("plan", "practice"), run("plan", "practice", "--diff")
    assert summary.returncode == detailed.returncode == 3
    assert "+    scheme: https" in detailed.stdout and "scheme: https" not in summary.stdout
    assert re.search(r"^\d+ changes on 2 hosts\. Nothing was changed\.", summary.stderr, re.MULTILINE)
    refused = run("apply", "practice")
    assert refused.returncode == 2
    assert "--yes is missing" in refused.stderr and "no terminal" in refused.stderr
    for entry in json_document(planned)["changes"]:
        for ended in (summary, detailed, refused):
            assert entry["path"] in ended.stdout, "also in a pipe, of a file whose content is not shown"
        for command in entry["commands"]:
            assert f"\n{command}\n" in detailed.stderr, "it can be copied whole: a here-document ends"
    headings = [line for line in detailed.stdout.splitlines() if line.startswith("# ")]
    assert {f"# {entry['host']}" for entry in json_document(planned)["changes"]} <= {
        line.partition(":")[0] for line in headings
    }
    assert differences(before, snapshot(workspace)) == []

    wrong = run("apply", "practice", "--yes", "--canary", "prometheus")
    assert wrong.returncode == 2
    assert "prometheus cannot be the canary: it connects to the others" in wrong.stderr
    assert differences(before, snapshot(workspace)) == []

    done = run("apply", "practice", "--yes", "--json", "--canary", "none")
    assert done.returncode == 0, done.stderr
    verification = json_document(done)
    assert verification["hosts"] == [
        {"host": host, "state": "proven", "status": "verified", "error": None}
        for host in ("srv1", "prometheus")
    ]
    assert done.stderr.count("✓ srv1 is verified") == 1
    assert verification["ok"]
    assert len(verification["probes"]) == 12
    assert {"host", "component", "name", "expect", "outcome", "ok", "detail", "curl"} <= verification[
        "probes"
    ][0].keys()

    assert run("plan", "practice").returncode == 0
    verified = run("verify", "practice", "--json")
    assert verified.returncode == 0
    assert json_document(verified)["ok"]
    assert run("verify", "practice").stderr.splitlines()[-1] == "Verified: 12 probes ended as expected."
    runs = json_document(run("history", "--json"))
    assert [entry["state"] for entry in runs] == ["proven"]

    place = practice.host("srv1").listen
    ca = str(workspace / "trust" / "srv1-node_exporter.crt")
    secret = str(workspace / "users" / "prometheus.password")
    right = run(
        "probe",
        f"https://{place}/metrics",
        "--cacert",
        ca,
        "--user",
        "prometheus",
        "--password-file",
        secret,
        "--json",
    )
    assert right.returncode == 0, right.stderr
    assert json_document(right)["status"] == 200
    assert json_document(right)["tls"]["version"] == "TLS 1.3"
    wrong = run("probe", f"https://{place}/metrics", "--cacert", ca, "--json")
    assert wrong.returncode == 1
    assert json_document(wrong)["status"] == 401
    assert json_document(wrong)["diagnosis"]["fix"]

    assert run("undo").returncode == 2
    assert run("undo", "--yes").returncode == 0
    assert differences(before, snapshot(workspace)) == []
    assert run("undo", "--yes").returncode == 2
    assert run("recover", "--yes").returncode == 0


def run_with_answer(words: list[str], answer: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Runs a command on a terminal with one answer; returns its exit code and its output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "screens", *words], dict(env))
    shown = ""
    with suppress(OSError):  # the terminal is closed when the command ends
        while piece := os.read(terminal, 4096):
            shown += piece.decode("utf-8", "replace")
            if "[y/N]" in shown and answer:
                os.write(terminal, f"{answer}\n".encode())
                answer = ""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_apply_and_undo_ask_at_a_terminal(practice: PracticeStack, tmp_path: Path, cache: Path) -> None:
    workspace = tmp_path / "workspace"
    env = {**os.environ, "FIRESCREEN_CACHE": str(cache)}
    words = ["--workspace", str(workspace)]
    before = snapshot(workspace)
    code, shown = run_with_answer([*words, "apply", "practice"], "n", env)
    assert (
        code == 2 and re.search(r"Apply \d+ changes on 2 hosts\?", shown) and "nothing was changed" in shown
    )
    assert differences(before, snapshot(workspace)) == []
    code, shown = run_with_answer([*words, "apply", "practice"], "y", env)
    assert code == 0 and "Applied and verified." in shown
    undo = re.search(r"Undo with:\s+(firescreen .*undo --yes)", shown)
    assert undo, shown
    code, shown = run_with_answer([*words, "undo"], "n", env)
    assert code == 2 and "This would undo:" in shown
    # As printed, but in another folder: the workspace is not the default one.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", undo[1]], cwd="/", env={**env, "PATH": path}, check=True)
    assert differences(before, snapshot(workspace)) == []


def test_a_failed_verify_says_so(run: Run, practice: PracticeStack) -> None:
    ended = run("verify", "practice", "--json")
    assert ended.returncode == 1
    assert re.fullmatch(
        r"Not verified: \d+ of \d+ probes failed, on .*srv1.*\.", ended.stderr.splitlines()[-1]
    )
    assert not json_document(ended)["ok"]


def test_an_unreachable_host_is_left_unchanged_and_counts_as_a_failure(
    run: Run, practice: PracticeStack, tmp_path: Path, free_port: int
) -> None:
    here = practice_stack.stack(tmp_path / "workspace")
    far = HostSpec(name="far", connect="ssh", address="127.0.0.1", port=free_port, user="anna")
    lone = ComponentSpec(host="far", name="node_exporter", protect=("tls",))
    file = tmp_path / "three.yaml"
    file.write_text(
        stack_file.dump(replace(here, hosts=(*here.hosts, far), components=(*here.components, lone)))
    )
    done = run("apply", str(file), "--yes", "--json")
    assert done.returncode == 1, done.stderr
    ended = json_document(done)
    assert (ended["state"], ended["ok"]) == ("partly", False)
    assert [(one["host"], one["state"]) for one in ended["hosts"]] == [
        ("srv1", "proven"),
        ("prometheus", "proven"),
        ("far", "away"),
    ]
    verified = run("verify", str(file), "--json")
    assert verified.returncode == 1
    verification = json_document(verified)
    assert all(probe["ok"] for probe in verification["probes"])
    assert not verification["ok"]
    assert [one["host"] for one in verification["away"]] == ["far"]
    assert "far is unreachable" in verified.stderr


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (("apply", "none.yaml", "--yes"), "", "none.yaml"),
        (("apply", "practice", "--yes"), "", "does not run"),
        (("plan", "bad.yaml"), "", "bad.yaml:3"),
        (("plan", "unknown.yaml"), "", "basic_auth"),
        (("plan", "absent.yaml"), "", "there is no"),
        (("plan", "prompt.yaml", "--password-file", "-"), "", "password is needed"),
        (("plan", "evil.yaml"), "", "cannot be a name here"),
        (("plan", "newline.yaml"), "", "cannot be a name here"),
        (("plan", "reserved.yaml"), "", "workspace"),
        (("verify", "prompt.yaml"), "", "nothing to verify"),
        (("plan", "folder.yaml"), "", "folder.yaml"),
        (("x" * 300,), "", "No such command"),
        (("--workspace", "/proc/1/none", "practice", "up"), "", ""),
        (("hash",), "", "password is needed"),
        (("hash",), "x" * 73 + "\n", "72"),
        (("probe", "ftp://x"), "", "http://"),
        (("probe", "https://127.0.0.1:1/", "--cacert", "none.crt"), "", "none.crt"),
        (("cert", "inspect", "bad.yaml"), "", "certificate"),
        (("undo", "20000101-000000-dead", "--yes"), "", "history"),
        (("practice", "restart", "nothing"), "", "practice"),
        (("frobnicate",), "", "frobnicate"),
        (("scan", "--write", "a" * 300), "", "too long"),
        (("serve", "a" * 300), "", "too long"),
        (("lab", "board", "a" * 300), "", "too long"),
        (("lab", "check", "nothing"), "", "nothing"),
    ],
)
def test_bad_input_exits_with_2_and_an_error_without_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], stdin: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "version: 1\nhosts: {here: {connect: local}}\n"
    Path("bad.yaml").write_text("version: 1\nhosts:\n  here: {connect: local\n")
    Path("unknown.yaml").write_text(
        f"{head}components: [{{host: here, name: node_exporter, protect: [tls, basic_outh]}}]\n"
    )
    Path("absent.yaml").write_text(
        f"{head}components: [{{host: nowhere, name: node_exporter, protect: [tls]}}]\n"
    )
    Path("prompt.yaml").write_text(
        f"{head}components: [{{host: here, name: prometheus}}]\nusers: {{p: {{password: prompt}}}}\n"
    )
    Path("evil.yaml").write_text(
        f"{head}components: [{{host: here, name: prometheus}}]\nusers: {{'../x': {{}}}}\n"
    )
    Path("newline.yaml").write_text(
        f'{head}components: [{{host: here, name: prometheus}}]\nusers: {{"prom\\n": {{}}}}\n'
    )
    Path("reserved.yaml").write_text(
        "version: 1\nhosts: {workspace: {connect: local}}\ncomponents: [{host: workspace, name: prometheus}]\n"
    )
    Path("folder.yaml").mkdir()
    ended = firescreen("--workspace", str(tmp_path / "workspace"), *words, stdin=stdin)
    assert ended.returncode == (1 if words[0] == "--workspace" else 2), ended
    assert "Traceback" not in ended.stderr
    assert expected in ended.stderr
    assert ended.stdout == ""
    assert not (tmp_path / "workspace" / "practice").exists(), "nothing is started"


def test_a_failed_probe_and_an_unknown_error_text_exit_with_1(run: Run) -> None:
    ended = run("probe", "https://127.0.0.1:1/", "--json")
    assert ended.returncode == 1
    assert "connection refused" in json_document(ended)["reason"]
    unknown = run("explain", "all is well", "--json")
    assert unknown.returncode == 1
    for words in (("explain", "--json"), ("explain", "-", "--json")):
        known = run(
            *words, stdin='Get "https://a:9100/metrics": x509: certificate signed by unknown authority'
        )
        assert known.returncode == 0
        assert {"id", "cause", "fix", "other_end", "next", "matched"} == json_document(known).keys()


def test_an_unreachable_host_is_connected_to_once(run: Run, tmp_path: Path) -> None:
    """The time-out of a host that is down is waited for once, and the message says what is down."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        accepted: list[str] = []

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    connection, (address, _) = silent.accept()
                    accepted.append(address)
                    connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        host = f"{{connect: ssh, address: 127.0.0.1, port: {silent.getsockname()[1]}, user: root}}"
        file = tmp_path / "two.yaml"
        file.write_text(
            f"version: 1\nhosts: {{a: {host}, b: {host}}}\ncomponents:\n"
            "  - {host: a, name: node_exporter, protect: [tls]}\n  - {host: b, name: node_exporter, protect: [tls]}\n"
        )
        ended = run("plan", str(file))
        silent.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert ended.returncode == 2
    assert ended.stderr.startswith("The host cannot be reached."), ended.stderr
    assert len(accepted) == 2, accepted


def test_without_a_terminal_it_says_which_command_to_use(run: Run) -> None:
    ended = run()
    assert ended.returncode == 2
    assert "firescreen --workspace " in ended.stderr
    assert " lab play" in ended.stderr


def test_keys_certificates_and_hashes_as_files(run: Run, tmp_path: Path) -> None:
    ca, leaf = str(tmp_path / "ca"), str(tmp_path / "leaf")
    assert run("cert", "ca", ca, "--passphrase-file", "-", stdin="open sesame\n").returncode == 0
    assert run("cert", "issue", leaf, "srv1.lab", "192.0.2.1", "--ca", ca, stdin="wrong\n").returncode == 2
    assert (
        run("cert", "issue", leaf, "srv1.lab", "192.0.2.1", "--ca", ca, stdin="open sesame\n").returncode == 0
    )
    assert (tmp_path / "leaf" / "srv1.lab.key").stat().st_mode & 0o077 == 0
    again = run("cert", "issue", leaf, "srv1.lab", "--ca", ca, stdin="open sesame\n")
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    shown = run("cert", "inspect", f"{leaf}/srv1.lab.crt")
    assert len(shown.stdout.strip().splitlines()) == 6
    assert "192.0.2.1" in shown.stdout
    verified = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", f"{ca}/ca.crt", f"{leaf}/srv1.lab.crt"], check=False
    )
    assert verified.returncode == 0
    hashed = run("hash", "--cost", "5", stdin="sesame\n")
    assert hashed.stdout.startswith("$2y$05$")

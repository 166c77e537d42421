"""The practice stack with the real programs: start, crash, restart, errors, removal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from wizard import practice as practice_stack
from wizard.certificates import issue
from wizard.components import component
from wizard.connections import loopback
from wizard.connections.practice import PracticeConnection
from wizard.errors import InputError, ProgramUnavailableError, ServiceError
from wizard.model import FileState, Service
from wizard.practice import PracticeHost, PracticeStack
from wizard.service_managers import supervised, supervised_process, supervised_program

EDGE = 60.0
"""Seconds after which waiting for something is a failure."""


def get(host: PracticeHost, path: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host.listen}{path}", timeout=EDGE) as answer:
        return answer.read().decode()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + EDGE
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def service(host: PracticeHost) -> Service:
    (found,) = supervised.discover(host.connection(), host.folder)
    return found


def add_flag(found: Service, host: PracticeHost, flag: str) -> FileState:
    """Edits the file of arguments as the engine does: writes a temporary file and renames it."""
    connection = host.connection()
    before = connection.read(found.flags.path)
    assert before
    put(host, found.flags.path, before.content + f"{flag}\n".encode(), like=before)
    return before


def put(host: PracticeHost, path: str, content: bytes, *, like: FileState) -> None:
    connection = host.connection()
    state = FileState(content, like.mode, like.owner, like.group)
    connection.commit(connection.stage(path, state, tag="test"), path)


def is_gone(pid: int, mark: str) -> bool:
    return supervised_process.start_time(pid) != mark


def test_prometheus_scrapes_both_programs(practice: PracticeStack) -> None:
    prometheus = practice.host("prometheus")

    def seen() -> bool:
        answer = json.loads(get(prometheus, "/api/v1/query?query=up"))
        values = {row["metric"]["job"]: row["value"][1] for row in answer["data"]["result"]}
        return values == {"prometheus": "1", "node": "1"}

    until(seen)
    assert practice.active
    for host in practice.hosts:
        found = service(host)
        assert (found.manager, found.component, found.host) == ("process", host.component, host.name)
        assert found.active
        assert supervised.is_active(host.connection(), found)
        assert found.listen == host.listen
        assert found.arguments[0] == f"--web.listen-address={host.listen}"
        assert found.pid > 1
        assert Path(found.home).is_dir()
        assert supervised.log(host.connection(), found, lines=2)
    assert service(prometheus).config_file.endswith("/etc/prometheus/prometheus.yml")


@contextlib.contextmanager
def full_stack(workspace: Path, cache: Path, *, suite: str = "") -> Iterator[PracticeStack]:
    try:
        yield practice_stack.up(workspace, cache, suite=suite, components=practice_stack.WHOLE)
    finally:
        practice_stack.down(workspace, remove=True)


def jobs_up(prometheus: PracticeHost) -> dict[str, str]:
    # A removed job may have its last sample for five minutes: only samples of the last seconds count.
    answer = json.loads(get(prometheus, "/api/v1/query?query=last_over_time(up[5s])"))
    return {row["metric"]["job"]: row["value"][1] for row in answer["data"]["result"]}


ALL_JOBS = {"prometheus", "node", "alertmanager", "pushgateway", "blackbox", "blackbox-http"}


@pytest.mark.matrix
def test_the_complete_stack_of_each_generation_starts_reloads_restarts_and_is_removed(
    tmp_path: Path, cache: Path
) -> None:
    # In parallel: each waits some seconds until its Prometheus has found its targets.
    with ThreadPoolExecutor(3) as pool:
        rounds = [
            pool.submit(whole_round, tmp_path / suite, cache, suite)
            for suite in ("bookworm", "trixie", "sid")
        ]
        for done in rounds:
            done.result()


def whole_round(workspace: Path, cache: Path, suite: str) -> None:
    workspace.mkdir()
    pair = (workspace / "tls.crt", workspace / "tls.key")
    pair[1].write_bytes(key := issue.new_key("ec-p256"))
    pair[0].write_bytes(issue.self_signed(names=["127.0.0.1"], key_pem=key, days=2, common_name="test"))
    with full_stack(workspace, cache, suite=suite) as stack:
        assert stack.active
        assert stack.components == practice_stack.WHOLE
        assert len({host.address for host in stack.hosts}) == len(stack.hosts)
        prometheus = stack.host("prometheus")
        for host in stack.hosts:
            found = service(host)
            assert (found.component, found.listen) == (host.component, host.listen)
            assert not found.flag("cluster.listen-address")
            if component(host.component).reload_by:
                supervised.reload(host.connection(), found)
                config = host.connection().read(found.config_file)
                assert config
                put(host, found.config_file, config.content + b"nonsense: 1\n", like=config)
                with pytest.raises(ServiceError, match="reload"):
                    supervised.reload(host.connection(), found)
                put(host, found.config_file, config.content, like=config)
            supervised.restart(host.connection(), found)
            assert service(host).pid != found.pid
        pushed = urllib.request.Request(
            f"http://{stack.host('pushgateway').listen}/metrics/job/backup", b"done 1\n", method="PUT"
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(pushed, timeout=EDGE).close()
        until(lambda: jobs_up(prometheus) == dict.fromkeys(ALL_JOBS, "1"))
        until(lambda: "Watchdog" in get(stack.host("alertmanager"), "/api/v2/alerts"))
        until(lambda: '"1"' in get(prometheus, "/api/v1/query?query=probe_success"))
        # honor_labels: the job label is that of the pushed metrics, not the Pushgateway's.
        until(lambda: '"job":"backup"' in get(prometheus, "/api/v1/query?query=done"))
        for host in stack.hosts:
            found = service(host)
            assert "TLS is disabled" in last_output(host, found)
            web = Path(found.home) / "web.yml"
            web.write_text(f"tls_server_config: {{cert_file: {pair[0]}, key_file: {pair[1]}}}\n")
            add_flag(found, host, f"--{component(host.component).web_flag(found.version)}={web}")
            assert "TLS is enabled" not in last_output(host, found)
            supervised.restart(host.connection(), found)
            assert "TLS is enabled" in last_output(host, service(host))
        pids = [(now["pid"], now["born"]) for now in map(state_of, stack.hosts)]
    assert all(is_gone(pid, born) for pid, born in pids)


def last_output(host: PracticeHost, found: Service) -> str:
    return "\n".join(supervised.log(host.connection(), found, lines=200))


def state_of(host: PracticeHost) -> Any:
    return supervised.status(host.connection(), host.service_folder)


def test_components_are_added_to_a_stack_and_edited_files_are_kept(
    practice: PracticeStack, cache: Path
) -> None:
    workspace = Path(practice.folder).parent
    config = Path(service(practice.host("prometheus")).config_file)
    mine = config.read_bytes().replace(b"job_name: node", b"job_name:   mine") + b"  # the end\n"
    config.write_bytes(mine)
    pids = {host.name: service(host).pid for host in practice.hosts}
    some = practice_stack.up(workspace, cache, components=["blackbox_exporter"])
    assert some.components == ("node_exporter", "prometheus", "blackbox_exporter")
    stack = practice_stack.up(workspace, cache, components=practice_stack.WHOLE)
    assert stack.active
    assert {host.name: service(host).pid for host in practice.hosts}.items() <= pids.items()
    assert stack.hosts[:2] == practice.hosts
    assert len({host.address.rpartition(".")[0] for host in stack.hosts}) == 1
    assert len({host.address for host in stack.hosts}) == len(stack.hosts)
    left = iter(config.read_bytes().splitlines())
    assert all(line in left for line in mine.splitlines()), "a line of the person's is gone, or has moved"
    prometheus = stack.host("prometheus")
    until(lambda: jobs_up(prometheus) == dict.fromkeys((ALL_JOBS - {"node"}) | {"mine"}, "1"))
    checked = subprocess.run([stack.promtool, "check", "config", str(config)], check=False, timeout=30)
    assert checked.returncode == 0
    widened = config.read_bytes()
    assert practice_stack.up(workspace, cache) == stack  # its other components are kept without being named
    assert config.read_bytes() == widened
    made = practice_stack.stack(workspace)
    assert [part.key for part in made.components] == [f"{host.name}/{host.component}" for host in stack.hosts]
    assert [part.protect for part in made.components] == [("tls", "basic_auth")] * 5
    with pytest.raises(InputError, match="grafana"):
        practice_stack.up(workspace, cache, components=["grafana"])


def test_its_files_are_private(practice: PracticeStack) -> None:
    for path in Path(practice.folder).rglob("*"):
        assert path.lstat().st_mode & 0o007 == 0, path
    assert (Path(practice.folder) / "practice.json").stat().st_mode & 0o777 == 0o640
    assert all(host.address.startswith("127.") for host in practice.hosts)


def test_up_twice_is_the_same_stack_and_down_and_up_keeps_edited_files(
    practice: PracticeStack, cache: Path
) -> None:
    workspace = Path(practice.folder).parent
    pids = {host.name: service(host).pid for host in practice.hosts}
    assert practice_stack.up(workspace, cache) == practice
    assert {host.name: service(host).pid for host in practice.hosts} == pids
    config = Path(service(practice.host("prometheus")).config_file)
    config.write_text(config.read_text() + "# mine\n")
    practice_stack.down(workspace)
    stopped = practice_stack.status(workspace)
    assert stopped is not None
    assert not stopped.active
    again = practice_stack.up(workspace, cache)
    assert again == practice
    assert config.read_text().endswith("# mine\n")


def test_the_default_stack_names_its_addresses(practice: PracticeStack) -> None:
    stack = practice_stack.stack(Path(practice.folder).parent)
    assert [(host.name, host.connect) for host in stack.hosts] == [
        ("srv1", "practice"),
        ("prometheus", "practice"),
    ]
    assert {host.name: host.address for host in stack.hosts} == {h.name: h.address for h in practice.hosts}
    assert {part.key: part.protect for part in stack.components} == {
        "srv1/node_exporter": ("tls", "basic_auth"),
        "prometheus/prometheus": ("tls", "basic_auth"),
    }


def test_a_restart_is_a_new_process_with_the_new_flags(practice: PracticeStack) -> None:
    host = practice.host("srv1")
    before = service(host)
    add_flag(before, host, "--web.max-requests=7")
    assert service(host).arguments == before.arguments  # as the process runs, not as the file says
    supervised.restart(host.connection(), before)
    after = service(host)
    assert after.arguments == (*before.arguments, "--web.max-requests=7")
    assert after.pid != before.pid
    assert "node_exporter_build_info" in get(host, "/metrics")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--no.such.flag", "unknown long flag"),
        ("--web.config.file=/no/such/web.yml", "no such file"),
        ("--web.config.file={bad}", "field nonsense not found"),
    ],
)
def test_a_program_that_does_not_start_says_why_and_starts_after_the_fix(
    practice: PracticeStack, tmp_path: Path, flag: str, words: str
) -> None:
    host = practice.host("srv1")
    found = service(host)
    bad = tmp_path / "bad.yml"
    bad.write_text("nonsense: 1\n")
    before = add_flag(found, host, flag.format(bad=bad))
    with pytest.raises(ServiceError, match="ended at once") as refused:
        supervised.restart(host.connection(), found)
    assert words in "\n".join(refused.value.log)
    assert refused.value.where == "srv1/node_exporter"
    assert not supervised.is_active(host.connection(), found)
    restarts = supervised.status(host.connection(), supervised.folder_of(found))["restarts"]
    assert restarts == 1
    put(host, found.flags.path, before.content, like=before)
    supervised.restart(host.connection(), found)
    assert "node_exporter_build_info" in get(host, "/metrics")


def test_a_port_in_use_is_reported(practice: PracticeStack) -> None:
    host, other = practice.host("srv1"), practice.host("prometheus")
    found = service(host)
    before = host.connection().read(found.flags.path)
    assert before
    put(
        host,
        found.flags.path,
        before.content.replace(host.listen.encode(), other.listen.encode()),
        like=before,
    )
    with pytest.raises(ServiceError) as refused:
        supervised.restart(host.connection(), found)
    assert "address already in use" in "\n".join(refused.value.log)


def test_a_reload_returns_when_the_new_configuration_is_active(practice: PracticeStack) -> None:
    host = practice.host("prometheus")
    found = service(host)
    before = host.connection().read(found.config_file)
    assert before
    put(host, found.config_file, before.content.replace(b"job_name: node", b"job_name: other"), like=before)
    supervised.reload(host.connection(), found)
    assert "other" in get(host, "/api/v1/status/config")
    put(host, found.config_file, before.content + b"nonsense: 1\n", like=before)
    with pytest.raises(ServiceError, match="reload"):
        supervised.reload(host.connection(), found)
    assert supervised.is_active(host.connection(), found)  # it continues with the old configuration
    with pytest.raises(ServiceError, match="cannot reload its configuration"):
        supervised.reload(practice.host("srv1").connection(), service(practice.host("srv1")))


def test_a_crashed_program_is_restarted(practice: PracticeStack) -> None:
    host = practice.host("srv1")
    pid = service(host).pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: service(host).pid not in (0, pid))
    assert "node_exporter_build_info" in get(host, "/metrics")
    assert supervised.status(host.connection(), host.service_folder)["last_exit"] == -signal.SIGKILL


@pytest.mark.parametrize("then", ["up", "restart", "down"])
def test_a_killed_supervisor_leaves_no_process_and_the_stack_still_works(
    practice: PracticeStack, cache: Path, then: str
) -> None:
    host = practice.host("srv1")
    found = service(host)
    now = supervised.status(host.connection(), host.service_folder)
    os.kill(now["supervisor"], signal.SIGKILL)
    workspace = Path(practice.folder).parent
    if then == "down":
        practice_stack.down(workspace, remove=True)
        assert not Path(practice.folder).exists()
    elif then == "restart":
        supervised.restart(host.connection(), found)
    else:
        until(lambda: is_gone(now["supervisor"], now["supervisor_born"]))
        assert practice_stack.up(workspace, cache) == practice
    assert is_gone(now["pid"], now["born"])


def test_sigterm_to_the_supervisor_ends_its_program(practice: PracticeStack) -> None:
    host = practice.host("prometheus")
    now = supervised.status(host.connection(), host.service_folder)
    os.kill(now["supervisor"], signal.SIGTERM)
    until(lambda: is_gone(now["supervisor"], now["supervisor_born"]))
    assert is_gone(now["pid"], now["born"])
    assert not supervised.is_active(host.connection(), service(host))


def test_it_keeps_running_when_the_wizard_is_killed(tmp_path: Path, cache: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from wizard import practice\n"
        "practice.up(Path(sys.argv[1]), Path(sys.argv[2]))\nos.killpg(0, signal.SIGKILL)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "workspace"), str(cache)]
    root = str(Path(__file__).parents[2])
    try:
        ended = subprocess.run(
            argv, env={**os.environ, "PYTHONPATH": root}, start_new_session=True, check=False, timeout=120
        )
        assert ended.returncode == -signal.SIGKILL
        left = practice_stack.status(tmp_path / "workspace")
        assert left is not None
        assert left.active
        assert "prometheus_build_info" in get(left.host("prometheus"), "/metrics")
    finally:
        practice_stack.down(tmp_path / "workspace", remove=True)


def test_a_process_with_a_reused_id_is_not_ended(practice: PracticeStack) -> None:
    """A state file that names a process with another start time must not end that process."""
    host = practice.host("srv1")
    supervised.stop(host.connection(), host.service_folder)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        state = Path(host.service_folder) / "state.json"
        kept = json.loads(state.read_text())
        state.write_text(json.dumps(kept | {"pid": bystander.pid, "born": "1", "state": "running"}))
        supervised.stop(host.connection(), host.service_folder)
        supervised.start(host.connection(), host.service_folder)
        assert bystander.poll() is None
        assert bystander.stdin
        bystander.stdin.write(b"\n")


def test_a_second_stack_has_other_addresses(practice: PracticeStack, tmp_path: Path, cache: Path) -> None:
    workspace = tmp_path / "second"
    try:
        second = practice_stack.up(workspace, cache)
        assert not {host.listen for host in second.hosts} & {host.listen for host in practice.hosts}
        assert second.active
    finally:
        practice_stack.down(workspace, remove=True)
    assert practice_stack.status(Path(practice.folder).parent) == practice


def test_an_address_that_is_in_use_is_replaced(practice: PracticeStack, cache: Path) -> None:
    workspace = Path(practice.folder).parent
    practice_stack.down(workspace)
    old = practice.host("srv1")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((old.address, old.port))
        other.listen()
        moved = practice_stack.up(workspace, cache).host("srv1")
        assert moved.listen != old.listen
        config = Path(service(practice.host("prometheus")).config_file).read_text()
        assert moved.listen in config
        assert old.listen not in config


@pytest.mark.parametrize("stopped_host", ["srv1", "prometheus"])
def test_started_programs_learn_an_address_that_changed_meanwhile(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, stopped_host: str
) -> None:
    """Another stack takes one address between the check and the start; the other programs run by then."""
    choose, usual = loopback.choose, {"srv1": 9100, "prometheus": 9090}[stopped_host]
    with socket.socket() as other:

        def taken(ports: Sequence[int], *, for_whom: str = "") -> tuple[tuple[str, int], ...]:
            places = choose(ports, for_whom=for_whom)
            if other.getsockname()[1] == 0:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(next(place for place in places if place[1] == usual))
                other.listen()
            return places

        monkeypatch.setattr(loopback, "choose", taken)
        workspace = tmp_path / "workspace"
        try:
            stack = practice_stack.up(workspace, cache, components=["caddy"])
            assert stack.active
            assert stack.host(stopped_host).listen != "{}:{}".format(*other.getsockname())
            assert stack.host("srv1").listen in get(stack.host("prometheus"), "/api/v1/status/config")
            assert stack.host("door").address == stack.host("prometheus").address
            assert "leads nowhere" in get(stack.host("door"), "/")
        finally:
            practice_stack.down(workspace, remove=True)


def test_looking_for_a_free_address_does_not_disturb_a_program_that_starts_there(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another stack looks for addresses while a program of this one is restarted, so that its port is free just then."""
    place, original = ("127.0.0.1", free_port), socket.socket
    started: list[tuple[str, int]] = []

    class Probe(socket.socket):
        def __exit__(self, *details: object) -> None:
            if not started:
                with original() as server:
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    server.bind(place)
                    server.listen()
                    started.append(server.getsockname())
            super().__exit__(*details)

    with monkeypatch.context() as patch:
        patch.setattr("wizard.connections.loopback.socket.socket", Probe)
        assert loopback.is_free(*place)
    assert started == [place]


def test_another_port_is_used_when_every_default_port_is_in_use() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        ((address, chosen),) = loopback.choose([port])
        assert chosen != port
        assert loopback.is_free(address, chosen)


def test_without_programs_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("wizard.binaries._MORE_FOLDERS", ())
    monkeypatch.setenv("FIRESCREEN_DOWNLOADS", "http://192.0.2.1")
    with pytest.raises(ProgramUnavailableError):
        practice_stack.up(tmp_path / "workspace", tmp_path / "cache")
    assert not (tmp_path / "workspace" / "practice").exists()


def test_a_stack_that_does_not_start_is_removed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, node_exporter: str
) -> None:
    """One program ends at once in place of Prometheus: node_exporter, which runs by then, must not stay."""
    monkeypatch.setitem(practice_stack.layout._READY, "prometheus", "never said")
    monkeypatch.setattr(practice_stack.layout, "_arguments", lambda host: "--no-such-flag\n")
    with pytest.raises(ServiceError):
        practice_stack.up(tmp_path / "workspace", cache)
    assert not (tmp_path / "workspace" / "practice").exists()
    assert practice_stack.status(tmp_path / "workspace") is None
    practice_stack.down(tmp_path / "workspace", remove=True)


@contextlib.contextmanager
def scripted(folder: Path, script: str) -> Iterator[tuple[PracticeConnection, str]]:
    """Returns a service whose program is a Python script."""
    folder.mkdir(parents=True)
    (folder / "program.py").write_text(script)
    (folder / "service.json").write_text(json.dumps({"program": sys.executable}))
    (folder / "arguments").write_text(
        f"# a comment\n\n  {folder / 'program.py'}  \n--web.listen-address=x y\n"
    )
    connection = PracticeConnection("host", folder.parent.parent)
    try:
        yield connection, str(folder)
    finally:
        supervised.stop(connection, str(folder))


def test_the_socket_works_in_a_deep_folder(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6) / "services" / "deep"
    with scripted(folder, "import time\nwhile True: time.sleep(60)\n") as (connection, path):
        supervised.start(connection, path)
        state = supervised.status(connection, path)
        assert state["state"] == "running"
        assert state["arguments"] == [str(folder / "program.py"), "--web.listen-address=x y"]


def test_the_log_is_bounded_and_harmless(tmp_path: Path) -> None:
    script = (
        "import sys, time\nline = 'x' * 999 + '\\n'\n"
        "for _ in range(12000): sys.stdout.write(line)\n"
        "print('\\x1b[31mred\\x1b[0m $2y$10$abcdefghijklmnopqrstuv', flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    folder = tmp_path / "services" / "loud"
    with scripted(folder, script) as (connection, path):
        supervised.start(connection, path)
        (found,) = supervised.discover(connection, str(tmp_path))
        until(lambda: "red" in "".join(supervised.log(connection, found, lines=1)))
        sizes = [(folder / name).stat().st_size for name in ("log", "log.1")]
        assert max(sizes) <= supervised_program.LOG_LIMIT
        (line,) = supervised.log(connection, found, lines=1)
        assert "\x1b" not in line
        assert "abcdefghijklmnop" not in line


def test_a_program_that_crashes_repeatedly_is_restarted_with_pauses(tmp_path: Path) -> None:
    script = (
        "import pathlib, time\nseen = pathlib.Path(__file__).with_name('seen')\n"
        "if seen.exists(): raise SystemExit(3)\nseen.touch()\nwhile True: time.sleep(60)\n"
    )
    folder = tmp_path / "services" / "weak"
    with scripted(folder, script) as (connection, path):
        supervised.start(connection, path)
        os.kill(supervised.status(connection, path)["pid"], signal.SIGKILL)
        until(lambda: supervised.status(connection, path)["restarts"] >= 2)
        now = supervised.status(connection, path)
        assert now["last_exit"] == 3
        assert now["state"] == "waiting"
        (folder / "seen").unlink()
        supervised.start(connection, path)  # a restart by the user does not wait
        assert supervised.status(connection, path)["state"] == "running"

"""Instances of a real incus as hosts: with incus' own client, with LXD's, and with a client on another host."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import bases
import pytest
from incus_hosts import Incus, Instance
from machines import Machine

from wizard.connections import incus as module
from wizard.connections.base import Connection
from wizard.connections.credentials import Access
from wizard.connections.incus import IncusConnection
from wizard.connections.ssh.connection import SshConnection
from wizard.errors import HostError, ServiceError
from wizard.model import FileState, HostSpec
from wizard.redact import Secret
from wizard.service_managers import discovery, systemd_discovery

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def holder(incus: Incus) -> Iterator[Machine]:
    """Returns the host that has the client."""
    with Machine("bookworm", "holder", incus.network, programs=(), bound=incus.bound) as machine:
        machine.check(["systemctl", "start", "systemd-user-sessions"])  # until then, only root may log in
        yield machine


@pytest.fixture(params=["incus", "ssh"])
def here(
    request: pytest.FixtureRequest, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[IncusConnection]:
    """Returns the instance through the client here or on another host; 'lxc' is LXD's client, here."""
    monkeypatch.setattr(module, "_CLIENTS", ("lxc" if request.param == "lxc" else "incus",))
    instance.check("rm -rf /srv/t && mkdir /srv/t")
    with ExitStack() as stack:
        via = None
        if request.param == "ssh":
            via = stack.enter_context(ssh(request.getfixturevalue("holder")))
        yield stack.enter_context(closing(IncusConnection(instance.spec, via=via)))
    left = instance.check("find / -xdev -name '*.firescreen-*' 2>/dev/null || :")
    assert left == "", "nothing temporary is left behind"


# Inside of the instance nothing depends on the way that leads there.
one_way = pytest.mark.parametrize("here", ["ssh"], indirect=True)


@contextmanager
def ssh(machine: Machine, *, user: str = "root", become: str = "") -> Iterator[SshConnection]:
    """Returns a connection to the host that has the client; `operator` needs a password for sudo."""
    access = Access()
    access.give("sudo", machine.name, Secret(bases.PASSWORD))
    with (
        machine.network.entered(),
        closing(SshConnection(machine.spec(user=user, become=become), access)) as via,
    ):
        yield via


def put(here: IncusConnection, path: str, state: FileState) -> None:
    here.commit(here.stage(path, state, tag="t"), path)


CONTENTS = {
    "empty": b"",
    "one": b"x",
    "every byte": bytes(range(256)) * 4,
    "newlines": b"\r\n\n\n",
    "text": "ü€😀".encode() + b"\xff\xfe",
    "a request": b"exit 1\nanswer who\n",
    "1 MB": os.urandom(1 << 20),
}


@pytest.mark.parametrize("here", ["incus", "lxc", "ssh"], indirect=True)
def test_content_is_written_and_read_to_the_byte(here: IncusConnection) -> None:
    for content in CONTENTS.values():
        state = FileState(content, 0o640, "root", "prometheus")
        put(here, "/srv/t/file", state)
        assert here.read("/srv/t/file") == state
        info = here.stat("/srv/t/file")
        assert info is not None
        assert (info.kind, info.mode, info.owner, info.group, info.size) == (
            *("file", 0o640, "root", "prometheus"),
            len(content),
        )


def test_several_paths_are_read_in_one_call(here: IncusConnection, instance: Instance) -> None:
    instance.check("cd /srv/t && echo a > a && chmod 600 a && ln -s a link && mkdir in")
    paths = ["/srv/t/a", "/srv/t/link", "/srv/t/none", "/srv/t/a"]
    state = FileState(b"a\n", 0o600)
    assert here.read_many(paths) == {"/srv/t/a": state, "/srv/t/link": state, "/srv/t/none": None}
    found = here.stat_many(["/srv/t/in", *paths])
    assert {path: info and info.kind for path, info in found.items()} == {
        "/srv/t/in": "folder",
        "/srv/t/a": "file",
        "/srv/t/link": "file",
        "/srv/t/none": None,
    }
    assert here.read_many([]) == {}
    with pytest.raises(HostError, match="not a regular file") as problem:
        here.read_many(["/srv/t/a", "/srv/t/in"])
    assert problem.value.where == "/srv/t/in"


NAMES = ("plain", "zwei Wörter", "quote ' and \" and $(id) `id`", "-rf", "a\nb", "ünï😀", "back\\slash", "*")


def test_special_characters_in_names_have_no_meaning(here: IncusConnection, instance: Instance) -> None:
    for name in NAMES:
        put(here, f"/srv/t/{name}", FileState(name.encode(), 0o600))
    assert here.names("/srv/t") == tuple(sorted(NAMES))
    for name in NAMES:
        found = here.read(f"/srv/t/{name}")
        assert found is not None
        assert found.content == name.encode()
    for name in NAMES:
        here.remove(f"/srv/t/{name}")
        here.remove(f"/srv/t/{name}")
    assert here.names("/srv/t") == ()
    assert here.names("/srv/t/nowhere") == ()
    # A name that is no valid UTF-8.
    instance.check(["python3", "-c", r"open(b'/srv/t/\xff', 'w').write('odd')"])
    (odd,) = here.names("/srv/t")
    assert os.fsencode(odd) == b"\xff"


@one_way
def test_symbolic_links_stay_links(here: IncusConnection, instance: Instance) -> None:
    instance.check("mkdir /srv/t/far && echo old > /srv/t/far/real && ln -s far/real /srv/t/link")
    assert here.staged_name("/srv/t/link", tag="t") == "/srv/t/far/.real.firescreen-t"
    put(here, "/srv/t/link", FileState(b"new", 0o644, "root", "root"))
    assert instance.check("readlink /srv/t/link; cat /srv/t/far/real") == "far/real\nnew"
    here.remove("/srv/t/link")
    assert here.names("/srv/t/far") == ()
    assert here.names("/srv/t") == ("far", "link")
    assert here.read("/srv/t/link") is None


@one_way
def test_folders(here: IncusConnection) -> None:
    here.make_folder("/srv/t/in", mode=0o750, owner="root", group="prometheus")
    here.make_folder("/srv/t/in", mode=0o700, owner="root", group="root")
    info = here.stat("/srv/t/in")
    assert info is not None
    assert (info.kind, info.mode, info.group) == ("folder", 0o750, "prometheus"), "one that is there is kept"
    put(here, "/srv/t/in/file", FileState(b""))
    assert not here.remove_folder("/srv/t/in")
    here.remove("/srv/t/in/file")
    assert here.remove_folder("/srv/t/in")
    assert here.remove_folder("/srv/t/in")
    assert here.stat("/srv/t/in") is None
    assert here.read("/srv/t/in/file") is None


@one_way
def test_a_failed_write_is_explained(here: IncusConnection, instance: Instance) -> None:
    instance.check(
        "mkdir /srv/t/full /srv/t/dir && echo x > /srv/t/file && mount -t tmpfs -o size=64k tmpfs /srv/t/full"
    )
    big, small = FileState(bytes(200_000)), FileState(b"x")
    try:
        for write, words in (
            (lambda: here.stage("/srv/t/full/big", big, tag="t"), "the disk is full"),
            (lambda: here.stage("/srv/t/no/x", small, tag="t"), "folder is not there"),
            (
                lambda: here.stage("/srv/t/x", replace(small, owner="nobodyatall"), tag="t"),
                "no user 'nobodyatall'",
            ),
            (lambda: here.stage("/srv/t/x", replace(small, group="nogroupatall"), tag="t"), "no group"),
            (lambda: here.stage("/sys/x", small, tag="t"), "cannot write it"),
            (lambda: here.stage("/srv/t/x", small, tag="../../t"), "cannot be part of a file name"),
            (lambda: put(here, "/srv/t/dir", small), "a folder stands where"),
            (
                lambda: here.make_folder("/srv/t/file", mode=0o755, owner="root", group="root"),
                "there is a file",
            ),
            (lambda: here.read("/srv/t/dir"), "not a regular file"),
            (lambda: here.remove_folder("/srv/t/file"), "it is a file"),
        ):
            with pytest.raises(HostError) as problem:
                write()
            assert words in problem.value.what
            assert problem.value.where.startswith("/")
        # The folder in the way is only found when the file is put in its place: the caller removes the temporary file.
        here.remove("/srv/t/.dir.firescreen-t")
        assert here.names("/srv/t/full") == ()
    finally:
        instance.check("umount /srv/t/full")


SAMPLER = """
import os, sys, time
seen, path = set(), "/srv/t/.key.firescreen-t"
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        continue
    seen.add((found.st_mode & 0o7777, found.st_uid == 0, found.st_gid == 0, found.st_size > 0))
print(*sorted(seen), sep="\\n")
"""


@one_way
def test_a_key_never_has_wider_permissions_than_at_the_end(here: IncusConnection, instance: Instance) -> None:
    command = [*instance.inside, "python3", "-c", SAMPLER, "3"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as sampler:
        assert sampler.stdout is not None
        assert sampler.stdout.readline() == "ready\n"
        state = FileState(os.urandom(1 << 20), 0o440, "prometheus", "prometheus")
        while sampler.poll() is None:
            here.stage("/srv/t/key", state, tag="t")
        seen = {eval(line) for line in sampler.stdout.read().splitlines()}
    here.remove("/srv/t/.key.firescreen-t")
    final = (0o440, False, False)
    assert (*final, True) in seen, "the sampler saw it being written"
    early = {each for each in seen if each[:3] != final}
    assert all(mode == 0o600 and not filled for mode, _, _, filled in early), early


def test_programs(here: IncusConnection) -> None:
    odd = ("a b", "$HOME", "`id`", "'", '"', "\\", "ü", "", "--", "*", "a\nb")
    ended = here.run(["printf", "<%s>", *odd])
    assert ended.stdout == "".join(f"<{word}>" for word in odd)
    assert ended.code == 0
    ended = here.run(["sh", "-c", "cat; echo oops >&2; exit 7"], stdin=b"fed")
    assert (ended.code, ended.stdout, ended.stderr.strip()) == (7, "fed", "oops")
    assert here.run(["no-such-program"]).code == 127
    assert here.run(["sh", "-c", "cat /nowhere"]).stderr.strip() == "cat: /nowhere: No such file or directory"
    assert here.run(["id", "-u"]).stdout == "0\n"
    assert "\ufffd" in here.run(["printf", r"\377"]).stdout
    assert len(here.run(["head", "-c", "3000000", "/dev/zero"]).stdout) == 3_000_000
    big = os.urandom(3_000_000)
    assert here.run(["wc", "-c"], stdin=big).stdout.strip() == "3000000"
    assert here.run(["true"], stdin=big).code == 0, "one that does not read on is no error"


def test_the_last_output_of_a_program_is_never_lost(here: IncusConnection) -> None:
    # The client by itself loses the output of some calls in a hundred.
    argv = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    with ThreadPoolExecutor(4) as pool:
        ends = {(end.code, end.stdout, end.stderr) for end in pool.map(here.run, [argv] * 300)}
    assert ends == {(3, "out\n", "err")}


@one_way
def test_a_lost_shell_is_reopened_and_no_command_runs_twice(
    here: IncusConnection, instance: Instance
) -> None:
    shells = ["pgrep", "-fo", "IFS= read -r li[n]e"]
    # Ours is the topmost above the command: processes of another connection may still be ending.
    ours = """p=$$; while [ "$p" -gt 1 ]; do
        grep -qa 'IFS= read -r li[n]e' /proc/$p/cmdline && top=$p
        p=$(sed 's/.*) . //' /proc/$p/stat | cut -d ' ' -f 1)
    done; echo "$top" """
    shell = here.run(["sh", "-c", ours]).stdout.strip()
    assert shell
    with pytest.raises(HostError, match="connection to it was lost"):
        here.run(["sh", "-c", f"echo >> /srv/t/done; kill -9 {shell}"])
    assert instance.check("wc -l < /srv/t/done").strip() == "1"
    assert here.run(["sh", "-c", ours]).stdout.strip() not in ("", shell)
    # However it ends, no process of it stays inside.
    here.close()
    with pytest.raises(HostError, match="was closed"):
        here.run(["true"])
    deadline = time.monotonic() + 10
    while (left := instance.run(shells).stdout) != "":
        assert time.monotonic() < deadline, left


@one_way
def test_a_command_that_times_out_is_ended_inside(here: IncusConnection, instance: Instance) -> None:
    for program in (["sleep", "4711"], ["sh", "-c", "trap '' TERM; sleep 4711 & sleep 4711; sleep 4711"]):
        begun = time.monotonic()
        with pytest.raises(HostError, match="did not end in time") as problem:
            here.run(program, timeout=1)
        assert problem.value.where == instance.name
        assert time.monotonic() - begun < 10
        assert instance.run(["pgrep", "-fx", "sleep 4711"]).stdout == ""
    assert here.run(["sh", "-c", "sleep 0.5; echo done"], timeout=5).stdout == "done\n"


@one_way
def test_the_instance_reports_its_identity(here: IncusConnection, instance: Instance) -> None:
    instance.check(f"echo '{instance.address} {instance.name} prometheus.campus.example' >> /etc/hosts")
    names = here.host_names()
    assert names[:2] == (instance.address, instance.name)
    assert set(names) >= {"prometheus.campus.example", "localhost", "127.0.0.1", "::1"}
    assert not [name for name in names if name.startswith("fe80")]
    assert here.identity() == ("root", "root", True)
    assert abs(here.clock() - time.time()) < 5
    here.close()
    here.close()  # twice is no error


@one_way
def test_a_unit_inside_is_found_and_restarted_and_its_failure_detected(
    here: IncusConnection, instance: Instance
) -> None:
    services = {service.component: service for service in discovery.discover(here)}
    assert set(services) == {"prometheus", "node_exporter"}
    node = services["node_exporter"]
    assert (node.manager, node.active, node.user, node.flags.kind) == (
        "systemd",
        True,
        "prometheus",
        "envfile",
    )
    pid = instance.check(["systemctl", "show", "-P", "MainPID", node.unit])
    systemd_discovery.restart(here, node)
    assert instance.check(["systemctl", "show", "-P", "MainPID", node.unit]) != pid
    before = here.read(node.flags.path)
    assert before is not None
    put(here, node.flags.path, replace(before, content=b'ARGS="--no.such.flag"\n'))
    with pytest.raises(ServiceError) as problem:
        systemd_discovery.restart(here, node)
    assert any("no.such.flag" in line for line in problem.value.log)
    put(here, node.flags.path, before)
    assert here.read(node.flags.path) == before
    instance.check(["systemctl", "reset-failed", node.unit])
    systemd_discovery.restart(here, node)


# -- unreachable instances


def refusal(spec: HostSpec, via: Connection | None = None) -> HostError:
    with closing(IncusConnection(spec, via=via)) as here, pytest.raises(HostError) as problem:
        here.read("/etc/hostname")
    assert problem.value.where
    assert problem.value.todo
    return problem.value


def hostname(spec: HostSpec) -> str:
    with closing(IncusConnection(spec)) as here:
        return here.run(["hostname"]).stdout


def test_an_instance_that_cannot_be_reached(
    incus: Incus, holder: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    with (
        Instance("bookworm", "other", incus, programs=()) as other,
        closing(IncusConnection(other.spec)) as open_before,
        ssh(holder) as via,
        closing(IncusConnection(other.spec, via=via)) as open_there,
    ):
        for remote in ("other", "local:other"):
            assert hostname(replace(other.spec, instance=remote)) == "other\n"
        for each in (open_before, open_there):
            assert each.run(["true"]).code == 0

        incus.client("pause", "other")
        assert "is paused" in refusal(other.spec).what
        incus.client("resume", "other")

        other.stop()
        stopped = refusal(other.spec)
        assert (stopped.what, stopped.todo) == (
            "the instance other is stopped",
            "Start it: incus start other",
        )
        assert refusal(other.spec, via).what == stopped.what
        for each in (open_before, open_there):
            with pytest.raises(HostError, match="is stopped"):
                each.run(["true"])
            with pytest.raises(HostError, match="is stopped"):
                each.stage("/etc/x", FileState(b"x"), tag="t")
        other.start()
        for each in (open_before, open_there):
            assert each.run(["hostname"]).stdout == "other\n", "it is reached again once it runs"

        said = open_before.run(["sh", "-c", "echo 'Error: Instance is not running' >&2; exit 1"])
        assert said.code == 1, "what a program inside says is not taken for the client's word"

    assert "there is no instance other" in refusal(other.spec).what
    assert "no such remote" in refusal(replace(other.spec, instance="far:other")).what
    for name in ("--help", "a b", "x:y:z", "", "-"):
        with pytest.raises(HostError, match="no name of an instance"):
            IncusConnection(HostSpec(name=" ", connect="incus", instance=name))
    with pytest.raises(HostError, match="cannot hold an instance"):
        IncusConnection(other.spec, via=open_before).read("/etc/hosts")

    with ssh(holder, user="nobody2") as via:
        assert "may not talk to the incus daemon" in refusal(other.spec, via).what
    with monkeypatch.context() as patch:
        patch.setattr(module, "_CLIENTS", ("no-such-client", "nor-this"))
        assert "neither incus nor lxc is installed" in refusal(other.spec).what
        for user, become in (("root", ""), ("admin", "sudo")):
            with ssh(holder, user=user, become=become) as via:
                begun = time.monotonic()
                refused = refusal(other.spec, via)
                assert (refused.what, refused.where) == ("neither incus nor lxc is installed", "holder")
                assert time.monotonic() - begun < 10, "what has ended is not waited for"
    with monkeypatch.context() as patch:
        patch.setenv("INCUS_DIR", str(tmp_path))
        patch.setenv("LXD_DIR", str(tmp_path))
        assert "daemon does not run" in refusal(other.spec).what


def test_the_client_that_has_the_instance_is_used(
    incus: Incus, instance: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    # Both are installed, as during a move from LXD to incus or back; only one of them has the instance.
    monkeypatch.setenv("INCUS_DIR", str(tmp_path))
    assert hostname(instance.spec) == f"{instance.name}\n"
    monkeypatch.setenv("INCUS_DIR", incus.environment["INCUS_DIR"])
    monkeypatch.setenv("LXD_DIR", str(tmp_path))
    assert hostname(instance.spec) == f"{instance.name}\n"


@pytest.mark.parametrize("user", ["admin", "operator"])
def test_a_login_without_access_to_the_daemon_uses_sudo(
    instance: Instance, holder: Machine, user: str
) -> None:
    with (
        ssh(holder, user=user, become="sudo") as via,
        closing(IncusConnection(instance.spec, via=via)) as here,
    ):
        state = FileState(os.urandom(1000), 0o640, "root", "prometheus")
        put(here, "/srv/through-sudo", state)
        assert here.read("/srv/through-sudo") == state
        here.remove("/srv/through-sudo")


def test_instances_and_hosts_reach_each_other(instance: Instance, holder: Machine) -> None:
    assert holder.check(["curl", "-s", f"http://{instance.address}:9090/-/ready"]).startswith("Prometheus")
    greeting = instance.check(["bash", "-c", f"exec 3<> /dev/tcp/{holder.address}/22; head -c 4 <&3"])
    assert greeting == "SSH-"
    listed = json.loads(holder.check(["incus", "list", "--format", "json"]))
    assert instance.name in {one["name"] for one in listed}

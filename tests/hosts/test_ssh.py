"""SSH hosts against real sshd servers on loopback: keys, logins, root, files, faults. As root: sshd logs people in."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest
from sshd import Person, Proxy, Sshd, keygen, read_arguments

from tests.processes import run_program
from wizard.connections.credentials import Access
from wizard.connections.errors import ForbiddenError
from wizard.connections.path_script import ABSENT
from wizard.connections.remote_shell import Call
from wizard.connections.ssh import forwarding
from wizard.connections.ssh.connection import SshConnection
from wizard.connections.ssh.preconnect import EarlyConnection
from wizard.errors import CredentialNeededError, FileChangedError, HostError
from wizard.model import FileState, HostSpec
from wizard.redact import Secret

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd logs people in as root only"),
    pytest.mark.timeout(240),
]

NOPASSWD = "USER ALL=(ALL) NOPASSWD: ALL"
WITH_PASSWORD = "USER ALL=(ALL) ALL"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd(kinds=("ed25519", "ecdsa", "rsa")) as sshd:
        sshd.know()
        yield sshd


@pytest.fixture
def host(server: Sshd) -> Iterator[SshConnection]:
    with server.connection() as connection:
        yield connection


@pytest.fixture(autouse=True)
def without_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def asked(connection: SshConnection) -> CredentialNeededError:
    with pytest.raises(CredentialNeededError) as needed:
        connection.connect()
    assert needed.value.todo
    return needed.value


def refused(connection: SshConnection, match: str) -> HostError:
    with pytest.raises(HostError, match=match) as problem:
        connection.connect()
    assert problem.value.todo
    assert problem.value.where
    return problem.value


# -- files -------------------------------------------------------------------------------------------------


def test_a_file_takes_its_place_in_one_step(host: SshConnection, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("old")
    before = path.stat().st_ino
    wanted = FileState(b"new \xff\0\r\n" * 3, 0o640, "root", "daemon")
    staged = host.stage(str(path), wanted, tag="run-1")
    assert staged == host.staged_name(str(path), tag="run-1") == str(tmp_path / ".web.yml.firescreen-run-1")
    assert path.read_text() == "old"
    assert host.read(staged) == wanted
    host.commit(staged, str(path))
    assert host.read(str(path)) == wanted
    assert path.stat().st_ino != before
    assert host.names(str(tmp_path)) == ("web.yml",)
    host.remove(str(path))
    host.remove(str(path))
    assert host.read(str(path)) is None


def test_contents_travel_by_sftp_and_leave_nothing_behind(server: Sshd, tmp_path: Path) -> None:
    with server.connection() as host:
        before = uploads(0)
        for small in (b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN PRIVATE KEY-----"):
            staged = host.stage(str(tmp_path / "x"), FileState(small, 0o600, "root", "root"), tag="t")
            assert Path(staged).read_bytes() == small
            assert uploads(0) == before, "what is small comes with the request"
        host.stage(str(tmp_path / "x"), FileState(bytes(100_000), 0o600, "root", "root"), tag="t")
        (folder,) = uploads(0) - before
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "content").stat().st_mode) == 0o600
        assert (folder / "content").read_bytes() == b""
    wait_for(lambda: not folder.exists())


@pytest.mark.parametrize("begin", [b"small", b"-----BEGIN PRIVATE KEY-----"])
def test_it_is_swapped_only_for_what_was_seen(host: SshConnection, tmp_path: Path, begin: bytes) -> None:
    (tmp_path / "real").write_bytes(b"old\0'\n")
    (tmp_path / "real").chmod(0o604)
    path = tmp_path / "x"
    path.symlink_to("real")
    old, new = host.read(str(path)), FileState(begin + b"\0new\n\n", 0o640, "root", "daemon")
    assert old

    def put(state: FileState, before: FileState | None, *, look: bool) -> FileState | None:
        return host.replace_if_unchanged(str(path), state, tag="t", before=before, look=look)

    def swap(state: FileState, before: FileState | None, *, look: bool) -> FileState | None:
        return host.replace_if_unchanged(
            str(path), state, tag="t", before=before, check=lambda _: None, look=look
        )

    for way in (put, swap):
        for other in (None, replace(old, content=b"other"), replace(old, mode=0o644)):
            with pytest.raises(FileChangedError):
                way(new, other, look=True)
            assert host.read(str(path)) == old
            assert host.names(str(tmp_path)) == ("real", "x"), "what was brought is gone"
        assert way(new, old, look=True) == new
        assert way(old, new, look=False) is None
        assert host.read(str(path)) == old
        assert path.is_symlink()
        path.unlink()
        with pytest.raises(FileChangedError):
            way(new, old, look=False)
        assert way(new, None, look=True) == new
        path.unlink()
        path.symlink_to("real")
    with pytest.raises(HostError, match="to own the file"):
        put(replace(new, owner="nobody-here"), old, look=False)
    assert host.names(str(tmp_path)) == ("real", "x")


def test_without_sftp_and_with_one_session_only_it_goes_all_the_same(tmp_path: Path) -> None:
    for more, sftp in (
        ("MaxSessions 1", "internal-sftp"),
        ("", "/bin/false"),
        ("", "internal-sftp -R"),
        ("", ""),
    ):
        with Sshd(more, sftp=sftp) as sshd, sshd.connection() as host:
            content = os.urandom(200_000)
            path = str(tmp_path / "x")
            host.commit(host.stage(path, FileState(content, 0o600, "root", "root"), tag="t"), path)
            assert host.read(path) == FileState(content, 0o600, "root", "root")


def test_links_stay_links_and_planted_ones_are_not_followed(host: SshConnection, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, victim = tmp_path / "real" / "prometheus.yml", tmp_path / "victim"
    target.write_text("old")
    victim.write_text("mine")
    link = tmp_path / "link.yml"
    link.symlink_to("real/prometheus.yml")
    Path(host.staged_name(str(link), tag="t")).symlink_to(victim)
    staged = host.stage(str(link), FileState(b"new"), tag="t")
    assert Path(staged).parent == target.parent
    assert not Path(staged).is_symlink()
    host.commit(staged, str(link))
    assert link.is_symlink()
    assert (target.read_bytes(), victim.read_text()) == (b"new", "mine")
    host.remove(str(link))
    assert link.is_symlink()
    assert not target.exists()


ODD = [
    "a b",
    "quote'd",
    'double"d',
    "dollar$HOME`id`",
    "back\\slash\\n",
    "ünï",
    "-dash",
    "new\nline",
    "%s*?[x]",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(host: SshConnection, tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}"
    host.make_folder(path, mode=0o750, owner="root", group="root")
    info = host.stat(path)
    assert info and (info.kind, info.mode) == ("folder", 0o750)
    inside = f"{path}/{name}"
    host.commit(host.stage(inside, FileState(b"x", 0o600), tag="t"), inside)
    assert Path(inside).read_bytes() == b"x"
    assert not host.remove_folder(path)
    host.remove(inside)
    assert host.remove_folder(path)
    assert host.run(["printf", "%s|", name, f"{name}\n\n", ""]).stdout == f"{name}|{name}\n\n||"


def test_many_in_one_round_trip(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\n1\n\n")
    (tmp_path / "empty").touch(0o600)
    paths = [str(tmp_path / name) for name in ("one", "gone", "empty")]
    with server.connection() as host:
        found = host.read_many(paths)
        assert [state and state.content for state in found.values()] == [b"\n1\n\n", None, b""]
        assert list(found) == paths
        assert [info and info.size for info in host.stat_many([*paths, "/etc"]).values()][:3] == [4, None, 0]
        assert host.read_many([]) == {}
        with pytest.raises(HostError, match="not a regular file"):
            host.read_many([*paths, str(tmp_path)])
        assert host.read("/proc/version"), "a file of unknown size"
        assert host.read(f"{paths[0]}/below") is None
        calls = [Call(("echo said",), script=True, path=path) for path in paths]
        said = [(ended.code, ended.stdout) for ended in host.ask(calls)]
        assert said == [(0, b"said\n"), (ABSENT, b""), (0, b"said\n")], "nothing ran for what is not there"


def test_refusals_say_what_where_and_what_to_do(host: SshConnection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for words, path, state in (
        ("folder is not there", tmp_path / "missing" / "x", FileState(b"")),
        ("folder is not there|not a folder", tmp_path / "file" / "x", FileState(b"")),
        ("no user", tmp_path / "x", FileState(b"", 0o600, "no-such-user")),
        ("no group", tmp_path / "x", FileState(b"", 0o600, "root", "no-such-group")),
        ("name is too long", tmp_path / ("x" * 250), FileState(b"")),
    ):
        with pytest.raises(HostError, match=words) as problem:
            host.stage(str(path), state, tag="t")
        assert problem.value.where == str(path)
        assert problem.value.todo
    path_in_the_way = str(tmp_path / "folder")
    staged = host.stage(path_in_the_way, FileState(b"x"), tag="t")
    with pytest.raises(HostError, match="folder stands where a file"):
        host.commit(staged, path_in_the_way)
    with pytest.raises(HostError, match="there is a file where a folder is needed"):
        host.make_folder(str(tmp_path / "file"), mode=0o700, owner="root", group="root")
    with pytest.raises(HostError, match="cannot be part of a file name"):
        host.staged_name("/etc/x", tag="../x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="not a regular file"):
        host.read(str(tmp_path / "pipe"))


def test_a_full_disk_is_told_and_leaves_nothing(host: SshConnection, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], check=True, timeout=30)
    try:
        with pytest.raises(HostError, match="disk is full") as problem:
            host.stage(str(small / "x"), FileState(os.urandom(100_000)), tag="t")
        assert problem.value.where == str(small / "x")
        assert host.names(str(small)) == ()
        subprocess.run(["mount", "-o", "remount,ro", small], check=True, timeout=30)
        with pytest.raises(HostError, match="read-only"):
            host.stage(str(small / "x"), FileState(b""), tag="t")
    finally:
        subprocess.run(["umount", small], check=True, timeout=30)


# -- programs ----------------------------------------------------------------------------------------------


def test_a_program_gets_its_input_and_gives_its_code(host: SshConnection) -> None:
    big = os.urandom(1_500_000).hex().encode()
    ended = host.run(["cat"], stdin=big)
    assert (ended.code, len(ended.stdout), ended.stdout) == (0, len(big), big.decode())
    ended = host.run(["sh", "-c", "echo out; echo err >&2; exit 3\n"])
    assert (ended.code, ended.stdout, ended.stderr.strip()) == (3, "out\n", "err")
    assert host.run(["true"], stdin=big).code == 0
    assert host.run(["no-such-program-here"]).code == 127
    assert host.run(["/"]).code == 126
    assert host.run_bytes(["printf", "\\0\\377\\n\\n"]).stdout == b"\0\xff\n\n"
    assert host.run(["who"]).code == 0
    assert host.run(["cat"]).stdout == "", "without input it reads an end"


def test_output_and_time_are_bounded(host: SshConnection, tmp_path: Path) -> None:
    ended = host.run_bytes(["head", "-c", "30000000", "/dev/zero"], limit=1000)
    assert (len(ended.stdout), ended.code) == (1000, 0)
    noisy = host.run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo done"])
    assert (noisy.stdout, len(noisy.stderr)) == ("done\n", 65536)
    began = time.monotonic()
    with pytest.raises(HostError, match="did not end in time"):
        host.run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait"], timeout=1)
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid))
    assert host.run(["echo", "still here"]).stdout == "still here\n"


def test_threads_share_a_connection(server: Sshd, host: SshConnection, tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                content = f"{number}-{turn}\n".encode() * 1000
                path = str(tmp_path / f"{number}")
                host.commit(host.stage(path, FileState(content), tag="t"), path)
                assert host.read(path) == FileState(content)
        except BaseException as problem:  # noqa: BLE001 - told below
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    log = (server.folder / "log").read_text()
    assert "Traceback" not in log


def test_what_it_says_of_itself(host: SshConnection) -> None:
    assert host.identity() == ("root", "root", True)
    assert host.identity()[2]
    names = host.host_names()
    assert names[0] == socket.gethostname()
    assert {"127.0.0.1", "localhost"} <= set(names)
    assert abs(host.clock() - time.time()) < 1


# -- host keys ---------------------------------------------------------------------------------------------


def test_an_unknown_host_key_is_asked_for_once(server: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    access = Access()
    with server.connection(access, known_hosts=str(file)) as host:
        needed = asked(host)
        shown = subprocess.run(
            ["ssh-keygen", "-lf", server.host_keys[0]], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        assert (needed.kind, needed.host, needed.fingerprint) == ("host-key", "srv1", shown)
        assert "ssh-ed25519" in needed.what and shown in needed.what
        assert not file.exists()
        access.accept("srv1", "SHA256:something-else")
        assert asked(host).kind == "host-key"
        access.accept("srv1", shown)
        assert host.run(["true"]).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    argv = ["ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(file)]
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    with server.connection(known_hosts=str(file)) as again:
        again.connect()
    assert len(file.read_text().splitlines()) == 1


def test_what_goes_wrong_ahead_is_told_to_who_comes_next(server: Sshd, tmp_path: Path) -> None:
    def left() -> int:
        return (server.folder / "log").read_text().count("[preauth]")

    access = Access()
    with server.connection(access, known_hosts=str(tmp_path / "known_hosts")) as host:
        before = left()
        for _ in range(2):
            host.begin()
            wait_for(lambda: not any(each.name == "connect-srv1" for each in threading.enumerate()))
            needed = asked(host)
            assert needed.kind == "host-key"
        wait_for(lambda: left() >= before + 2)
        assert left() == before + 2, "each was one connection"
        access.accept("srv1", needed.fingerprint)
        host.begin()
        assert host.run(["true"]).code == 0


def test_the_way_gone_ahead_is_the_one_that_is_taken(server: Sshd, tmp_path: Path) -> None:
    def left() -> int:
        return (server.folder / "log").read_text().count("[preauth]")

    before = left()
    host = SshConnection(server.spec(), Access(), early=EarlyConnection(server.spec()))
    assert host.identity()[0] == "root"
    assert left() == before, "no second connection was made beside it"
    host._drop()
    assert host.run(["true"]).code == 0, "it goes another time, too"
    host.close()
    config = tmp_path / "config"
    config.write_text("Host *\n  ProxyJump one\n")
    assert EarlyConnection(server.spec(), config=config).connection() is None


@pytest.mark.parametrize(
    ("address", "said"), [("no-such-host.invalid", "does not resolve"), ("127.0.0.1", "nothing listens")]
)
def test_what_goes_wrong_on_the_way_ahead_is_told_as_ever(server: Sshd, address: str, said: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        spec = server.spec(address=address, port=unused.getsockname()[1])
        host = SshConnection(spec, Access(), early=EarlyConnection(spec))
        for _ in range(2):
            refused(host, said)


def test_a_configuration_that_cannot_be_used_is_told_by_who_goes_ahead(server: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Hots inner\n")
    spec = server.spec()
    host = SshConnection(spec, Access(), early=EarlyConnection(spec, config=config))
    refused(host, "configuration")
    assert host.identity()[0] == "root", "nothing of it is kept"
    host.close()


def test_hashed_names_and_what_stood_in_the_file(server: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("# mine\nother.example ssh-ed25519 AAAA")
    config = tmp_path / "config"
    config.write_text("Host *\n  HashKnownHosts yes\n")
    access = Access()
    access.accept("srv1", str(server.host_key().fingerprint))
    spec = server.spec(known_hosts=str(file))
    connection = SshConnection(spec, access, config=config)
    connection.connect()
    connection.close()
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# mine", "other.example ssh-ed25519 AAAA"]
    assert lines[2].startswith("|1|")
    again = SshConnection(spec, Access(), config=config)
    again.connect()
    again.close()


def test_a_changed_or_revoked_host_key_is_refused_for_good(server: Sshd, tmp_path: Path) -> None:
    place = f"[127.0.0.1]:{server.port}"
    wrong = keygen(tmp_path / "wrong").with_suffix(".pub").read_text().split()
    right = server.host_keys[0].with_name("host_ed25519.pub").read_text().split()
    access = Access()
    access.accept("srv1", str(server.host_key().fingerprint))
    file = tmp_path / "known_hosts"
    file.write_text(f"{place} {wrong[0]} {wrong[1]}\n")
    with server.connection(access, known_hosts=str(file)) as host:
        problem = refused(host, "SSH host key has changed")
        assert f"ssh-keygen -f {file} -R '{place}'" in problem.todo
    # Of another kind alone: a host with a key on record is not taken for a new one.
    other = keygen(tmp_path / "dsa", kind="ecdsa").with_suffix(".pub").read_text().split()
    file.write_text(f"{place} {other[0]} {other[1]}\n")
    with server.connection(access, known_hosts=str(file)) as host:
        refused(host, "SSH host key has changed")
    file.write_text(f"@revoked * {right[0]} {right[1]}\n{place} {right[0]} {right[1]}\n")
    with server.connection(access, known_hosts=str(file)) as host:
        refused(host, "revoked")


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_the_kind_of_key_on_record_is_asked_for(server: Sshd, tmp_path: Path, kind: str) -> None:
    public = (server.folder / f"host_{kind}.pub").read_text().split()
    file = tmp_path / "known_hosts"
    file.write_text(f"[127.0.0.*]:{server.port},!nobody {public[0]} {public[1]} comment\n")
    with server.connection(known_hosts=str(file)) as host:
        host.connect()


# -- logging in --------------------------------------------------------------------------------------------


def test_a_password_is_asked_for_and_a_wrong_one_is_sent_once(tmp_path: Path) -> None:
    with Sshd() as sshd, Person() as person:
        access = Access()
        with sshd.connection(access, user=person.name, identity_file="/none") as host:
            needed = asked(host)
            assert (needed.kind, needed.host) == ("password", "srv1")
            access.give("password", "srv1", Secret("wrong-" + person.password))
            assert "not accepted" in asked(host).what
            assert access.secret("password", "srv1") is None
            log = (sshd.folder / "log").read_text()
            assert log.count("Failed password") == 1
            access.give("password", "srv1", Secret(person.password))
            assert host.identity() == (person.name, person.name, False)


def test_a_password_for_all_hosts_reaches_the_second_only_when_the_first_took_it(tmp_path: Path) -> None:
    access = Access()
    with (
        Sshd() as sshd,
        Person() as person,
        sshd.connection(access, user=person.name, identity_file="/none") as one,
        sshd.connection(access, user=person.name, identity_file="/none", name="srv2") as two,
        ThreadPoolExecutor(2) as pool,
    ):
        assert asked(one).host == "srv1"
        access.give("password", "srv1", Secret("wrong-" + person.password), everywhere=True)
        said = [pool.submit(asked, each) for each in (two, one)]
        assert "not accepted" in said[1].result(60).what
        assert "asks for a password" in said[0].result(60).what
        assert (sshd.folder / "log").read_text().count("Failed password") == 1
        access.give("password", "srv1", Secret(person.password), everywhere=True)
        users = [pool.submit(each.identity) for each in (two, one)]
        assert {user.result(60)[0] for user in users} == {person.name}


def test_a_password_for_all_hosts_is_asked_for_again_where_the_first_host_goes_away(tmp_path: Path) -> None:
    access = Access()
    with (
        Sshd() as sshd,
        Person() as person,
        sshd.connection(access, user=person.name, identity_file="/none", name="srv2") as two,
        ThreadPoolExecutor(1) as pool,
    ):
        with Sshd() as first:
            one = SshConnection(
                first.spec(user=person.name, identity_file="/none"), access, config=sshd.config
            )
            assert asked(one).host == "srv1"
            access.give("password", "srv1", Secret(person.password), everywhere=True)
        began = time.monotonic()
        said = pool.submit(asked, two)
        refused(one, "nothing listens")
        assert said.result(60).host == "srv2"
        assert time.monotonic() - began < 20
        assert (sshd.folder / "log").read_text().count("Accepted password") == 0


def test_keyboard_interactive(tmp_path: Path) -> None:
    more = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes"
    with Sshd(more) as sshd, Person() as person:
        access = Access()
        with sshd.connection(access, user=person.name, identity_file="/none") as host:
            assert asked(host).kind == "password"
            access.give("password", "srv1", Secret("wrong"))
            assert asked(host).kind == "password"
            access.give("password", "srv1", Secret(person.password))
            assert host.identity()[0] == person.name


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_an_encrypted_key(server: Sshd, tmp_path: Path, kind: str) -> None:
    key = keygen(tmp_path / "id", kind=kind, passphrase="open sesame")
    allow(server, key)
    access = Access()
    with server.connection(access, identity_file=str(key)) as host:
        needed = asked(host)
        assert (needed.kind, needed.host) == ("key", str(key))
        access.give("key", str(key), Secret("wrong"))
        assert "does not open" in asked(host).what
        access.give("key", str(key), Secret(""))
        assert asked(host).kind == "password", "an empty passphrase: do without the key"
        access.give("key", str(key), Secret("open sesame"))
        host.connect()


def test_an_old_pem_key(server: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "id"
    words = ["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "secret", "-f", str(key)]
    subprocess.run(words, check=True, timeout=60)
    allow(server, key)
    access = Access()
    with server.connection(access, identity_file=str(key)) as host:
        assert asked(host).kind == "key"
        access.give("key", str(key), Secret("secret"))
        host.connect()


def test_an_agent_signs_for_a_locked_key(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keygen(tmp_path / "id")
    allow(server, key)
    with agent(tmp_path, monkeypatch):
        subprocess.run(["ssh-add", "-q", key], check=True, timeout=30)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "locked", "-f", key], check=True, timeout=30)
        with server.connection(identity_file=str(key)) as host:
            host.connect()
        with server.connection(identity_file="/none") as host:
            host.connect()


def test_a_named_key_that_is_not_taken_is_one_of_several(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = keygen(tmp_path / "stranger")
    with server.connection(identity_file=str(stranger)) as host:
        assert asked(host).kind == "password"
    with agent(tmp_path, monkeypatch):
        subprocess.run(["ssh-add", "-q", server.key], check=True, timeout=30)
        with server.connection(identity_file=str(stranger)) as host:
            host.connect()


def test_a_named_key_where_none_is_taken_leads_to_the_password() -> None:
    with Sshd("PubkeyAuthentication no") as sshd, Person() as person:
        access = Access()
        with sshd.connection(access, user=person.name) as host:
            assert asked(host).kind == "password"
            access.give("password", "srv1", Secret(person.password))
            assert host.identity()[0] == person.name


def test_no_key_fits(tmp_path: Path) -> None:
    with Sshd("PasswordAuthentication no\nKbdInteractiveAuthentication no") as sshd:
        stranger = keygen(tmp_path / "stranger")
        with sshd.connection(identity_file=str(stranger)) as host:
            problem = refused(host, "was rejected")
            assert str(stranger) in problem.what
            assert "ssh-copy-id" in problem.todo


def test_key_and_password_both(tmp_path: Path) -> None:
    more = "AuthenticationMethods publickey,password"
    with Sshd(more) as sshd, Person() as person:
        access = Access()
        with sshd.connection(access, user=person.name) as host:
            assert asked(host).kind == "password"
            access.give("password", "srv1", Secret(person.password))
            host.connect()


# -- the way there -----------------------------------------------------------------------------------------


def test_the_persons_own_configuration(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "more").write_text(
        f"Host inner\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {server.known_hosts}\n"
    )
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/more\nMatch host inner exec true\n  User root\n")
    host = SshConnection(HostSpec(name="inner", connect="ssh"), Access(), config=config)
    assert host.identity()[0] == "root"
    assert "127.0.0.1" in host.host_names()
    host.close()
    config.write_text("Hots inner\n")
    refused(SshConnection(HostSpec(name="inner", connect="ssh"), Access(), config=config), "configuration")


def test_without_an_ssh_program_the_configuration_counts_all_the_same(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text('Match host srv1 exec "true"\n  HostName 192.0.2.7\n  Port 2022\n')
    code = (
        "import pathlib, sys; from wizard.connections.ssh import config as sshconfig; from wizard.model import HostSpec; "
        "it = sshconfig.target(HostSpec(name='srv1', connect='ssh'), config=pathlib.Path(sys.argv[1])); "
        "print(it.address, it.port)"
    )
    ended = run_program(
        [sys.executable, "-c", code, config], check=True, env=os.environ | {"PATH": str(tmp_path)}
    )
    assert ended.stdout == "192.0.2.7 2022\n"


def test_through_two_jump_hosts(server: Sshd, tmp_path: Path) -> None:
    with Sshd() as first, Sshd() as second:
        config = tmp_path / "config"
        lines = [f"IdentityFile {key}" for key in (first.key, second.key)]
        config.write_text(
            f"Host srv1\n  ProxyJump root@one,two\nHost one\n  HostName 127.0.0.1\n  Port {first.port}\n"
            f"Host two\n  HostName 127.0.0.1\n  Port {second.port}\n  User root\nHost *\n  "
            + "\n  ".join(lines)
            + "\n"
        )
        file = tmp_path / "known_hosts"
        access = Access()
        spec = HostSpec(
            name="far", connect="ssh", address="srv1", user="root", port=server.port,
            identity_file=str(server.key), known_hosts=str(file),
        )  # fmt: skip
        config.write_text(config.read_text().replace("Host srv1\n", "Host srv1\n  HostName 127.0.0.1\n"))
        connection = SshConnection(spec, access, config=config)
        for name, each in (("one", first), ("two", second), ("far", server)):
            needed = asked(connection)
            assert (needed.kind, needed.host) == ("host-key", name)
            assert needed.fingerprint == each.host_key().fingerprint
            access.accept(name, needed.fingerprint)
        assert connection.run(["echo", "there"]).stdout == "there\n"
        connection.close()
        config.write_text("Host srv1\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
        refused(SshConnection(spec, access, config=config), "too many hosts")


def test_through_a_proxy_command(server: Sshd, tmp_path: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, select, socket, sys\ns = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n  for r in select.select([0, s], [], [])[0]:\n"
        "    d = os.read(0, 65536) if r == 0 else s.recv(65536)\n    d or sys.exit()\n"
        "    s.sendall(d) if r == 0 else os.write(1, d)\n"
    )
    config = tmp_path / "config"
    config.write_text(f"Host *\n  ProxyCommand python3 {relay} %h %p\n")
    host = SshConnection(server.spec(), Access(), config=config)
    assert host.run(["echo", "there"]).stdout == "there\n"
    host.close()


def test_who_is_not_there_is_told(server: Sshd, tmp_path: Path) -> None:
    with server.connection(address="no-such-host.invalid") as host:
        refused(host, "does not resolve")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with server.connection(port=unused.getsockname()[1]) as host:
            refused(host, "nothing listens")


def test_a_server_that_says_nothing_is_given_up(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.connections.ssh.login.BANNER", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with server.connection(port=mute.getsockname()[1]) as host:
            refused(host, "does not speak SSH")
        assert time.monotonic() - began < 10


# -- what hosts print --------------------------------------------------------------------------------------

RUBBISH = "echo rubbish; echo more >&2; printf 'no newline'\n"


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/dash", "/usr/bin/fish", "/bin/tcsh", "own"])
def test_login_shells_and_what_their_files_print(tmp_path: Path, shell: str) -> None:
    banner = tmp_path / "banner"
    banner.write_text("Authorised use only!\n" * 50)
    with Sshd(f"Banner {banner}") as sshd:
        if shell == "own":
            program = sshd.folder / "own-shell"
            program.write_text(
                '#!/bin/sh\necho welcome; date; head -c 5000 /dev/urandom; exec /bin/sh "$@"\n'
            )
            program.chmod(0o755)
            shell = str(program)
        with Person(shell=shell, sudoers=NOPASSWD) as person:
            answers_are_clean(sshd, person)


def answers_are_clean(sshd: Sshd, person: Person) -> None:
    for name in (".bashrc", ".cshrc", ".tcshrc", ".config/fish/config.fish", ".ssh/rc"):
        file = person.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(RUBBISH if "csh" not in name else "echo rubbish; echo 'more !'\n")
    subprocess.run(["chown", "-R", person.name, person.home], check=True, timeout=30)
    for become in ("", "sudo"):
        with sshd.connection(user=person.name, become=become) as host:
            assert host.identity()[0] == ("root" if become else person.name)
            path = str(person.home / f"x{become}")
            state = FileState(b"a\0b\n", 0o600, person.name, person.name)
            host.commit(host.stage(path, state, tag="t"), path)
            assert host.read(path) == state
            assert host.run(["sh", "-c", "echo out"]).stdout == "out\n"


def test_what_start_up_files_leave_running_gets_into_no_file() -> None:
    """Its words come between ours; what is read is right or refused, and is right again once it is silent."""
    content = b"".join(b"line %d\n" % number for number in range(2000))
    with Sshd() as sshd, Person(shell="/bin/bash") as person:
        (person.home / ".bashrc").write_text(
            "(for turn in $(seq 300); do echo noise; sleep 0.01; done; : > ~/silent) 2>/dev/null &\n"
        )
        path = person.home / "x"
        path.write_bytes(content)
        with sshd.connection(user=person.name) as host:
            assert host.identity()[0] == person.name
            told = []
            for _ in range(100):
                try:
                    state = host.read(str(path))
                except HostError as error:
                    told.append(error.what)
                else:
                    assert state is not None
                    assert state.content == content
            assert set(told) == {"what was read does not match the file's checksum"}
            wait_for((person.home / "silent").exists)
            host.run(["true"])  # takes what was said meanwhile
            last = host.read(str(path))
            assert last is not None
            assert last.content == content


def test_a_login_without_a_shell_is_told(tmp_path: Path) -> None:
    person = Person(shell="/usr/sbin/nologin")
    with Sshd() as sshd, person, sshd.connection(user=person.name) as host:
        refused(host, "not available")


# -- root --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    ["", "\nDefaults:USER requiretty", "\nDefaults:USER use_pty", "\nDefaults:USER requiretty,use_pty"],
)
@pytest.mark.parametrize("rule", [NOPASSWD, WITH_PASSWORD])
def test_root_by_way_of_sudo(tmp_path: Path, rule: str, more: str) -> None:
    with Sshd() as sshd, Person(sudoers=rule + more, shell="/bin/bash") as person:
        access = Access()
        with sshd.connection(access, user=person.name, become="sudo") as host:
            if rule == WITH_PASSWORD:
                needed = asked(host)
                assert (needed.kind, needed.host) == ("sudo", "srv1")
                access.give("sudo", "srv1", Secret("wrong"))
                assert "did not accept" in asked(host).what
                assert access.secret("sudo", "srv1") is None
                access.give("sudo", "srv1", Secret(person.password))
            assert host.identity() == ("root", "root", True)
            content = bytes(range(256)) * 400 + b"\r\n\n"
            path = str(tmp_path / "x")
            state = FileState(content, 0o640, "root", "daemon")
            host.commit(host.stage(path, state, tag="t"), path)
            assert host.read(path) == state
            ended = host.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=content)
            assert (ended.code, ended.stdout, ended.stderr.strip()) == (
                3,
                content.decode("utf-8", "replace"),
                "err",
            )
            assert host.run_bytes(["cat"], stdin=content).stdout == content
            assert len(uploads(person.uid)) == 1
        wait_for(lambda: not uploads(person.uid))


def test_no_right_to_sudo_is_told_at_the_start(tmp_path: Path) -> None:
    with Sshd() as sshd, Person() as person:
        access = Access()
        access.give("sudo", "srv1", Secret(person.password))
        with sshd.connection(access, user=person.name, become="sudo") as host:
            refused(host, "may not use sudo")
        with sshd.connection(user=person.name) as host:
            assert not host.identity()[2]
            with pytest.raises(HostError, match=r"permission denied|not permit") as problem:
                host.stage("/etc/firescreen-test", FileState(b""), tag="t")
            assert "become: sudo" in problem.value.todo


def test_root_needs_no_sudo(host: SshConnection, server: Sshd) -> None:
    with server.connection(become="sudo") as connection:
        assert connection.identity() == ("root", "root", True)


# -- secrets -----------------------------------------------------------------------------------------------


def test_nothing_secret_in_any_process(tmp_path: Path) -> None:
    content = b"key-material-" + os.urandom(8).hex().encode()
    seen: set[str] = set()
    stop = threading.Event()
    with Sshd() as sshd, Person(sudoers=WITH_PASSWORD, shell="/bin/bash") as person:
        watcher = threading.Thread(target=read_arguments, args=(stop, seen))
        watcher.start()
        access = Access()
        for kind in ("password", "sudo"):
            access.give(kind, "srv1", Secret(person.password))
        with sshd.connection(access, user=person.name, identity_file="/none", become="sudo") as host:
            for turn in range(10):
                path = str(tmp_path / f"x{turn}")
                host.commit(host.stage(path, FileState(content, 0o600), tag="t"), path)
            host.run(["sh", "-c", "cat >/dev/null; sleep 0.3; : marker-of-ours"], stdin=content)
        stop.set()
        watcher.join(30)
        assert any("marker-of-ours" in text for text in seen), "the watcher saw what ran"
        for secret in (person.password, content.decode()):
            assert not any(secret in text for text in seen)
        assert not list(person.home.rglob("*history*"))


# -- faults ------------------------------------------------------------------------------------------------


def test_cut_at_any_byte_leaves_the_old_file(server: Sshd, tmp_path: Path) -> None:
    content = os.urandom(60_000)
    path = tmp_path / "web.yml"
    path.write_text("old")
    before = uploads(0)
    with Proxy(server.port) as proxy:
        server.know(port=proxy.port)
        with server.connection(port=proxy.port) as host:
            host.connect()
            start = proxy.passed
            host.stage(str(path), FileState(content), tag="t")
            whole = proxy.passed - start
        assert whole > len(content)
        draw = random.Random(4)
        for _ in range(12):
            with server.connection(port=proxy.port) as host:
                proxy.limit = None
                host.connect()
                proxy.limit = proxy.passed + draw.randrange(1, whole - 200)
                began = time.monotonic()
                with pytest.raises(HostError, match="lost"):
                    host.stage(str(path), FileState(content), tag="t")
                assert time.monotonic() - began < 20
                assert path.read_text() == "old"
                # The next operation connects anew, and finds nothing half done that it cannot mend.
                proxy.limit = None
                host.remove(host.staged_name(str(path), tag="t"))
                assert host.names(str(tmp_path)) == ("web.yml",)
    wait_for(lambda: uploads(0) <= before)


def test_a_host_that_falls_silent_is_given_up(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.connections.ssh.connection._UPLOAD", 0.5)
    with Proxy(server.port, silent=True) as proxy:
        server.know(port=proxy.port)
        with server.connection(port=proxy.port) as host:
            host.connect()
            proxy.limit = proxy.passed + 1
            began = time.monotonic()
            with pytest.raises(HostError, match="did not answer in time"):
                host.run(["true"], timeout=1)
            assert time.monotonic() - began < 10


def test_a_host_that_falls_silent_under_a_large_file_is_given_up(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.connections.ssh.connection._patience", lambda content: 1.5)
    with Proxy(server.port, silent=True) as proxy:
        server.know(port=proxy.port)
        for sftp in (True, False):
            proxy.limit = None
            with server.connection(port=proxy.port) as host:
                host.stage(str(tmp_path / "small"), FileState(b"x"), tag="t")
                proxy.limit = proxy.passed + 10_000
                began = time.monotonic()
                content = os.urandom(30_000_000)
                if sftp:
                    with pytest.raises(HostError):
                        host.stage(str(tmp_path / "x"), FileState(content), tag="t")
                else:
                    with pytest.raises(HostError):
                        host.run(["cat"], stdin=content, timeout=1)
                assert time.monotonic() - began < 40
    assert not (tmp_path / "x").exists()


def test_a_closed_connection_ends_what_waits_and_stays_closed(server: Sshd) -> None:
    with server.connection() as host:
        host.connect()
        closer = threading.Timer(0.5, host.close)
        closer.start()
        began = time.monotonic()
        with pytest.raises(HostError):
            host.run(["sleep", "60"], timeout=60)
        assert time.monotonic() - began < 10
        with pytest.raises(HostError, match="closed"):
            host.read("/etc/hosts")
        host.close()


def test_a_slow_link_takes_few_round_trips(server: Sshd, tmp_path: Path) -> None:
    with Proxy(server.port) as proxy:
        server.know(port=proxy.port)
        with server.connection(port=proxy.port) as host:
            host.stage(str(tmp_path / "first"), FileState(b"x"), tag="t")
            proxy.delay, proxy.turns = 0.05, 0
            host.read_many([f"/etc/{name}" for name in ("hosts", "passwd", "group", "fstab", "nothing")])
            assert proxy.turns <= 2


# -- what a host reaches -----------------------------------------------------------------------------------


@contextmanager
def answering() -> Iterator[str]:
    """A server that sends back in capitals what it gets until the client is done, and where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        while data := client.recv(65536):
                            client.sendall(data.upper())

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        serving.join(5)


def sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(each.readlink()).startswith("socket:")
    return found


def carriers() -> int:
    """Threads that carry between a socket and a host."""
    return sum(thread.name.startswith("forward") for thread in threading.enumerate())


def test_what_a_host_reaches_is_reached_through_it(host: SshConnection, tmp_path: Path) -> None:
    """Both ways, megabytes, several at once and while an operation is under way; and nothing is left of it."""
    host.connect()
    before = sockets()
    sent = random.Random(7).randbytes(3_000_000).hex().encode()

    def talk(place: str) -> bytes:
        with host.open_tunnel(place, 5) as sock:
            threading.Thread(target=sock.sendall, args=(sent,), daemon=True).start()
            came = bytearray()
            while len(came) < len(sent):
                came += sock.recv(65536)
            return bytes(came)

    with answering() as place, ThreadPoolExecutor(4) as pool:
        done = tmp_path / "done"
        busy = pool.submit(host.run, ["sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.1; done', str(done)])
        try:
            with host.open_tunnel(place, 5) as sock:
                sock.sendall(b"meanwhile")
                assert sock.recv(100) == b"MEANWHILE"
            assert not busy.done()
        finally:
            done.touch()
        assert busy.result().code == 0
    for _ in range(2):
        with answering() as place:
            assert talk(place) == sent.upper()
    deadline = time.monotonic() + 10
    # Other tests' sockets may still be closed meanwhile.
    while (sockets() > before or carriers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sockets() <= before
    assert not carriers()


def test_where_a_host_gets_nowhere_that_is_told(host: SshConnection) -> None:
    host.connect()
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConnectionRefusedError):
        host.open_tunnel(closed, 5)
    assert host.run(["true"]).code == 0
    with Sshd("AllowTcpForwarding no") as other, other.connection() as alone, answering() as place:
        other.know()
        with pytest.raises(ForbiddenError, match="AllowTcpForwarding"):
            alone.open_tunnel(place, 5)
        assert alone.run(["true"]).code == 0


def test_a_way_through_a_host_ends_with_its_connection(server: Sshd) -> None:
    with server.connection() as host, answering() as place, host.open_tunnel(place, 5) as sock:
        sock.settimeout(10)
        host.close()
        assert sock.recv(10) == b""
        with pytest.raises(HostError, match="closed"):
            host.open_tunnel(place, 5)


class BreakableSocket(socket.socket):
    """Sends no more once it is broken; what comes is still received."""

    broken = False

    def send(self, *data: Any) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().send(*data)


def test_a_way_through_a_host_ends_quietly_where_its_connection_is_lost(server: Sshd) -> None:
    """Its threads tell the server that it is closed, which can no longer be sent: pytest reports their errors."""
    dialled = BreakableSocket()
    dialled.connect(("127.0.0.1", server.port))
    with closing(paramiko.Transport(dialled)) as transport, answering() as place:
        transport.connect(username="root", pkey=paramiko.PKey.from_path(server.key))
        sock = forwarding.through(transport, place, 5)
        dialled.broken = True
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(10)
        assert sock.recv(10) == b""
        sock.close()
    deadline = time.monotonic() + 10
    while carriers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not carriers()


def test_with_one_session_only_there_is_a_way_through_all_the_same() -> None:
    with Sshd("MaxSessions 1") as sshd, sshd.connection() as host, answering() as place:
        sshd.know()
        host.connect()
        with host.open_tunnel(place, 5) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"X"


def uploads(uid: int) -> set[Path]:
    """The private folders of uploads that a login owns."""
    found = set()
    for folder in Path("/run").glob("firescreen.*"):
        with suppress(FileNotFoundError):
            if folder.stat().st_uid == uid:
                found.add(folder)
    return found


def allow(server: Sshd, key: Path) -> None:
    with server.authorized.open("a") as file:
        file.write(key.with_suffix(".pub").read_text())


class agent:  # noqa: N801 - read as a word
    """An ssh-agent of one's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._socket = folder / "agent"
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        program = shutil.which("ssh-agent")
        assert program
        self._process = subprocess.Popen([program, "-D", "-a", self._socket], stdout=subprocess.DEVNULL)
        wait_for(self._socket.exists)
        self._monkeypatch.setenv("SSH_AUTH_SOCK", str(self._socket))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(true: object, seconds: float = 20) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)

"""Root writes in folders of other users: nothing outside of them is read or changed, over every kind of connection.

The owner of a folder can put links, hard links, pipes and other folders there, also during a run. The tests
have a table of such layouts, and a process of the folder's owner that swaps them all the time; each for every
kind of connection.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial

import pytest
from incus_hosts import Incus, Instance
from sshd import Person, Sshd

from tests.processes import run_program
from wizard.connections.base import Connection
from wizard.connections.incus import IncusConnection
from wizard.connections.local import LocalConnection
from wizard.connections.ssh.connection import SshConnection
from wizard.connections.sudo import open_local
from wizard.errors import FileChangedError, HostError, PathError, UnsafePathError
from wizard.model import FileState

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(os.geteuid() != 0, reason="root is whom it is about"),
    pytest.mark.timeout(900),
]

WAYS = ("local", "local sudo", "ssh", "ssh sudo", "incus")
ROUNDS = int(os.environ.get("FIRESCREEN_SWAPS", "200"))


@dataclass(frozen=True, slots=True)
class Access:
    """A kind of connection to a host, and the test's own access to it. All files are in `base`, a folder of root's."""

    connection: Connection
    inside: tuple[str, ...]
    base: str

    def run(self, script: str) -> str:
        """Runs a script as root, in `base`."""
        words = [*self.inside, "sh", "-ec", f"cd {self.base}\n{script}"]
        ended = run_program(words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def outside(self) -> str:
        """Returns everything that must not change: content, owner, mode, time, link targets."""
        return self.run(
            "find outside -printf '%p %y %U:%G %m %s %T@ %l\\n' | sort; find outside -type f -exec sha256sum {} +"
        )


@pytest.fixture(scope="module", params=WAYS)
def reached(request: pytest.FixtureRequest) -> Iterator[tuple[Connection, tuple[str, ...]]]:
    """Yields a connection of each kind that acts as root, and the command prefix to run on its host."""
    with ExitStack() as stack:
        if request.param == "incus":
            instance: Instance = request.getfixturevalue("container")
            connection: Connection = stack.enter_context(closing(IncusConnection(instance.spec)))
            yield connection, tuple(instance.inside)
            return
        if request.param == "local":
            connection = LocalConnection("here")
        elif request.param == "local sudo":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "geteuid", lambda: 1000)
                connection = open_local("here", become="sudo")
        elif request.param == "ssh":
            connection = stack.enter_context(stack.enter_context(Sshd()).connection())
        else:
            person = stack.enter_context(Person(sudoers="USER ALL=(ALL) NOPASSWD: ALL"))
            server = stack.enter_context(Sshd())
            connection = stack.enter_context(server.connection(user=person.name, become="sudo"))
        yield connection, ()


@pytest.fixture
def access(reached: tuple[Connection, tuple[str, ...]]) -> Iterator[Access]:
    connection, inside = reached
    base = f"/srv/fst-{secrets.token_hex(6)}"
    subprocess.run([*inside, "mkdir", "-m", "755", base], check=True, timeout=60)
    # In memory: each write waits until it is on the disk.
    mount = ["mount", "-t", "tmpfs", "-o", "mode=755,size=64m", "tmpfs", base]
    subprocess.run([*inside, *mount], check=True, timeout=60)
    try:
        found = Access(connection, inside, base)
        found.run(LAYOUT)
        before = found.outside()
        yield found
        assert found.outside() == before, "nothing outside is touched"
    finally:
        subprocess.run([*inside, "umount", base], check=True, timeout=60)
        subprocess.run([*inside, "rmdir", base], check=True, timeout=60)


@pytest.fixture(scope="module")
def container(incus: Incus) -> Iterator[Instance]:
    with Instance("bookworm", "paths", incus, programs=()) as instance:
        yield instance


# A folder of nobody's without planted files; and the files outside that must not change.
LAYOUT = """
mkdir -m 755 outside outside/folder etc etc/roots etc/own shared sticky
for name in secret folder/web.yml; do echo precious > outside/$name; chmod 600 outside/$name; done
echo open > outside/open; chmod 666 outside/open
cd etc
echo plain > web.yml; echo roots > of-root; echo inner > own/web.yml; echo inner > roots/web.yml
ln -s ../outside/secret relative; ln -s $PWD/../outside/secret absolute; ln -s ../outside linked
ln -s /nowhere dangling; ln -s own current; ln -s of-root roots-link
ln ../outside/secret hard; mkfifo pipe
chown -h nobody:nogroup . web.yml relative absolute linked dangling own own/web.yml current pipe
cd ..
ln -s etc roots-way; ln -s $PWD/outside/secret roots-file; ln -s $PWD/roots-way/web.yml chain
echo mine > shared/web.yml; ln -s ../outside/secret shared/link; chgrp nogroup shared; chmod 775 shared
chmod 1777 sticky; mkdir -m 755 sticky/theirs; ln -s ../outside/secret sticky/link
echo theirs > sticky/theirs/web.yml; chown -Rh nobody sticky/theirs sticky/link
mkdir -m 755 sticky/roots; echo roots > sticky/roots/web.yml
"""

ALLOWED = {
    "etc/web.yml": "a plain file of the owner's",
    "etc/of-root": "a plain file of root's",
    "etc/own/web.yml": "a folder of the same owner's",
    "etc/current/web.yml": "the owner's link to what is the owner's",
    "roots-way/web.yml": "root's link in root's folder",
    "chain": "root's links, one after the other",
    "roots-file": "root's link to root's file",
    "shared/web.yml": "root's folder, in which a group may write",
    "sticky/theirs/web.yml": "a folder below one like /tmp",
    "sticky/roots/web.yml": "root's folder below one like /tmp",
    "etc/new.yml": "a new file",
}
REFUSED = {
    "etc/relative": "into one of another owner",
    "etc/absolute": "through a link in",
    "etc/dangling": "through a link in",
    "etc/roots-link": "through a link in",
    "etc/linked/secret": "into one of another owner",
    "etc/linked/folder/web.yml": "into one of another owner",
    "etc/roots/web.yml": "into one of another owner",
    "etc/hard": "second name (hard link)",
    "shared/link": "the group nogroup can change",
    "sticky/link": "everybody can change",
}


def put(connection: Connection, path: str, content: bytes, *, mode: int = 0o640) -> None:
    connection.commit(connection.stage(path, FileState(content, mode, "root", "nogroup"), tag="t"), path)


def test_safe_paths_keep_working(access: Access) -> None:
    connection = access.connection
    for path in (name for name in ALLOWED if name != "roots-file"):
        place = f"{access.base}/{path}"
        before = connection.read(place)
        assert (before is None) == (path == "etc/new.yml"), ALLOWED[path]
        assert connection.examine([place])[place].problem == ""
        put(connection, place, path.encode())
        found = connection.read(place)
        assert found == FileState(path.encode(), 0o640, "root", "nogroup"), ALLOWED[path]
        if before is not None:
            connection.commit(connection.stage(place, before, tag="t"), place)
            assert connection.read(place) == before
        else:
            connection.remove(place)
    assert connection.read(f"{access.base}/roots-file") == FileState(b"precious\n", 0o600, "root", "root")
    folder = f"{access.base}/etc/keys"
    connection.make_folder(folder, mode=0o750, owner="root", group="nogroup")
    info = connection.stat(folder)
    assert info is not None
    assert (info.mode, info.owner, info.group) == (0o750, "root", "nogroup")
    assert connection.remove_folder(folder)
    connection.set_folder_rights(f"{access.base}/etc/own", mode=0o700, owner="nobody", group="root")
    assert access.run("stat -c '%a %U %G' etc/own").split() == ["700", "nobody", "root"]
    assert "firescreen" not in access.run("find . -name '*firescreen*'")
    assert sorted(connection.names(f"{access.base}/roots-way/own")) == ["web.yml"]


def test_unsafe_paths_are_refused(access: Access) -> None:
    everything = "find . -printf '%p %y %U %m %T@ %l\\n' | sort"
    before = access.run(everything)
    for path in REFUSED:
        refuses(access, path)
    assert access.run(everything) == before


def refuses(access: Access, path: str) -> None:
    connection, place = access.connection, f"{access.base}/{path}"
    todo: dict[str, Callable[[], object]] = {
        "read": partial(connection.read, place),
        "stat": partial(connection.stat, place),
        "stage": partial(connection.stage, place, FileState(b"x"), tag="t"),
        "remove": partial(connection.remove, place),
        "make_folder": partial(connection.make_folder, place, mode=0o755, owner="root", group="root"),
        "remove_folder": partial(connection.remove_folder, place),
    }
    if isinstance(connection, SshConnection):
        todo["put"] = partial(connection.replace_if_unchanged, place, FileState(b"x"), tag="t", before=None)
    for name, operation in todo.items():
        with pytest.raises(UnsafePathError) as refused:
            operation()
        assert REFUSED[path] in refused.value.what, name
        assert refused.value.where == place, name
        assert "chown root:" in refused.value.todo or "chmod go-w" in refused.value.todo
    examined = connection.examine([place, f"{access.base}/etc/web.yml"])
    assert examined[place].problem
    assert examined[f"{access.base}/etc/web.yml"].problem == "", "one does not stand for all"


def test_a_named_pipe_is_refused_without_waiting(access: Access) -> None:
    place = f"{access.base}/etc/pipe"
    for operation in (
        access.connection.read,
        partial(access.connection.stage, state=FileState(b"x"), tag="t"),
    ):
        with pytest.raises(PathError, match="not a regular file"):
            operation(place)


def test_leftovers_of_an_interrupted_run_are_removed(access: Access) -> None:
    access.run(
        "cd etc; echo x > .web.yml.firescreen-t; mkdir -m 700 .web.yml.firescreen-t+; echo y > .web.yml.firescreen-t+/new"
    )
    access.connection.remove(access.connection.staged_name(f"{access.base}/etc/web.yml", tag="t"))
    left = access.run("ls -A etc")
    if not isinstance(access.connection, LocalConnection):
        assert "firescreen" not in left, "also the private folder of a host's script"


def test_a_folder_that_would_have_to_be_created_there_is_refused_before_any_change(access: Access) -> None:
    place = f"{access.base}/etc/new/web.yml"
    assert "would have to be made" in access.connection.examine([place])[place].problem
    assert access.connection.read(place) is None


# The folder's owner does this as fast as possible. Some names exist for a moment only, so that it wins some races.
SWAPPER = """
import os, random, select, sys, time
folder, outside, pause = sys.argv[1:]
os.chdir(folder)
swaps = 0
def clear(name):
    try:
        os.unlink(name)
    except IsADirectoryError:
        try:
            os.rmdir(name)
        except OSError:
            os.rename(name, f"gone{random.random()}")
def swap(name):
    clear(name)
    target = random.choice(["secret", "open", "folder", "folder/web.yml", "none"])
    random.choice([
        lambda: os.symlink(f"{outside}/{target}", name),
        lambda: os.symlink(f"../outside/{target}", name),
        lambda: os.symlink("..", name),
        lambda: os.link(f"{outside}/open", name),
        lambda: os.link(f"{outside}/secret", name),
        lambda: os.mkdir(name, 0o777),
        lambda: open(name, "w").close(),
        lambda: None,
        lambda: os.mkfifo(name) if random.random() < 0.05 else None,
    ])()
print("ready", flush=True)
end = time.monotonic() + 850
while time.monotonic() < end and not select.select([0], [], [], 0)[0]:
    for name in {"web.yml", "sub", *os.listdir(".")}:
        if name.startswith("gone"):
            continue
        try:
            swap(name)
        except OSError:
            pass
    time.sleep(random.choice([0, 0, 0.02, 0.1, 1]) * random.random() * float(pause))
"""


def test_nothing_outside_changes_while_paths_are_swapped(
    access: Access, request: pytest.FixtureRequest
) -> None:
    connection, folder = access.connection, f"{access.base}/etc"
    access.run("rm -rf etc/*")
    # So that it wins often, and not always.
    pause = "0.005" if request.node.callspec.params["reached"] == "local" else "1"
    owner = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    words = [
        *access.inside,
        *owner,
        "/usr/bin/python3",
        "-c",
        SWAPPER,
        folder,
        f"{access.base}/outside",
        pause,
    ]
    done = dict.fromkeys(("put", "remove", "make", "unmake", "rights", "read", "undo"), 0)
    path, inner = f"{folder}/web.yml", f"{folder}/sub"
    rights = {"owner": "root", "group": "nogroup"}
    before: FileState | None = None

    def undo() -> None:
        if before is None:
            connection.remove(path)
        else:
            connection.commit(connection.stage(path, before, tag="undo"), path)

    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdin
        assert swapper.stdout
        try:
            assert swapper.stdout.readline() == b"ready\n"
            for number in range(ROUNDS):
                steps: dict[str, Callable[[], object]] = {
                    "read": partial(connection.read, path),
                    "make": partial(connection.make_folder, inner, mode=0o755, **rights),
                    "put": partial(write, connection, path, b"key: %d\n" % number),
                    "rights": partial(connection.set_folder_rights, inner, mode=0o711, **rights),
                    "unmake": partial(connection.remove_folder, inner),
                    "undo": undo,
                    "remove": partial(connection.remove, f"{folder}/.web.yml.firescreen-t"),
                }
                before = None
                for name, step in steps.items():
                    with suppress(HostError, FileChangedError):
                        came = step()
                        done[name] += 1
                        if name == "read":
                            assert isinstance(came, FileState | None)
                            before = came
                            assert came is None or came.content in (b"", b"open\n") or b"key" in came.content
        finally:
            swapper.stdin.close()
            swapper.wait(20)
    print(access, done, file=sys.stderr)
    assert done["put"] > ROUNDS / 20, "it must be able to succeed, or nothing is shown"


def write(connection: Connection, path: str, content: bytes) -> None:
    state = FileState(content, 0o666, "nobody", "nogroup")
    if isinstance(connection, SshConnection):
        connection.replace_if_unchanged(path, state, tag="t", before=None)
    else:
        put(connection, path, content, mode=0o666)

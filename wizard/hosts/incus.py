"""An incus or LXD instance as a host, by way of its client's `exec`; the client may be on another machine.

Promises: those of `shell` for files; root inside the instance and nothing outside of it; no shell between the
caller's argv and the instance; a client that cannot reach the instance is an error and never a program's result.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Sequence

from wizard.errors import HostError
from wizard.hosts import failures
from wizard.hosts.local import LocalConnection
from wizard.hosts.process import LIMIT, Ended
from wizard.hosts.shell import ShellFiles
from wizard.model import Completed, Connection, FileState, HostSpec, PathInfo
from wizard.redact import plain

_CLIENTS = ("incus", "lxc", "/snap/bin/lxc")
"""A snap's folder is not on the PATH that sudo and sshd give."""

# [remote:]name; what begins with '-' would be an option.
_INSTANCE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*:)?[A-Za-z0-9][A-Za-z0-9-]*")
_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The programs that are run speak English, without pager and colours.
_ENVIRONMENT = ("LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", "SYSTEMD_URLIFY=0")

_REFUSALS: tuple[tuple[str, str, str], ...] = (
    ("Instance is not running", "the instance {name} is stopped", "Start it: {client} start {name}"),
    ("Instance is frozen", "the instance {name} is paused", "Let it go on: {client} {thaw} {name}"),
    (
        "Instance not found",
        "there is no instance {name}",
        "Correct `instance` in the stack file; `{client} list` shows what there is.",
    ),
    (
        "The remote ",
        "{client} knows no such remote: {name}",
        "Correct `instance` in the stack file; `{client} remote list` shows what there is.",
    ),
    (
        "needed permissions",
        "this user may not talk to the {daemon} daemon",
        "Add the user to the group {group} and log in again, or set `become: sudo` for this host.",
    ),
    (
        "permission denied",
        "this user may not talk to the {daemon} daemon",
        "Add the user to the group {group} and log in again, or set `become: sudo` for this host.",
    ),
    (
        "appear to be started",
        "the {daemon} daemon does not run",
        "Start it: systemctl start {daemon}",
    ),
    (
        "connect: ",
        "the {daemon} daemon does not answer",
        "Look at it: systemctl status {daemon}",
    ),
    (
        "not authorized",
        "the {daemon} daemon does not trust this client",
        "Add the remote again: {client} remote add",
    ),
)
"""A mark in the client's own error, what happened, what to do."""

_MOST = 3_000_000
"""Bytes kept of a program's output: in base64, what every connection brings over."""

# The client now and then loses all that a program says if the program ends before the client has begun to read: so
# it was measured, and nothing tells of it. So a program's two outputs and its exit code travel framed on one of
# them, and the padding behind, being larger than the pipes and sockets on the way, is only written to its end once
# the client reads; a frame that is missing all the same is an error. base64 brings every byte through connections
# that decode what they bring; the padding goes no further than the client's machine.
_FRAMED = f"""
exec 4>&1
rest=$({{ {{ {{ "$@" 4>&- 5>&-; printf " %d " $? >&5; }} 2>&3 3>&- |
    {{ head -c {_MOST}; cat >/dev/null; }} | base64 -w 0 >&4; }} 3>&1 |
    {{ head -c 65536; cat >/dev/null; }} | base64 -w 0; }} 5>&1)
printf '.%s.\\n' "$rest"
head -c 1000000 /dev/zero
"""
_UNPADDED = """
"$@" | tr -d '\\000'
"""
_NAMES = """
cat /proc/sys/kernel/hostname; printf '\\0'
cat /etc/hosts; printf '\\0'
ip -j addr show up || hostname -I
exit 0
"""


class IncusConnection:
    """An instance; implements `model.Connection`.

    Args:
        spec: its `name` is what messages call the host; `instance` is the instance's, also as remote:name;
            `address` is what others reach it by, if given.
        via: the machine that has the client, and the caller's to close; by default this one, where the
            client is run as `become` says.

    Raises:
        HostError: `instance` is no name of an instance.
    """

    def __init__(self, spec: HostSpec, *, via: Connection | None = None) -> None:
        self.name = spec.name
        instance = spec.instance or spec.name
        if not _INSTANCE.fullmatch(instance):
            raise HostError(
                f"{plain(instance, 80)!r} is no name of an instance",
                where=spec.name,
                todo="Write `instance` as the client's list shows it, or as remote:name.",
            )
        self._address = spec.address
        here = LocalConnection(spec.name, become=spec.become)
        self._files = _InstanceFiles(spec.name, instance, via or here)
        self._identity: tuple[str, str, bool] | None = None

    # -- looking -----------------------------------------------------------------------------------------

    def read(self, path: str) -> FileState | None:
        """The file at `path` (links followed), or None; HostError from about 3 MB on."""
        return self._files.read(path)

    def info(self, path: str) -> PathInfo | None:
        """What stands at `path`, or None."""
        return self._files.info(path)

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if there is no such folder."""
        return self._files.names(folder)

    def host_names(self) -> tuple[str, ...]:
        """Names and addresses that the instance answers to, best first: what its certificate must name.

        The stack's address, its own name, its longer names from /etc/hosts, localhost, the addresses of its
        interfaces (link-local ones left out), 127.0.0.1 and, where the loopback has it, ::1.
        """
        _, out, _ = self._files.script(_NAMES)
        short, hosts, addresses = (*out.decode("utf-8", "replace").split("\0"), "", "")[:3]
        short = short.strip()
        longer: list[str] = []
        for line in hosts.splitlines():
            words = line.partition("#")[0].split()[1:]
            if short in words:
                longer += [word for word in words if "." in word and not word.startswith("localhost")]
        own = _addresses(addresses)
        loopback = [text for text in own if text == "::1"]
        others = [text for text in own if text != "::1"]
        found = [self._address, short, *longer, "localhost", *others, "127.0.0.1", *loopback]
        return tuple(dict.fromkeys(filter(None, found)))

    def identity(self) -> tuple[str, str, bool]:
        """User and primary group that operations are done as, and whether that is root."""
        if self._identity is None:
            user, group, number = (
                self._files.run(["id", flag]).stdout.decode().strip() for flag in ("-un", "-gn", "-u")
            )
            self._identity = (user, group, number == "0")
        return self._identity

    def clock(self) -> float:
        """Its time now (seconds since 1970, UTC), give or take half the way there and back."""
        began = time.monotonic()
        ended = self._files.run(["date", "+%s.%N"], timeout=10)
        passed = time.monotonic() - began
        try:
            return float(ended.stdout) + passed / 2
        except ValueError:
            raise HostError(
                "it does not say what time it is", where=self.name, todo="Try `date +%s` there."
            ) from None

    # -- writing -----------------------------------------------------------------------------------------

    def staged_name(self, path: str, *, tag: str) -> str:
        """`.{name}.firescreen-{tag}` beside the real file; HostError if `tag` could leave the folder."""
        if not _TAG.fullmatch(tag):
            raise HostError(f"the tag {tag!r} cannot be part of a file name", where=path)
        folder, base = os.path.split(self._files.real(path))
        return os.path.join(folder, f".{base}.firescreen-{tag}")

    def stage(self, path: str, state: FileState, *, tag: str) -> str:
        """Writes `state` beside `path`; see `model.Connection.stage`. A leftover of that tag is replaced."""
        staged = self.staged_name(path, tag=tag)
        self._files.stage(staged, state, path=path)
        return staged

    def commit(self, staged: str, path: str) -> None:
        """Renames `staged` onto the real file behind `path` in one atomic step, and onto the disk."""
        self._files.commit(staged, self._files.real(path))

    def remove(self, path: str) -> None:
        """Removes a file (of a link: what it leads to); no error if it is already gone."""
        self._files.remove(self._files.real(path))

    def make_folder(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Makes one folder, never more open than `mode`; one that is there keeps its rights."""
        self._files.make_folder(path, mode=mode, owner=owner, group=group)

    def remove_folder(self, path: str) -> bool:
        """Removes a folder if it is empty; says whether it is gone."""
        return self._files.remove_folder(path)

    # -- running -----------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Runs a program as root inside; at a time-out it is ended there, with the programs that it started.

        A program that is not there ends with code 127. At most 3 MB of standard output and 64 KB of standard error
        are kept.
        """
        ended = self._files.run(argv, stdin=stdin, timeout=timeout)
        return Completed(
            tuple(argv),
            ended.code,
            ended.stdout.decode("utf-8", "replace"),
            ended.stderr.decode("utf-8", "replace"),
        )

    def close(self) -> None:
        """Nothing to end: `via` is the caller's."""


class _InstanceFiles(ShellFiles):
    """Runs what the scripts need by the client's `exec`."""

    def __init__(self, host: str, instance: str, via: Connection) -> None:
        super().__init__(host)
        self._instance = instance
        self._via = via
        self._client = ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0, limit: int = LIMIT
    ) -> Ended:
        """Runs `argv` inside.

        Raises:
            HostError: the instance cannot be reached, its answer was lost on the way, or the time is over.
        """
        self._client = self._client or self._find()
        ended = self._exec(self._client, self.bounded(argv, timeout), stdin=stdin, timeout=timeout)
        if isinstance(ended, Completed):
            raise self._refusal(self._client, ended)
        self.refuse_late(argv, ended.code)
        return ended

    def script(
        self, script: str, *arguments: str, stdin: bytes = b"", limit: int = LIMIT
    ) -> tuple[int, bytes, str]:
        """See `ShellFiles.script`; HostError too if its output is larger than what is kept."""
        code, out, err = super().script(script, *arguments, stdin=stdin, limit=limit)
        if len(out) >= _MOST:
            raise HostError("it is too large to be a configuration file", where=arguments[0])
        return code, out, err

    def _find(self) -> str:
        """The client that reaches the instance: a machine may have both, and the instance in one of them.

        Raises:
            HostError: none does; of several reasons, the one that lies nearest to the instance.
        """
        reasons: list[tuple[int, HostError]] = []
        for client in _CLIENTS:
            ended = self._exec(client, ["true"])
            if isinstance(ended, Ended):
                return client
            if "Error:" not in ended.stderr and "not found" in ended.stderr:
                continue
            nearest = next((at for at, row in enumerate(_REFUSALS) if row[0] in ended.stderr), len(_REFUSALS))
            reasons.append((nearest, self._refusal(client, ended)))
        if not reasons:
            raise HostError(
                "neither incus nor lxc is installed",
                where=self._via.name,
                todo="Name the machine that holds the instance, or install its client there.",
            )
        raise min(reasons, key=lambda reason: reason[0])[1]

    def _exec(
        self, client: str, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 15.0
    ) -> Ended | Completed:
        """How `argv` ended inside, or how the client did that could not run it there."""
        environment = (word for pair in _ENVIRONMENT for word in ("--env", pair))
        exec_ = [client, "exec", self._instance, "--mode=non-interactive", *environment, "--"]
        answer = self._via.run(
            ["sh", "-c", _UNPADDED, "sh", *exec_, "sh", "-c", _FRAMED, "sh", *argv],
            stdin=stdin,
            # The bound inside comes first, and has two seconds to end what does not want to.
            timeout=timeout + 5,
        )
        return _unframed(answer.stdout) or answer

    def _refusal(self, client: str, ended: Completed) -> HostError:
        name = os.path.basename(client)
        lxd = name == "lxc"
        words = {
            "name": self._instance,
            "client": name,
            "thaw": "start" if lxd else "resume",
            "daemon": "lxd" if lxd else "incus",
            "group": "lxd" if lxd else "incus-admin",
        }
        for mark, what, todo in _REFUSALS:
            if mark in ended.stderr:
                return HostError(what.format(**words), where=self._host, todo=todo.format(**words))
        if refusal := failures.from_sudo(ended.stderr, host=self._host):
            return refusal
        said = plain(ended.stderr.strip(), 300) or "its answer did not arrive"
        return HostError(
            f"{name} cannot reach the instance {self._instance}: {said}",
            where=self._host,
            todo=f"Try it in a terminal: {name} exec {self._instance} -- true",
        )


def _unframed(answer: str) -> Ended | None:
    """What `_FRAMED` wrote, or None if the end of it is missing."""
    out, _, rest = answer.partition(".")
    rest, whole, _ = rest.partition(".")
    # The exit code stands somewhere in the other text: two wrote side by side.
    code = re.search(r" (\d+) ", rest)
    if not whole or not code:
        return None
    try:
        stdout, stderr = (
            base64.b64decode(text, validate=True) for text in (out, rest.replace(code[0], "", 1))
        )
    except binascii.Error:
        return None
    return Ended(int(code[1]), stdout, stderr, len(stdout) >= _MOST)


def _addresses(text: str) -> list[str]:
    """Addresses of `ip -j addr` (global ones, and ::1), or of `hostname -I` where there is no ip."""
    try:
        links = json.loads(text)
    except ValueError:
        return [word for word in text.split() if re.fullmatch(r"[0-9a-fA-F.:]+", word)]
    found: list[str] = []
    for link in links if isinstance(links, list) else []:
        for address in link.get("addr_info", ()):
            text, scope = str(address.get("local", "")), address.get("scope")
            if scope == "global" or text == "::1":
                found.append(text)
    return found

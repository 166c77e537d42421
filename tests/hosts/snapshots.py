"""The state of a host at an instant, read without Firescreen's code: files, units, targets, and answers of its ports."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeAlias

from machines import Machine

FOLDERS = (
    "etc",
    "opt",
    "usr/local",
    "srv",
    "var/spool/cron",
    "root",
    "home",
    "usr/lib/systemd",
    "snap",
    "data",
)
_LEFT_OUT = ("opt/firescreen", "root/.local", "root/.cache", "home/admin/.sudo_as_admin_successful")
"""Firescreen itself and its own folder, where it runs inside; what Debian's sudo leaves in a home."""
_PASSING = ("systemd-", "user@", "user-runtime-dir@", "getty@", "console-getty", "dbus", "ssh@", "init.scope")
"""Units that come and go without anybody's doing."""
_SHOWN = (
    "Id,LoadState,ActiveState,SubState,MainPID,ExecMainStartTimestampMonotonic,UnitFileState,FragmentPath,"
    "DropInPaths,NeedDaemonReload"
)
USER = "prometheus"
Targets: TypeAlias = dict[tuple[str, str, str], str]
"""Health of each target, by Prometheus, labels and address without the scheme; a job's own name is no label."""


@dataclass(frozen=True)
class FileFacts:
    """A file, folder or link; `moment` changes even when the same bytes are written."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    attributes: tuple[tuple[str, bytes], ...]
    moment: tuple[int, int] = field(compare=False)


@dataclass(frozen=True)
class UnitFacts:
    """A unit as systemd shows it; `process` changes with a restart."""

    state: tuple[str, ...]
    process: tuple[str, str] = field(compare=False)


@dataclass(frozen=True)
class Snapshot:
    """The state of one host at an instant."""

    files: dict[str, FileFacts]
    units: dict[str, UnitFacts]
    targets: Targets
    alertmanagers: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]
    answers: dict[str, str]

    def moments(self) -> dict[str, tuple[int, int]]:
        return {path: facts.moment for path, facts in self.files.items()}

    def processes(self) -> dict[str, tuple[str, str]]:
        return {name: facts.process for name, facts in self.units.items()}


# -- HTTP, without credentials or with the password


def request(
    place: str, path: str = "/", *, tls: bool = False, password: str = "", ca: str = "", timeout: float = 5
) -> tuple[str, bytes]:
    """Returns the status of a GET, or why there is none: closed, silent, not trusted, no TLS, no HTTP.

    Call it in the network from which the request is to come.
    """
    host, _, port = place.rpartition(":")
    context = ssl._create_unverified_context()  # a client without credentials does not verify the certificate
    if ca:
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = False
    target = host.strip("[]")
    connection = (
        http.client.HTTPSConnection(target, int(port), timeout=timeout, context=context)
        if tls
        else http.client.HTTPConnection(target, int(port), timeout=timeout)
    )
    headers = {"Connection": "close", "Host": "localhost"}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return str(answer.status), answer.read(20_000_000)
    except ssl.SSLCertVerificationError:
        return "not trusted", b""
    except ssl.SSLError:
        return "no TLS", b""
    except (ConnectionError, http.client.HTTPException):
        return "no HTTP", b""
    except TimeoutError:
        return "silent", b""
    except OSError:
        return "closed", b""
    finally:
        connection.close()


def api(place: str, path: str, password: str) -> Any:
    """Returns the data of Prometheus' API, at whatever level it is by now; None if there is no answer."""
    host, slash, prefix = place.partition("/")
    full = f"{slash}{prefix.rstrip('/')}/api/v1/{path}"
    for tls, given in ((False, ""), (True, password), (False, password), (True, "")):
        status, body = request(host, full, tls=tls, password=given)
        if status == "200":
            return json.loads(body)["data"]
    return None


# -- a host ----------------------------------------------------------------------------------------------------


def taken(
    machine: Machine,
    prometheus: tuple[str, ...],
    password: str,
    *,
    living: tuple[str, ...] = (),
    unscraped: tuple[str, ...] = (),
) -> Snapshot:
    """Takes a snapshot of the host.

    Args:
        machine: the host.
        prometheus: the address of its Prometheus, as in `Shape.prometheus`.
        password: of the user prometheus, for components that are protected by now.
        living: paths (fnmatch) that programs write all the time.
        unscraped: jobs whose targets' health is left out, since the time of their next scrape is unknown.
    """
    targets: Targets = {}
    managers: list[str] = []
    rules: list[tuple[str, str]] = []
    with machine.entered():
        for place in (each.replace("own", machine.address) for each in prometheus):
            targets |= {
                key: "unscraped" if json.loads(key[1])["job"] in unscraped else health
                for key, health in targets_of(place, password).items()
            }
            found = api(place, "alertmanagers", password) or {}
            managers += [each["url"].partition("://")[2] for each in found.get("activeAlertmanagers", ())]
            groups = (api(place, "rules", password) or {}).get("groups", ())
            rules += [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]
        answers = {place: request(place, timeout=3)[0] for place in listening(machine)}
    kept = {
        path: facts
        for path, facts in files(machine).items()
        if not any(fnmatch(path, each) for each in living)
    }
    return Snapshot(kept, units(machine), targets, tuple(sorted(managers)), tuple(sorted(rules)), answers)


def targets_of(place: str, password: str) -> Targets:
    """Returns the health of each target of a Prometheus; call it in its network."""
    found = api(place, "targets?state=active", password) or {}
    return {
        (place, json.dumps(each["labels"], sort_keys=True), each["scrapeUrl"].partition("://")[2]): each[
            "health"
        ]
        for each in found.get("activeTargets", ())
    }


def all_targets(machine: Machine, prometheus: tuple[str, ...], password: str) -> Targets:
    """Returns the health of the targets of each Prometheus of a host; arguments as for `taken`."""
    with machine.entered():
        found = [targets_of(each.replace("own", machine.address), password) for each in prometheus]
    return {key: health for each in found for key, health in each.items()}


def settled(
    machine: Machine,
    prometheus: tuple[str, ...],
    password: str,
    *,
    unscraped: tuple[str, ...] = (),
    bound: float = 40,
) -> None:
    """Waits until each Prometheus of the host answers and has scraped each of its targets."""
    deadline = time.monotonic() + bound
    places = [each.replace("own", machine.address) for each in prometheus]
    with machine.entered():
        while time.monotonic() < deadline:
            seen = [targets_of(place, password) for place in places]
            waiting = [
                key
                for each in seen
                for key, health in each.items()
                if health == "unknown" and json.loads(key[1])["job"] not in unscraped
            ]
            if all(seen) and not waiting:
                return
            time.sleep(0.2)
    raise AssertionError(f"the Prometheus of {machine.name} did not settle: {places} {seen}")


def listening(machine: Machine) -> list[str]:
    """Returns addresses and ports with a listener, except sshd's; call it in the host's network."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/thread-self/net", name).read_text().splitlines()[1:]:
            columns = line.split()
            address, _, port = columns[1].partition(":")
            if columns[3] == "0A" and int(port, 16) not in (22, 2222):
                found.add(f"{_address(address)}:{int(port, 16)}")
    return sorted(found)


def _address(text: str) -> str:
    """Returns an address of /proc/net/tcp: words of four bytes, each in this machine's byte order."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    if len(raw) == 4:
        return "127.0.0.1" if raw == bytes(4) else socket.inet_ntop(socket.AF_INET, raw)
    return "[::1]" if raw == bytes(16) else f"[{socket.inet_ntop(socket.AF_INET6, raw)}]"


def units(machine: Machine) -> dict[str, UnitFacts]:
    """Returns all services and sockets that systemd has loaded."""
    output = machine.check(
        ["systemctl", "show", "--no-pager", "-p", _SHOWN, "--", "*.service", "*.socket", "*.timer"]
    )
    found = {}
    for block in output.split("\n\n"):
        one = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if one and not one["Id"].startswith(_PASSING):
            state = tuple(
                one.get(key, "")
                for key in _SHOWN.split(",")
                if key not in ("MainPID", "ExecMainStartTimestampMonotonic")
            )
            process = (one.get("MainPID", "0"), one.get("ExecMainStartTimestampMonotonic", "0"))
            found[one["Id"]] = UnitFacts(state, process)
    return found


def files(machine: Machine) -> dict[str, FileFacts]:
    """Returns every file in the folders where users and programs keep their data."""
    root = machine.seen
    return {path: facts for top in FOLDERS for path, facts in _walk(root, root / top)}


def _walk(root: Path, top: Path) -> Iterator[tuple[str, FileFacts]]:
    for folder, folders, names in os.walk(top):
        here = folder.removeprefix(str(root)).lstrip("/")
        folders[:] = [name for name in folders if f"{here}/{name}" not in _LEFT_OUT]
        for name in (*folders, *(each for each in names if f"{here}/{each}" not in _LEFT_OUT)):
            path = f"{folder}/{name}"
            if facts := _facts(path):
                yield f"/{here}/{name}", facts


def _facts(path: str) -> FileFacts | None:
    try:
        seen = os.lstat(path)
        kind = (stat.S_ISREG(seen.st_mode) and "file") or (stat.S_ISLNK(seen.st_mode) and "link") or "other"
        content = ""
        if kind == "link":
            content = str(Path(path).readlink())
        elif kind == "file":
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        attributes = tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        )
    except FileNotFoundError:
        return None
    return FileFacts(
        "folder" if stat.S_ISDIR(seen.st_mode) else kind,
        seen.st_mode,
        (seen.st_uid, seen.st_gid),
        content,
        attributes,
        # A folder's own time changes with each temporary file; its entries are compared anyway.
        (0, seen.st_ino) if stat.S_ISDIR(seen.st_mode) else (seen.st_mtime_ns, seen.st_ino),
    )

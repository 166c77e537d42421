"""Programs from upstream's release archives, for machines without apt.

Downloads use https (plain http only from this machine itself). Their SHA-256 is known before anything is unpacked,
only the wanted members are unpacked, and a failure leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import ipaddress
import platform
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPMessage
from pathlib import Path, PurePosixPath
from typing import IO

from wizard.binaries import store
from wizard.binaries.table import Release, Table
from wizard.errors import ProgramUnavailableError

_LIMIT = 400 * 1024 * 1024
_DEADLINE = 900.0
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def this_platform() -> str:
    """This machine's platform as upstream names it, e.g. linux-amd64; '' if upstream has no archives for it."""
    system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), "")
    return f"{system}-{machine}" if machine and system in ("linux", "darwin") else ""


def folder(cache: Path, release: Release) -> Path:
    """The folder for the unpacked programs of a release."""
    return cache / "releases" / f"{release.name}-{release.version}.{this_platform() or 'unknown'}"


def fetch(
    release: Release,
    members: Sequence[str],
    *,
    cache: Path,
    base: str,
    table: Table,
    say: Callable[[str], None],
) -> None:
    """Downloads, checks and unpacks a release into `folder(...)`.

    Args:
        release: the release.
        members: names of the programs in it.
        cache: as in `folder`.
        base: address that replaces {base} in the templates of `table`.
        table: the templates.
        say: is called with a short text about each action.

    Raises:
        ProgramUnavailableError: the download fails or its SHA-256 is wrong; nothing is left behind.
    """
    system = this_platform()
    if not system:
        raise ProgramUnavailableError(
            f"upstream has no archive for {platform.system()} on {platform.machine()}"
        )
    values = {"base": base, "name": release.name, "version": release.version, "platform": system}
    url = table.archive.format(**values)
    top = f"{release.name}-{release.version}.{system}"

    def fill(part: Path) -> None:
        archive = part / "archive"
        expected = release.sha256.get(system) or _published_digest(
            table.sums.format(**values), f"{top}.tar.gz"
        )
        say(f"Downloading {release.name} {release.version} from {urllib.parse.urlsplit(url).hostname}")
        with archive.open("xb") as file:
            found = _download(url, file, limit=_LIMIT)
        if found != expected.lower():
            raise ProgramUnavailableError(
                f"{url} is not the archive that was released: its SHA-256 is {found}, not {expected}",
                todo="Do not use it; look at what stands between this machine and upstream.",
            )
        _unpack(archive, part, top=top, members=members, url=url)
        archive.unlink()

    store.publish(folder(cache, release), fill)


def _published_digest(url: str, name: str) -> str:
    """The SHA-256 of `name` in the release's sha256sums.txt."""
    text = io.BytesIO()
    _download(url, text, limit=1024 * 1024)
    for line in text.getvalue().decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name and re.fullmatch(r"[0-9a-fA-F]{64}", words[0]):
            return words[0]
    raise ProgramUnavailableError(f"{url} names no sum for {name}")


def _unpack(archive: Path, into: Path, *, top: str, members: Sequence[str], url: str) -> None:
    """Unpacks the wanted files by their exact names; refuses an archive with any path that leads out of the folder."""
    wanted = {f"{top}/{member}": member for member in members}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                name = PurePosixPath(entry.name)
                if name.is_absolute() or ".." in name.parts:
                    raise ProgramUnavailableError(
                        f"{url} cannot be trusted: it holds the name {entry.name!r}"
                    )
                if entry.name not in wanted:
                    continue
                source = tar.extractfile(entry) if entry.isreg() else None
                if source is None:
                    raise ProgramUnavailableError(f"{entry.name} in {url} is not a regular file")
                target = into / wanted[entry.name]
                with target.open("xb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(0o755)
    except (tarfile.TarError, EOFError, OSError) as problem:
        raise ProgramUnavailableError(f"{url} cannot be unpacked: {problem}") from None
    missing = [member for member in members if not (into / member).is_file()]
    if missing:
        raise ProgramUnavailableError(f"{url} holds no {missing[0]}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses from which downloads are allowed."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _is_local(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, into: IO[bytes], *, limit: int) -> str:
    """Writes the response of `url` to `into`; returns its SHA-256 in hexadecimal."""
    local = _is_local(url)
    handlers: list[urllib.request.BaseHandler] = [_Redirects()]
    if local:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    digest = hashlib.sha256()
    deadline = time.monotonic() + _DEADLINE
    got = 0
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "firescreen"})  # noqa: S310 - see _allowed
        with opener.open(request, timeout=30) as answer:
            length = answer.headers.get("Content-Length")
            while chunk := answer.read(1 << 18):
                got += len(chunk)
                if got > limit or time.monotonic() > deadline:
                    raise ProgramUnavailableError(f"{url} is too large or too slow")
                digest.update(chunk)
                into.write(chunk)
    except urllib.error.HTTPError as problem:
        problem.close()
        raise ProgramUnavailableError(f"{url} answers {problem.code} {problem.reason}") from None
    except (OSError, http.client.HTTPException) as problem:
        raise ProgramUnavailableError(
            f"{url} cannot be fetched: {getattr(problem, 'reason', problem)}"
        ) from None
    if length is not None and length.isdecimal() and got != int(length):
        raise ProgramUnavailableError(f"{url} broke off after {got} of {length} bytes")
    return digest.hexdigest()


def _is_local(url: str) -> bool:
    """Whether `url` is on this machine.

    Raises:
        ProgramUnavailableError: it is neither on this machine nor https.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise ProgramUnavailableError(
            f"{url} is not https", todo="Name a download address that begins with https."
        )
    return local

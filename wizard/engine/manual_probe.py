"""Checks a request that a person has entered, makes it as Prometheus would, and explains the result.

Used by the probe console and by `firescreen probe`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from wizard import ownfiles, passwords, probes
from wizard.config_files import http_client
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.errors import ConfigError, HostError, InputError
from wizard.model import Attempt, Forward, Probe
from wizard.probes import Difference, Target, metrics
from wizard.redact import Secret, plain
from wizard.workspace import Workspace

What: TypeAlias = Literal["page", "targets", "up"]
"""What to request: 'page' scrapes the URL itself; 'targets' and 'up' query the API of the Prometheus at the URL."""


_MEANINGS = 200
"""Maximum number of target errors that are explained; each takes about a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. The fields have the names and the meaning of curl's options; '' if not given."""

    url: str
    what: What = "page"
    cacert: str = ""
    cert: str = ""
    key: str = ""
    resolve: str = ""
    user: str = ""
    password: Secret | None = None
    insecure: bool = False
    forward: Forward | None = None
    """The tunnel to the URL's host and port, if this machine cannot connect directly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The result of a request, for a person."""

    attempt: Attempt
    ok: bool
    """Whether Prometheus could scrape this response."""
    diagnosis: Diagnosis | None = None
    differences: tuple[Difference, ...] = ()
    """Reasons why curl would get another result for the same request."""
    what: What = "page"
    targets: tuple[Target, ...] = ()
    """The targets that Prometheus reports; empty if there are none or they were not requested."""
    meanings: Mapping[str, str] = field(default_factory=dict)
    """Cause and fix of each known error among the targets, by error text."""
    commands: tuple[str, ...] = ()
    """Commands that make the same request and run as printed, without a prompt; the first uses curl."""


def probe_of(request: Request, workspace: Workspace) -> Probe:
    """Converts a request to a probe. Writes user and password to a file in the workspace (0600) for the printed command.

    Raises:
        InputError: a field of the request is invalid, or a file cannot be read.
        HostError: the workspace cannot be written.
    """
    url = request.url.strip()
    if not url.startswith(("http://", "https://")):
        raise InputError("the URL has to begin with http:// or https://", where=plain(url))
    files = {}
    for name in ("cacert", "cert", "key"):
        path = getattr(request, name).strip()
        files[name] = str(Path.cwd() / Path(path).expanduser()) if path else ""
        if path and not os.access(files[name], os.R_OK):
            raise InputError("the file cannot be read", where=plain(path), todo="Check its name and mode")
    if files["key"] and not files["cert"]:
        raise InputError("a key needs its certificate", where=plain(files["key"]), todo="Give --cert too")
    if request.resolve and request.resolve.count(":") < 2:
        raise InputError(
            "this is not HOST:PORT:ADDR", where=plain(request.resolve), todo="Write it as for curl"
        )
    config = ""
    if request.user:
        password = request.password or Secret("")
        config = str(_keep(workspace, "probe.curl", probes.curl_config(request.user, password.reveal())))
    return Probe(
        id="probe",
        host="",
        component="",
        name="one request",
        client="this command",
        expect="200",
        url=url,
        ca_file=files["cacert"],
        cert_file=files["cert"],
        key_file=files["key"],
        resolve=request.resolve.strip(),
        user=request.user,
        password=request.password,
        curl_config=config,
        insecure=request.insecure,
        forward=request.forward,
        timeout=10.0,
    )


def ask(
    request: Request,
    workspace: Workspace,
    explain: Callable[[str], Diagnosis | None] | None = None,
    dial: probes.Dial | None = None,
) -> Answered:
    """Makes the request.

    Args:
        request: what the person has entered.
        workspace: stores the files that the printed commands use.
        explain: returns the diagnosis of an error text; by default from the text alone.
        dial: opens the connection of a request that has a `forward`.

    Raises:
        InputError: a field of the request is invalid, or a file cannot be read.
        HostError: the workspace cannot be written.
    """
    probe = probe_of(request, workspace)
    targets: tuple[Target, ...] = ()
    if request.what == "page":
        attempt = probes.run(probe, dial=dial)
        commands: tuple[str, ...] = (attempt.curl,)
        unreadable = metrics.fault(attempt)
    else:
        attempt, targets = probes.ask_prometheus(probe, request.what, dial=dial)
        commands = _commands(attempt.probe, probe, request, workspace)
        unreadable = ""
    differences = probes.differences(attempt)
    if request.what != "page":
        differences = tuple(each for each in differences if each.id != "no-metrics")
    if unreadable:
        attempt = replace(attempt, reason=unreadable)
    found = (explain or catalogue.diagnose)(attempt.reason) if attempt.reason else None
    return Answered(
        attempt=attempt,
        ok=attempt.ok and not unreadable,
        diagnosis=found,
        differences=differences,
        what=request.what,
        targets=targets,
        meanings=_meanings(targets),
        commands=commands,
    )


def _meanings(targets: tuple[Target, ...]) -> dict[str, str]:
    """Cause and fix of each error, from its text alone. Each text once: many targets often fail for the same reason."""
    meanings: dict[str, str] = {}
    for text in list(dict.fromkeys(target.error for target in targets if target.error))[:_MEANINGS]:
        found = catalogue.diagnose(text)
        if found is not None:
            meanings[text] = f"{found.cause} {found.fix}"
    return meanings


def password_in(path: Path) -> Secret:
    """Reads a password from a file.

    Raises:
        InputError: the file cannot be read, or its password cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("the password's file cannot be read", where=plain(str(path))) from error
    return passwords.decode(content, where=plain(str(path)))


def _commands(probe: Probe, root: Probe, request: Request, workspace: Workspace) -> tuple[str, ...]:
    """The commands for a query: curl, and promtool for `up` if possible (it has no --resolve, -k or --connect-to)."""
    curl = probes.curl_reading(probe)
    if request.what != "up" or request.resolve or request.insecure or request.forward:
        return (curl,)
    secret = ""
    if request.user:
        password = request.password or Secret("")
        secret = str(_keep(workspace, "probe.password", password.reveal().encode()))
    try:
        text = http_client.text(
            ca_file=root.ca_file,
            cert_file=root.cert_file,
            key_file=root.key_file,
            username=root.user,
            password_file=secret,
        )
    except ConfigError:
        return (curl,)
    needed = any((root.ca_file, root.cert_file, root.user))
    file = str(_keep(workspace, "probe.http.yml", text)) if needed else ""
    return curl, probes.promtool_up(probe.url.partition("/api/v1/")[0], file)


def _keep(workspace: Workspace, name: str, content: bytes) -> Path:
    """Writes a file with mode 0600 in the workspace and returns its path.

    Raises:
        HostError: it cannot be written.
    """
    path = workspace.root / "probes" / name
    try:
        folder = workspace.ensure().root / "probes"
        folder.mkdir(mode=0o700, exist_ok=True)
        ownfiles.replace(path, content)
    except OSError as error:
        raise HostError(f"the file cannot be written: {error.strerror}", where=str(path)) from error
    return path

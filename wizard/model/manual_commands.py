"""The commands that a person can type instead of applying a plan, as data, and their conversion to shell text.

For a remote host, commands are typed on the machine where Firescreen runs, because the workspace is there. Files from
the workspace are passed through the standard input of `ssh` or `incus exec`, so that no copy is left behind; the CA
signs on the machine that has its key.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from wizard.model.stack import HostSpec

STDIN = "/dev/stdin"

_HERE = "# On the machine where Firescreen runs:"
"""The first line of commands that are not typed on the host itself."""
_WIDTH = 100
"""Line length after which a command is continued on the next line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualCommand:
    """A program or a shell script that is run on the host of a change."""

    argv: tuple[str, ...] = ()
    stdin: str = ""
    """The text for its standard input."""
    source: str = ""
    """A file in the workspace that replaces `/dev/stdin` in `argv`, or is its standard input."""
    script: str = ""
    """With `argv`: a shell script for the machine where Firescreen runs, whose output is the standard input of `argv`.
    Without `argv`: a shell script for the host."""
    output: str = ""
    """The file to which its output is appended."""
    note: str = ""
    """An instruction for a person, if there is no command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificate:
    """A certificate that the CA of the workspace signs for a key that stays on its host."""

    key: str
    certificate: str
    """`key` and `certificate` are paths on the host of the change."""
    request: str
    """The configuration for `openssl req`."""
    ca: tuple[str, str]
    """The paths of the CA's certificate and key in the workspace."""
    extensions: str
    days: int
    mode: int = 0o644
    owner: str = ""
    group: str = ""


Typed: TypeAlias = ManualCommand | SignedCertificate


@dataclass(frozen=True, slots=True)
class Route:
    """How commands typed on the machine where Firescreen runs reach a host.

    name: the host. shell: the words of an `ssh` command that takes the remote command as one argument. sudo: whether the
    remote command needs sudo. inner: the words before the command on the remote side, e.g. `incus exec`. carried: whether
    the files can only be copied there by a person (a manual host).
    """

    name: str
    shell: tuple[str, ...] = ()
    sudo: bool = False
    inner: tuple[str, ...] = ()
    carried: bool = False
    workspace: str = ""

    @classmethod
    def to(cls, specs: Mapping[str, HostSpec], name: str, *, workspace: str = "") -> Route | None:
        """The route to a host; None if it is this machine.

        Args:
            specs: the hosts by name, including the host of an Incus instance.
        """
        spec = specs[name]
        if spec.connect == "manual":
            return cls(name, carried=True)
        if spec.connect == "ssh":
            return cls(name, tuple(spec.ssh()), bool(spec.become), workspace=workspace)
        if spec.connect != "incus":
            return None
        inner = ("incus", "exec", spec.instance or name, "--")
        holder = specs.get(spec.via)
        if holder is None or holder.connect != "ssh":
            return cls(name, inner=inner, workspace=workspace)
        return cls(name, tuple(holder.ssh()), bool(holder.become), inner, workspace=workspace)

    def run(self, argv: Sequence[str]) -> str:
        """The command line that runs a program on the host, typed on the machine where Firescreen runs."""
        words = [*(["sudo"] if self.sudo else []), *self.inner, *argv]
        if self.shell:
            return f"{shlex.join(self.shell)} {shlex.quote(shlex.join(words))}"
        return shlex.join(words)


def is_typed_here(commands: Sequence[Typed], route: Route | None) -> bool:
    """Whether commands have to be typed on the machine where Firescreen runs, and not on the host itself."""
    if route is None or not commands:
        return False
    return route.carried or any(
        isinstance(each, SignedCertificate) or each.source or (each.script and each.argv) for each in commands
    )


def render_commands(commands: Sequence[Typed], route: Route | None) -> tuple[str, ...]:
    """The commands as shell text, to be typed on the host or, if necessary, on this machine (see `is_typed_here`)."""
    if not is_typed_here(commands, route):
        return tuple(line for each in commands for line in _lines(each, None))
    used_route = None if route is None or route.carried else route
    return (_HERE, *(line for each in commands for line in _lines(each, used_route)))


def _lines(command: Typed, route: Route | None) -> tuple[str, ...]:
    if isinstance(command, SignedCertificate):
        return _signed_here(command) if route is None else _signed_for(command, route)
    if not command.argv:
        return (command.script or f"# {command.note}",)
    return (_line(command, route),)


def _line(command: ManualCommand, route: Route | None) -> str:
    argv = list(command.argv)
    if command.source and route is None:
        argv[argv.index(STDIN)] = command.source
    from_here = bool(command.source or command.script)
    text = route.run(argv) if route is not None and from_here else _wrap_words(argv)
    if command.source and route is not None:
        text = f"{text} < {shlex.quote(command.source)}"
    if command.output:
        text = f"{text} >> {shlex.quote(command.output)}"
    if command.script:
        return f"{{ {command.script}\n}} | {text}"
    return f"{text} <<'END'\n{command.stdin}END" if command.stdin else text


def _wrap_words(argv: Sequence[str]) -> str:
    """Joins the words; a line that would be too long is continued before an option."""
    lines = [""]
    for word in map(shlex.quote, argv):
        if lines[-1] and word.startswith("-") and len(lines[-1]) + len(word) > _WIDTH:
            lines.append(f"  {word}")
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip(" ") if len(lines) == 1 else f"{lines[-1]} {word}"
    return " \\\n".join(lines)


def _request(each: SignedCertificate) -> list[str]:
    return ["openssl", "req", "-new", "-key", each.key, "-config", STDIN]


def _signing_command(each: SignedCertificate, request: str, certificate: str) -> str:
    """The command with which the CA signs; the shell generates the serial number."""
    words = ["openssl", "x509", "-req", "-in", request, "-CA", each.ca[0], "-CAkey", each.ca[1]]
    options = ["-days", str(each.days), "-sha256", "-out", certificate]
    return (
        f'{shlex.join(words)} \\\n  -set_serial "0x$(openssl rand -hex 16)" {shlex.join(options)} \\\n'
        f"  -extfile {STDIN} <<'END'\n{each.extensions}END"
    )


def _signed_here(each: SignedCertificate) -> tuple[str, ...]:
    request = f"{each.certificate}.csr"
    request_command = shlex.join([*_request(each), "-out", request])
    return (
        f"{request_command} <<'END'\n{each.request}END",
        _signing_command(each, request, each.certificate),
        shlex.join(["rm", request]),
    )


def _signed_for(each: SignedCertificate, route: Route) -> tuple[str, ...]:
    """The commands that fetch the request from the host, sign it here, and copy the certificate back."""
    stem = posixpath.join(route.workspace, f"{route.name}-{posixpath.basename(each.certificate)}")
    rights = [
        "install",
        "-m",
        f"{each.mode:04o}",
        "-o",
        each.owner,
        "-g",
        each.group,
        STDIN,
        each.certificate,
    ]
    return (
        f"{route.run(_request(each))} > {shlex.quote(stem + '.csr')} <<'END'\n{each.request}END",
        _signing_command(each, stem + ".csr", stem),
        f"{route.run(rights)} < {shlex.quote(stem)}",
        shlex.join(["rm", stem, stem + ".csr"]),
    )

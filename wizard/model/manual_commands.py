"""What a person types for the same result, as data, and the one place where it becomes text for a shell.

A host that is another machine is reached from the machine where Firescreen runs, since the workspace lies there: what
a command takes from the workspace goes through the standard input of `ssh` or `incus exec`, never as a file that would
be left behind; and the CA signs where its key is.
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
"""Characters after which a command goes on in a second line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualCommand:
    """One program that is run on the host of a change, or a piece of shell."""

    argv: tuple[str, ...] = ()
    stdin: str = ""
    """A text that it reads."""
    source: str = ""
    """A file of the workspace: `/dev/stdin` in `argv` stands for it."""
    script: str = ""
    """Shell for the machine where Firescreen runs, whose output it reads. Without `argv`, shell for the host."""
    output: str = ""
    """The file to which what it prints is appended."""
    note: str = ""
    """What a person is told; alone, in place of a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificate:
    """A certificate that the CA of the workspace signs for a key that stays on its host."""

    key: str
    certificate: str
    """Both are paths on the host of the change."""
    request: str
    """Configuration of the request, for `openssl req`."""
    ca: tuple[str, str]
    """Certificate and key in the workspace."""
    extensions: str
    days: int
    mode: int = 0o644
    owner: str = ""
    group: str = ""


Typed: TypeAlias = ManualCommand | SignedCertificate


@dataclass(frozen=True, slots=True)
class Route:
    """How a person who sits at the machine where Firescreen runs gets to a host.

    name: the host. shell: the words before a command that `ssh` takes as one argument. sudo: whether root is needed
    behind that. inner: the words before a command that are followed by its own words. carried: whether there is no way
    but a person who carries the files there.
    """

    name: str
    shell: tuple[str, ...] = ()
    sudo: bool = False
    inner: tuple[str, ...] = ()
    carried: bool = False
    workspace: str = ""

    @classmethod
    def to(cls, specs: Mapping[str, HostSpec], name: str, *, workspace: str = "") -> Route | None:
        """The way to a host; None for one that is this machine.

        Args:
            specs: the hosts by name; of one in a container, the one that holds it must be among them.
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
        """That program with its arguments, as it is typed at the machine where Firescreen runs."""
        words = [*(["sudo"] if self.sudo else []), *self.inner, *argv]
        if self.shell:
            return f"{shlex.join(self.shell)} {shlex.quote(shlex.join(words))}"
        return shlex.join(words)


def is_typed_here(commands: Sequence[Typed], route: Route | None) -> bool:
    """Whether these are typed at the machine where Firescreen runs, and not on the host itself."""
    if route is None or not commands:
        return False
    return route.carried or any(
        isinstance(each, SignedCertificate) or each.source or (each.script and each.argv) for each in commands
    )


def render_commands(commands: Sequence[Typed], route: Route | None) -> tuple[str, ...]:
    """The commands as text for a shell: on the host, or on this machine for a host that `route` leads to."""
    if not is_typed_here(commands, route):
        return tuple(line for each in commands for line in _lines(each, None))
    over = None if route is None or route.carried else route
    return (_HERE, *(line for each in commands for line in _lines(each, over)))


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
    """The words in lines that begin with an option where one line would be too long."""
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
    """What the CA does; the serial number is made by the shell."""
    words = ["openssl", "x509", "-req", "-in", request, "-CA", each.ca[0], "-CAkey", each.ca[1]]
    rest = ["-days", str(each.days), "-sha256", "-out", certificate]
    return (
        f'{shlex.join(words)} \\\n  -set_serial "0x$(openssl rand -hex 16)" {shlex.join(rest)} \\\n'
        f"  -extfile {STDIN} <<'END'\n{each.extensions}END"
    )


def _signed_here(each: SignedCertificate) -> tuple[str, ...]:
    request = f"{each.certificate}.csr"
    asked = shlex.join([*_request(each), "-out", request])
    return (
        f"{asked} <<'END'\n{each.request}END",
        _signing_command(each, request, each.certificate),
        shlex.join(["rm", request]),
    )


def _signed_for(each: SignedCertificate, route: Route) -> tuple[str, ...]:
    """The request comes here, is signed here, and the certificate goes back."""
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

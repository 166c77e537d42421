"""The words for a host that is another machine: typed where Firescreen runs, since the workspace lies there. Pure.

What a command takes from the workspace goes there through the standard input of `ssh` or `incus exec`, never as a
file that would be left behind; and the CA signs here, so that its key stays.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wizard.model import WORKSPACE, Change, Facts, HostSpec, PlannedStep, RunService, WriteFile

HERE = "# On the machine where Firescreen runs:"
"""The first line of commands that are not typed on the host itself."""
_REQUEST = "openssl req -new "
_SIGNING = "openssl x509 -req "


def step(facts: Facts, found: PlannedStep) -> PlannedStep:
    """The step with its commands as they are typed for a host that is another machine."""
    connect = "" if found.host == WORKSPACE else facts.hosts[found.host].spec.connect
    if connect == "manual":
        return replace(found, changes=tuple(_laid_out(change) for change in found.changes))
    if connect not in ("ssh", "incus"):
        return found
    there = There({name: known.spec for name, known in facts.hosts.items()}, found.host)
    return replace(found, changes=tuple(_reworded(facts, there, change) for change in found.changes))


def _laid_out(change: Change) -> Change:
    """A change for a host that we have no way to: its files are made here, for a person to copy."""
    if isinstance(change, RunService) or not change.by_hand:
        return change
    return replace(change, by_hand=(HERE, *change.by_hand), typed_here=True)


def _reworded(facts: Facts, there: There, change: Change) -> Change:
    if not isinstance(change, WriteFile) or not any(facts.workspace in each for each in change.by_hand):
        return change
    first, second = (*change.by_hand, "", "")[:2]
    if first.startswith(_REQUEST) and second.startswith(_SIGNING):
        commands = _signed(facts, there, change)
    else:
        commands = tuple(_sent(facts, there, command) for command in change.by_hand)
    return replace(change, by_hand=(HERE, *commands), typed_here=True)


class There:
    """How a command is run on a host from here.

    Args:
        specs: the hosts by name; of one in a container, the one that holds it must be among them.
        name: the host.
    """

    def __init__(self, specs: Mapping[str, HostSpec], name: str) -> None:
        spec = specs[name]
        self.name = name
        self._words: list[str] = []
        self._sudo = spec.connect == "ssh" and bool(spec.become)
        if spec.connect == "incus":
            holder = specs.get(spec.via)
            if holder is not None and holder.connect == "ssh":
                self._words += holder.ssh()
                self._sudo = bool(holder.become)
            self._inner = ["incus", "exec", spec.instance or name, "--"]
        else:
            self._words += spec.ssh() if spec.connect == "ssh" else []
            self._inner = []

    def run(self, command: Sequence[str]) -> str:
        """That program with its arguments, as it is typed here."""
        words = [*(["sudo"] if self._sudo else []), *self._inner, *command]
        if self._words:
            return f"{shlex.join(self._words)} {shlex.quote(shlex.join(words))}"
        return shlex.join(words)


def _sent(facts: Facts, there: There, command: str) -> str:
    """One command: what it installs from the workspace, or makes of it, goes to the host."""
    body, pipe, last = command.rpartition("\n} | ")
    if pipe:
        return f"{body}\n}} | {there.run(shlex.split(last))}"
    words = shlex.split(command) if "\n" not in command else []
    if words[:1] == ["install"] and words[-2].startswith(facts.workspace):
        return f"{there.run([*words[:-2], '/dev/stdin', words[-1]])} < {shlex.quote(words[-2])}"
    return command


def _signed(facts: Facts, there: There, change: WriteFile) -> tuple[str, ...]:
    """The request comes here, is signed here, and the certificate goes back."""
    assert change.after is not None
    request, signing = change.by_hand[:2]
    stem = posixpath.join(facts.workspace, f"{there.name}-{posixpath.basename(change.path)}")
    head, _, text = request.partition(" <<'END'\n")
    asked = shlex.split(head)
    place = asked.index("-out")
    del asked[place : place + 2]
    wanted = shlex.quote(change.path + ".csr")
    rights = ["install", "-m", f"{change.after.mode:04o}"]
    rights += ["-o", change.after.owner, "-g", change.after.group, "/dev/stdin", change.path]
    return (
        f"{there.run(asked)} > {shlex.quote(stem + '.csr')} <<'END'\n{text}",
        signing.replace(f"-in {wanted}", f"-in {shlex.quote(stem + '.csr')}").replace(
            f"-out {shlex.quote(change.path)}", f"-out {shlex.quote(stem)}"
        ),
        f"{there.run(rights)} < {shlex.quote(stem)}",
        shlex.join(["rm", stem, stem + ".csr"]),
    )

"""Commands with which a student copies a file from one host of a lab to another.

They depend on how the two are reached: `scp` if SSH reaches both, `incus file push` on the host of a container,
otherwise a pipe through this machine (another user and sudo, two containers).
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping

from wizard.labs.content import Copy
from wizard.labs.shell import HERE
from wizard.model import HostSpec, Route

_PUBLIC = "0644"


def words(copy: Copy, specs: Mapping[str, HostSpec], homes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the commands, each with the role on whose host it is typed ('here': this machine).

    Args:
        copy: the file.
        specs: the hosts by role.
        homes: the folder of the component's configuration, by role.
    """
    source, target = specs[copy.source], specs[copy.target]
    taken = posixpath.join(homes[copy.source], copy.file)
    given = posixpath.join(homes[copy.target], copy.name)
    rights = f" --mode={copy.mode}" if copy.mode else ""
    closed = [(copy.target, f"chmod {copy.mode} {shlex.quote(given)}")] if copy.mode else []
    if source is target:
        yield copy.source, f"cp {shlex.quote(taken)} {shlex.quote(given)}"
        yield from closed
    elif _holds(source, target):
        yield (
            copy.source,
            f"incus file push{rights} {shlex.quote(taken)} {shlex.quote(_inside(target, given))}",
        )
    elif _holds(target, source):
        yield copy.target, f"incus file pull {shlex.quote(_inside(source, taken))} {shlex.quote(given)}"
        yield from closed
    elif _by_scp(source, target):
        yield HERE, " ".join(["scp", *_options(source, target), _there(source, taken), _there(target, given)])
        yield from closed
    else:
        read, write = (Route.to(specs, name) or Route(name) for name in (copy.source, copy.target))
        put = ["install", "-m", copy.mode or _PUBLIC, "/dev/stdin", given]
        yield HERE, f"{read.run(['cat', taken])} |\n  {write.run(put)}"


def _holds(holder: HostSpec, inner: HostSpec) -> bool:
    """Returns whether a host runs the container of another."""
    if inner.connect != "incus":
        return False
    return inner.via == holder.name or (not inner.via and holder.connect == "local")


def _inside(spec: HostSpec, path: str) -> str:
    return f"{spec.instance or spec.name}{path}"


def _by_scp(source: HostSpec, target: HostSpec) -> bool:
    """Returns whether scp is possible directly: both hosts are reached as the user who may read and write there."""
    both = (source, target)
    ports = {spec.port for spec in both if spec.connect == "ssh"}
    return all(spec.connect in ("ssh", "local") and not spec.become for spec in both) and len(ports) == 1


def _options(source: HostSpec, target: HostSpec) -> list[str]:
    ssh_hosts = [spec for spec in (source, target) if spec.connect == "ssh"]
    keys = dict.fromkeys(spec.identity_file for spec in ssh_hosts if spec.identity_file)
    known_hosts_files = dict.fromkeys(spec.known_hosts for spec in ssh_hosts if spec.known_hosts)
    options = ["-3"] if len(ssh_hosts) == 2 else []  # through this machine: they need not know each other
    if ssh_hosts[0].port != 22:
        options += ["-P", str(ssh_hosts[0].port)]
    for key in keys:
        options += ["-i", shlex.quote(key)]
    if known_hosts_files:
        options += ["-o", shlex.quote(f"UserKnownHostsFile={' '.join(known_hosts_files)}")]
    return options


def _there(spec: HostSpec, path: str) -> str:
    if spec.connect == "local":
        return shlex.quote(path)
    address = f"[{spec.address}]" if ":" in spec.address else spec.address or spec.name
    return shlex.quote(f"{spec.user}@{address}:{path}" if spec.user else f"{address}:{path}")

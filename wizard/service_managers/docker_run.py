"""The `docker run` command of a container that no Compose file describes, from the daemon's description. Pure.

It is for the user, who knows what the container is for; Firescreen never runs it. Values of environment variables may
be secret and are left out; Docker takes them from the shell in which the command is run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wizard.model import Container

_HOST_FLAGS = (
    ("Privileged", "--privileged"),
    ("ReadonlyRootfs", "--read-only"),
    ("Init", "--init"),
    ("AutoRemove", "--rm"),
)
_HOST_LISTS = (
    ("CapAdd", "--cap-add"),
    ("CapDrop", "--cap-drop"),
    ("ExtraHosts", "--add-host"),
    ("Dns", "--dns"),
    ("GroupAdd", "--group-add"),
    ("SecurityOpt", "--security-opt"),
)
_HOST_MODES = (("PidMode", "--pid"), ("IpcMode", "--ipc"), ("UTSMode", "--uts"), ("UsernsMode", "--userns"))
_OWN_ENVIRONMENT = ("PATH", "HOSTNAME")


def options(inspected: Mapping[str, Any]) -> tuple[str, ...]:
    """The arguments between `docker run -d --name NAME` and the image."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    return (*_host_options(host), *_ports(host), *_mounts(inspected), *_config_options(config))


def lines(box: Container, arguments: Sequence[str], *, folder: str) -> tuple[str, ...]:
    """The commands that run a container with other arguments and one more folder, and keep the old container.

    Args:
        arguments: all arguments of the program.
        folder: is mounted read-only at the same path.
    """
    name, before = box.name, f"{box.name}-before"
    needed = [
        word for flag, word in zip(box.run_options, box.run_options[1:], strict=False) if flag == "--env"
    ]
    mount = [] if box.sees(folder) else ["--volume", f"{folder}:{folder}:ro"]
    run = [*box.command_words, "run", "-d", "--name", name, *box.run_options, *mount, box.image, *arguments]
    set_first = (
        (f"# First set {', '.join(needed)} in this shell as they are in the container, and export them.",)
        if needed
        else ()
    )
    return (
        f"# No Compose file describes the container {name}. Check that nothing of your own is missing in this:",
        *set_first,
        f"{box.engine} stop {shlex.quote(name)} && {box.engine} rename {shlex.quote(name)} {shlex.quote(before)}",
        shlex.join(run),
        f"# Once all is verified: {box.engine} rm {shlex.quote(before)}",
    )


def _host_options(host: Mapping[str, Any]) -> Iterator[str]:
    for key, flag in _HOST_FLAGS:
        if host.get(key):
            yield flag
    for key, flag in _HOST_LISTS:
        for value in host.get(key) or ():
            yield from (flag, str(value))
    for key, flag in _HOST_MODES:
        if host.get(key) and host[key] not in ("private", "shareable"):
            yield from (flag, str(host[key]))
    network = str(host.get("NetworkMode") or "default")
    if network not in ("default", "bridge"):
        yield from ("--network", network)
    policy = host.get("RestartPolicy") or {}
    if policy.get("Name") not in (None, "", "no"):
        count = policy.get("MaximumRetryCount") or 0
        yield from ("--restart", f"{policy['Name']}:{count}" if count else str(policy["Name"]))
    if host.get("Memory"):
        yield from ("--memory", str(host["Memory"]))
    if host.get("NanoCpus"):
        yield from ("--cpus", str(host["NanoCpus"] / 1e9))


def _ports(host: Mapping[str, Any]) -> Iterator[str]:
    for inside, places in (host.get("PortBindings") or {}).items():
        bound: list[dict[str, str]] = places or [{}]
        for place in bound:
            address, port = place.get("HostIp", ""), place.get("HostPort", "")
            shown = f"[{address}]" if ":" in address else address
            yield from ("--publish", ":".join(each for each in (shown, port, inside) if each))


def _mounts(inspected: Mapping[str, Any]) -> Iterator[str]:
    for mount in inspected.get("Mounts") or ():
        source = mount.get("Name") if mount.get("Type") == "volume" else mount.get("Source")
        if not source:
            yield from ("--tmpfs", str(mount.get("Destination", "")))
            continue
        # z, rslave …; the z that Docker adds to volumes by itself does no harm.
        mode = str(mount.get("Mode") or "")
        if not mount.get("RW") and "ro" not in mode.split(","):
            mode = f"{mode},ro".lstrip(",")
        yield from (
            "--volume",
            ":".join(each for each in (source, mount.get("Destination", ""), mode) if each),
        )


def _config_options(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("User"):
        yield from ("--user", str(config["User"]))
    for entry in config.get("Env") or ():
        name = str(entry).partition("=")[0]
        if name not in _OWN_ENVIRONMENT:
            yield from ("--env", name)
    for name, value in (config.get("Labels") or {}).items():
        yield from ("--label", f"{name}={value}")

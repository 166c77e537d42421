"""Finds components in the containers of a host, as the container engines describe them.

Each engine is called twice, whatever runs: one `inspect` of all containers, and one `--version` for each image.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wizard.components import Component, all_components
from wizard.connections.base import Connection
from wizard.model import MANUAL, Container, ContainerNetwork, FlagPlace, Mount, PublishedPort, Service
from wizard.service_managers import container_engines, docker_run, podman_compose, program_facts
from wizard.service_managers.container_engines import Engine, Quadlet
from wizard.service_managers.process_list import Process

# For each image once: the engine's command, the name of a container, the path of its program.
_VERSIONS = r"""
while [ $# -gt 2 ]; do
  printf '\036%s\037' "$2"
  $1 exec "$2" "$3" --version 2>&1 </dev/null
  shift 3
done
exit 0
"""
_OWNERS = r"""
for pid; do
  printf '%s %s\n' "$pid" "$(stat -c '%u %g' "/proc/$pid" 2>/dev/null)"
done
exit 0
"""
_LABEL = "com.docker.compose."
_GRAFANA_PORT = 3000
_TIMEOUT = 60.0
"""Seconds for the daemon: a busy one is slow. A daemon that hangs is an error, not a host without containers."""
SHELL_NAMES = (
    *("sh", "bash", "ash", "dash"),
    *("tini", "dumb-init", "docker-init", "catatonit", "gosu", "su-exec"),
)


def discover(connection: Connection, running: tuple[Process, ...]) -> tuple[Service, ...]:
    """The components in containers of the host's engines, running or not; () if no engine answers.

    Args:
        connection: the host.
        running: the processes of known components on the host.
    """
    found = [
        (engine, known, info, process)
        for engine in container_engines.find(connection)
        for info in engine.containers
        if (known := component_of(info, process := _process(info, running))) is not None
    ]
    if not found:
        return ()
    owners = _owners(connection, [info["State"].get("Pid", 0) for _, _, info, _ in found])
    versions = _versions(
        connection, [(engine.words, info, program_of(info, process)) for engine, _, info, process in found]
    )
    replicas = _replica_ids([info for _, _, info, _ in found])
    quadlets = {
        (engine.words, unit): quadlet
        for engine in {engine.words: engine for engine, *_ in found}.values()
        if engine.is_podman
        for unit, quadlet in container_engines.quadlets(connection, engine).items()
    }
    return tuple(
        _service(
            connection.name,
            known,
            info,
            process,
            version=versions.get(info.get("Image", ""), "") or tag_version(info["Config"].get("Image", "")),
            owner=owners.get(process.pid if process else info["State"].get("Pid", 0), (0, 0)),
            engine=engine,
            quadlet=quadlets.get((engine.words, container_engines.unit_of(info))),
            several=info["Id"] in replicas,
        )
        for engine, known, info, process in found
    )


def grafanas(connection: Connection) -> tuple[Container, ...]:
    """The containers that run Grafana, which is a client of components but no component."""
    found = [
        (engine, info)
        for engine in container_engines.find(connection)
        for info in engine.containers
        if _is_grafana(info) and info["State"].get("Status") == "running"
    ]
    owners = _owners(connection, [info["State"].get("Pid", 0) for _, info in found]) if found else {}
    return tuple(
        container(
            info,
            owner=owners.get(info["State"].get("Pid", 0), (0, 0)),
            engine=engine,
            inside_port=_GRAFANA_PORT,
        )
        for engine, info in found
    )


def _is_grafana(inspected: Mapping[str, Any]) -> bool:
    """Whether a container mounts something below /etc/grafana, whatever the name of its image."""
    mounts = [_mount(each) for each in inspected.get("Mounts") or ()]
    return any(f"{each.target}/".startswith("/etc/grafana/") for each in mounts)


def component_of(inspected: Mapping[str, Any], process: Process | None) -> Component | None:
    """The component that a container runs, found by its process, else its command, else its image's name."""
    words = [inspected.get("Path", ""), *inspected.get("Args", ())]
    name = process.component if process else ""
    while words and posixpath.basename(words[0]) in SHELL_NAMES:
        words = [word for word in words[1:] if not word.startswith("-")][:1]
    program = words[0] if words else ""
    image = (
        inspected.get("Config", {}).get("Image", "").rpartition("/")[2].partition(":")[0].partition("@")[0]
    )
    for known in all_components():
        if name == known.name or (not name and program and known.matches(program)):
            return known
    for known in all_components():
        # The command is the user's own wrapper; the image shows what it is for.
        if not name and image and known.matches(image):
            return known
    return None


def program_of(inspected: Mapping[str, Any], process: Process | None) -> str:
    """The path of its program inside the container."""
    if process is not None and process.program.startswith("/"):
        return process.program
    return str(inspected.get("Path", ""))


def tag_version(image: str) -> str:
    """The version in an image's tag, '' if there is none: '2.53.3' for 'prom/prometheus:v2.53.3'."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    match = re.match(r"v?(\d+\.\d+(?:\.\d+)?)(?=$|[-_.+a-z])", tag)
    return match.group(1) if match else ""


def container(
    inspected: Mapping[str, Any],
    *,
    owner: tuple[int, int],
    engine: Engine,
    inside_port: int,
    quadlet: Quadlet | None = None,
) -> Container:
    """Converts the output of `docker inspect`, or Podman's, for one container."""
    config, host = inspected.get("Config", {}), inspected.get("HostConfig", {})
    state, network = inspected.get("State", {}), inspected.get("NetworkSettings", {})
    labels: Mapping[str, str] = config.get("Labels") or {}
    folder = labels.get(f"{_LABEL}project.working_dir", "")
    files = [each for each in labels.get(f"{_LABEL}project.config_files", "").split(",") if each]
    check = (config.get("Healthcheck") or {}).get("Test") or ()
    return Container(
        name=str(inspected.get("Name", "")).lstrip("/"),
        image=str(config.get("Image", "")),
        project=labels.get(f"{_LABEL}project", ""),
        service=labels.get(f"{_LABEL}service", ""),
        compose_files=tuple(posixpath.normpath(posixpath.join(folder, each)) for each in files),
        folder=folder,
        uid=owner[0],
        gid=owner[1],
        mounts=tuple(map(_mount, inspected.get("Mounts") or ())),
        published=tuple(_published_ports(network.get("Ports") or {})),
        networks=tuple(_networks(network.get("Networks") or {}, inspected)),
        network_mode=str(host.get("NetworkMode", "")),
        inside_port=inside_port,
        extra_hosts=tuple(_extra(host.get("ExtraHosts") or ())),
        healthcheck=() if list(check)[:1] == ["NONE"] else tuple(map(str, check)),
        health=str((state.get("Health") or {}).get("Status", "")),
        state=str(state.get("Status", "")),
        command=tuple(map(str, config.get("Cmd") or ())),
        compose=container_engines.compose_of(inspected, engine),
        run_options=() if labels.get(f"{_LABEL}service") or quadlet else docker_run.options(inspected),
        engine=engine.words,
        quadlet=quadlet.path if quadlet is not None else "",
        unit=container_engines.unit_of(inspected),
    )


def _service(
    host: str,
    known: Component,
    inspected: Mapping[str, Any],
    process: Process | None,
    *,
    version: str,
    owner: tuple[int, int],
    engine: Engine,
    quadlet: Quadlet | None,
    several: bool,
) -> Service:
    arguments = process.arguments if process else _arguments(known, inspected)
    inside = int(program_facts.listen(known, arguments).rpartition(":")[2] or known.default_port)
    box = container(inspected, owner=owner, engine=engine, inside_port=inside, quadlet=quadlet)
    workdir = inspected.get("Config", {}).get("WorkingDir") or "/"
    web = _inside(workdir, program_facts.web_config(known, arguments, folder=workdir))
    config = ""
    if known.config_flag:
        usual = f"{known.home}/{known.name.removesuffix('_exporter')}.yml"
        config = _inside(workdir, program_facts.flag(arguments, known.config_flag) or usual)
    user, group = (process.user, process.group) if process else (str(owner[0]), str(owner[1]))
    sockets = tuple(f"{each.address or '0.0.0.0'}:{each.port}" for each in _of_port(box, inside))  # noqa: S104
    if not box.has_own_network:
        sockets = program_facts.web_sockets(known, arguments, process.sockets) if process else ()
    labels = inspected.get("Config", {}).get("Labels") or {}
    box = replace(
        box, unchangeable=podman_compose.refusal(box, labels, engine.owner if engine.is_podman else "")
    )
    box = _mark_unchangeable(box, web=web, several=several, dropin=quadlet.overriding if quadlet else "")
    managed = box.is_described
    return Service(
        host=host,
        component=known.name,
        manager="quadlet" if box.quadlet else "docker" if managed else MANUAL,
        kind="" if managed else "container",
        unit=box.name,
        program=program_of(inspected, process),
        version=version,
        arguments=arguments,
        listen="" if engine.owner and not box.is_reachable else _listen(known, box, arguments, sockets),
        sockets=sockets,
        user=user,
        group=group,
        active=box.state == "running",
        flags=_flag_place(box),
        config_file=box.on_host(config) if config else "",
        web_config=(box.on_host(web) or web) if web else "",
        home=posixpath.join(box.folder, f"firescreen-{box.service}")
        if box.is_compose
        else f"/etc/firescreen/{box.name}",
        pid=process.pid if process else int(inspected["State"].get("Pid", 0)),
        container=box,
    )


def _flag_place(box: Container) -> FlagPlace:
    if box.quadlet:
        return FlagPlace("quadlet", box.quadlet)
    if box.is_compose and box.compose_files:
        return FlagPlace("compose", box.compose_files[-1], box.service)
    return FlagPlace("manual")


def _mark_unchangeable(box: Container, *, web: str, several: bool, dropin: str) -> Container:
    """Adds to the container the reason why it cannot be changed, if there is one."""
    why = box.unchangeable
    if why:
        pass
    elif box.state == "restarting":
        why = "does not stay up: it is started again and again"
    elif box.state != "running":
        why = "does not run"
    elif box.is_compose and several:
        why = f"is one of several of the service {box.service}"
    elif box.is_compose and not box.compose_files:
        why = "was made by a Compose that does not say from which file"
    elif box.is_compose and not box.compose:
        why = "belongs to a Compose project, and the Compose that made it is not installed"
    elif box.unit and not box.is_described:
        why = f"is run by the unit {box.unit}, which no quadlet of this host describes"
    elif dropin:
        why = f"is made by {box.quadlet} and the drop-in {dropin}, which counts and is not edited"
    elif web and not box.on_host(web):
        why = f"has its web configuration {web} in its image"
    elif web and (mount := box.mount_of(web)) is not None and mount.kind != "bind":
        why = f"has its web configuration {web} in a volume"
    return replace(box, unchangeable=why)


def _listen(known: Component, box: Container, arguments: tuple[str, ...], sockets: Sequence[str]) -> str:
    """address:port at which a client on the host reaches it: the published port, else the container's own address."""
    if not box.has_own_network:
        return program_facts.served_at(known, arguments, sockets)
    found = program_facts.first_reachable(sockets)
    if found:
        return found
    address = next((each.address for each in box.networks if each.address), "")
    return f"{address}:{box.inside_port}" if address else ""


def _of_port(box: Container, inside: int) -> tuple[PublishedPort, ...]:
    """Where its web port is published; IPv4 addresses only."""
    found = [each for each in box.published if each.inside == inside]
    return tuple(sorted((each for each in found if ":" not in each.address), key=lambda each: each.port))


def _inside(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path)) if path else ""


def _arguments(known: Component, inspected: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags of a container that does not run, without the words that start its program."""
    words = [str(inspected.get("Path", "")), *map(str, inspected.get("Args") or ())]
    at = next((number for number, word in enumerate(words) if known.matches(word)), 0)
    return tuple(words[at + 1 :])


def _process(inspected: Mapping[str, Any], running: Iterable[Process]) -> Process | None:
    """The component's process in the container: its first process, or a child of that."""
    pid = int(inspected.get("State", {}).get("Pid", 0))
    if not pid:
        return None
    return next(
        (each for each in running if pid in (each.pid, *(parent.pid for parent in each.parents))), None
    )


def _replica_ids(found: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of containers whose Compose service has more than one container."""
    by_service: dict[tuple[str, str], list[str]] = {}
    for inspected in found:
        labels = inspected["Config"].get("Labels") or {}
        if service := labels.get(f"{_LABEL}service"):
            by_service.setdefault((labels.get(f"{_LABEL}project", ""), service), []).append(inspected["Id"])
    return {each for ids in by_service.values() if len(ids) > 1 for each in ids}


def _owners(connection: Connection, pids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """User and group id of each container's first process, as seen from the host."""
    ended = connection.run_script(_OWNERS, *(str(pid) for pid in pids if pid), timeout=30)
    found = {}
    for line in ended.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isdecimal() for word in words):
            found[int(words[0])] = (int(words[1]), int(words[2]))
    return found


def _versions(
    connection: Connection, containers: Sequence[tuple[str, Mapping[str, Any], str]]
) -> dict[str, str]:
    """The version of the program in each image, by the image's id; runs the program in one container per image.

    Args:
        containers: the engine's command, the output of `inspect`, and the path of the program.
    """
    chosen: dict[str, tuple[str, str, str]] = {}
    for engine, inspected, program in containers:
        if inspected["State"].get("Status") == "running" and program.startswith("/"):
            chosen.setdefault(inspected.get("Image", ""), (engine, inspected["Id"], program))
    arguments = [word for each in chosen.values() for word in each]
    if not arguments:
        return {}
    ended = connection.run_script(_VERSIONS, *arguments, timeout=_TIMEOUT)
    outputs = dict(each.split("\x1f", 1) for each in ended.stdout.split("\x1e") if "\x1f" in each)
    return {
        image: program_facts.version_in(outputs.get(identity, ""))
        for image, (_, identity, _) in chosen.items()
    }


def _mount(mount: Mapping[str, Any]) -> Mount:
    return Mount(
        kind=str(mount.get("Type", "bind")),
        source=str(mount.get("Source", "")),
        target=str(mount.get("Destination", "")),
        writable=bool(mount.get("RW")),
    )


def _published_ports(ports: Mapping[str, Any]) -> Iterable[PublishedPort]:
    for inside, places in ports.items():
        number, _, protocol = inside.partition("/")
        for place in places or () if protocol in ("", "tcp") else ():
            if str(place.get("HostPort", "")).isdecimal():
                yield PublishedPort(int(number), str(place.get("HostIp", "")), int(place["HostPort"]))


def _networks(networks: Mapping[str, Any], inspected: Mapping[str, Any]) -> Iterable[ContainerNetwork]:
    name, identity = str(inspected.get("Name", "")).lstrip("/"), str(inspected.get("Id", ""))
    for network, settings in networks.items():
        # The short id is an alias that is gone when the container is removed.
        aliases = [each for each in settings.get("Aliases") or () if each != identity[:12]]
        if network not in ("bridge", "host", "none", "podman"):
            aliases = [*aliases, name]
        yield ContainerNetwork(
            name=network,
            address=str(settings.get("IPAddress", "")),
            gateway=str(settings.get("Gateway", "")),
            aliases=tuple(dict.fromkeys(aliases)),
        )


def _extra(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, _, address = line.replace("=", ":", 1).partition(":")
        yield name, address

"""The flags by which a server uses its web configuration, set in the file with the service's flags. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.certificates import issue
from wizard.components import Component
from wizard.components import component as find_component
from wizard.errors import ConfigError
from wizard.model import ContentKind, ManualCommand, OwnFiles, PlannedStep, StepKind
from wizard.planner.certificates import Pair
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server
from wizard.service_managers.registry import manager_of

CONTAINER_FILES = ("compose", "quadlet")
"""The kinds of files that describe a container: `compose_edits` edits them."""


def flag_step(
    server: Server, pair: Pair, *, keeps_links: bool, paths: Mapping[str, str]
) -> PlannedStep | None:
    """Plans the flag for the web configuration, and the flags that follow from it.

    Args:
        keeps_links: whether the URL in its links stays.
        paths: flags for the path of a component behind a front door, set with these.
    """
    flag = _web_flag(server)
    place = server.service.flags
    if place.kind == "manual" and server.service.is_manual:
        return None  # the manual command of the restart contains the flag
    wanted = {**_missing_flags(server, pair, flag, keeps_links=keeps_links), **paths}
    if place.kind == "manual":
        _refuse_unreachable_flags(server, flag, wanted)
        return None
    if not wanted or place.kind in CONTAINER_FILES:
        return None
    before, manager = server.host.files.get(place.path), manager_of(server.service)
    typed = manager.flag_commands(server.service, wanted=wanted, current=before)
    folders = (
        change
        for folder in server.flag_folders
        for change in server.system_folder(
            folder,
            why="systemd reads additions to a unit from this folder."
            if place.kind == "dropin"
            else f"{server.service.unit} reads its flags from a file in this folder, which is not there yet.",
        )
    )
    written = server.write(
        place.path,
        manager.set_flag(server.service, wanted=wanted, current=before),
        ContentKind.SERVICE_FLAGS,
        why="All other flags stay as they are.",
        by_hand=tuple(ManualCommand(script=line) for line in typed),
    )
    return server.step(
        StepKind.FLAGS,
        title=f"Set the flag --{flag} of {server.title}",
        why=(
            f"{server.spec.name} reads the web configuration that --{flag} names. The flag takes effect with a restart; "
            "later edits of the file take effect without one."
            + " With the others, it serves below its path at the front door, after the same restart."
            * bool(paths)
        ),
        changes=(*folders, written),
    )


def of_container(server: Server, pair: Pair, *, keeps_links: bool) -> dict[str, str]:
    """The flags that the Compose file or quadlet of a server in a container must have; {} for any other server."""
    if server.service.flags.kind not in CONTAINER_FILES:
        return {}
    return _missing_flags(server, pair, _web_flag(server), keeps_links=keeps_links)


def _web_flag(server: Server) -> str:
    """The name of the flag for the web configuration.

    Raises:
        ConfigError: this version has no such flag.
    """
    component = find_component(server.spec.name)
    flag = component.web_flag(server.service.version)
    if not flag:
        raise ConfigError(
            f"{server.spec.name} {server.service.version} cannot do TLS",
            where=server.key,
            todo=f"Upgrade it to {component.first_safe_version} or newer",
        )
    return flag


def _missing_flags(server: Server, pair: Pair, flag: str, *, keeps_links: bool) -> dict[str, str]:
    """The missing flags, with their values."""
    component = find_component(server.spec.name)
    is_set = (
        server.service.flag(flag) == server.web_flag_value
        if server.credentials
        else server.service.web_config
    )
    wanted = {} if is_set else {flag: server.web_flag_value}
    if not keeps_links:
        wanted |= _link_flag(component, server, pair)
    gossip_flag = component.cluster_flag(server.service.version) if server.spec.cluster_tls else ""
    if gossip_flag and not server.service.flag(gossip_flag):
        wanted[gossip_flag] = server.cluster_file
    return wanted


def _refuse_unreachable_flags(server: Server, flag: str, wanted: dict[str, str]) -> None:
    """Refuses a unit whose flags cannot be set: it would go on serving http, and all its clients would fail."""
    if flag in wanted:
        unit = server.service.unit
        raise ConfigError(
            f"{unit} starts {server.spec.name} through something else (a shell, a script), so its flags cannot be set",
            where=server.key,
            todo=f"Start the program itself in ExecStart (`systemctl edit --full {unit}`), or add "
            f"--{flag}={server.web_file} where it is started and say `service: manual` for it in the stack",
        )


def _link_flag(component: Component, server: Server, pair: Pair) -> dict[str, str]:
    """The flag for the URL in links that the program sends, which has http by default."""
    if not component.url_flag:
        return {}
    now = server.service.flag(component.url_flag)
    names = issue.summary(pair.certificate).names
    if now:
        is_own = now.startswith("http:") and _is_own(now, server, names)
        return {component.url_flag: f"https{now[4:]}"} if is_own else {}
    name = next((each for each in names if not endpoints.is_address(each) and each != "localhost"), "")
    name = name or next(iter(names), "")
    return (
        {component.url_flag: f"https://{f'[{name}]' if ':' in name else name}:{server.port}/"} if name else {}
    )


def _is_own(url: str, server: Server, names: Sequence[str]) -> bool:
    """Whether a URL leads to the program itself, and not to a reverse proxy in front of it."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").rstrip("."), parts.port or 80
    except ValueError:
        return False
    if port != server.port:
        return False
    is_named = name in {each.lower().rstrip(".") for each in names}
    return is_named or Client(server.host, server.service, OwnFiles()).means(f"{name}:{port}", server)

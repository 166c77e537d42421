"""Grafana behind a front door: grafana.ini gets its public URL, and Grafana keeps its own login. Pure.

An environment variable `GF_SERVER_…` or an argument `cfg:server.…` overrides grafana.ini. If one differs from what
the front door needs, the plan is refused and names it, since an edit of grafana.ini would change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.config_files import grafana_ini
from wizard.errors import ConfigError, InputError
from wizard.model import (
    GRAFANA,
    ComponentSpec,
    ContentKind,
    DoorRoute,
    Finding,
    FrontDoor,
    Gap,
    GrafanaServer,
    HostFacts,
    PlannedStep,
    Role,
    Service,
    Stack,
    StepKind,
)
from wizard.planner import manual_commands
from wizard.planner.participant import Participant
from wizard.planner.server_facts import Server
from wizard.planner.service_actions import run_alone

_START_SECONDS: Final = 10
_PORT: Final = "3000"
_SECTION: Final = "server"


@dataclass(frozen=True, slots=True)
class DoorGrafana(Participant):
    """The Grafana behind a front door."""

    role: ClassVar[Role] = Role.CLIENT
    door: FrontDoor
    route: DoorRoute
    host: HostFacts
    found: GrafanaServer

    @property
    def over_tls(self) -> bool:
        """False, as Grafana listens on loopback only; see `Backend.over_tls`."""
        return False

    @property
    def component(self) -> str:
        """Grafana's name in steps and probes; a stack has no such component."""
        return GRAFANA

    @property
    def instance(self) -> str:
        """'', since a host has only one."""
        return ""

    @property
    def service(self) -> Service:
        """Grafana as a service."""
        return self.found.service

    @property
    def server(self) -> Server:
        """Grafana as a server, for its clients."""
        spec = ComponentSpec(host=self.host.spec.name, name=GRAFANA)
        return Server(spec, self.host, replace(self.service, listen=self.address))

    @property
    def address(self) -> str:
        """host:port at which Grafana listens behind the front door."""
        return f"127.0.0.1:{self.port}"

    @property
    def port(self) -> str:
        """Grafana's port, which does not change."""
        return self.setting_value("http_port") or _PORT

    @property
    def url(self) -> str:
        """Grafana's URL at the front door, without a slash at the end."""
        return self.door.url(self.route)

    @property
    def old_prefix(self) -> str:
        """The path below which Grafana serves now, or ''."""
        below = grafana_ini.is_true(self.setting_value("serve_from_sub_path"))
        return urlsplit(self.setting_value("root_url")).path.rstrip("/") if below else ""

    @property
    def ini(self) -> bytes:
        """The content of grafana.ini; b'' if it is missing."""
        state = self.host.files.get(self.service.config_file)
        return state.content if state is not None else b""

    def setting_value(self, key: str, section: str = _SECTION) -> str:
        """The effective value of a setting; '' if it is set nowhere."""
        override = self.found.override(section, key)
        if override is not None:
            return override.value
        return grafana_ini.settings(self.ini).get((section, key), "")

    @property
    def wanted(self) -> dict[str, str]:
        """The settings of `[server]` that must change for the front door, with their new values."""
        wanted = {"root_url": f"{self.url}/"}
        if self.route.prefix:
            wanted["serve_from_sub_path"] = "true"
        if not endpoints.is_loopback(self.setting_value("http_addr")):
            wanted["http_addr"] = "127.0.0.1"
        if grafana_ini.is_true(self.setting_value("enforce_domain")):
            wanted["domain"] = self.door.name
        return {key: value for key, value in wanted.items() if not _same(key, self.setting_value(key), value)}

    @property
    def lets_strangers_in(self) -> bool:
        """Whether Grafana serves people who are not logged in."""
        return grafana_ini.is_true(self.setting_value("enabled", "auth.anonymous"))

    @property
    def has_login_page(self) -> bool:
        """Whether Grafana shows its own login page, going by its settings, and not an OpenID provider's."""
        settings = grafana_ini.settings(self.ini)
        return not any(
            key.endswith("auto_login") and grafana_ini.is_true(value) for (_, key), value in settings.items()
        )


def _same(key: str, value: str, wanted: str) -> bool:
    if key == "serve_from_sub_path":
        return grafana_ini.is_true(value)
    return value.rstrip("/") == wanted.rstrip("/")


def grafana_behind_door(stack: Stack, host: HostFacts, door: FrontDoor) -> DoorGrafana | None:
    """The Grafana behind a front door; None if the front door has no route to one.

    Raises:
        InputError: Grafana does not run on this host.
    """
    if door.grafana is None:
        return None
    if host.grafana_server is None or not host.grafana_server.service.active:
        raise InputError(
            f"there is no Grafana on {door.host} that runs as the systemd unit grafana-server",
            where=stack.source or door.key,
            todo=f"Start it there, or take its route out of the front door {door.name}",
        )
    return DoorGrafana(door, door.grafana, host, host.grafana_server)


def refuse_unfit(grafana: DoorGrafana) -> None:
    """Refuses a Grafana whose settings prevent a front door from serving it.

    Raises:
        InputError: names the setting and its place.
    """
    where = f"{grafana.host.spec.name}:{grafana.service.config_file}"
    if not grafana.ini:
        raise InputError(
            "the configuration of Grafana is not there, or is empty",
            where=where,
            todo="Use Grafana with its configuration at /etc/grafana/grafana.ini",
        )
    for key, value in grafana.wanted.items():
        override = grafana.found.override(_SECTION, key)
        if override is not None:
            raise InputError(
                f"Grafana is started with {override.said_by}, which wins over its grafana.ini, and the front door "
                f"{grafana.door.name} needs {key} = {value}",
                where=f"{grafana.host.spec.name}: {grafana.service.unit}",
                todo=f"Take {override.said_by.partition('=')[0]} out of its environment or command line, restart Grafana, and "
                "plan again",
            )
    protocol = grafana.setting_value("protocol") or "http"
    if protocol != "http":
        raise InputError(
            f"Grafana has protocol = {protocol}, and the front door asks it by http on the loopback address",
            where=where,
            todo="Set protocol = http below [server], restart Grafana, and plan again",
        )
    if not grafana.port.isdecimal():
        raise InputError(
            f"the port of Grafana stands in grafana.ini as {grafana.port}, which only Grafana knows",
            where=where,
            todo="Set http_port to a number below [server], then plan again",
        )


def flags(grafana: DoorGrafana) -> PlannedStep | None:
    """Plans the edit of grafana.ini; None if nothing has to change.

    Raises:
        ConfigError: grafana.ini cannot be edited.
    """
    path, wanted = grafana.service.config_file, grafana.wanted
    before = grafana.host.files.get(path)
    if not wanted or before is None:
        return None
    try:
        after = replace(before, content=grafana_ini.with_settings(before.content, _SECTION, wanted))
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{grafana.host.spec.name}:{path}", todo=error.todo) from error
    login = (
        "People log in at Grafana as before: the front door asks for nothing, since Grafana would take a password of the "
        "front door for one of its own."
        if grafana.route.has_own_login
        else "The front door asks for a login first, and then Grafana does."
    )
    return grafana.step(
        StepKind.FLAGS,
        title=f"Put Grafana behind {grafana.door.authority}",
        why=(
            f"root_url and serve_from_sub_path say where Grafana is reached: its links and its WebSocket (Grafana Live) then "
            f"work at {grafana.url}/. With http_addr = 127.0.0.1 nobody reaches it beside the front door. {login}"
        ),
        changes=(
            grafana.write(
                path,
                after,
                ContentKind.SERVICE_FLAGS,
                why="Every other byte of the file stays as it is.",
                by_hand=manual_commands.patch(path, before, after),
            ),
        ),
    )


def restart(grafana: DoorGrafana, workspace: str) -> PlannedStep:
    """Plans Grafana's restart."""
    service = grafana.service
    run = run_alone(service, "restart", workspace=workspace)
    return grafana.step(
        StepKind.RESTART,
        title=f"Restart {service.unit}",
        why=f"Grafana reads grafana.ini and its data sources when it starts: then it listens on {grafana.address} alone.",
        changes=(run,),
    )


def gaps(grafana: DoorGrafana) -> Iterator[Gap]:
    """Yields how long Grafana is down, and from where nobody can reach it afterwards."""
    if not grafana.wanted:
        return
    host = grafana.host.spec.name
    yield Gap(
        message=f"restarts: it shows nothing for about {_START_SECONDS} s",
        seconds=_START_SECONDS,
        host=host,
        component=GRAFANA,
    )
    yield Gap(
        message=f"is reached by others at {grafana.url}/ alone from then on", host=host, component=GRAFANA
    )


def warnings(grafanas: Iterable[DoorGrafana]) -> Iterator[Finding]:
    """Yields warnings about Grafanas whose dashboards everyone can see who reaches the front door."""
    for each in grafanas:
        if each.route.has_own_login and each.lets_strangers_in:
            yield Finding(
                id="grafana-anonymous",
                host=each.host.spec.name,
                component=GRAFANA,
                what=f"Grafana shows its dashboards at {each.url}/ without a login",
                why="Anonymous access is enabled ([auth.anonymous] enabled), and the front door leaves the login to Grafana.",
                remediation="Set enabled = false below [auth.anonymous], or login: door in its route",
            )

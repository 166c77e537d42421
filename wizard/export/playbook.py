"""A stack as an Ansible playbook: the plays, their hosts, and the variables of each host. Pure: data only."""

from __future__ import annotations

import ipaddress
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wizard import endpoints
from wizard.components import component as find_component
from wizard.export.desired_state import THERE, Picture, Turn, Wanted
from wizard.export.host_access import GROUP, connection_variables, refuse_unreachable
from wizard.model import WORKSPACE, FileState, HostSpec, Plan, Probe, Service
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.service_managers.registry import manager_of

_TITLES = 3
"""Maximum number of titles in the name of a play."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file of the export that is copied to a host; `source` is its path below `files/`."""

    source: str
    content: bytes
    secret: bool


class Playbook:
    """The content of an export before anything is encrypted or written.

    Raises:
        InputError: Ansible cannot reach a host, or the host's name has another meaning there.
    """

    def __init__(self, plan: Plan, picture: Picture) -> None:
        self._plan = plan
        self._picture = picture
        self._hosts = tuple(spec for spec in plan.stack.hosts if _works_on(spec, picture))
        for spec in self._hosts:
            refuse_unreachable(spec, plan.stack.source)
        stages = {stage for file in picture.files for stage, _ in file.states}
        stages |= {turn.stage for turn in picture.turns} | {folder.stage for folder in picture.folders}
        self._numbers = {stage: number for number, stage in enumerate(sorted(stages), start=1)}
        self._sources = _Sources()
        self._variables = {spec.name: self._host_vars(spec.name) for spec in self._hosts}

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Returns the files that are copied to hosts."""
        return self._sources.copies

    @property
    def has_secrets(self) -> bool:
        """Returns whether a vault is needed."""
        return any(copy.secret for copy in self.copies)

    def inventory(self) -> dict[str, Any]:
        """Returns the hosts and how Ansible connects to them."""
        return {
            "all": {
                "children": {
                    GROUP: {"hosts": {spec.name: connection_variables(spec) for spec in self._hosts}}
                }
            }
        }

    def host_vars(self) -> dict[str, dict[str, Any]]:
        """Returns the public variables of each host."""
        return {name: variables[0] for name, variables in self._variables.items()}

    def secret_vars(self) -> dict[str, dict[str, Any]]:
        """Returns the secret variables of each host: the checksums of secrets, and passwords."""
        return {name: variables[1] for name, variables in self._variables.items() if variables[1]}

    def plays(self) -> list[dict[str, Any]]:
        """Returns the plays of site.yml."""
        many = len(self._numbers)
        plays = [_play("Look before anything is written", GROUP, ["look"], None)]
        for stage, number in self._numbers.items():
            writing = {file.host for file in self._picture.files if any(at == stage for at, _ in file.states)}
            writing |= {folder.host for folder in self._picture.folders if folder.stage == stage}
            turns = [turn for turn in self._picture.turns if turn.stage == stage]
            actions = {turn.action for turn in turns}
            tasks = ["write"] if writing else []
            tasks += [action for action in ("restart", "reload") if action in actions]
            hosts = {*writing, *(turn.service.host for turn in turns)}
            named = ":".join(spec.name for spec in self._hosts if spec.name in hosts)
            plays.append(_play(f"{number} of {many}: {self._title(stage, turns)}", named, tasks, number))
        verifying = [
            name for name, variables in self.host_vars().items() if variables.get("firescreen_verification")
        ]
        if verifying:
            plays.append(
                _play("Verify: Prometheus scrapes every target", ":".join(verifying), ["verify"], None)
            )
        at_doors = [
            name
            for name, variables in self.host_vars().items()
            if variables.keys() & {"firescreen_door_requests", "firescreen_closed"}
        ]
        if at_doors:
            plays.append(_play("Verify: front doors let nobody pass by", ":".join(at_doors), ["doors"], None))
        return plays

    def _title(self, stage: int, turns: list[Turn]) -> str:
        if stage == THERE:
            return "Keep what is in place already"
        titles = list(
            dict.fromkeys(
                step.title for step in self._plan.steps if step.stage == stage and step.host != WORKSPACE
            )
        )
        if not titles:
            titles = list(dict.fromkeys(_turn_title(turn) for turn in turns))
        more = f"; and {len(titles) - _TITLES} more" if len(titles) > _TITLES else ""
        return "; ".join(titles[:_TITLES]) + more

    def _host_vars(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        files = [file for file in self._picture.files if file.host == name]
        variables: dict[str, Any] = {
            "firescreen_folders": [
                {
                    "stage": self._numbers[folder.stage],
                    "path": folder.path,
                    "owner": folder.owner,
                    "group": folder.group,
                    "mode": f"{folder.mode:04o}",
                }
                for folder in self._picture.folders
                if folder.host == name
            ],
            "firescreen_files": [entry for file in files for entry in self._entries(file)],
            "firescreen_paths": [
                {"path": file.path, "sums": list(file.sums)} for file in files if not file.secret
            ],
            "firescreen_turns": [
                self._turn(turn) for turn in self._picture.turns if turn.service.host == name
            ],
            "firescreen_needed": [each.path for each in self._picture.needed if each.host == name],
        }
        variables |= self._verification(name)
        variables |= self._at_doors(name)
        secret = {
            "firescreen_secret_paths": [
                {"path": file.path, "sums": list(file.sums)} for file in files if file.secret
            ],
            "firescreen_door_passwords": self._picture.doors.passwords(name),
        }
        return _without_empty(variables), _without_empty(secret)

    def _at_doors(self, name: str) -> dict[str, Any]:
        """Returns the requests to the reverse proxies of a host, and its addresses that must accept no connection."""
        doors = self._picture.doors
        closed = [probe.url.partition("://")[2].strip("/") for probe in doors.closed_port_probes(name)]
        return {
            "firescreen_door_requests": [asdict(each) for each in doors.requests(name)],
            "firescreen_door_authorities": doors.authorities(name),
            "firescreen_closed": [
                {"host": host, "port": port} for host, port in map(endpoints.split, closed)
            ],
        }

    def _entries(self, file: Wanted) -> Iterator[dict[str, Any]]:
        """Yields the writes of one file, in order."""
        final = file.states[-1][1]
        for stage, state in file.states:
            entry: dict[str, Any] = {
                "stage": self._numbers[stage],
                "path": file.path,
                "secret": file.secret,
                "absent": state is None,
                "between": state is not final,
                "returns": state is not final and _same(file.before, final),
            }
            if state is not None:
                entry |= {
                    "src": self._sources.add(file, state),
                    "owner": state.owner,
                    "group": state.group,
                    "mode": f"{state.mode:04o}",
                    "size": len(state.content),
                }
                if (validate := self._validate(file)) != "":
                    entry["validate"] = validate
            yield entry

    def _validate(self, file: Wanted) -> str:
        """Returns the command that checks a configuration; promtool checks a copy beside it: paths may be relative."""
        if checked := self._picture.doors.check(file.host, file.path):
            return checked
        promtool = self._picture.facts.hosts[file.host].promtool
        if file.check != "prometheus-config" or not promtool:
            return ""
        beside = posixpath.join(posixpath.dirname(file.path), ".firescreen-check.yml")
        script = 'cp -p "$0" "$1" && "$2" check config "$1"; code=$?; rm -f "$1"; exit $code'
        return f"/bin/sh -c {shlex.quote(script)} %s {shlex.quote(beside)} {shlex.quote(promtool)}"

    def _turn(self, turn: Turn) -> dict[str, Any]:
        service = turn.service
        variables: dict[str, Any] = {
            "stage": self._numbers[turn.stage],
            "action": turn.action,
            "unit": service.unit,
            "manager": service.manager,
            **self._readiness_check(turn),
            "files": list(turn.files),
            "awaited": list(turn.awaited),
            "secured": turn.secured,
            "daemon_reload": manager_of(service).has_units,
        }
        if service.is_manual:
            variables["by_hand"] = list(turn.by_hand)
        elif not manager_of(service).has_units:
            (command,) = manager_of(service).manual_commands(
                service, turn.action, workspace=self._picture.facts.workspace_option
            )
            variables["argv"] = shlex.split(command)
        elif turn.action == "reload":
            signal = find_component(service.component).reload_by
            variables["argv"] = ["systemctl", "kill", "--kill-who=main", f"--signal={signal}", service.unit]
        return variables

    def _readiness_check(self, turn: Turn) -> dict[str, Any]:
        """Returns the URL and the status of a component on the host once the restart or reload has worked."""
        if turn.ready:
            return {"url": turn.ready, "status": 200}
        if self._picture.doors.has(turn.service):
            return {}
        listen = _local(turn.service)
        path = find_component(turn.service.component).metrics_path(turn.service.flag)
        return {"listen": listen, "url": f"http://{listen}{path}", "status": 400}

    def _verification(self, name: str) -> dict[str, Any]:
        """Returns how to query the Prometheus of a host, and for which targets; {} if that is impossible."""
        for client in self._picture.scrapers:
            if client.service.host != name:
                continue
            targets = dict.fromkeys(
                f"{self._scheme(probe)}://{probe.instance}"
                for probe in self._plan.probes
                if probe.kind == "up" and probe.asker == client.key
            )
            access = self._access(client)
            if targets and access:
                return {"firescreen_verification": {**access, "targets": list(targets)}}
        return {}

    def _scheme(self, probe: Probe) -> str:
        """Returns the scheme of a target: http if it is behind a reverse proxy on its own host, otherwise https."""
        return "http" if self._picture.doors.api(probe.server) else "https"

    def _access(self, client: Client) -> dict[str, str]:
        """Returns how to query Prometheus on its own host, with the credentials of its own scrape job."""
        if behind := self._picture.doors.api(client.key):
            return {"url": behind}
        own = self._picture.server(client)
        prefix = self._picture.doors.prefix(client.key) or find_component("prometheus").prefix(
            client.service.flag
        )
        if own is None:
            return {"url": f"http://{_local(client.service)}{prefix}"}
        for place in client.places():
            address = next((each for each in place.addresses if client.means(each, own)), "")
            if place.kind == "job" and address and not place.tls.get("server_name"):
                return {"url": f"https://{address}{prefix}", **_place_credentials(client, place)}
        return {}


class _Sources:
    """The files that are copied to hosts, each under its own path below `files/`."""

    def __init__(self) -> None:
        self._copies: dict[str, Copy] = {}

    @property
    def copies(self) -> tuple[Copy, ...]:
        return tuple(self._copies.values())

    def add(self, file: Wanted, state: FileState) -> str:
        """Returns the path of that content; intermediate contents get names of their own."""
        source = posixpath.join(file.host, file.path.lstrip("/"))
        number = [each for _, each in file.states].index(state)
        if state is not file.states[-1][1]:
            source = f"{source}.between-{number + 1}"
        self._copies[source] = Copy(source, state.content, file.secret)
        return source


def _without_empty(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the empty values."""
    return {key: value for key, value in variables.items() if value}


def _same(first: FileState | None, second: FileState | None) -> bool:
    """Returns whether two states have the same content, or both are missing."""
    return (first and first.content) == (second and second.content)


def _place_credentials(client: Client, place: Place) -> dict[str, str]:
    """Returns CA, certificate and login of a place, as in `firescreen_verification`."""
    named = {"ca": "ca_file", "cert": "cert_file", "key": "key_file"}
    found = {
        key: client.resolve(place, place.tls[name]) for key, name in named.items() if place.tls.get(name)
    }
    user, path = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
    if user and path:
        found |= {"user": user, "password_file": client.resolve(place, path)}
    return found


def _turn_title(turn: Turn) -> str:
    verb = "Restart" if turn.action == "restart" else "Reload"
    return f"{verb} {turn.service.unit}, if that is due"


def _play(name: str, hosts: str, tasks: list[str], stage: int | None) -> dict[str, Any]:
    play: dict[str, Any] = {
        "name": name,
        "hosts": hosts,
        "gather_facts": False,
        "any_errors_fatal": True,
    }
    if stage is not None:
        play["vars"] = {"firescreen_stage": stage}
    play["tasks"] = [
        {"name": _TASKS[task], "ansible.builtin.import_tasks": f"tasks/{task}.yml"} for task in tasks
    ]
    return play


_TASKS = {
    "look": "Look at the files",
    "write": "Write files",
    "restart": "Restart services",
    "reload": "Reload services",
    "verify": "Ask Prometheus",
    "doors": "Ask front doors",
}


def _works_on(spec: HostSpec, picture: Picture) -> bool:
    return any(file.host == spec.name for file in picture.files) or any(
        turn.service.host == spec.name for turn in picture.turns
    )


def _local(service: Service) -> str:
    """Returns address:port at which the host itself reaches a service."""
    if any(argument.startswith("--web.systemd-socket") for argument in service.arguments):
        return service.listen  # systemd listens, and only it knows where
    port = service.listen.rpartition(":")[2]
    address = service.flag("web.listen-address").rpartition(":")[0].strip("[]")
    try:
        anywhere = not address or ipaddress.ip_address(address).is_unspecified
    except ValueError:
        anywhere = False
    host = "127.0.0.1" if anywhere else address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

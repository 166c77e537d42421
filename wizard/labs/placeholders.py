"""The values of a lab's placeholders, on the practice stack and on real hosts."""

from __future__ import annotations

import ipaddress
import re
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path

from wizard import assets, endpoints, practice
from wizard.account import account
from wizard.engine.hosts import Hosts
from wizard.errors import LabError
from wizard.front_doors.caddy import login_directive
from wizard.labs.classroom import Classroom
from wizard.labs.inspection import Look
from wizard.model import FileState, Service
from wizard.practice.compose_project import SERVICES, ComposeProject
from wizard.redact import plain
from wizard.service_managers import flags
from wizard.workspace import Workspace

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def practice_values(workspace: Workspace) -> Mapping[str, str]:
    """Returns the values of a lab's placeholders on the practice stack of a workspace."""
    practice_stack = practice.load(workspace.practice)
    assert practice_stack is not None
    found = {
        "lab.promtool": "promtool",
        "lab.notes": str(workspace.practice / "notes"),
        "lab.examples": str(assets.path("examples")),
    }
    asks = next((host.folder for host in practice_stack.hosts if host.component == "prometheus"), "")
    for host in practice_stack.hosts:
        unit = f"{host.name}/{host.component}" if host.name in practice.MORE else host.component
        home = f"{host.folder}/etc/{host.component}"
        found |= {
            f"{host.name}.address": host.address,
            f"{host.name}.port": str(host.port),
            f"{host.name}.listen": host.listen,
            f"{host.name}.loopback": host.loopback,
            f"{host.name}.home": home,
            f"{host.name}.from": home,
            f"{host.name}.flags": f"{host.service_folder}/arguments",
            f"{host.name}.addflag": f'echo "$flag" >> {shlex.quote(f"{host.service_folder}/arguments")}',
            f"{host.name}.log": f"{host.service_folder}/log",
            f"{host.name}.group": account()[1],
            f"{host.name}.targets": f"{asks}/etc/prometheus/targets.d/node.yml",
            f"{host.name}.asked": host.address,
            f"{host.name}.san": f"IP:{host.address},DNS:{host.name}",
            f"{host.name}.job": "node" if host.component == "node_exporter" else host.component,
            f"{host.name}.version": host.version,
            f"{host.name}.restart": f"firescreen practice restart {unit}",
            f"{host.name}.reload": f"firescreen practice reload {unit}",
        }
        if host.name in practice.BESIDE:
            found[f"{host.name}.login"] = login_directive(host.version)
    return found


def compose_values(project: ComposeProject, notes: str) -> Mapping[str, str]:
    """Returns the values of a lab's placeholders in a Compose project."""
    found = {
        "lab.project": project.folder,
        "lab.compose": project.compose,
        "lab.notes": notes,
        "lab.examples": str(assets.path("examples")),
        "lab.promtool": "promtool",
    }
    for service, (component, _) in SERVICES.items():
        listen = project.addresses[service]
        found |= {
            f"{service}.address": listen.rpartition(":")[0],
            f"{service}.port": listen.rpartition(":")[2],
            f"{service}.listen": listen,
            f"{service}.version": project.versions.get(component, ""),
        }
    return found


def real_host_values(look: Look, component_key: str, hosts: Hosts, classroom: Classroom) -> Mapping[str, str]:
    """Returns the values of the placeholders of one component of a real host.

    Args:
        look: the hosts of the lab.
        component_key: host/component.

    Raises:
        LabError: its address is not known, or its flags cannot be edited. HostError: it cannot be inspected.
    """
    role = component_key.partition("/")[0]
    service, spec = look.service(component_key), classroom.host(role)
    assert spec is not None
    scraped_as, _, port = look.scrape_address(component_key).rpartition(":")
    address = _address((scraped_as, spec.address, service.listen.rpartition(":")[0], *hosts.names(role)))
    if not address:
        raise LabError(
            f"the address of {role} is not known",
            where=component_key,
            todo="Add it to the classroom file: address:",
        )
    target = look.target(component_key)
    # A certificate that others verify must not contain localhost, unless Prometheus scrapes by that name.
    known_names = (address, scraped_as, classroom.names.get(role, ""), role)
    names = dict.fromkeys(each.strip("[]") for each in known_names if each)
    reload = "systemctl daemon-reload && " if service.flags.kind == "dropin" else ""
    user = f"{spec.user}@" if spec.user else ""
    return {
        f"{role}.address": address,
        f"{role}.asked": scraped_as.strip("[]"),
        f"{role}.port": port,
        f"{role}.listen": f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        f"{role}.home": service.home,
        f"{role}.from": f"{user}{spec.address or role}:{service.home}",
        f"{role}.flags": service.flags.path,
        f"{role}.addflag": _addflag(look, hosts, component_key),
        f"{role}.log": f"journalctl -eu {service.unit}",
        f"{role}.group": service.group,
        f"{role}.san": ",".join(f"{_kind(name)}:{name}" for name in names),
        f"{role}.job": target.job if target and _PLAIN_NAME.fullmatch(target.job) else "node",
        f"{role}.targets": _targets(target.source if target else "", look.prometheus()),
        f"{role}.version": service.version,
        f"{role}.restart": f"{reload}systemctl restart {service.unit}",
        f"{role}.reload": f"systemctl reload {service.unit}",
    }


def _addflag(look: Look, hosts: Hosts, component_key: str) -> str:
    """Returns the commands that give a service the flag in `$flag`."""
    service = look.service(component_key)
    place = service.flags
    path = shlex.quote(place.path)
    if place.kind == "envfile":
        state = look.read(component_key, place.path)
        lines = state.content.decode("utf-8", "replace").splitlines() if state else []
        if not any(line.startswith(f"{place.variable}=") for line in lines):
            return f'echo "{place.variable}=\\"$flag\\"" >> {path}'
        return f'sed -i "s|^{place.variable}=[\\"\']\\?|&$flag |" {path}'
    if place.kind == "dropin":
        with_sources = hosts.with_flag_sources(service)
        current: FileState | None = look.read(component_key, place.path)
        planned = flags.plan_flag(
            with_sources, flag="firescreen", value="here", current=current, unit_text=with_sources.unit_text
        )
        text = planned.content.decode("utf-8", "replace").rstrip("\n")
        written = re.sub(r"([$`\\])", r"\\\1", text).replace("--firescreen=here", "$flag")
        folder = shlex.quote(str(Path(place.path).parent))
        return f"mkdir -p {folder}\ncat > {path} <<END\n{plain(written, 4000)}\nEND"
    raise LabError(
        f"the flags of {service.unit} are not in a file that can be edited",
        where=component_key,
        todo="Do the lab on the practice stack",
    )


def _address(candidates: tuple[str, ...]) -> str:
    """Returns the first address that others can reach; otherwise that of the first name that can be resolved."""
    for each in candidates:
        try:
            if not ipaddress.ip_address(each.strip("[]")).is_loopback:
                return each.strip("[]")
        except ValueError:
            continue
    for each in candidates:
        try:
            found = socket.getaddrinfo(each, None, proto=socket.IPPROTO_TCP)[0][4][0]
            if not ipaddress.ip_address(str(found)).is_loopback:
                return str(found)
        except (OSError, ValueError):
            continue
    return ""


def _kind(name: str) -> str:
    return "IP" if endpoints.is_address(name) else "DNS"


def _targets(source: str, prometheus: Service) -> str:
    """Returns the file_sd list of targets that Prometheus watches."""
    return source if source.startswith("/") else f"{prometheus.home}/targets.d/node.yml"

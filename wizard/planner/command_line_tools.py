"""The person's own tools: commands with which promtool, amtool and pushing scripts reach a secured server.

They use the same files as the probes: the copy of the CA, the user's password file, the probes' certificate. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from wizard import assets
from wizard.components import component as find_component
from wizard.components.base import numbers
from wizard.config_files import http_client
from wizard.model import Change, Facts, PlannedStep, Service, Stack, StepKind
from wizard.planner import paths, workspace_files
from wizard.planner.server import ServerPlan
from wizard.probes import forward_command, forwarded_port

PUSH_EXAMPLE = "examples/push_to_pushgateway.py"
_FIRST_PROMTOOL = (2, 43, 0)
"""The first promtool with --http.config.file."""


Names: TypeAlias = Mapping[str, tuple[str, str]]
"""See `probes.names`."""


def step(stack: Stack, facts: Facts, plans: Sequence[ServerPlan], named: Names) -> tuple[PlannedStep, ...]:
    """Plans the files for --http.config.file of promtool and amtool, one per server that these tools can query."""
    changes: list[Change] = []
    for plan in plans:
        if plan.server.spec.name not in paths.TOOLS:
            continue
        content = http_client.text(
            **_settings(stack, facts, plan), server_name=_workstation_address(plan, named)[1]
        )
        changes += workspace_files.http_client_settings(facts, paths.tools_file(facts, plan.server), content)
    if not changes:
        return ()
    folder = workspace_files.workspace_folder(
        facts, "tools", "The settings of your command-line tools are in one folder."
    )
    return (
        workspace_files.workspace_step(
            StepKind.COMMAND_LINE_TOOLS,
            title="Write client settings for promtool and amtool",
            why=(
                "promtool and amtool use plain http by default. With --http.config.file they read CA, password and "
                "client certificate from a file."
            ),
            changes=(*folder, *changes),
        ),
    )


def commands(stack: Stack, facts: Facts, plans: Sequence[ServerPlan], named: Names) -> dict[str, str]:
    """One command, by host/component, for each server that people and scripts query too; it runs as printed."""
    found = {}
    for plan in plans:
        server = plan.server
        address = _workstation_address(plan, named)[0]
        if server.spec.name == "pushgateway":
            found[server.key] = shlex.join(_push(stack, facts, plan, named.get(server.key, (address,))[0]))
        elif server.spec.name in paths.TOOLS:
            url = f"https://{address}{find_component(server.spec.name).prefix(server.service.flag)}"
            config = f"--http.config.file={paths.tools_file(facts, server)}"
            found[server.key] = shlex.join(
                _query(stack, facts, plan, url)
                if server.spec.name == "prometheus"
                else ["amtool", config, f"--alertmanager.url={url}", "alert"]
            )
            if server.service.forward is not None:
                found[server.key] = forward_command(server.service.forward, server.key, found[server.key])
    return found


def _workstation_address(plan: ServerPlan, named: Names) -> tuple[str, str]:
    """host:port of a server from this machine, and the name in its certificate if that is another one."""
    server = plan.server
    address, server_name = named.get(server.key, (server.address, ""))
    name = server_name or address.rpartition(":")[0].strip("[]")
    if server.service.forward is not None:
        return f"127.0.0.1:{forwarded_port(server.key)}", name
    if not server.host.spec.is_remote or address == server.address:
        return address, server_name
    return server.address, name


def sentences(plans: Sequence[ServerPlan], commands: Mapping[str, str]) -> tuple[str, ...]:
    """The same commands as sentences for the end of a run."""
    found = []
    for plan in plans:
        server = plan.server
        if server.key not in commands:
            continue
        doing = {"pushgateway": "To push to", "prometheus": "To query"}.get(server.spec.name, "To ask")
        note = " (with the Python package prometheus-client)" if server.spec.name == "pushgateway" else ""
        if server.spec.name == "prometheus" and not server.service.agent:
            note = newer_promtool(server.service)
        found.append(f"{doing} {server.key}{note}: {commands[server.key]}")
    return tuple(found)


def _query(stack: Stack, facts: Facts, plan: ServerPlan, url: str) -> list[str]:
    """The query for a Prometheus: for one in agent mode, which has no query API, the list of its targets."""
    if not plan.server.service.agent:
        return [
            "promtool",
            "query",
            "instant",
            f"--http.config.file={paths.tools_file(facts, plan.server)}",
            url,
            "up",
        ]
    settings = _settings(stack, facts, plan)
    command = ["curl", "--cacert", settings["ca_file"]]
    if "cert_file" in settings:
        command += ["--cert", settings["cert_file"], "--key", settings["key_file"]]
    if "username" in settings:
        command += ["--config", paths.user_files(facts, stack.users[0])[1]]
    return [*command, f"{url}/api/v1/targets"]


def _push(stack: Stack, facts: Facts, plan: ServerPlan, address: str) -> list[str]:
    settings = _settings(stack, facts, plan)
    options = {
        "ca_file": "--ca",
        "username": "--user",
        "password_file": "--password-file",
        "cert_file": "--cert",
        "key_file": "--key",
    }
    command = ["python3", str(assets.path(PUSH_EXAMPLE)), "--gateway", address]
    for key, option in options.items():
        if key in settings:
            command += [option, settings[key]]
    return command


def _settings(stack: Stack, facts: Facts, plan: ServerPlan) -> dict[str, str]:
    """The settings in an HTTP client's configuration with which this machine may connect."""
    settings = {"ca_file": paths.trust_copy(facts, plan.server)}
    if plan.asks_certificate:
        settings["cert_file"], settings["key_file"] = paths.probe_pair(facts)
    if plan.asks_password:
        user = stack.users[0]
        settings |= {"username": user.name, "password_file": paths.user_files(facts, user)[0]}
    return settings


def newer_promtool(service: Service) -> str:
    """The remark that a promtool of the Prometheus' age is too old for the printed command; '' otherwise."""
    old = bool(service.version) and numbers(service.version) < _FIRST_PROMTOOL
    return " (with a promtool of 2.43 or newer)" if old else ""

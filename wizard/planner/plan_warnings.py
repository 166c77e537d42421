"""The warnings of a plan about its servers and hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wizard.components import component as find_component
from wizard.errors import InputError
from wizard.model import Facts, Finding, Stack
from wizard.planner import containers
from wizard.planner.server import ServerPlan
from wizard.plurals import join_words

CLOCK_TOLD = 30.0
"""Clocks that differ by more seconds than this are reported."""


CLOCK_REFUSED = 3300.0
"""The most seconds that a host's clock may be slow: certificates are valid from an hour before their creation."""


def of_servers(stack: Stack, plans: Sequence[ServerPlan], commands: Mapping[str, str]) -> tuple[Finding, ...]:
    """Findings about the servers of a plan; `commands` has the command to query each one afterwards, by its key."""
    found = []
    for server_plan in plans:
        service = server_plan.server.service
        component = find_component(service.component)
        if not component.safe(service.version):
            found.append(
                Finding(
                    id="cve-2022-46146",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"{service.component} {service.version} has a bypass of basic authentication (CVE-2022-46146)",
                    why="An attacker who has seen a hash can poison the password cache of this version.",
                    remediation=f"Upgrade to {component.first_safe_version} or newer",
                )
            )
        if server_plan.turn == "restart":
            found += containers.lost_volumes(service)
        asked_for_ca = stack.certificates.issued_by == "ca"
        if not server_plan.pair.changes and asked_for_ca and not server_plan.pair.own_ca:
            found.append(
                Finding(
                    id="certificate-kept",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"{server_plan.pair.certificate_file} is not issued by your CA and still valid, so it is kept",
                    why="A valid certificate is not replaced, although you chose your own CA for new ones.",
                    remediation="Move it away first if your CA is to issue this one too",
                )
            )
        if component.other_clients and server_plan.turn != "none":
            news, needed = _client_requirements(server_plan)
            found.append(
                Finding(
                    id="others-ask-it-too",
                    host=service.host,
                    component=service.component,
                    instance=service.instance,
                    what=f"other clients of {component.title} ({', '.join(component.other_clients)}) will be rejected until they use {news}",
                    why="The plan changes its own clients only; other programs keep their settings.",
                    remediation=f"Give them {needed}"
                    + (f", as in: {example}" if (example := commands.get(server_plan.server.key)) else ""),
                )
            )
        found += _open_flags(server_plan)
    return tuple(found)


def _client_requirements(server_plan: ServerPlan) -> tuple[str, str]:
    """A title for what clients must send in addition, and everything that they need to be accepted."""
    parts = ["https", "the CA certificate"]
    parts += ["the password"] if server_plan.asks_password else []
    parts += ["a client certificate"] if server_plan.asks_certificate else []
    return "the new credentials" if len(parts) > 2 else "https", join_words(parts)


def of_unreachable_hosts(facts: Facts) -> list[Finding]:
    """Hosts without changes in the plan, because they were unreachable."""
    return [
        Finding(
            id="host-away",
            host=name,
            what=f"{name} is not changed: {why}",
            why="The run continues without it; its components stay as they are.",
            remediation="Make it reachable and apply again: only what is missing is changed",
        )
        for name, why in facts.away.items()
    ]


def of_clocks(facts: Facts) -> list[Finding]:
    """Hosts whose clocks differ from this machine's, where certificates get their dates.

    Raises:
        InputError: one differs so much that a new certificate would not be valid there.
    """
    found = []
    for name, known in facts.hosts.items():
        if abs(known.clock) < CLOCK_TOLD:
            continue
        way = "behind" if known.clock < 0 else "ahead"
        what = f"the clock of {name} is {abs(known.clock):.0f} s {way} of this machine's"
        if known.clock < -CLOCK_REFUSED:
            raise InputError(
                f"{what}: a new certificate would not be valid there yet",
                where=name,
                todo="Set the clock first (timedatectl set-ntp true), here or there",
            )
        found.append(
            Finding(
                id="clocks-disagree",
                host=name,
                what=what,
                why="A certificate is valid from one hour before it is issued: with a larger difference it is not valid yet.",
                remediation="Synchronize the clock there: timedatectl set-ntp true",
            )
        )
    return found


def _open_flags(server_plan: ServerPlan) -> list[Finding]:
    """Powerful endpoints that are enabled and that any client may use without a password."""
    service = server_plan.server.service
    guarded = server_plan.asks_password or server_plan.client_auth_type == "RequireAndVerifyClientCert"
    if guarded:
        return []
    return [
        Finding(
            id="powerful-endpoint-open",
            host=service.host,
            component=service.component,
            instance=service.instance,
            what=f"--{flag} is on, and neither a password nor a client certificate protects it",
            why=means,
            remediation="Add basic_auth or client_cert to its protection, or remove the flag",
        )
        for flag, means in find_component(service.component).open_features(service.arguments)
    ]

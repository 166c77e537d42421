"""Powerful endpoints: administration, lifecycle, receivers, silences, probes on behalf of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Found, ServerView, Unseen


def _switched_on(server: ServerView, flag: str) -> Iterator[Found | Unseen]:
    """A finding if a flag is on and a stranger is accepted: by the unit, and by what the server itself says of its flags."""
    said = server.answers.get("/api/v1/status/flags")
    by_unit = any(each in (f"--{flag}", f"--{flag}=true") for each in server.service.arguments)
    by_wire = said is not None and f'"{flag}":"true"' in said.body
    if not by_unit and not by_wire:
        return
    if server.silent:
        yield Unseen(server.silent)
    elif server.is_open:
        ways = [f"--{flag} in the arguments of {server.service.unit}"] if by_unit else []
        ways += [f"{server.url('/api/v1/status/flags')} says {flag}: true"] if by_wire else []
        yield Found(evidence="; ".join((*ways, "no authentication")), severity=server.spared)


def _admin(server: ServerView) -> Iterator[Found | Unseen]:
    yield from _switched_on(server, "web.enable-admin-api")


def _lifecycle(server: ServerView) -> Iterator[Found | Unseen]:
    yield from _switched_on(server, "web.enable-lifecycle")


CHECKS: Final = (
    Check(
        id="API-01",
        severity="high",
        title="The admin API has no authentication",
        means=("unit", "wire"),
        looks_at="Looks for --web.enable-admin-api on components that answer without credentials.",
        why="Whoever reaches it may delete measurements, or copy all of them to its disk.",
        remediation="Require authentication, or remove --web.enable-admin-api",
        scope="server",
        components=("prometheus", "pushgateway"),
        step="secure",
        look=_admin,
    ),
    Check(
        id="API-02",
        severity="high",
        title="The lifecycle API has no authentication",
        means=("unit", "wire"),
        looks_at="Looks for --web.enable-lifecycle on components that answer without credentials.",
        why="Whoever reaches it may stop the program, or make it reload its configuration.",
        remediation="Require authentication, or remove --web.enable-lifecycle",
        scope="server",
        components=("prometheus", "pushgateway"),
        step="secure",
        look=_lifecycle,
    ),
)

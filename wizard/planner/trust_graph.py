"""The trust map of a plan: which client connects to which server, what each shows, and how the other verifies it."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.certificates import issue
from wizard.model import Arrow
from wizard.planner.client import Target
from wizard.planner.probes import up_id
from wizard.redact import plain


def arrows(targets: Sequence[Target]) -> tuple[Arrow, ...]:
    """One arrow for each place of a client that asks a server, as it will be after the plan."""
    found = []
    for target in targets:
        plan = target.plan
        names = ", ".join(issue.summary(plan.pair.certificate).names)
        signed = "signed by your CA" if plan.pair.own_ca else "pinned"
        pair = target.pair if any(target.pair) else _said(target, "cert_file", "key_file")
        login = target.login if any(target.login) else (target.place.basic_auth.get("username", ""), "")
        found.append(
            Arrow(
                client_host=target.client.host.spec.name,
                client=_name(target.client.service.component, target.client.service.instance),
                server_host=plan.server.spec.host,
                server=_name(plan.server.spec.name, plan.server.spec.unit),
                how=target.place.how,
                address=target.address,
                encrypted=True,
                server_shows=plain(f"{names} ({signed})"),
                client_checks=target.ca_file,
                client_shows=pair[0] if plan.asks_certificate else "",
                server_checks=plan.client_ca_file,
                user=login[0] if plan.asks_password else "",
                probe=_probe(target),
            )
        )
    return tuple(found)


def _name(component: str, instance: str) -> str:
    return f"{component}/{instance}" if instance else component


def _said(target: Target, *keys: str) -> tuple[str, str]:
    first, second = (target.place.tls.get(key, "") for key in keys)
    return first, second


def _probe(target: Target) -> str:
    if target.place.kind == "job":
        return up_id(target)
    return f"{target.plan.server.key}/right-client"

"""Splits scrape jobs that scrape protected servers together with other targets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wizard.certificates import signatures
from wizard.config_files import prometheus as scrape
from wizard.errors import InputError
from wizard.model import Stack
from wizard.planner import client_certificates, identity, new_jobs
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.server import ServerPlan


def split_jobs(
    stack: Stack, texts: Mapping[str, bytes], client: Client, plans: Sequence[ServerPlan]
) -> dict[str, bytes]:
    """Moves protected servers to scrape jobs of their own, because a job has one scheme and one login.

    Raises:
        InputError: they are in one list with other targets, which Firescreen may not divide.
    """
    found = dict(texts)
    for place in client.places(found):
        where = place_name(client, place)
        protected = asked_servers(place, client, plans)
        others = [address for address in place.addresses if address not in protected]
        if not protected or not others or _fits(stack, place, client, tuple(protected.values())):
            continue
        if place.kind != "job":
            raise InputError(
                f"{place.how} names {next(iter(protected))} together with {others[0]}, which stays as it is, "
                "and they share one scheme and one login",
                where=where,
                todo="Protect both, or give each an entry of its own",
            )
        moved = [target for target in place.targets if target.address in protected]
        foreign = next((target for target in moved if target.source != "static"), None)
        if foreign is not None:
            raise InputError(
                f"job {place.name} takes {foreign.address} from {foreign.source}, together with {others[0]}, "
                "which stays as it is, and a job has one scheme and one login",
                where=where,
                todo="Protect them all, or move it to a list and a job of its own",
            )
        # One new job per server: their protection may differ later.
        by_plan: dict[str, list[str]] = {}
        for target in moved:
            by_plan.setdefault(protected[target.address].server.spec.host, []).append(target.discovered)
        path = place.path or client.service.config_file
        for host, addresses in by_plan.items():
            names = {each.name for each in client.places(found) if each.kind == "job"}
            new = new_jobs.free_name(f"{place.name}-https", f"{place.name}-{host}-https", names)
            found[path] = scrape.split_job(
                found[path], job=place.name, targets=list(dict.fromkeys(addresses)), new_job=new
            )
    return found


def _fits(stack: Stack, place: Place, client: Client, plans: Sequence[ServerPlan]) -> bool:
    """Whether a place uses https already, trusts these servers, and sends the credentials that they require."""
    ca_file = place.tls.get("ca_file", "")
    state = client.host.files.get(client.resolve(place, ca_file)) if ca_file else None
    if place.scheme != "https" or state is None:
        return False
    user = stack.users[0]
    login = (place.basic_auth.get("username", ""), place.basic_auth.get("password_file", ""))
    return all(
        signatures.vouches(state.content, plan.pair.certificate)
        and (not plan.asks_password or login == (user.name, client.password_file(user)))
        and (
            not plan.asks_certificate
            or client_certificates.kept_place_pair(client, place, plan.clients) is not None
        )
        for plan in plans
    )


def asked_servers(place: Place, client: Client, plans: Sequence[ServerPlan]) -> dict[str, ServerPlan]:
    """The servers to which a place connects, by the address in that place."""
    return {
        address: plan
        for address in place.addresses
        if (plan := _find_target_server(client, address, plans)) is not None
    }


def _find_target_server(client: Client, address: str, plans: Sequence[ServerPlan]) -> ServerPlan | None:
    """The server that an address means; if several hosts share the name, by how it resolves on the client's host."""
    found = [plan for plan in plans if client.means(address, plan.server)]
    if len(found) < 2:
        return next(iter(found), None)
    owners, _ = identity.hosts_of(client.host, address, [plan.server.host for plan in found])
    names = [owner.spec.name for owner in owners]
    return next((plan for plan in found if plan.server.spec.host in names), found[0])


def place_name(client: Client, place: Place) -> str:
    """`host:path` of the file with a place."""
    return f"{client.host.spec.name}:{place.path or client.service.config_file}"

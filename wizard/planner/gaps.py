"""How long each component is not scraped, or does not scrape, while a plan is applied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from wizard.components import component
from wizard.model import Gap, Service
from wizard.planner import service_actions
from wizard.planner.client import ClientPlan
from wizard.planner.server import ServerPlan


def gaps(plans: Sequence[ServerPlan], clients: Sequence[ClientPlan]) -> tuple[Gap, ...]:
    """The gaps of all servers, and of the clients that wait for them."""
    targets = [target for client in clients for target in client.targets]
    changed = (each for each in clients if each.trust or each.config is not None or each.login is not None)
    found = [gap for each in changed for gap in of_recreation(each.client.service)]
    for server_plan in plans:
        server_targets = [target for target in targets if target.plan is server_plan]
        found += _own_gaps(server_plan, scraped=any(target.place.kind == "job" for target in server_targets))
        if server_plan.turn == "restart" and not server_plan.was_tls:
            found += [
                Gap(
                    message=f"waits some seconds for {server_plan.server.key} ({target.place.how}): it retries what it sends",
                    host=target.client.service.host,
                    component=target.client.service.component,
                    instance=target.client.service.instance,
                )
                for target in server_targets
                if target.place.kind not in ("job", "module")
            ]
    return tuple(dict.fromkeys(found))


def of_recreation(service: Service) -> tuple[Gap, ...]:
    """The gap of a client whose container must be recreated, because it does not have the folder for its files yet."""
    box, facts = service.container, component(service.component)
    if box is None or not box.is_described or box.sees(service.home):
        return ()
    lost = "scrapes nothing" if facts.name == "prometheus" else "is down"
    seconds = facts.restart_seconds
    return (
        Gap(
            message=f"gets a folder for its files, so its container is made anew: it {lost} for about {seconds:.0f} s",
            seconds=seconds,
            host=service.host,
            component=service.component,
            instance=service.instance,
        ),
    )


def _own_gaps(plan: ServerPlan, *, scraped: bool) -> Iterator[Gap]:
    """How long one server is not scraped, or does not scrape."""
    gap = partial(
        Gap, host=plan.server.spec.host, component=plan.server.spec.name, instance=plan.server.spec.unit
    )
    missing = component(plan.server.spec.name).restart_seconds
    if not scraped:
        yield gap(message="is scraped by no Prometheus of this stack")
    elif plan.turn == "restart" and plan.server.spec.name == "prometheus":
        yield gap(message=f"restarts: it scrapes nothing for about {missing:.0f} s", seconds=missing)
        if (longest := service_actions.longest_stop(plan.server)) > 0:
            yield gap(
                message=f"may take up to {longest:.0f} s to stop: it first sends the remaining samples to its "
                "remote_write endpoints",
                seconds=longest,
            )
    elif plan.turn == "restart":
        yield gap(message=f"is down for about {missing:.0f} s: at most one scrape is lost", seconds=missing)
    elif plan.turn == "reread":
        yield gap(message="is not interrupted: it reads the new configuration by itself")

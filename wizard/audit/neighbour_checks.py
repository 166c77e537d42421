"""Checks of the components' surroundings: reverse proxies and containers."""

from __future__ import annotations

from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Evidence, Found, Seen, ServerView, Skipped, Unseen
from wizard.planner import identity
from wizard.redact import plain


def _past_proxy(seen: Evidence) -> Seen:
    routes = [route for each in seen.facts.proxies.values() for route in each.routes]
    for host, proxies in seen.facts.proxies.items():
        for problem in proxies.unread:
            yield Unseen(f"{host}: {problem}")
    if not routes:
        yield Skipped()
    for route in routes:
        asker = seen.facts.hosts[route.host]
        for server in seen.servers:
            listener = identity.Listener(server.host.facts, server.service)
            if not identity.means(asker, route.upstream, listener):
                continue
            if server.is_open and not server.is_enclosed:
                yield Found(
                    evidence=f"{route.program} passes {route.url} on to {plain(route.upstream, 80)}, and "
                    f"{server.service.listen} answers a stranger past it",
                    file=route.file,
                    line=route.line,
                    step=f"secure {server.key}",
                    host=server.service.host,
                    component=server.service.component,
                    instance=server.service.instance,
                )


def _as_root(server: ServerView) -> Seen:
    box = server.service.container
    if box is None:
        yield Skipped()
    elif box.is_root and box.state == "running":
        yield Found(
            evidence=f"the main process of {box.words} has user number 0 on the host",
            file=box.file,
        )


CHECKS: Final = (
    Check(
        id="PRX-01",
        severity="high",
        title="A server is reachable past its reverse proxy",
        means=("configuration", "wire"),
        looks_at="Compares what the host's reverse proxies pass on with the sockets of the servers behind them.",
        why="Whoever connects to the server itself needs none of what the proxy asks for.",
        remediation="Let the server listen on 127.0.0.1 only, or require authentication of its own",
        scope="stack",
        look=_past_proxy,
    ),
    Check(
        id="CTR-01",
        severity="medium",
        title="A container runs as root",
        means=("configuration",),
        looks_at="Reads the user of each container's main process, as its daemon describes it.",
        why="A fault in the program gives root in the container, and all that is mounted into it.",
        remediation="Set user: in its Compose file; the official images run as nobody (65534)",
        look=_as_root,
    ),
)

"""What stands around the components: reverse proxies, containers, Grafana."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Evidence, Found, HostView, Seen, ServerView, Skipped, Unseen
from wizard.config_files import grafana
from wizard.errors import ConfigError
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


def _grafana(host: HostView) -> Seen:
    client = host.grafana
    if client is None:
        yield Skipped()
        return
    for path, state in client.files:
        try:
            sources = grafana.datasources(state.content)
        except ConfigError as error:
            yield Unseen(f"{path}: {error}")
            continue
        for source in sources:
            if source.is_on("tlsSkipVerify"):
                yield Found(
                    evidence=f"data source {plain(source.name, 80)}: tlsSkipVerify: true",
                    file=path,
                    line=source.line,
                    component="grafana",
                )
    path = client.service.config_file
    state_of_ini = host.read(path)
    if state_of_ini is None:
        if path in host.unread:
            yield Unseen(f"{path}: {host.unread[path]}")
        return
    text = state_of_ini.content.decode("utf-8", "replace")
    said = _ini(text)
    if said.get("auth.anonymous", {}).get("enabled", "").lower() == "true":
        yield Found(
            evidence="[auth.anonymous] enabled = true",
            file=path,
            line=_line(text, "auth.anonymous", "enabled"),
            component="grafana",
        )
    if said.get("security", {}).get("admin_password", "") == "admin":
        yield Found(
            evidence="[security] admin_password is the default, which is in force until somebody changes it",
            file=path,
            line=_line(text, "security", "admin_password"),
            component="grafana",
        )


def _ini(text: str) -> Mapping[str, Mapping[str, str]]:
    """The sections of a grafana.ini that can be read; {} for a file that cannot."""
    parser = configparser.RawConfigParser(strict=False, default_section="", comment_prefixes=("#", ";"))
    try:
        parser.read_string(f"[above all sections]\n{text}")
    except configparser.Error:
        return {}
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _line(text: str, section: str, key: str) -> int:
    """The line, from 1, of a key in a section; 0 for none."""
    now = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            now = bare.strip("[]").strip()
        elif now == section and bare.partition("=")[0].strip() == key:
            return number
    return 0


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
        scope="server",
        look=_as_root,
    ),
    Check(
        id="GRF-01",
        severity="high",
        title="Grafana does not verify Prometheus, or accepts anyone",
        means=("configuration",),
        looks_at="Reads the provisioned data sources and grafana.ini: tlsSkipVerify, anonymous access, the default "
        "password. No login is tried: a password that was changed in Grafana itself is not seen.",
        why="Who answers in Prometheus' place gets its password; who opens Grafana reads all its data.",
        remediation="Remove tlsSkipVerify and name the CA; switch anonymous access off; set a password for admin",
        scope="host",
        look=_grafana,
    ),
)

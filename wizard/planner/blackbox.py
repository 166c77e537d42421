"""Servers probed through a blackbox exporter: its modules are clients too, and their targets are URLs.

A job that probes has the exporter as its address and the server as a parameter. When the server changes to https, the
URL must change too, and the module needs the CA and the credentials that the server requires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.config_files import blackbox
from wizard.config_files import prometheus as scrape
from wizard.errors import ConfigError
from wizard.model import Facts, Finding, Stack
from wizard.planner import paths
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.server_facts import Server

SUFFIX = "_firescreen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """A job that probes servers of the stack through a blackbox exporter, with one module."""

    scraper: Client
    prober: Client
    path: str
    """The file with the job."""
    job: str
    module: str
    as_module: str
    """The module after the plan: the same one, or a copy if other jobs use it too."""
    targets: tuple[tuple[str, str, Server], ...]
    """(target as the job has it now, target after the plan, server)"""


def look(
    stack: Stack, facts: Facts, servers: Sequence[Server]
) -> tuple[tuple[Probing, ...], tuple[Finding, ...]]:
    """Finds the probing jobs whose targets are servers of the stack, and warns about those that stay unchanged.

    A job that also probes other targets stays unchanged, with a finding.
    """
    probers, found, warnings = paths.probers(stack, facts), [], []
    uses: dict[tuple[str, str], set[str]] = {}
    for scraper in paths.scrapers(stack, facts):
        for place in scraper.places():
            for prober, module, ours, others in _targets_by_module(place, scraper, probers, servers):
                uses.setdefault((prober.key, module), set()).add("ours" if not others else "others")
                if not ours:
                    continue
                where = f"job {place.name}"
                if others or any(target.source != "static" for target in place.targets):
                    warnings.append(_mixed_job_finding(scraper, where, ours[0][2], others))
                    continue
                found.append(
                    Probing(
                        scraper=scraper,
                        prober=prober,
                        path=place.path or scraper.service.config_file,
                        job=place.name,
                        module=module,
                        as_module=module,
                        targets=ours,
                    )
                )
    for prober in {each.prober.key: each.prober for each in found}.values():
        warnings += _unknown_prober_findings(prober)
    return tuple(_with_own_module(each, uses) for each in found), tuple(warnings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A job that probes a server of the stack together with other targets; it is left as it is."""

    host: str
    job: str
    where: str
    server: Server


def mixed_jobs(stack: Stack, facts: Facts, servers: Sequence[Server]) -> tuple[Mixed, ...]:
    """The mixed jobs, one entry for each server that they probe."""
    probers = paths.probers(stack, facts)
    return tuple(
        Mixed(
            host=scraper.host.spec.name,
            job=place.name,
            where=f"{scraper.host.spec.name}:{scraper.service.config_file}",
            server=server,
        )
        for scraper in paths.scrapers(stack, facts)
        for place in scraper.places()
        for _, _, ours, others in _targets_by_module(place, scraper, probers, servers)
        if ours and (others or any(target.source != "static" for target in place.targets))
        for server in {each.key: each for _, _, each in ours}.values()
    )


def _unknown_prober_findings(prober: Client) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            id="unfamiliar-module",
            host=prober.host.spec.name,
            component="blackbox_exporter",
            what=f"{prober.service.config_file}, {message}",
            why="Firescreen does not know this prober; a newer exporter may. The exporter says so only at its first probe.",
            remediation="Check the spelling, or leave it if the exporter's documentation has it",
        )
        for message in blackbox.unfamiliar(prober.content)
    )


def _with_own_module(probing: Probing, uses: dict[tuple[str, str], set[str]]) -> Probing:
    is_free = uses[probing.prober.key, probing.module] == {"ours"} or probing.module.endswith(SUFFIX)
    return probing if is_free else replace(probing, as_module=f"{probing.module}{SUFFIX}")


def _targets_by_module(
    place: Place, scraper: Client, probers: Sequence[Client], servers: Sequence[Server]
) -> list[tuple[Client, str, tuple[tuple[str, str, Server], ...], tuple[str, ...]]]:
    """(prober, module, our targets, other targets) of a job, for each prober that it goes through."""
    if place.kind != "job" or not place.targets or not all(target.param_target for target in place.targets):
        return []
    found = []
    for prober in probers:
        through = paths.as_server(prober)
        others_way = _without_http(prober)
        through_prober = [
            target
            for target in place.targets
            if (target.module or "http_2xx") not in others_way and scraper.means(target.address, through)
        ]
        by_module: dict[str, list[scrape.Scraped]] = {}
        for target in through_prober:
            by_module.setdefault(target.module or "http_2xx", []).append(target)
        for module, targets in by_module.items():
            ours, others = [], []
            for target in targets:
                server = next(
                    (each for each in servers if _is_target(target.param_target, prober, each)), None
                )
                if server is None:
                    others.append(target.param_target)
                else:
                    ours.append((target.discovered, _https(target.param_target), server))
            if others and len(by_module) > 1:
                continue
            found.append((prober, module, tuple(ours), tuple(others)))
    return found


def _without_http(prober: Client) -> set[str]:
    """The modules without http: they only open a connection, or use another protocol, and https does not affect them."""
    try:
        modules = blackbox.modules(prober.content)
    except ConfigError:
        return set()  # the planner reports the error with its place
    return {module.name for module in modules if module.prober in ("tcp", "icmp", "dns", "grpc")}


def _is_target(target: str, prober: Client, server: Server) -> bool:
    parts = urlsplit(target if "://" in target else f"http://{target}")
    host = parts.hostname or ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and prober.means(endpoints.join_host_port(host, port), server)


def _https(target: str) -> str:
    bare = target.partition("://")[2] if "://" in target else target
    return f"https://{bare}"


def retarget(texts: Mapping[str, bytes], probings: Sequence[Probing]) -> dict[str, bytes]:
    """The configuration of a Prometheus, by path, in which probing jobs have https URLs and a module for them."""
    found = dict(texts)
    for probing in probings:
        content = found[probing.path]
        for written, wanted, _ in probing.targets:
            if written != wanted:
                content = scrape.probe_url(content, job=probing.job, old=written, new=wanted)
        if probing.as_module != probing.module:
            content = scrape.set_module(content, job=probing.job, module=probing.as_module)
        found[probing.path] = content
    return found


def with_modules(content: bytes, probings: Sequence[Probing]) -> bytes:
    """A blackbox exporter's configuration with the required copies of modules."""
    names = {module.name for module in blackbox.modules(content)}
    for probing in probings:
        if probing.as_module not in names:
            content = blackbox.add_module(content, name=probing.as_module, like=probing.module)
            names.add(probing.as_module)
    return content


def _mixed_job_finding(scraper: Client, where: str, server: Server, others: Sequence[str]) -> Finding:
    beside = f" beside {others[0]}" if others else ""
    return Finding(
        id="probed-with-others",
        host=scraper.host.spec.name,
        component="prometheus",
        what=f"{where} probes {server.key}{beside} through a blackbox exporter, and is left as it is",
        why="One module has one CA and one login; what it asks of other sites must not change.",
        remediation="Give the protected servers a job and a module of their own, with https URLs",
    )

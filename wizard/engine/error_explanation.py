"""Explains an error text with evidence from the hosts: finds client and server of the connection and examines both.

Only services that belong to the stack are examined, whatever address a pasted text names.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from wizard import endpoints, log_records
from wizard.config_files import prometheus as scrape
from wizard.connections.base import Connection
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.diagnostics.evidence import Evidence, addresses, at_server, of_job, urls
from wizard.diagnostics.questions import Asker
from wizard.engine import pending_edits
from wizard.engine.hosts import Hosts
from wizard.errors import ConfigError, FirescreenError
from wizard.model import Forward, HostSpec, Service, Stack
from wizard.service_managers.registry import manager_of

_LINES: Final = 60
_MATCHED: Final = 80
"""Characters of the recognised text that are compared to find its log record again."""
_POOL: Final = re.compile(rf"scrape_pool=(?P<job>[^{log_records.SEPARATOR}\n]{{1,200}})")
_STAMP: Final = re.compile(r"^.*?(?:\d\d:\d\d:\d\d\S*\s+|\w+\[\d+\]: )")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Served:
    """A service of the stack, with the connection to its host and its names."""

    spec: HostSpec
    connection: Connection
    service: Service
    names: tuple[str, ...]

    def log(self) -> tuple[str, ...]:
        """The last log lines of the service; () if there is no log, or it may not be read."""
        try:
            return manager_of(self.service).logs(self.connection, self.service, _LINES)
        except FirescreenError:
            return ()

    def places(self) -> tuple[str, ...]:
        """Every host:port by which a client may name this service."""
        port = self.service.listen.rpartition(":")[2]
        found = [
            self.service.listen,
            *(endpoints.join_host_port(name, int(port or 0)) for name in self.names),
        ]
        if (box := self.service.container) is not None:
            aliases = {alias for network in box.networks for alias in network.aliases}
            found += [endpoints.join_host_port(name, box.inside_port) for name in sorted(aliases)]
        return tuple(found)

    def is_at(self, place: str) -> bool:
        """Whether host:port, as a client writes it, names this service."""
        return any(endpoints.is_same(place, each) for each in self.places())


def explain(text: str, stack: Callable[[], Stack], reach: Callable[[Stack], Hosts]) -> Diagnosis | None:
    """The diagnosis of an error, narrowed down by evidence from the hosts; None for an unknown text.

    Never raises a FirescreenError: if the hosts cannot be queried, the diagnosis relies on the text alone.

    Args:
        text: one line or a whole log.
        stack: returns the stack that the error may be about; only called if the diagnosis has open questions.
        reach: opens the connections to the stack's hosts.
    """
    found = catalogue.diagnose(text)
    if found is None or not found.questions:
        return found
    try:
        wanted = stack()
        with reach(wanted) as hosts:
            evidence = _evidence(text, tuple(_served_components(wanted, hosts)), hosts, matched=found.matched)
            return catalogue.narrow(found, Asker(evidence)) if evidence else found
    except FirescreenError:
        return found


def _served_components(stack: Stack, hosts: Hosts) -> Iterator[_Served]:
    for spec in stack.hosts:
        wanted = tuple(component.name for component in stack.components if component.host == spec.name)
        try:
            services = [each for each in hosts.services(spec.name, wanted) if each.component in wanted]
            names = (*hosts.names(spec.name), spec.name, spec.address)
        except FirescreenError:
            continue  # unreachable: the other hosts are examined all the same
        near = _LOOPBACK if hosts.connection(spec.name).is_local else ()
        for service in services:
            yield _Served(spec, hosts.connection(spec.name), service, tuple(filter(None, (*names, *near))))


def _evidence(
    text: str, services: tuple[_Served, ...], hosts: Hosts, *, matched: str = ""
) -> Evidence | None:
    # The records have no escapes of the logger, which would make a URL too long. If a log has the errors of several
    # targets, the record that was recognised comes first.
    records = "\n".join(
        sorted(
            (record.text for record in log_records.read(text)),
            key=lambda each: matched[:_MATCHED] not in each.replace(log_records.SEPARATOR, " "),
        )
    )
    named = addresses(records)
    pool = _POOL.search(records)
    target = next((each for place in named for each in services if each.is_at(place)), None)
    if target is None and not named and pool is None:
        target = next((each for each in services if _wrote(each, text)), None)
    places = named if target is None else (*named, *target.places())
    client = next(
        (
            found
            for each in services
            if (found := _client_evidence(each, places, pool["job"] if pool else ""))
        ),
        None,
    )
    if target is None and client is not None:
        place = addresses(client.url)
        target = next((each for each in services if place and each.is_at(place[0])), None)
    if target is None:
        return client
    # The URL that the client logged counts more than the one in its configuration now.
    logged_url = next((url for place, url in urls(records).items() if target.is_at(place)), "")
    at_client = replace(client or Evidence(), url=logged_url or (client.url if client else ""))
    found = at_server(at_client, target.connection, target.service, target.log, hosts.dial)
    box = target.service.container
    if box is None or found.forward is not None:
        return found
    # Container names do not resolve on their host; the server is probed at its published port instead.
    way = Forward(target.spec, target.service.listen) if target.service.listen else None
    return replace(
        found,
        forward=way,
        container_difference=lambda: pending_edits.difference(target.connection, target.service),
    )


def _client_evidence(client: _Served, places: tuple[str, ...], job: str) -> Evidence | None:
    """The scheme, CA and login that a Prometheus uses for one of these addresses, or for a job; None if it has none."""
    if client.service.component != "prometheus" or not client.service.config_file:
        return None
    for path, content in _configuration(client.connection, client.service.config_file):
        folder = posixpath.dirname(path)
        for place in ("",) if job else places:
            found = of_job(content, folder=folder, address=place, client=client.connection, job=job)
            if found is not None:
                box = client.service.container
                return replace(found, contained=box is not None and box.has_own_network)
    return None


def _configuration(connection: Connection, path: str) -> Iterator[tuple[str, bytes]]:
    """(path, content) of a prometheus.yml and of each file that it includes."""
    state = connection.read(path)
    if state is None:
        return
    yield path, state.content
    try:
        patterns = scrape.included_patterns(state.content, posixpath.dirname(path))
    except ConfigError:
        return
    for pattern in patterns:
        folder, name = posixpath.split(pattern)
        for each in fnmatch.filter(connection.names(folder), name.replace("[^", "[!")):
            included = connection.read(posixpath.join(folder, each))
            if included is not None:
                yield posixpath.join(folder, each), included.content


def _wrote(server: _Served, text: str) -> bool:
    """Whether the text comes from this service's log."""
    lines = {_STAMP.sub("", line).strip() for line in server.log()}
    return any(_STAMP.sub("", line).strip() in lines for line in text.splitlines() if len(line.strip()) > 20)

"""Probes of front doors: page, asset and API below the path; strangers are rejected there and at other addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from wizard import endpoints
from wizard.front_doors.settings import BLOCKED
from wizard.model import Facts, Probe, Stack, Watched, instance_key
from wizard.planner import paths
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import door_sign_in
from wizard.planner.front_doors.door_backends import Behind
from wizard.planner.front_doors.door_facts import Backend, KnownDoor, addresses, probe_resolution
from wizard.planner.front_doors.door_grafana import DoorGrafana
from wizard.planner.front_doors.door_site import Site
from wizard.planner.health_findings import wait_of
from wizard.planner.monitors import scrape_intervals
from wizard.planner.probes import UP_TIMEOUT, WRONG_PASSWORD
from wizard.redact import Secret

_CLOSED_TIMEOUT = 3.0
"""Seconds without an answer after which an address counts as closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorInquiry:
    """Makes the probes of the front doors in one plan."""

    stack: Stack
    facts: Facts
    sites: Sequence[Site]
    passwords: Mapping[str, Secret]
    """Passwords by user name."""

    def probes(self) -> Iterator[Probe]:
        """Yields all requests to the front doors, and to their components' own addresses."""
        for site in self.sites:
            for backend in site.known.backends:
                yield from self._at_door(site, backend)
                yield from _bypass_tls_probes(backend) if backend.over_tls else beside(backend)
            if site.known.grafana is not None:
                yield from self._of_grafana(site, site.known.grafana)
                yield from beside(site.known.grafana)

    def up_probes(self, clients: Sequence[Client]) -> Iterator[Probe]:
        """Yields a probe of each Prometheus' `up` for the components behind front doors that it scrapes."""
        for client in clients:
            # `probes.Inquiry` probes the others: every client connects to those over TLS.
            for backend in (each for each in self._backends if not each.over_tls):
                for place in client.places():
                    asked = [at for at in place.addresses if client.means(at, backend.server)]
                    # A target probed through a blackbox exporter has its own metric, probe_success.
                    if asked and place.kind == "job" and not any(each.param_target for each in place.targets):
                        yield self._up(client, backend, place.name, asked[0])

    @property
    def _backends(self) -> Iterator[Backend]:
        return (each for site in self.sites for each in site.known.backends)

    def with_new_paths(self, probes: Sequence[Probe]) -> tuple[Probe, ...]:
        """The probes of servers, with the new path for components to which front doors connect over TLS."""
        moving = {each.key: each for each in self._backends if each.over_tls}
        return tuple(
            replace(probe, url=_with_new_path(probe.url, moving[key]))
            if (key := instance_key(probe.host, probe.component, probe.unit)) in moving
            else probe
            for probe in probes
        )

    def through_doors(self, probes: Sequence[Probe]) -> tuple[Probe, ...]:
        """The other probes; those through a Prometheus or a blackbox exporter behind a front door use its URL there."""
        return tuple(
            replace(probe, forward=None, **_with_access(probe, access))
            if probe.asker and (access := self.access(probe.asker))
            else probe
            for probe in probes
        )

    def with_door_access(self, found: Sequence[Watched]) -> tuple[Watched, ...]:
        """What is watched; a Prometheus behind a front door is queried there after the plan."""
        return tuple(
            replace(each, after=(replace(each.before[0], forward=None, **access),))
            if each.before and (access := self.access(each.key))
            else each
            for each in found
        )

    def access(self, key: str) -> dict[str, Any]:
        """URL and credentials for `host/component` behind a front door; {} for any other."""
        for site in self.sites:
            for backend in site.known.backends:
                if backend.key == key:
                    return {"url": backend.url, **_resolution_options(site.known), **self.login(site)}
        return {}

    def login(self, site: Site) -> dict[str, Any]:
        """The CA, and user with password or a client certificate, with which a probe may pass."""
        known = site.known
        found: dict[str, Any] = {"ca_file": paths.trust_copy(self.facts, known.server)}
        user = known.user(self.stack)
        if user is not None:
            found |= {"user": user.name, "password": self.passwords.get(user.name)}
            found["curl_config"] = paths.user_files(self.facts, user)[1]
        else:
            found |= _client_pair_options(paths.probe_pair(self.facts))
        return found

    def _at_door(self, site: Site, backend: Backend) -> Iterator[Probe]:
        known, url = site.known, backend.url
        login = self.login(site)
        trust = {"ca_file": login["ca_file"]}
        path = f"{url}{backend.facts.api_path}"
        yield _probe(
            known, backend, "its page and assets are served", "page", "200", f"{url}/", kind="page", **login
        )
        yield _probe(known, backend, "its API is served", "API", "200", path, **login)
        # A person's own site may have a certificate of a public CA.
        if not known.door.site:
            yield _probe(
                known,
                backend,
                "a client without the CA does not trust the certificate",
                "no CA",
                "untrusted",
                path,
                **{key: value for key, value in login.items() if key != "ca_file"},
            )
        asked = door_sign_in.location(known)
        if asked:
            name, client = "a page leads to the OpenID provider", "page, not signed in"
            yield _probe(known, backend, name, client, "302", f"{url}/", kind="sign_in", holds=asked, **trust)
        user = known.user(self.stack)
        if user is not None:
            wrong = {
                "user": user.name,
                "password": WRONG_PASSWORD,
                "curl_config": paths.wrong_user_file(self.facts, user),
            }
            yield _probe(
                known, backend, "without a password it is rejected", "no password", "401", path, **trust
            )
            yield _probe(
                known,
                backend,
                "a wrong password is rejected",
                "wrong password",
                "401",
                path,
                **trust,
                **wrong,
            )
        yield from self._by_certificate(site, backend, path, trust)
        for kind in known.door.block:
            for closed in BLOCKED[kind]:
                client = f"blocked {closed}"
                yield _probe(known, backend, f"{closed} is blocked", client, "403", f"{url}{closed}", **login)

    def _by_certificate(
        self, site: Site, backend: Backend, path: str, trust: dict[str, str]
    ) -> Iterator[Probe]:
        known, user = site.known, site.known.user(self.stack)
        asked = known.door.sign_in is not None
        if known.door.client_cert:
            # A person's own site requires the login per path, not in the TLS handshake.
            other = "401" if user is not None or asked else "403"
            rejected = other if known.door.site else known.proxy.no_certificate
            nobody = "401" if asked else rejected
            pair, stranger = paths.probe_pair(self.facts), paths.stranger_pair(self.facts)
            if user is None:
                name, client = "without a client certificate it is rejected", "no client certificate"
                yield _probe(known, backend, name, client, nobody, path, **trust)
            else:
                name, client = "a client certificate is accepted", "client certificate"
                yield _probe(known, backend, name, client, "200", path, **trust, **_client_pair_options(pair))
            name, client = "a stranger's certificate is rejected", "stranger's certificate"
            yield _probe(
                known, backend, name, client, rejected, path, **trust, **_client_pair_options(stranger)
            )

    def _of_grafana(self, site: Site, grafana: DoorGrafana) -> Iterator[Probe]:
        """Yields the probes of Grafana: login page and health are public, the API is not."""
        known, url, own = site.known, grafana.url, grafana.route.has_own_login
        trust = {"ca_file": paths.trust_copy(self.facts, known.server)}
        login = trust if own else self.login(site)
        if grafana.has_login_page:
            name = "its page and assets are served"
            yield _probe(known, grafana, name, "page", "200", f"{url}/login", kind="page", **login)
        health = f"{url}/api/health"
        yield _probe(known, grafana, "its API is served", "API", "200", health, **login)
        if own and not grafana.lets_strangers_in:
            name, closed = "without a login its API is rejected", f"{url}/api/org"
            yield _probe(known, grafana, name, "no login", "401", closed, **trust)
        elif not own:
            rejected = "401" if known.user(self.stack) is not None else known.proxy.no_certificate
            name = "without a login at the front door it is rejected"
            yield _probe(known, grafana, name, "no login", rejected, health, **trust)

    def _up(self, client: Client, backend: Backend, job: str, address: str) -> Probe:
        service = client.service
        asked = self.access(client.key) or {
            "url": f"http://{service.listen}{backend.facts.prefix(service.flag)}",
            "forward": service.forward,
        }
        targets = [each for place in client.places() if place.name == job for each in place.targets]
        target = next((each for each in targets if each.address == address), None)
        return Probe(
            id=f"{backend.key}/up@{client.place}/{job}",
            host=backend.host.spec.name,
            component=backend.component,
            unit=backend.instance,
            name=f"Prometheus scrapes it (job {job})",
            client="Prometheus itself" if job == "prometheus" else f"Prometheus, {job}",
            expect="up",
            kind="up",
            instance=address,
            job=job,
            asker=client.key,
            instance_label=target.instance if target is not None and target.instance != address else "",
            job_label=target.job_label if target is not None and target.job_label != job else "",
            agent=service.agent,
            timeout=max(UP_TIMEOUT, wait_of(*scrape_intervals(client).of(job))),
            **asked,
        )


def _with_access(probe: Probe, access: Mapping[str, Any]) -> dict[str, Any]:
    """A probe's changed fields for this access; the query with a blackbox exporter's module and target stays."""
    query = urlsplit(probe.url).query
    more = {} if probe.kind == "up" else {"url": f"{access['url']}/probe?{query}"}
    return {**access, **more}


def _with_new_path(url: str, backend: Backend) -> str:
    """A component's URL after it has moved below its new path."""
    parts = urlsplit(url)
    path = parts.path.removeprefix(backend.old_prefix) if backend.old_prefix else parts.path
    return parts._replace(path=f"{backend.route.prefix}{path}").geturl()


def _gossip_port(backend: Behind) -> tuple[int, ...]:
    """The gossip port of an Alertmanager without peers, which must be closed."""
    if not isinstance(backend, Backend):
        return ()
    address, peers, port = backend.facts.gossip
    return (port,) if address and not backend.service.flag(peers) else ()


def _bypass_tls_probes(backend: Backend) -> Iterator[Probe]:
    """Yields requests without a client certificate to every address of a component with TLS behind a front door."""
    path = f"{backend.route.prefix}{backend.facts.api_path}"
    for at in addresses(backend.host.spec, backend.host.names):
        place = endpoints.join_host_port(at, backend.server.port)
        yield Probe(
            id=f"{backend.key}/beside@{place}",
            host=backend.host.spec.name,
            component=backend.component,
            unit=backend.instance,
            name=f"beside the front door, {place} rejects a client without a certificate",
            client=f"beside, {at}",
            expect="refused",
            url=f"https://{place}{path}",
            insecure=True,
        )
    yield from _closed_port_probes(backend, _gossip_port(backend))


def beside(backend: Behind) -> Iterator[Probe]:
    """Yields requests to every address of the host that would bypass the front door."""
    yield from _closed_port_probes(backend, (backend.server.port, *_gossip_port(backend)))


def _closed_port_probes(backend: Behind, ports: Sequence[int]) -> Iterator[Probe]:
    for at in addresses(backend.host.spec, backend.host.names):
        for number in ports:
            place = endpoints.join_host_port(at, number)
            yield Probe(
                id=f"{backend.key}/beside@{place}",
                host=backend.host.spec.name,
                component=backend.component,
                unit=backend.instance,
                name=f"beside the front door, {place} takes no connection",
                client=f"beside, {at}" if number == backend.server.port else f"beside, {at} gossip",
                expect="closed",
                url=f"http://{place}/",
                timeout=_CLOSED_TIMEOUT,
            )


def _probe(
    known: KnownDoor, backend: Behind, name: str, client: str, expect: str, url: str, **options: Any
) -> Probe:
    return Probe(
        id=f"{backend.key}/door/{client.replace(' ', '-')}",
        host=backend.host.spec.name,
        component=backend.component,
        unit=backend.instance,
        name=name,
        client=client,
        expect=expect,
        url=url,
        **_resolution_options(known),
        **options,
    )


def _resolution_options(known: KnownDoor) -> dict[str, Any]:
    return probe_resolution(known.host.spec, known.host.names, known.door)


def _client_pair_options(pair: tuple[str, str]) -> dict[str, str]:
    return {"cert_file": pair[0], "key_file": pair[1]}

"""The probes of a stack: requests that must succeed, requests that must be rejected, and Prometheus' `up`.

Pure: the probes are data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from wizard import endpoints
from wizard.components import component as find_component
from wizard.model import Facts, Probe, Service, Stack
from wizard.planner import paths
from wizard.planner.blackbox import Probing
from wizard.planner.certificate_names import own_name
from wizard.planner.client import Target
from wizard.planner.client_authentication import STRICT, VERIFYING
from wizard.planner.client_facts import Client
from wizard.planner.health_findings import wait_of
from wizard.planner.monitors import scrape_intervals
from wizard.planner.server import ServerPlan
from wizard.planner.server_facts import Server, refuse_out_of_reach
from wizard.planner.turns import Turns
from wizard.redact import Secret

WRONG_PASSWORD = Secret("firescreen-knows-this-is-wrong")
"""The password that must be rejected; not a secret, but masked like one."""

UP_TIMEOUT = 40.0
"""The least timeout in seconds: enough for the usual interval of 15 s; for longer intervals see `_wait`."""


def names(targets: Sequence[Target]) -> dict[str, tuple[str, str]]:
    """(host:port, server_name or '') by which clients connect to each server, by host/component."""
    return {
        target.plan.server.key: _client_address(target.plan.server, target.address, target.place.tls)
        for target in reversed(targets)
    }


def _client_address(server: Server, address: str, tls: Mapping[str, str]) -> tuple[str, str]:
    host, port = endpoints.split(address)
    name = tls.get("server_name", "")
    box = server.service.container
    if box is not None and box.has_own_network and not endpoints.is_same(address, server.address):
        # The address is a name in the container's network, perhaps with another port than the published one.
        return server.address, name or host
    if server.host.spec.is_remote and ":" in host:
        # curl's --resolve accepts no IPv6 address in place of a name.
        return server.address, name or ("" if endpoints.is_same(address, server.address) else host)
    return endpoints.join_host_port(host, port), name


def _own_address(server: Server) -> tuple[str, str]:
    """As `_client_address`, for a server that no Prometheus scrapes."""
    box = server.service.container
    return server.address, "" if box is None or box.is_reachable else own_name(server)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Makes the probes of a plan's servers."""

    stack: Stack
    facts: Facts
    servers: Mapping[str, ServerPlan]
    """The plans by host/component."""
    password: Secret | None
    """The password of the stack's first user; None if no server requires one."""
    other_pair: bool
    """Whether there is a certificate of the person's own CA with a name that no server allows."""

    def server_probes(self, targets: Sequence[Target]) -> tuple[Probe, ...]:
        """The requests to each server that must succeed, and those that must be rejected.

        They use the server's name from Prometheus' configuration, if any: its certificate must be valid for that name.
        """
        by_server = names(targets)
        return tuple(
            probe
            for plan in self.servers.values()
            for probe in self._of(plan, *by_server.get(plan.server.key, _own_address(plan.server)))
        )

    def _of(self, plan: ServerPlan, place: str, server_name: str) -> list[Probe]:
        server = plan.server
        path = find_component(server.spec.name).metrics_path(server.service.flag)
        secure, plain = f"https://{place}{path}", f"http://{place}{path}"
        trust, user = paths.trust_copy(self.facts, server), self.stack.users[0]
        login, shown, found = self._login(plan), self._pair(plan), _curl_resolve(server, place)
        probes: list[Probe] = []

        def add(name: str, client: str, expect: str, url: str = secure, **options: Any) -> None:
            probes.append(
                Probe(
                    id=f"{server.key}/{client.replace(' ', '-')}",
                    host=server.spec.host,
                    component=server.spec.name,
                    unit=server.spec.unit,
                    name=name,
                    client=client,
                    expect=expect,
                    url=url,
                    server_name=server_name if url == secure else "",
                    resolve=found,
                    forward=server.service.forward,
                    **options,
                )
            )

        add("the right client is accepted", "right client", "200", ca_file=trust, **login, **shown)
        add("without TLS it is rejected", "no TLS", "400", plain)
        add("a client without the CA does not trust the certificate", "no CA", "untrusted", **login, **shown)
        if login:
            wrong: dict[str, Any] = {
                "user": user.name,
                "password": WRONG_PASSWORD,
                "curl_config": paths.wrong_user_file(self.facts, user),
            }
            add("without a password it is rejected", "no password", "401", ca_file=trust, **shown)
            add("a wrong password is rejected", "wrong password", "401", ca_file=trust, **wrong, **shown)
        for said, client, expect, pair in self._without_certificate(plan):
            add(said, client, expect, ca_file=trust, **login, **pair)
        return probes

    def _without_certificate(self, plan: ServerPlan) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Yields name, client, expected result and presented pair of the requests without the right certificate."""
        if not plan.asks_certificate:
            return
        stranger = _client_pair_options(paths.stranger_pair(self.facts))
        none, other = "no client certificate", "stranger's certificate"
        if plan.client_auth_type in STRICT:
            yield "without a client certificate it is rejected", none, "refused", {}
        else:
            yield "without a client certificate it is accepted as well", none, "200", {}
        if plan.client_auth_type in VERIFYING:
            yield "a stranger's certificate is rejected", other, "refused", stranger
        else:
            yield "a stranger's certificate is accepted as well", other, "200", stranger
        if plan.allowed and self.other_pair:
            pair = _client_pair_options(paths.other_pair(self.facts))
            yield "a certificate with another name is rejected", "another name", "refused", pair

    def _login(self, plan: ServerPlan) -> dict[str, Any]:
        if not plan.asks_password or self.password is None:
            return {}
        user = self.stack.users[0]
        return {
            "user": user.name,
            "password": self.password,
            "curl_config": paths.user_files(self.facts, user)[1],
        }

    def _pair(self, plan: ServerPlan) -> dict[str, Any]:
        return _client_pair_options(paths.probe_pair(self.facts)) if plan.asks_certificate else {}

    def _access(self, client: Client, *, before: bool = False) -> tuple[str, dict[str, Any]]:
        """Scheme and probe options for a client's own port, as its protection requires.

        Args:
            before: whether to use the protection before this plan.
        """
        plan = self.servers.get(client.key)
        if plan is None or (before and not plan.was_tls):
            return "http", {}
        options = {"ca_file": paths.trust_copy(self.facts, plan.server)}
        return "https", {**options, **self._login(plan), **self._pair(plan)}

    def up_probes(self, targets: Sequence[Target], *, before: bool = False) -> tuple[Probe, ...]:
        """The probes of `up` for each target.

        Args:
            before: whether this plan has not protected Prometheus itself yet.
        """
        probes: dict[str, Probe] = {}
        main_jobs: dict[tuple[str, str], str] = {}
        for target in targets:
            if target.place.kind != "job":
                continue
            server, client = target.plan.server, target.client
            refuse_out_of_reach(client.service)
            scheme, options = self._access(client, before=before)
            identity = up_id(target)
            # One job may scrape a blackbox exporter itself, and another its probes: the second is named with its job.
            job = main_jobs.setdefault((server.key, client.key), target.place.name)
            title = " ".join(part for part in ("Prometheus", client.service.instance) if part)
            probes[identity] = Probe(
                id=identity,
                host=server.spec.host,
                component=server.spec.name,
                unit=server.spec.unit,
                name=f"Prometheus scrapes it (job {target.place.name})",
                client=f"{title} itself" if job == target.place.name else f"{title}, {target.place.name}",
                expect="up",
                url=f"{scheme}://{client.service.listen}{_prefix(client.service)}",
                kind="up",
                forward=client.service.forward,
                instance=target.address,
                job=target.place.name,
                asker=client.key,
                instance_label=_label(target, "instance"),
                job_label=_label(target, "job_label"),
                agent=client.service.agent,
                timeout=max(UP_TIMEOUT, _wait(target)),
                **options,
            )
        return tuple(probes.values())

    def access(self, client: Client) -> tuple[str, dict[str, Any]]:
        """Scheme and probe options for a client's own port after this plan."""
        return self._access(client)

    def turns(self, targets: Sequence[Target]) -> Turns:
        """Probes of the targets that change from http to https."""
        turning = [target for target in targets if not target.plan.was_tls and target.known]
        return Turns(self.up_probes(turning, before=True), self.up_probes(turning))

    def blackbox_probes(self, probings: Sequence[Probing]) -> tuple[Probe, ...]:
        """Probes that query a blackbox exporter about the servers that it probes."""
        probes = []
        for probing in probings:
            scheme, options = self._access(probing.prober)
            prober = probing.prober.service
            refuse_out_of_reach(prober)
            for _, url, server in probing.targets:
                query = f"module={quote(probing.as_module, safe='')}&target={quote(url, safe='')}"
                probes.append(
                    Probe(
                        id=f"{server.key}/probed@{probing.prober.key}/{probing.job}",
                        host=server.spec.host,
                        component=server.spec.name,
                        unit=server.spec.unit,
                        name=f"the blackbox exporter gets through to it (module {probing.as_module})",
                        client="blackbox exporter",
                        expect="200",
                        url=f"{scheme}://{prober.listen}{_prefix(prober)}/probe?{query}",
                        forward=prober.forward,
                        holds="probe_success 1",
                        asker=probing.prober.key,
                        timeout=15.0,
                        **options,
                    )
                )
        return tuple(probes)


def _wait(target: Target) -> float:
    """Seconds until Prometheus must have scraped a target again: by its job's interval, even if the job is new."""
    before = [
        place.name
        for place in target.client.places()
        if place.kind == "job" and target.address in place.addresses
    ]
    name = target.place.name
    return wait_of(*scrape_intervals(target.client).of(name if name in before or not before else before[0]))


def _prefix(service: Service) -> str:
    """The path prefix under which it serves everything (--web.route-prefix)."""
    return find_component(service.component).prefix(service.flag)


def _curl_resolve(server: Server, place: str) -> str:
    """`host:port:address` for curl --resolve, because this machine may not resolve Prometheus' target names; '' for none."""
    if server.service.forward or endpoints.is_same(place, server.address):
        return ""
    host = endpoints.split(place)[0]
    own_names = {endpoints.canonical(name) for name in server.host.names}
    alias = (
        endpoints.parse_address(host) is None and not endpoints.is_loopback(host) and host not in own_names
    )
    if not server.host.spec.is_remote and not (alias and server.host.spec.connect == "local"):
        return ""
    return f"{place}:{server.address.rpartition(':')[0].strip('[]')}"


def up_id(target: Target) -> str:
    """The id of the probe of a target's `up`."""
    return f"{target.plan.server.key}/up@{target.client.place}/{target.place.name}"


def _label(target: Target, name: Literal["instance", "job_label"]) -> str:
    """A label of a target's `up` series; '' if it has the usual value: the address, or the job's name."""
    scraped = next((each for each in target.place.targets if each.address == target.address), None)
    if scraped is None:
        return ""
    found, usual = (
        (scraped.instance, target.address) if name == "instance" else (scraped.job_label, target.place.name)
    )
    return found if found != usual else ""


def _client_pair_options(pair: tuple[str, str]) -> dict[str, Any]:
    return {"cert_file": pair[0], "key_file": pair[1]}

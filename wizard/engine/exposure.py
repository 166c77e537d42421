"""Determines how well a service is protected from its responses, not from its configuration files."""

from __future__ import annotations

from dataclasses import replace

from wizard import endpoints, probes
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.engine.outcome import Exposure, ExposureState
from wizard.errors import ConfigError
from wizard.model import DoorRoute, FrontDoor, HostFacts, Probe, Service
from wizard.planner.front_doors.door_facts import probe_resolution


def exposure(service: Service, dial: probes.Dial | None = None) -> Exposure:
    """Determines how well a service is protected: probes it by http, then by https without checking the certificate.

    Args:
        dial: as for `verification.run_probes`.
    """
    if service.out_of_reach:
        # Its address means another machine here, so a probe might get another program's answer.
        return _exposure(service, "down", f"cannot be probed from here: {service.out_of_reach}")
    path = find_component(service.component).metrics_path(service.flag)
    place = service.listen
    plain = probes.run(_probe(service, f"http://{place}{path}"), dial=dial)
    tls = password = client = False
    valid = (0.0, 0.0)
    down = plain.outcome == "error"
    if plain.outcome in {"400", "error"}:
        secure = probes.run(_probe(service, f"https://{place}{path}", insecure=True), dial=dial)
        # A server that hangs accepts the connection but never agrees on a TLS version.
        tls = secure.tls is not None and bool(secure.tls.version)
        if secure.tls is not None and secure.tls.chain:
            leaf = secure.tls.chain[0]
            valid = leaf.not_before, leaf.not_after
        password = secure.status == 401
        client = secure.outcome == "refused"
        down = not tls and down
    else:
        password = plain.status == 401
    state: ExposureState
    if down:
        state, words = "down", "does not answer"
    elif not tls and not password:
        state, words = "open", "unprotected: no TLS, no password"
    elif not tls:
        state, words = "partly", "password, but no TLS"
    elif client:
        state, words = "secured", "TLS + client certificate"
    elif password:
        state, words = "secured", "TLS + password"
    else:
        state, words = "partly", "TLS, but anyone can still read it"
    return _exposure(
        service, state, words, tls=tls, password=password, client_certificate=client, valid=valid
    )


def behind_door(
    seen: Exposure, service: Service, host: HostFacts, door: FrontDoor, route: DoorRoute
) -> Exposure:
    """The exposure of a component behind a reverse proxy: how the proxy responds to a client without credentials.

    Args:
        seen: the exposure of the component itself; returned unchanged if the component is down, or if other machines
            can still connect to it directly.
    """
    listening = service.sockets or (service.flag("web.listen-address"),)
    if seen.state == "down" or not all(endpoints.is_loopback(endpoints.split(each)[0]) for each in listening):
        return seen
    resolution = probe_resolution(host.spec, host.names, door)
    path = find_component(service.component).api_path
    found = probes.run(
        replace(_probe(service, f"{door.url(route)}{path}", insecure=True), forward=None, **resolution)
    )
    chain = found.tls.chain if found.tls is not None else ()
    words = f"at the front door {door.url(route)}"
    shown = replace(
        seen,
        address=f"{door.authority}{route.prefix}",
        through="",
        tls=bool(chain),
        valid_from=chain[0].not_before if chain else 0.0,
        valid_until=chain[0].not_after if chain else 0.0,
    )
    if found.status == 401:
        login = "sign-in" if door.sign_in is not None else "password"
        return replace(shown, password=True, state="secured", words=f"TLS + {login} {words}")
    if found.outcome == "refused" or found.status == 400:
        return replace(
            shown, client_certificate=True, state="secured", words=f"TLS + client certificate {words}"
        )
    if found.outcome == "error":
        return replace(shown, state="down", words=f"does not answer {words}")
    return replace(shown, state="partly", words=f"TLS, but anyone can still read it {words}")


def with_configured_password(seen: Exposure, content: bytes) -> Exposure:
    """The exposure with `password` set if the web configuration has users.

    A probe cannot see that: a server that rejects clients without a certificate never gets to ask for the password.
    """
    if not seen.client_certificate or seen.password:
        return seen
    try:
        has_users = bool(web_config.parse(content).users)
    except ConfigError:
        return seen
    words = "TLS + password + client certificate"
    return replace(seen, password=True, words=words) if has_users else seen


def _exposure(
    service: Service,
    state: ExposureState,
    words: str,
    *,
    tls: bool = False,
    password: bool = False,
    client_certificate: bool = False,
    valid: tuple[float, float] = (0.0, 0.0),
) -> Exposure:
    return Exposure(
        host=service.host,
        component=service.component,
        address=service.listen,
        version=service.version,
        manager=service.manager,
        unit=service.unit,
        tls=tls,
        password=password,
        client_certificate=client_certificate,
        state=state,
        words=words,
        instance=service.instance,
        through=service.forward.host.name if service.forward else "",
        container=service.container,
        valid_from=valid[0],
        valid_until=valid[1],
    )


def _probe(service: Service, url: str, *, insecure: bool = False) -> Probe:
    return Probe(
        id=f"scan/{service.key}",
        host=service.host,
        component=service.component,
        unit=service.instance,
        name="protection",
        client="anyone",
        expect="200",
        url=url,
        forward=service.forward,
        insecure=insecure,
        timeout=3.0,
    )

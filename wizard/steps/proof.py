"""What proves a stack: requests that must get through, requests that must be refused, and Prometheus' own word.

Pure: the probes are data.
"""

from __future__ import annotations

from collections.abc import Sequence

from wizard.components import component as find_component
from wizard.model import Facts, Probe, Stack, UserSpec
from wizard.redact import Secret
from wizard.steps import layout
from wizard.steps.client import Target
from wizard.steps.layout import Server

WRONG_PASSWORD = Secret("firescreen-knows-this-is-wrong")
"""Sent where a wrong password must be refused; it is no secret, but it is masked like one."""

# Prometheus may have to wait out an interval of a minute before it scrapes again.
UP_TIMEOUT = 75.0


def server_probes(
    stack: Stack, facts: Facts, server: Server, *, password: Secret | None, url_host: str = ""
) -> tuple[Probe, ...]:
    """The wanted and the unwanted requests to one server.

    Args:
        password: of the stack's first user; None if the server asks for none.
        url_host: host:port as Prometheus names it, if known: its certificate must fit that name.
    """
    place = url_host or server.address
    path = find_component(server.spec.name).metrics_path
    secure, plain = f"https://{place}{path}", f"http://{place}{path}"
    user = stack.users[0]
    trust = layout.trust_copy(facts, server)
    with_password = "basic_auth" in server.spec.protect and password is not None
    good = layout.user_files(facts, user)[1] if with_password else ""
    probes = []

    def add(name: str, client: str, expect: str, url: str, **options: object) -> None:
        probes.append(
            Probe(
                id=f"{server.key}/{client.replace(' ', '-')}",
                host=server.spec.host,
                component=server.spec.name,
                name=name,
                client=client,
                expect=expect,
                url=url,
                **options,  # type: ignore[arg-type]
            )
        )

    who: dict[str, object] = (
        {"user": user.name, "password": password, "curl_config": good} if with_password else {}
    )
    add("the right client gets in", "right client", "200", secure, ca_file=trust, **who)
    add("without TLS it is refused", "no TLS", "400", plain)
    add("without the CA it is not believed", "no CA", "untrusted", secure, **who)
    if with_password:
        add("without a password it is refused", "no password", "401", secure, ca_file=trust)
        add(
            "a wrong password is refused",
            "wrong password",
            "401",
            secure,
            ca_file=trust,
            user=user.name,
            password=WRONG_PASSWORD,
            curl_config=layout.wrong_user_file(facts, user),
        )
    return tuple(probes)


def up_probes(
    stack: Stack, facts: Facts, targets: Sequence[Target], *, password: Secret | None, before: bool = False
) -> tuple[Probe, ...]:
    """Prometheus' own word about each target, asked the way its own protection demands.

    Args:
        before: asked before Prometheus itself is protected by this plan.
    """
    protected = {
        server.key: server
        for server in layout.servers(stack, facts)
        if not (before and not server.service.web_config)
    }
    probes = []
    for target in targets:
        own = protected.get(f"{target.scraper.host.spec.name}/prometheus")
        server = target.plan.server
        place = target.scraper.service.listen
        user: UserSpec = stack.users[0]
        with_password = own is not None and "basic_auth" in own.spec.protect and password is not None
        probes.append(
            Probe(
                id=f"{server.key}/up@{target.scraper.host.spec.name}/{target.job}",
                host=server.spec.host,
                component=server.spec.name,
                name=f"Prometheus scrapes it (job {target.job})",
                client="Prometheus itself",
                expect="up",
                url=f"{'https' if own else 'http'}://{place}",
                kind="up",
                ca_file=layout.trust_copy(facts, own) if own else "",
                user=user.name if with_password else "",
                password=password if with_password else None,
                curl_config=layout.user_files(facts, user)[1] if with_password else "",
                instance=target.address,
                job=target.job,
                timeout=UP_TIMEOUT,
            )
        )
    return tuple(probes)

"""Findings of a scan: unprotected components, administrative endpoints, and missing components."""

from __future__ import annotations

import pytest

from wizard.engine.findings import away, findings, not_found
from wizard.engine.outcome import Exposure, Scan
from wizard.model import ComponentSpec, Facts, Finding, Service, Stack


def _exposure(component: str, *, password: bool = False) -> Exposure:
    return Exposure(
        host="srv1",
        component=component,
        address="192.0.2.1:9090",
        version="2.53.3",
        manager="systemd",
        unit=component,
        tls=False,
        password=password,
        client_certificate=False,
        state="partly" if password else "open",
        words="plain, no password: open to everyone",
    )


def _service(component: str, *arguments: str) -> Service:
    return Service(host="srv1", component=component, manager="systemd", unit=component, arguments=arguments)


def _scan(*found: Finding) -> Scan:
    return Scan(stack=Stack(hosts=(), components=()), facts=Facts({}), exposures=(), findings=found)


@pytest.mark.parametrize(
    ("component", "argument"),
    [
        ("prometheus", "--web.enable-admin-api"),
        ("prometheus", "--web.enable-lifecycle=true"),
        ("pushgateway", "--web.enable-admin-api"),
    ],
)
def test_an_unprotected_administrative_endpoint_is_reported(component: str, argument: str) -> None:
    service = _service(component, "--log.level=info", argument)
    reported = findings(_exposure(component), service)
    assert [each.id for each in reported] == ["open-to-everyone", "powerful-endpoint-open"]
    assert argument.partition("=")[0] in reported[1].what
    assert reported[1].severity == "open"
    guarded = findings(_exposure(component, password=True), service)
    assert [each.id for each in guarded] == ["partly-protected"]
    off = findings(_exposure(component), _service(component, f"{argument.partition('=')[0]}=false"))
    assert [each.id for each in off] == ["open-to-everyone"]


def test_remarks_do_not_repeat_the_rows() -> None:
    lost = not_found(ComponentSpec(host="srv2", name="alertmanager", protect=()))
    gone = away("srv3", "it does not answer")
    powers = findings(_exposure("prometheus"), _service("prometheus", "--web.enable-admin-api"))
    assert _scan(gone, lost, *powers).remarks == (gone, lost, powers[1])
    assert _scan(*findings(_exposure("node_exporter"), _service("node_exporter"))).remarks == ()

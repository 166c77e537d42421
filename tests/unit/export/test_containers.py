"""Containers cannot be exported to a playbook: the export refuses them with a remedy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wizard.errors import InputError
from wizard.export import ansible
from wizard.model import ComponentSpec, Container, Facts, HostFacts, HostSpec, Service, Stack

SPEC = HostSpec(name="web1", connect="local")
SERVICE = Service(
    host="web1",
    component="prometheus",
    manager="docker",
    unit="mon-prometheus-1",
    active=True,
    container=Container(name="mon-prometheus-1", image="x", project="mon", service="prometheus"),
)
STACK = Stack(
    hosts=(SPEC,),
    components=(ComponentSpec(host="web1", name="prometheus", protect=("tls",)),),
    source="firescreen.yaml",
)


def plan(service: Service) -> Any:
    facts = Facts(hosts={"web1": HostFacts(spec=SPEC, services=(service,))})
    return cast(Any, SimpleNamespace(stack=STACK, facts=facts))


def test_a_container_is_refused_with_a_remedy() -> None:
    with pytest.raises(InputError) as refused:
        ansible._refuse_containers(plan(SERVICE))
    assert "web1/prometheus runs in container mon-prometheus-1" in refused.value.what
    assert refused.value.where == "firescreen.yaml"
    assert "firescreen apply" in refused.value.todo
    quadlet = replace(SERVICE, container=Container(name="pod", image="x", quadlet="/etc/x.container"))
    with pytest.raises(InputError, match="runs in container pod"):
        ansible._refuse_containers(plan(quadlet))


def test_a_systemd_unit_is_exported() -> None:
    ansible._refuse_containers(plan(replace(SERVICE, manager="systemd", container=None)))

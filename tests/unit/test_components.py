"""The component tables: the flag by version, the registry, and what a person is told to type."""

from __future__ import annotations

import shlex

import pytest

from wizard.components import all_components, component
from wizard.components.base import numbers
from wizard.errors import InputError
from wizard.model import Service
from wizard.services import manual


@pytest.mark.parametrize(
    ("name", "version", "flag"),
    [
        ("node_exporter", "0.18.1", ""),
        ("node_exporter", "1.0.0", "web.config"),
        ("node_exporter", "1.4.1", "web.config"),
        ("node_exporter", "1.5.0", "web.config.file"),
        ("node_exporter", "1.11.1+ds", "web.config.file"),
        ("node_exporter", "", "web.config.file"),
        ("prometheus", "2.23.0", ""),
        ("prometheus", "2.24.0", "web.config.file"),
        ("prometheus", "3.5.3", "web.config.file"),
    ],
)
def test_the_flag_is_the_one_of_that_version(name: str, version: str, flag: str) -> None:
    assert component(name).web_flag(version) == flag


def test_versions_compare_by_number() -> None:
    assert numbers("1.11.1") > numbers("1.5.0") > numbers("v1.4")
    assert numbers("2.42.0+ds-5") == (2, 42, 0)
    assert component("prometheus").toolkit("2.53.3") == "0.11"
    assert component("node_exporter").toolkit("1.5.0") == "0.8.2"
    assert not component("prometheus").safe("2.40.3")
    assert component("prometheus").safe("2.42.0+ds")


def test_every_component_says_what_is_asked_of_it() -> None:
    found = {one.name: one for one in all_components()}
    assert {"node_exporter", "prometheus"} <= set(found)
    ports = [one.default_port for one in found.values()]
    assert len(set(ports)) == len(ports)
    for one in found.values():
        assert one.programs
        assert one.units
        assert one.description.endswith(".")
        assert one.home.startswith("/etc/")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="node-exporter") as refused:
        component("node-exporter")
    assert "'node_exporter'" in refused.value.todo
    with pytest.raises(InputError) as strange:
        component("xyzzy")
    assert "prometheus" in strange.value.todo


def manually(kind: str, **more: str | int | tuple[str, ...]) -> Service:
    return Service(host="h", component="prometheus", manager="manual", unit="prometheus", kind=kind, **more)  # type: ignore[arg-type]


def test_windows_is_told_the_exact_command() -> None:
    assert manual.command(manually("windows"), web_config="web.yml") == (
        "prometheus.exe --web.config.file=web.yml",
    )
    spaced = manually("windows", program="C:\\Program Files\\p\\prometheus.exe", arguments=("--a=b c\\",))
    assert manual.command(spaced, web_config="C:\\p\\web.yml") == (
        '& "C:\\Program Files\\p\\prometheus.exe" "--a=b c\\\\" --web.config.file=C:\\p\\web.yml',
    )


def test_a_bare_process_keeps_its_flags() -> None:
    lines = manual.command(
        manually(
            "process", program="/opt/p q/prometheus", arguments=("--a=b c", "--web.config.file=/old"), pid=42
        ),
        web_config="/etc/prometheus/web.yml",
    )
    assert lines[0] == "kill 42"
    assert shlex.split(lines[1]) == [
        "/opt/p q/prometheus",
        "--a=b c",
        "--web.config.file=/etc/prometheus/web.yml",
    ]


def test_a_container_gets_the_mount_and_the_flag() -> None:
    lines = manual.command(
        manually("container", listen="127.0.0.1:19090"), web_config="/etc/prometheus/web/web.yml"
    )
    words = shlex.split(next(line for line in lines if not line.startswith("#")))
    assert words[:2] == ["docker", "run"]
    assert "19090:9090" in words
    assert "/etc/prometheus/web:/etc/prometheus/web:ro" in words
    assert words[-2:] == [
        "--config.file=/etc/prometheus/prometheus.yml",
        "--web.config.file=/etc/prometheus/web/web.yml",
    ]

"""The component tables: flags by version, the registry, and manual commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from wizard.components import all_components, component
from wizard.components.base import numbers
from wizard.errors import InputError
from wizard.model import Service
from wizard.service_managers import manual, powershell


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
        ("alertmanager", "0.21.0", ""),
        ("alertmanager", "0.22.0", "web.config.file"),
        ("pushgateway", "1.3.1", ""),
        ("pushgateway", "1.4.0", "web.config.file"),
        ("blackbox_exporter", "0.18.0", ""),
        ("blackbox_exporter", "0.19.0", "web.config.file"),
        ("mysqld_exporter", "0.12.1", ""),
        ("mysqld_exporter", "0.14.0", "web.config.file"),
        ("postgres_exporter", "0.9.0", ""),
        ("postgres_exporter", "0.11.1", "web.config.file"),
    ],
)
def test_the_web_config_flag_depends_on_the_version(name: str, version: str, flag: str) -> None:
    assert component(name).web_flag(version) == flag


def test_versions_compare_by_number() -> None:
    assert numbers("1.11.1") > numbers("1.5.0") > numbers("v1.4")
    assert numbers("2.42.0+ds-5") == (2, 42, 0)
    assert component("prometheus").toolkit("2.53.3") == "0.11"
    assert component("node_exporter").toolkit("1.5.0") == "0.8.2"
    assert not component("prometheus").safe("2.40.3")
    assert component("prometheus").safe("2.42.0+ds")


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("node_exporter", "1.4.1"),
        ("prometheus", "2.40.4"),
        ("alertmanager", "0.25.0"),
        ("pushgateway", "1.5.1"),
        ("blackbox_exporter", "0.23.0"),
        ("postgres_exporter", "0.12.0"),
    ],
)
def test_versions_before_the_fix_of_cve_2022_46146_are_unsafe(name: str, fixed: str) -> None:
    known = component(name)
    assert known.safe(fixed)
    major, minor, patch = numbers(fixed)
    before = (major, minor, patch - 1) if patch else (major, minor - 1, 99)
    assert not known.safe(".".join(map(str, before)))
    # Upstream fixed it in the toolkit's 0.7.2 and 0.8.2.
    assert numbers(known.toolkit(fixed)) >= (0, 7, 2) or name == "node_exporter"


def test_the_cluster_tls_flag_exists_since_0_24() -> None:
    known = component("alertmanager")
    assert known.cluster_flag("0.23.0") == ""
    assert known.cluster_flag("0.24.0") == known.cluster_flag() == "cluster.tls-config"
    assert component("prometheus").cluster_flag() == ""


def test_each_component_names_the_components_it_connects_to() -> None:
    found = all_components()
    assert {one.name for one in found if one.asks_others} == {"prometheus", "blackbox_exporter"}
    assert {one.name for one in found if one.other_clients} == {"prometheus", "alertmanager", "pushgateway"}
    assert {one.name for one in found if one.url_flag} == {"prometheus", "alertmanager"}
    assert {one.name for one in found if one.open_flags} == {"prometheus", "pushgateway"}


def test_every_component_has_complete_and_unique_facts() -> None:
    found = {one.name: one for one in all_components()}
    assert len(found) == 7
    for fact in ("default_port", "name", "title"):
        values = [getattr(one, fact) for one in found.values()]
        assert len(set(values)) == len(values)
    for fact in ("programs", "units"):
        named = [name for one in found.values() for name in getattr(one, fact)]
        assert len(set(named)) == len(named), f"two components share one of their {fact}"
    for one in found.values():
        assert one.matches(f"/usr/bin/{one.programs[-1]}")
        assert "ARGS" in one.variables
        assert one.home.startswith("/etc/")
        assert bool(one.reload_by) == bool(one.reload_done) == bool(one.reload_refused)
        for table in (one.web_flags, one.toolkits, one.cluster_flags):
            firsts = [numbers(first) for first, _ in table]
            assert firsts == sorted(set(firsts))
        assert all(sentence.endswith(".") for _, sentence in one.open_flags)


def test_an_unknown_name_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(InputError, match="node-exporter") as refused:
        component("node-exporter")
    assert "'node_exporter'" in refused.value.todo
    with pytest.raises(InputError) as strange:
        component("xyzzy")
    assert "prometheus" in strange.value.todo


def manually(kind: str, **more: str | int | tuple[str, ...]) -> Service:
    return Service(host="h", component="prometheus", manager="manual", unit="prometheus", kind=kind, **more)  # type: ignore[arg-type]


def test_windows_commands_are_exact() -> None:
    assert manual.command(
        manually("windows"), web_config="web.yml", source="/out/h/prometheus", secret=("*.key", "web.yml")
    ) == (
        (
            "# On h, in PowerShell as administrator. First copy the folder /out/h/prometheus of the machine where "
            "Firescreen runs to this one, here to C:\\firescreen:"
        ),
        "$folder = 'C:\\Program Files\\prometheus'",
        "New-Item -ItemType Directory -Force -Path $folder | Out-Null",
        "Copy-Item -Path 'C:\\firescreen\\*' -Destination $folder",
        'icacls "$folder\\*.key" /inheritance:r /grant:r "*S-1-5-18:(R)" "*S-1-5-32-544:(F)"',
        'icacls "$folder\\web.yml" /inheritance:r /grant:r "*S-1-5-18:(R)" "*S-1-5-32-544:(F)"',
        "Remove-Item -Recurse -Path 'C:\\firescreen'",
        (
            "# Prometheus is no Windows service by itself: nssm runs it as one. Where another program does, set the flags "
            "there."
        ),
        "$parameters = 'HKLM:\\SYSTEM\\CurrentControlSet\\Services\\prometheus\\Parameters'",
        "$command = (Get-ItemProperty -Path $parameters).AppParameters",
        (
            "if ($command -notlike '*--web.config.file*') { $command += "
            "' \"--web.config.file=C:\\Program Files\\prometheus\\web.yml\"' }"
        ),
        "Set-ItemProperty -Path $parameters -Name AppParameters -Value $command",
        "Restart-Service -Name 'prometheus'",
    )
    exporter = replace(manually("windows"), component="node_exporter")
    lines = manual.command(exporter, web_config="web.yml")
    assert (
        "$service = Get-CimInstance -ClassName Win32_Service -Filter 'Name = \"windows_exporter\"'" in lines
    )
    assert lines[-2].startswith("Invoke-CimMethod -InputObject $service -MethodName Change")
    assert lines[-1] == "Restart-Service -Name 'windows_exporter'"
    assert manual.reload(exporter)[0].startswith("Restart-Service -Name 'windows_exporter'")
    back = manual.back(exporter)
    assert "$command = $command -replace ' \"--(web\\.config\\.file)=[^\"]*\"', ''" in back


def test_undo_on_windows_removes_exactly_what_was_added() -> None:
    exporter = replace(manually("windows"), component="node_exporter")
    added = next(line for line in manual.command(exporter, web_config="web.yml") if "+=" in line)
    more = added.partition("+= '")[2].removesuffix("' }")
    pattern = next(line for line in manual.back(exporter) if "-replace" in line)
    assert re.sub(
        pattern.partition("-replace '")[2].removesuffix("', ''"), "", f'"C:\\a b.exe" --x{more} --y'
    ) == ('"C:\\a b.exe" --x --y')


@pytest.mark.parametrize("text", ["it's", '$HOME `n "x"', "\u2019quoted\u2018", "C:\\Program Files (x86)\\p"])
def test_powershell_reads_a_quoted_argument_unchanged(text: str) -> None:
    quoted = powershell.quote(text)
    assert quoted[0] == quoted[-1] == "'"
    # PowerShell ends a quoted argument at any Unicode single quote that is not doubled.
    assert re.sub("([\u2018-\u201b'])\\1", r"\1", quoted[1:-1]) == text
    assert not re.search("[\u2018-\u201b']", re.sub("([\u2018-\u201b'])\\1", "", quoted[1:-1]))


def test_windows_commands_quote_other_paths() -> None:
    spaced = manually("windows", program="D:\\It's here\\p\\prometheus.exe")
    lines = manual.command(spaced, web_config="C:\\p\\web.yml")
    assert "$folder = 'D:\\It''s here\\p'" in lines
    assert any('"--web.config.file=C:\\p\\web.yml"' in line for line in lines)


def test_commands_for_a_bare_process_keep_its_flags() -> None:
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


def test_further_flags_are_set_in_the_same_command() -> None:
    running = manually("process", program="/p", arguments=("--web.external-url", "http://old/", "--a"))
    (line,) = manual.command(running, web_config="/w.yml", more={"web.external-url": "https://new/"})
    assert shlex.split(line) == ["/p", "--web.external-url=https://new/", "--a", "--web.config.file=/w.yml"]


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

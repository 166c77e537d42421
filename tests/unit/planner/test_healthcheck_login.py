"""promtool in a healthcheck logs in with a file that names the credentials of Prometheus' own job; SELinux labels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wizard.config_files.compose import healthcheck
from wizard.connections.local import LocalConnection
from wizard.model import Container
from wizard.planner import healthcheck_login
from wizard.service_managers import container_engines

BOX = Container(
    name="prometheus",
    image="prom/prometheus",
    healthcheck=("CMD", "/bin/promtool", "check", "healthy", "--url=http://localhost:9090"),
)


@pytest.mark.parametrize(
    ("test", "needed"),
    [
        (BOX.healthcheck, True),
        (("CMD-SHELL", "promtool check ready"), True),
        ((*BOX.healthcheck, "--http.config.file=/etc/own.yml"), False),
        (("CMD", "promtool", "check", "config", "/etc/prometheus/prometheus.yml"), False),
        (("CMD-SHELL", "wget -qO- http://localhost:9090"), False),
        ((), False),
    ],
)
def test_only_a_promtool_healthcheck_without_a_file_needs_one(test: tuple[str, ...], needed: bool) -> None:
    assert healthcheck.asks_by_promtool(test) is needed


def test_without_a_job_of_its_own_no_file_is_made() -> None:
    server = SimpleNamespace(key="srv1/prometheus", service=SimpleNamespace(container=BOX))
    assert healthcheck_login.login_file_changes(cast(Any, SimpleNamespace(server=server)), ()) == ()


@pytest.mark.parametrize(("content", "enforced"), [("1", True), ("0\n", False), (None, False)])
def test_selinux_counts_as_enforced_by_the_kernels_report(
    tmp_path: Path, content: str | None, enforced: bool
) -> None:
    file = tmp_path / "enforce"
    if content is not None:
        file.write_text(content)
    found = container_engines.enforces_selinux(LocalConnection("here"), path=str(file))
    assert found is enforced

"""The path at which a program serves its metrics, for each of its flags, tested on the programs themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.loopback_programs import free_port, running_program
from wizard import binaries, probes
from wizard.components import component as find_component
from wizard.model import Probe, Service

PATHS = [
    ("prometheus", ("--web.external-url=http://graphs.example.org/prom/",), "/prom/metrics"),
    ("prometheus", ("--web.external-url=http://graphs.example.org/prom", "--web.route-prefix=/"), "/metrics"),
    ("prometheus", ("--web.external-url=prom",), "/prom/metrics"),
    ("alertmanager", ("--web.route-prefix", "alerts/"), "/alerts/metrics"),
    ("pushgateway", ("--web.external-url=http://h/push", "--web.telemetry-path=/m"), "/push/m"),
    ("blackbox_exporter", ("--web.external-url=http://h/a/b/",), "/a/b/metrics"),
    ("node_exporter", ("--web.telemetry-path=/node/metrics",), "/node/metrics"),
    ("node_exporter", (), "/metrics"),
]


@pytest.mark.parametrize(("name", "flags", "path"), PATHS)
def test_metrics_are_at_the_path_that_the_flags_set(
    name: str, flags: tuple[str, ...], path: str, tmp_path: Path, cache: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    config = tmp_path / "config.yml"
    config.write_text(
        {
            "prometheus": "global: {}\n",
            "alertmanager": "{route: {receiver: none}, receivers: [{name: none}]}\n",
            "blackbox_exporter": "modules: {http: {prober: http}}\n",
        }.get(name, "")
    )
    arguments = [f"--web.listen-address={address}", *flags]
    known = find_component(name)
    if known.config_flag:
        arguments.append(f"--{known.config_flag}={config}")
    if name in ("prometheus", "alertmanager"):
        arguments.append(f"--storage.{'tsdb.' if name == 'prometheus' else ''}path={tmp_path / 'data'}")
    if name == "alertmanager":
        arguments.append("--cluster.listen-address=")
    service = Service(host="h", component=name, manager="process", unit=name, arguments=tuple(arguments))
    assert known.metrics_path(service.flag) == path
    program = binaries.find(name, cache=cache).path
    with running_program([program, *arguments], "TLS is disabled"):
        measured = {where for where in (path, "/metrics", f"{path}/x") if _measures(address, where)}
    assert measured == {path}


def _measures(address: str, path: str) -> bool:
    """Returns whether the path has metrics; some programs serve a page with a link for every other path."""
    probe = Probe(
        id="p",
        host="h",
        component="c",
        name="one request",
        client="anyone",
        expect="200",
        url=f"http://{address}{path}",
    )
    attempt = probes.run(probe)
    return attempt.ok and attempt.body.startswith("# ")

"""exporter_exporter as a front door: it serves the metrics of its host's exporters at one port, with a module for each.

It has no names, paths, users or sites, so nothing here is a template: `planner.front_doors.exporter_door` sets its flags
(TLS, client certificates) and adds modules to its configuration. The flags are the same in 0.4.0 and 0.5.0.
"""

from __future__ import annotations

from wizard.front_doors.base import Door, Proxy

_MAIN = "/etc/prometheus/exporter-exporter.yml"


def _none(door: Door) -> str:
    del door
    return ""


PROXY = Proxy(
    name="exporter_exporter",
    title="exporter_exporter",
    unit="prometheus-exporter-exporter",
    programs=("/usr/bin/prometheus-exporter-exporter", "/usr/local/bin/exporter_exporter"),
    version=("-version",),
    main=_MAIN,
    home="/etc/exporter_exporter",
    group="prometheus",
    password_group=lambda main: "root",
    site=_MAIN,
    included="",
    render=_none,
    shadow=lambda main, path: main,
    shadow_script="cat",
    # Without an address to listen on, it reads its configuration and exits: with 0 if the configuration is valid.
    check=("{program}", "-config.file={main}", "-web.listen-address=", "-web.tls.listen-address="),
    exporters=True,
    forks=False,
    no_certificate="refused",
)

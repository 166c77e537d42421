"""exporter_exporter: serves the metrics of all exporters of a host on one port, each by its module name."""

from wizard.components.base import Component

COMPONENT = Component(
    name="exporter_exporter",
    title="exporter_exporter",
    default_port=9999,
    programs=("exporter_exporter", "prometheus-exporter-exporter"),
    units=("prometheus-exporter-exporter", "exporter_exporter", "exporter-exporter"),
    variables=("ARGS", "EXPORTER_EXPORTER_OPTS", "OPTIONS"),
    # It has its own flags for TLS and client certificates: see `planner.front_doors.exporter_door`.
    web_flags=(),
    toolkits=(),
    first_safe_version="",
    home="/etc/exporter_exporter",
    config_flag="config.file",
    path_flag="web.telemetry-path",
    proxy=True,
    scraped=False,
)

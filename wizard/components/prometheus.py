"""Prometheus itself: a server to protect, and a client of all other components."""

from wizard.components.base import Component

COMPONENT = Component(
    name="prometheus",
    title="Prometheus",
    default_port=9090,
    programs=("prometheus",),
    units=("prometheus", "prometheus-server", "prometheus2"),
    variables=("ARGS", "PROMETHEUS_OPTS", "OPTIONS", "PROMETHEUS_ARGS"),
    web_flags=(("2.24.0", "web.config.file"),),
    # From go.mod at each tag; the versions from 2.24 to 2.46 differ, but none of them has the features of 0.10.
    toolkits=(
        ("2.24", "0.5.1"),
        ("2.40.4", "0.8.2"),
        ("2.47", "0.10"),
        ("2.50", "0.11"),
        ("2.55", "0.12"),
        ("3.0", "0.13"),
        ("3.3", "0.14"),
        ("3.8", "0.15"),
        ("3.12", "0.16"),
        ("3.14", "0.17.1"),
    ),
    first_safe_version="2.40.4",
    home="/etc/prometheus",
    image="prom/prometheus",
    config_flag="config.file",
    reload_by="HUP",
    reload_done="Completed loading of configuration file",
    reload_refused="Error reloading config",
    url_flag="web.external-url",
    api_path="/api/v1/status/buildinfo",
    prefix_flags=("web.route-prefix", "web.external-url"),
    open_flags=(
        ("web.enable-lifecycle", "Whoever reaches it may stop or reload it."),
        ("web.enable-admin-api", "Whoever reaches it may delete measurements or copy them all to its disk."),
    ),
    asks_others=True,
    # Service discovery updates every five seconds, so the first targets appear with its first update.
    restart_seconds=7.0,
    other_clients=("Grafana", "promtool", "browsers"),
)

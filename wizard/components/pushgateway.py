"""Pushgateway: keeps the metrics that short jobs push, until Prometheus scrapes them."""

from wizard.components.base import Component

COMPONENT = Component(
    name="pushgateway",
    title="Pushgateway",
    default_port=9091,
    programs=("pushgateway", "prometheus-pushgateway"),
    units=("prometheus-pushgateway", "pushgateway"),
    variables=("ARGS", "PUSHGATEWAY_OPTS", "OPTIONS", "PUSHGATEWAY_ARGS"),
    web_flags=(("1.4.0", "web.config.file"),),
    # From go.mod at each tag.
    toolkits=(
        ("1.4", "0.5.1"),
        ("1.5.1", "0.8.2"),
        ("1.6", "0.10"),
        ("1.7", "0.11"),
        ("1.11.2", "0.15"),
        ("1.11.3", "0.16"),
    ),
    first_safe_version="1.5.1",
    home="/etc/pushgateway",
    image="prom/pushgateway",
    api_path="/api/v1/status",
    prefix_flags=("web.route-prefix", "web.external-url"),
    path_flag="web.telemetry-path",
    # It has no configuration to reload: SIGHUP ends it.
    open_flags=(
        ("web.enable-lifecycle", "Whoever reaches it may stop it."),
        ("web.enable-admin-api", "Whoever reaches it may delete all that was pushed."),
    ),
    other_clients=("scripts that push", "browsers"),
)

"""Alertmanager: receives alerts from Prometheus and sends notifications; its peers gossip on a port of their own."""

from wizard.components.base import Component

COMPONENT = Component(
    name="alertmanager",
    title="Alertmanager",
    default_port=9093,
    programs=("alertmanager", "prometheus-alertmanager"),
    units=("prometheus-alertmanager", "alertmanager", "golang-github-prometheus-alertmanager"),
    variables=("ARGS", "ALERTMANAGER_OPTS", "OPTIONS", "ALERTMANAGER_ARGS"),
    web_flags=(("0.22.0", "web.config.file"),),
    # From go.mod at each tag.
    toolkits=(
        ("0.22", "0.5.1"),
        ("0.25", "0.8.2"),
        ("0.26", "0.10"),
        ("0.27", "0.11"),
        ("0.28", "0.13.2"),
        ("0.29", "0.14.1"),
        ("0.30", "0.15"),
        ("0.33", "0.16"),
        ("0.34", "0.17.1"),
    ),
    first_safe_version="0.25.0",
    home="/etc/alertmanager",
    image="prom/alertmanager",
    config_flag="config.file",
    reload_by="HUP",
    # Versions up to 0.28 at least log this when they start, too; 0.33 logs it on a reload only.
    reload_done="Completed loading of configuration file",
    reload_refused="Loading configuration file failed",
    url_flag="web.external-url",
    api_path="/api/v2/status",
    prefix_flags=("web.route-prefix", "web.external-url"),
    cluster_flags=(("0.24.0", "cluster.tls-config"),),
    gossip=("cluster.listen-address", "cluster.peer", 9094),
    other_clients=("Grafana", "amtool", "browsers"),
)

"""blackbox_exporter: probes other services; it is a server itself, and a client that needs credentials."""

from wizard.components.base import Component

COMPONENT = Component(
    name="blackbox_exporter",
    title="blackbox_exporter",
    default_port=9115,
    programs=("blackbox_exporter", "prometheus-blackbox-exporter", "blackbox-exporter"),
    units=("prometheus-blackbox-exporter", "blackbox_exporter", "blackbox-exporter"),
    variables=("ARGS", "BLACKBOX_EXPORTER_OPTS", "OPTIONS", "BLACKBOX_EXPORTER_ARGS"),
    web_flags=(("0.19.0", "web.config.file"),),
    # From go.mod at each tag.
    toolkits=(
        ("0.19", "0.5.1"),
        ("0.23", "0.8.2"),
        ("0.24", "0.10"),
        ("0.25", "0.11"),
        ("0.27", "0.14"),
        ("0.28", "0.15"),
    ),
    first_safe_version="0.23.0",
    home="/etc/blackbox_exporter",
    image="prom/blackbox-exporter",
    config_flag="config.file",
    reload_by="HUP",
    reload_done="Reloaded config file",
    reload_refused="Error reloading config",
    api_path="/config",
    prefix_flags=("web.route-prefix", "web.external-url"),
    asks_others=True,
)

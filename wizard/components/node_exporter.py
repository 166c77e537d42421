"""node_exporter: metrics of the machine itself; the first component that most people secure."""

from wizard.components.base import Component

COMPONENT = Component(
    name="node_exporter",
    title="node_exporter",
    default_port=9100,
    programs=("node_exporter", "prometheus-node-exporter", "node-exporter", "prometheus-node_exporter"),
    units=("prometheus-node-exporter", "node_exporter", "node-exporter", "prometheus-node_exporter"),
    variables=("ARGS", "NODE_EXPORTER_OPTS", "OPTIONS", "NODE_EXPORTER_ARGS"),
    # 1.0.0's release candidates had another schema; 1.5.0 renamed the flag (its changelog).
    web_flags=(("1.0.0", "web.config"), ("1.5.0", "web.config.file")),
    # From go.mod at each tag.
    toolkits=(
        ("1.1", "0.5.1"),
        ("1.5", "0.8.2"),
        ("1.6", "0.10"),
        ("1.8", "0.11"),
        ("1.9", "0.14"),
        ("1.11", "0.16"),
        ("1.12", "0.17.1"),
    ),
    first_safe_version="1.4.1",
    home="/etc/node_exporter",
    image="prom/node-exporter",
    path_flag="web.telemetry-path",
)

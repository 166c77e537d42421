"""postgres_exporter: what a PostgreSQL server is doing."""

from wizard.components.base import Component

COMPONENT = Component(
    name="postgres_exporter",
    title="postgres_exporter",
    default_port=9187,
    programs=("postgres_exporter", "prometheus-postgres-exporter", "postgres-exporter"),
    units=("prometheus-postgres-exporter", "postgres_exporter", "postgres-exporter"),
    variables=("ARGS", "POSTGRES_EXPORTER_OPTS", "OPTIONS"),
    # TLS was merged after 0.9.0 (pull request 491).
    web_flags=(("0.10.0", "web.config.file"),),
    # The maintainers name 0.12.0 as fixed (issue 772), so it has 0.8.2 at least; later ones have newer toolkits,
    # of which no more is claimed here. Debian builds 0.11 against its own, newer one.
    toolkits=(("0.10", "0.5.1"), ("0.12", "0.8.2")),
    first_safe_version="0.12.0",
    home="/etc/postgres_exporter",
    image="quay.io/prometheuscommunity/postgres-exporter",
    path_flag="web.telemetry-path",
)

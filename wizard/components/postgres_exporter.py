"""postgres_exporter: metrics of a PostgreSQL server."""

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
    # According to the maintainers 0.12.0 has the fix (issue 772), so it has 0.8.2 at least; later versions have newer
    # toolkits, but the table claims no more. Debian builds 0.11 with its own, newer toolkit.
    toolkits=(("0.10", "0.5.1"), ("0.12", "0.8.2")),
    first_safe_version="0.12.0",
    home="/etc/postgres_exporter",
    image="quay.io/prometheuscommunity/postgres-exporter",
    path_flag="web.telemetry-path",
)

"""mysqld_exporter: metrics of a MySQL or MariaDB server."""

from wizard.components.base import Component

COMPONENT = Component(
    name="mysqld_exporter",
    title="mysqld_exporter",
    default_port=9104,
    programs=("mysqld_exporter", "prometheus-mysqld-exporter", "mysqld-exporter"),
    units=("prometheus-mysqld-exporter", "mysqld_exporter", "mysqld-exporter"),
    variables=("ARGS", "MYSQLD_EXPORTER_OPTS", "OPTIONS"),
    # Its changelog: TLS came with 0.13.0.
    web_flags=(("0.13.0", "web.config.file"),),
    # 0.14 has 0.7.1 according to reports on CVE-2022-46146; 0.15 has at least 0.8.1 according to its changelog, and the
    # source after 0.15.1 has 0.10. The table claims no more than that. Debian builds 0.14 with its own, newer toolkit.
    toolkits=(("0.13", "0.5.1"), ("0.14", "0.7.1"), ("0.15", "0.8.1"), ("0.15.1", "0.8.2")),
    # The fix is certain in 0.15.1; 0.15.0 may have it already.
    first_safe_version="0.15.1",
    home="/etc/mysqld_exporter",
    image="prom/mysqld-exporter",
    packages=("prometheus-mysqld-exporter",),
    # Without a MySQL server it starts too, and reports mysql_up=0.
    practice_arguments=("--config.my-cnf={home}/my.cnf",),
    practice_files=(("my.cnf", "[client]\nuser=practice\npassword=practice\n"),),
    path_flag="web.telemetry-path",
)

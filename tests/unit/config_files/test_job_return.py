"""Jobs that return to http send no password; they keep CA and certificate, as targets are still scraped over https."""

from __future__ import annotations

from wizard.config_files import prometheus
from wizard.config_files.prometheus.job_return import with_tls_of

BEFORE = b"""\
scrape_configs:
  - job_name: node  # theirs
    static_configs: [{targets: ['srv1:9100']}]
  - job_name: secured
    scheme: https
    static_configs: [{targets: ['srv2:9100']}]
  - job_name: plain
    static_configs: [{targets: ['srv3:9100']}]
"""


def test_a_job_keeps_its_ca_and_its_certificate_and_loses_its_login() -> None:
    now = prometheus.secure_job(
        BEFORE,
        job="node",
        scheme="https",
        ca_file="/ca.crt",
        cert_file="/client.crt",
        key_file="/client.key",
        server_name="srv1",
        username="prometheus",
        password_file="/password",
    )
    text, jobs = with_tls_of(BEFORE, now)
    assert jobs == ("node",)
    node, *others = prometheus.jobs(text)
    assert (node.scheme, dict(node.basic_auth)) == ("http", {})
    assert dict(node.tls) == {
        "ca_file": "/ca.crt",
        "cert_file": "/client.crt",
        "key_file": "/client.key",
        "server_name": "srv1",
    }
    assert [(each.scheme, dict(each.tls)) for each in others] == [("https", {}), ("http", {})]
    assert with_tls_of(BEFORE, BEFORE) == (BEFORE, ())

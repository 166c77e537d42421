"""Upstreams in configurations of reverse proxies as users write them: file, line and the URL of their site."""

from __future__ import annotations

import pytest

from wizard.config_files import proxies
from wizard.config_files.proxies import exporter_exporter
from wizard.model import ProxyProgram, ProxyRoute


def read(program: ProxyProgram, main: str, **files: str) -> tuple[ProxyRoute, ...]:
    return proxies.routes(program, main, {path: text.encode() for path, text in files.items()})


def route_values(route: ProxyRoute) -> tuple[object, ...]:
    return (route.file, route.line, route.scheme, route.upstream, route.url)


NGINX = {
    "/etc/nginx/nginx.conf": """\
user www-data;
http {
    # proxy_pass http://127.0.0.1:1;
    log_format main '$remote_addr { "$request" }';
    upstream monitoring { server [::1]:9090; server unix:/run/x; server backup.example.org:9090 backup; }
    include sites-enabled/*;
}
stream { server { listen 9443; proxy_pass 127.0.0.1:9093; } }
""",
    "/etc/nginx/sites-enabled/monitor": """\
server {
    listen 443 ssl;
    server_name monitor.example.org www.example.org;
    location /prometheus/ {
        proxy_pass http://127.0.0.1:9090;
        proxy_set_header Authorization "Basic eA==";
    }
    location ~ ^/push { set $back localhost:9091; proxy_pass http://$back/x; }
    location / { proxy_pass https://monitoring; }
    location /sock { proxy_pass http://unix:/run/app.sock; }
}
""",
    "/etc/nginx/sites-available/other": "server { location / { proxy_pass http://127.0.0.1:9100; } }\n",
}


def test_upstreams_of_nginx_are_found() -> None:
    found = read("nginx", "/etc/nginx/nginx.conf", **NGINX)
    site = "/etc/nginx/sites-enabled/monitor"
    assert [route_values(each) for each in found] == [
        (site, 5, "http", "127.0.0.1:9090", "https://monitor.example.org/prometheus/"),
        (site, 8, "http", "localhost:9091", "https://monitor.example.org/"),
        (site, 9, "https", "[::1]:9090", "https://monitor.example.org/"),
        (site, 9, "https", "backup.example.org:9090", "https://monitor.example.org/"),
        ("/etc/nginx/nginx.conf", 8, "tcp", "127.0.0.1:9093", "http://localhost:9443/"),
    ]
    assert [each.authorization for each in found] == [True, False, False, False, False]


def test_included_files_are_found() -> None:
    main = "/etc/nginx/nginx.conf"
    assert proxies.includes("nginx", main, NGINX[main].encode()) == ("/etc/nginx/sites-enabled/*",)
    apache = b"IncludeOptional mods-enabled/*.load\nInclude ports.conf\n# Include never\n"
    assert proxies.includes("apache", "/etc/apache2/apache2.conf", apache) == (
        "/etc/apache2/mods-enabled/*.load",
        "/etc/apache2/ports.conf",
    )
    rpm = proxies.includes("apache", "/etc/httpd/conf/httpd.conf", b'Include "conf.d/*.conf"\n')
    assert rpm == ("/etc/httpd/conf.d/*.conf",)
    caddy = proxies.includes("caddy", "/etc/caddy/Caddyfile", b"import sites/*\n")
    assert caddy == ("/etc/caddy/sites/*",)


def test_upstreams_of_apache_are_found() -> None:
    found = read(
        "apache",
        "/etc/apache2/apache2.conf",
        **{
            "/etc/apache2/apache2.conf": "Define backend 127.0.0.1:9090\nInclude sites-enabled/*.conf\n",
            "/etc/apache2/sites-enabled/m.conf": """\
<VirtualHost *:8080>
    ServerName monitor.example.org
    ProxyPass "/prometheus" \\
        "http://${backend}/prometheus"
    ProxyPassReverse /prometheus http://127.0.0.1:9090/prometheus
    <Location /am>
        ProxyPass http://localhost:9093
    </Location>
    RewriteRule ^/old/(.*) http://127.0.0.1:9091/$1 [L,P]
    RewriteRule ^/other/(.*) http://127.0.0.1:9115/$1 [R=302]
</VirtualHost>
<VirtualHost *:443>
    SSLEngine on
    ProxyPass / http://127.0.0.1:9100/
    RequestHeader set Authorization "Basic eA=="
</VirtualHost>
""",
        },
    )
    site = "/etc/apache2/sites-enabled/m.conf"
    assert [route_values(each) for each in found] == [
        (site, 3, "http", "127.0.0.1:9090", "http://monitor.example.org:8080/prometheus"),
        (site, 7, "http", "localhost:9093", "http://monitor.example.org:8080/am"),
        (site, 9, "http", "127.0.0.1:9091", "http://monitor.example.org:8080/"),
        (site, 14, "http", "127.0.0.1:9100", "https://localhost/"),
    ]
    assert [each.authorization for each in found] == [False, False, False, True]


def test_upstreams_of_caddy_are_found() -> None:
    found = read(
        "caddy",
        "/etc/caddy/Caddyfile",
        **{
            "/etc/caddy/Caddyfile": """\
{
    admin off
}
(front) {
    reverse_proxy 127.0.0.1:9093
}
:8081 {
    handle_path /prometheus/* {
        reverse_proxy localhost:9090 {
            header_up Authorization "Basic eA=="
        }
    }
    import front
}
import sites/*
""",
            "/etc/caddy/sites/a": """\
monitor.example.org {
    reverse_proxy /push/* {
        to http://127.0.0.1:9091 https://[::1]:9100
    }
}
""",
        },
    )
    main = "/etc/caddy/Caddyfile"
    assert [route_values(each) for each in found] == [
        (main, 9, "http", "localhost:9090", "http://localhost:8081/prometheus/"),
        (main, 5, "http", "127.0.0.1:9093", "http://localhost:8081/"),
        ("/etc/caddy/sites/a", 3, "http", "127.0.0.1:9091", "https://monitor.example.org/push/"),
        ("/etc/caddy/sites/a", 3, "https", "[::1]:9100", "https://monitor.example.org/push/"),
    ]
    assert [each.authorization for each in found] == [True, False, False, False]


def test_upstreams_of_haproxy_are_found() -> None:
    found = read(
        "haproxy",
        "/etc/haproxy/haproxy.cfg",
        **{
            "/etc/haproxy/haproxy.cfg": """\
defaults
    mode http
frontend web
    bind *:8082
    acl monitor hdr(host) -i monitor.example.org
    acl am path_beg /am
    use_backend prom if monitor
    use_backend alert if am
backend prom
    server p1 127.0.0.1:9090 check
backend alert
    http-request set-header Authorization "Basic eA=="
    server a1 localhost:9093 ssl verify none
listen raw
    mode tcp
    bind :9101
    server n1 127.0.0.1:9100
"""
        },
    )
    main = "/etc/haproxy/haproxy.cfg"
    assert [route_values(each) for each in found] == [
        (main, 10, "http", "127.0.0.1:9090", "http://monitor.example.org:8082/"),
        (main, 13, "https", "localhost:9093", "http://localhost:8082/am"),
        (main, 17, "tcp", "127.0.0.1:9100", "http://localhost:9101/"),
    ]
    assert [each.authorization for each in found] == [False, True, False]


@pytest.mark.parametrize("program", ["nginx", "apache", "caddy", "haproxy"])
def test_the_lines_to_change_name_the_ca_and_the_login(program: ProxyProgram) -> None:
    route = ProxyRoute(
        host="srv1", program=program, file="/f", line=3, upstream="127.0.0.1:9090", scheme="http",
        text="proxy_pass http://127.0.0.1:9090;",
    )  # fmt: skip
    lines = "\n".join(
        proxies.cure(route, ca_file="/etc/ca.crt", name="srv1", password=True, certificate=False)
    )
    assert "/etc/ca.crt" in lines and "Authorization" in lines and ":9090" in lines and "srv1" in lines
    assert "Authorization" not in "\n".join(
        proxies.cure(route, ca_file="/etc/ca.crt", name="srv1", password=False, certificate=False)
    )


@pytest.mark.parametrize("program", ["nginx", "apache", "caddy", "haproxy"])
def test_invalid_and_circular_configurations_are_read_without_error(program: ProxyProgram) -> None:
    for text in ("}}}} { ;", '"', "include /f;\nimport /f\nInclude /f\n", "\\", "\x00\xff{", "server {" * 50):
        assert read(program, "/f", **{"/f": text}) == ()


EXPEXP = """\
modules:
  node:
    method: http
    http: {port: 9100}   # the one on this host
  blackbox:
    method: http
    http:
      scheme: https
      address: 192.0.2.7
      port: 9115
      headers: {Authorization: "Basic eA=="}
  script:
    method: exec
    exec: {command: /usr/local/bin/x}
"""


def test_modules_of_exporter_exporter_are_found() -> None:
    main = "/etc/prometheus/exporter-exporter.yml"
    files = {main: EXPEXP, "/etc/expexp.d/mtail.yaml": "method: http\nhttp:\n   port: 3903\n", "/x": "- no\n"}
    found = read("exporter_exporter", main, **files)
    assert [route_values(each) for each in found] == [
        (main, 4, "http", "localhost:9100", "http://localhost:9999/proxy?module=node"),
        (main, 10, "https", "192.0.2.7:9115", "http://localhost:9999/proxy?module=blackbox"),
        ("/etc/expexp.d/mtail.yaml", 3, "http", "localhost:3903", "http://localhost:9999/proxy?module=mtail"),
    ]
    assert [each.authorization for each in found] == [False, True, False]
    lines = proxies.cure(found[0], ca_file="/etc/ca.crt", name="srv1", password=True, certificate=False)
    assert lines[:4] == ("http:", "  port: 9100", "  address: srv1", "  scheme: https")
    assert "update-ca-certificates" in lines[-2] and "Authorization" in lines[-1]


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (EXPEXP, EXPEXP),
        ("", "modules:\n"),
        ("# none yet\n", "# none yet\nmodules:\n"),
        ("modules:\n", "modules:\n"),
        ("modules: {a: {method: exec, exec: {command: x}}}   # kept\n", "modules: {a: {method: exec, exec:"),
        (
            "modules:\r\n    b:\r\n        method: http\r\n        http: {port: 1}\r\n",
            "modules:\r\n    b:\r\n",
        ),
    ],
)
def test_a_module_is_added_and_every_other_byte_is_kept(text: str, head: str) -> None:
    new = exporter_exporter.Module("node_exporter", "127.0.0.1:9100", "http", "/metrics")
    before = exporter_exporter.modules(text.encode(), "x")
    after = exporter_exporter.add_module(text.encode(), "x", new)
    assert exporter_exporter.modules(after, "x") == (*before, new)
    assert after.decode().startswith(head)
    left = [line for line in text.splitlines(keepends=True) if line not in after.decode()]
    assert left == [] or text.startswith("modules: {")

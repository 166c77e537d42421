"""Parses the routes of reverse proxies, and says which lines to change when an upstream changes to https.

Pure: from file contents to routes and lines of text. Nothing is edited here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Final

from wizard.model import ProxyProgram, ProxyRoute, ProxySite

MAIN: Final[Mapping[ProxyProgram, tuple[str, ...]]] = {
    "nginx": ("/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf"),
    "apache": ("/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf", "/etc/apache2/httpd.conf"),
    "caddy": ("/etc/caddy/Caddyfile",),
    "haproxy": ("/etc/haproxy/haproxy.cfg",),
    "exporter_exporter": ("/etc/prometheus/exporter-exporter.yml", "/etc/exporter_exporter/expexp.yaml"),
}
"""The usual paths of each proxy's configuration, for command lines that name none."""


def _reader(program: ProxyProgram) -> ModuleType:
    """The module of this package that parses a program's configuration; imported only where such a program runs."""
    return import_module(f"{__name__}.{program}")


def includes(program: ProxyProgram, main: str, content: bytes) -> tuple[str, ...]:
    """The paths and patterns that a configuration file includes, absolute.

    Args:
        program: the proxy.
        main: the main file of the configuration, in whose folder relative paths begin.
        content: of any of its files.
    """
    reader = _reader(program)
    folder = reader.root(main) if program == "apache" else posixpath.dirname(main)
    found: tuple[str, ...] = reader.includes(content, folder)
    return found


def routes(program: ProxyProgram, main: str, files: Mapping[str, bytes]) -> tuple[ProxyRoute, ...]:
    """Every route of a configuration to a host:port; `host` is left empty.

    Args:
        program: the proxy.
        main: the main file of the configuration.
        files: the main file and the included ones, by absolute path.
    """
    found: tuple[ProxyRoute, ...] = _reader(program).routes(main, files)
    return found


def sites(program: ProxyProgram, main: str, files: Mapping[str, bytes]) -> tuple[ProxySite, ...]:
    """Every server name in a configuration, with its port; for Caddy and HAProxy, only those with a route."""
    if program in ("nginx", "apache", "exporter_exporter"):
        listed: tuple[ProxySite, ...] = _reader(program).sites(main, files)
        return listed
    return tuple(
        dict.fromkeys(
            ProxySite(program=program, name=each.site, port=each.port, file=each.file, line=each.line)
            for each in routes(program, main, files)
        )
    )


def cure(route: ProxyRoute, *, ca_file: str, name: str, password: bool, certificate: bool) -> tuple[str, ...]:
    """The lines with which a route connects to an upstream that has changed to https.

    Args:
        route: the present route.
        ca_file: path of the CA certificate on the proxy's host.
        name: a DNS name in the upstream's certificate: nginx and Apache do not verify IP addresses.
        password: whether the upstream requires user name and password.
        certificate: whether the upstream requires a client certificate.
    """
    if route.scheme == "tcp":
        return ("(TCP is passed on as it is: the clients of this port must ask by https themselves)",)
    lines = _LINES[route.program](route, ca_file, name, certificate)
    if password:
        header = {
            "nginx": f'proxy_set_header Authorization "{_LOGIN}";',
            "apache": f'RequestHeader set Authorization "{_LOGIN}"',
            "caddy": f'    header_up Authorization "{_LOGIN}"',
            "haproxy": f'http-request set-header Authorization "{_LOGIN}"',
            "exporter_exporter": f'  headers: {{Authorization: "{_LOGIN}"}}',
        }[route.program]
        lines = [*lines[:-1], header, lines[-1]] if route.program == "caddy" else [*lines, header]
    return tuple(lines)


_LOGIN: Final = "Basic <base64 of USER:PASSWORD>"
_PAIR: Final = ("<client certificate>", "<its key>")


def _nginx_lines(route: ProxyRoute, ca_file: str, name: str, certificate: bool) -> list[str]:
    passes = route.text.startswith("proxy_pass")
    lines = [
        route.text.replace("http://", "https://", 1)
        if passes
        else f"proxy_pass https://…;  (where it passes requests to `{route.text}`)",
        "proxy_ssl_verify on;",
        f"proxy_ssl_trusted_certificate {ca_file};",
        f"proxy_ssl_name {name};",
    ]
    if certificate:
        lines += [f"proxy_ssl_certificate {_PAIR[0]};", f"proxy_ssl_certificate_key {_PAIR[1]};"]
    return lines


def _apache_lines(route: ProxyRoute, ca_file: str, name: str, certificate: bool) -> list[str]:
    place = f"{name}:{route.upstream.rpartition(':')[2]}"
    lines = ["SSLProxyEngine on", "SSLProxyVerify require", f"SSLProxyCACertificateFile {ca_file}"]
    lines.append(route.text.replace(f"http://{route.upstream}", f"https://{place}", 1))
    if certificate:
        lines.append(f"SSLProxyMachineCertificateFile <file with {_PAIR[0]} and {_PAIR[1]}>")
    return lines


def _caddy_lines(route: ProxyRoute, ca_file: str, name: str, certificate: bool) -> list[str]:
    bare = route.text.replace("http://", "", 1)
    return [
        f"{bare.replace(route.upstream, f'https://{route.upstream}', 1)} {{",
        "    transport http {",
        # From Caddy 2.8 on: tls_trust_pool file.
        f"        tls_trusted_ca_certs {ca_file}",
        f"        tls_server_name {name}",
        *((f"        tls_client_auth {_PAIR[0]} {_PAIR[1]}",) if certificate else ()),
        "    }",
        "}",
    ]


def _haproxy_lines(route: ProxyRoute, ca_file: str, name: str, certificate: bool) -> list[str]:
    pair = f" crt <file with {_PAIR[0]} and {_PAIR[1]}>" if certificate else ""
    return [f"{route.text} ssl verify required ca-file {ca_file} verifyhost {name}{pair}"]


def _exporter_exporter_lines(route: ProxyRoute, ca_file: str, name: str, certificate: bool) -> list[str]:
    port = route.upstream.rpartition(":")[2]
    return [
        "http:",
        f"  port: {port}",
        f"  address: {name}",
        "  scheme: https",
        *((f"  tls_cert_file: {_PAIR[0]}", f"  tls_key_file: {_PAIR[1]}") if certificate else ()),
        # 0.4.0 and 0.5.0 read tls_ca_cert_file, but verify with the host's own list of CAs all the same.
        f"(tls_ca_cert_file has no effect: copy {ca_file} to /usr/local/share/ca-certificates, then update-ca-certificates)",
    ]


_LINES: Final[Mapping[ProxyProgram, Callable[[ProxyRoute, str, str, bool], list[str]]]] = {
    "nginx": _nginx_lines,
    "apache": _apache_lines,
    "caddy": _caddy_lines,
    "haproxy": _haproxy_lines,
    "exporter_exporter": _exporter_exporter_lines,
}

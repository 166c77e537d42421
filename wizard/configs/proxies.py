"""Reverse proxies: what their configurations pass on to whom, and what to change where an upstream turns to https.

Pure: the files as they were read in, routes and lines of text out. Nothing is edited here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from types import ModuleType
from typing import Final

from wizard.configs import _apache, _caddy, _haproxy, _nginx
from wizard.model import ProxyProgram, ProxyRoute

MAIN: Final[Mapping[ProxyProgram, tuple[str, ...]]] = {
    "nginx": ("/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf"),
    "apache": ("/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf", "/etc/apache2/httpd.conf"),
    "caddy": ("/etc/caddy/Caddyfile",),
    "haproxy": ("/etc/haproxy/haproxy.cfg",),
}
"""The usual places of each proxy's configuration, where its command line names none."""
_READERS: Final[Mapping[ProxyProgram, ModuleType]] = {
    "nginx": _nginx,
    "apache": _apache,
    "caddy": _caddy,
    "haproxy": _haproxy,
}


def includes(program: ProxyProgram, main: str, content: bytes) -> tuple[str, ...]:
    """The paths and patterns that a file of a configuration includes, absolute.

    Args:
        program: whose.
        main: the main file of the configuration: relative paths begin in its folder.
        content: of any of its files.
    """
    folder = _apache.root(main) if program == "apache" else posixpath.dirname(main)
    found: tuple[str, ...] = _READERS[program].includes(content, folder)
    return found


def routes(program: ProxyProgram, main: str, files: Mapping[str, bytes]) -> tuple[ProxyRoute, ...]:
    """Everything that a configuration passes on to host:port; `host` is left empty.

    Args:
        program: whose configuration it is.
        main: its main file.
        files: this and what it includes, by absolute path.
    """
    found: tuple[ProxyRoute, ...] = _READERS[program].routes(main, files)
    return found


def cure(route: ProxyRoute, *, ca_file: str, password: bool, certificate: bool) -> tuple[str, ...]:
    """The lines with which a route asks an upstream that has turned to https.

    Args:
        route: as it is.
        ca_file: the CA's certificate on the proxy's host.
        password: whether the upstream asks for user and password.
        certificate: whether it asks for a client certificate.
    """
    if route.scheme == "tcp":
        return ("(TCP is passed on as it is: the clients of this port must ask by https themselves)",)
    secret = "<base64 of USER:PASSWORD>"
    pair = ("<client certificate>", "<its key>")
    lines: list[str]
    place = route.upstream
    match route.program:
        case "nginx":
            lines = [
                f"{route.text.replace('http://', 'https://', 1)}"
                if route.text.startswith("proxy_pass")
                else "proxy_pass https://…;  (in place of http://, where this upstream is used)",
                "proxy_ssl_verify on;",
                f"proxy_ssl_trusted_certificate {ca_file};",
                f"proxy_ssl_name {place.rpartition(':')[0].strip('[]')};",
            ]
            if password:
                lines.append(f'proxy_set_header Authorization "Basic {secret}";')
            if certificate:
                lines += [f"proxy_ssl_certificate {pair[0]};", f"proxy_ssl_certificate_key {pair[1]};"]
        case "apache":
            lines = ["SSLProxyEngine on", "SSLProxyVerify require", f"SSLProxyCACertificateFile {ca_file}"]
            lines.append(route.text.replace("http://", "https://", 1))
            if password:
                lines.append(f'RequestHeader set Authorization "Basic {secret}"')
            if certificate:
                lines.append(f"SSLProxyMachineCertificateFile {pair[0]} and {pair[1]} in one file")
        case "caddy":
            lines = [f"reverse_proxy https://{place} {{", "    transport http {"]
            lines.append(f"        tls_trust_pool file {ca_file}")
            if certificate:
                lines.append(f"        tls_client_auth {pair[0]} {pair[1]}")
            lines.append("    }")
            if password:
                lines.append(f'    header_up Authorization "Basic {secret}"')
            lines.append("}")
        case _:
            shown = f" crt {pair[0]}" if certificate else ""
            lines = [f"{route.text} ssl verify required ca-file {ca_file}{shown}"]
            if password:
                lines.append(f'http-request set-header Authorization "Basic {secret}"')
    return tuple(lines)

"""nginx as a front door: one server block of ours in conf.d, beside the existing sites."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

from wizard.front_doors import nginx_inside, nginx_locations, nginx_sign_in, oauth2_proxy
from wizard.front_doors.base import Door, Opening, Proxy
from wizard.front_doors.settings import burst


def render(door: Door) -> str:
    """The server block. Its names differ from those of an older version, so that both can be checked together."""
    return "\n".join(_lines(door)) + "\n"


def _lines(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. Other sites belong into files of their own."
    zone = f"firescreen_{zlib.crc32(repr(replace(door, hashes=())).encode()):08x}"
    if door.rate_limit:
        yield f"limit_req_zone $binary_remote_addr zone={zone}:1m rate={door.rate_limit}r/s;"
    yield "server {"
    yield f"    listen {door.port} ssl;"
    if door.ipv6:
        yield f"    listen [::]:{door.port} ssl;"
    yield f"    server_name {door.name};"
    yield ""
    yield f"    ssl_certificate {door.certificate};"
    yield f"    ssl_certificate_key {door.key};"
    yield "    ssl_protocols TLSv1.2 TLSv1.3;"
    if door.rate_limit:
        yield f"    limit_req zone={zone} burst={burst(door.rate_limit)} nodelay;"
        yield "    limit_req_status 429;"
    yield from nginx_locations.cors(door)
    yield from _signs_in(door) if door.sign_in is not None else _who(door)
    yield ""
    yield f"    client_max_body_size {door.max_body_size}m;"
    yield f"    proxy_read_timeout {door.timeout}s;"
    yield "    proxy_http_version 1.1;"
    yield "    proxy_set_header Host $http_host;"
    yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "    proxy_set_header X-Forwarded-Proto https;"
    yield "    # The password is for this server and not for what is behind it."
    yield '    proxy_set_header Authorization "";'
    if door.hsts_days:
        yield f'    add_header Strict-Transport-Security "max-age={door.hsts_days * 86400}" always;'
    for name, value in door.headers:
        yield f"    add_header {name} {value} always;"
    for opening in door.openings:
        yield from _location(door, opening)
    if all(opening.prefix for opening in door.openings):
        yield ""
        yield "    location / {"
        yield "        return 404;"
        yield "    }"
    yield "}"


def _who(door: Door) -> Iterator[str]:
    if door.client_ca:
        yield f"    ssl_client_certificate {door.client_ca};"
        # With passwords too, either of the two is enough.
        yield f"    ssl_verify_client {'optional' if door.passwords else 'on'};"
    if door.passwords:
        realm = f'"{door.name}"'
        if door.client_ca:
            yield f"    set $firescreen_realm {realm};"
            yield "    if ($ssl_client_verify = SUCCESS) {"
            yield "        set $firescreen_realm off;"
            yield "    }"
            realm = "$firescreen_realm"
        yield f"    auth_basic {realm};"
        yield f"    auth_basic_user_file {door.passwords};"


def _signs_in(door: Door) -> Iterator[str]:
    """Yields `_who` for sign-in: a request with an Authorization header is a machine's."""
    if door.client_ca:
        yield f"    ssl_client_certificate {door.client_ca};"
        yield "    ssl_verify_client optional;"
    yield "    satisfy any;"
    if door.passwords:
        yield "    set $firescreen_realm off;"
        yield "    if ($http_authorization) {"
        yield f'        set $firescreen_realm "{door.name}";'
        yield "    }"
        yield "    auth_basic $firescreen_realm;"
        yield f"    auth_basic_user_file {door.passwords};"
    yield f"    auth_request {oauth2_proxy.AUTH};"
    yield "    error_page 401 = @firescreen_sign_in;"
    yield from nginx_sign_in.locations(door)


def _location(door: Door, opening: Opening) -> Iterator[str]:
    for path in opening.blocked:
        yield ""
        # ^~: it takes precedence over every regular expression of an include.
        yield f"    location ^~ {path} {{"
        yield "        return 403;"
        yield "    }"
    if opening.prefix:
        yield ""
        yield f"    location = {opening.prefix} {{"
        yield f"        return 301 {opening.prefix}/;"
        yield "    }"
    yield ""
    yield f"    location {opening.prefix}/ {{"
    if opening.own_login:
        yield "        # It asks for the login itself."
        yield "        auth_basic off;"
        if door.sign_in is not None:
            yield "        auth_request off;"
    yield from nginx_locations.websocket(opening)
    yield from (f"        {line}" for line in nginx_locations.asks(opening))
    yield "    }"


def shadow(main: str, path: str) -> str:
    """The main configuration with another file included at the beginning of its http block."""
    return re.sub(
        r"^([^#\n]*\bhttp\s*\{)",
        lambda found: f"{found[1]}\n    include {path};",
        main,
        count=1,
        flags=re.MULTILINE,
    )


def worker_group(main: str) -> str:
    """The group of the workers: the second argument of `user`, or else the first."""
    found = re.search(r"^\s*user\s+([\w.-]+)(?:\s+([\w.-]+))?\s*;", main, re.MULTILINE)
    return (found[2] or found[1]) if found else "nogroup"


PROXY = Proxy(
    name="nginx",
    title="nginx",
    unit="nginx",
    programs=("/usr/sbin/nginx", "/usr/local/sbin/nginx"),
    version=("-v",),
    main="/etc/nginx/nginx.conf",
    home="/etc/nginx/firescreen",
    # The main process reads all files as root, except for the passwords, which its workers read.
    group="root",
    password_group=worker_group,
    site="/etc/nginx/conf.d/firescreen-{name}.conf",
    included="/etc/nginx/conf.d/*.conf",
    render=render,
    sign_in=oauth2_proxy.CLIENT,
    render_inside=nginx_inside.render,
    render_outside=nginx_inside.render_outside,
    certificates_inside=True,
    shadow=shadow,
    shadow_script=r'sed -zE "s@(^|\n)([^#\n]*\bhttp\s*\{)@\1\2\n    include $1;@"',
    check=("{program}", "-t", "-q", "-c", "{main}"),
)

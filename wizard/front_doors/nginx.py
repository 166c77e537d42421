"""nginx as a front door: one server block of ours in conf.d, beside the sites that are there."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

from wizard.front_doors import oauth2_proxy
from wizard.front_doors.base import Door, Opening, Proxy
from wizard.front_doors.settings import CORS_ALLOWED, CORS_HEADERS, TUNNEL_SECONDS, burst
from wizard.model import SIGN_IN_PATH, SIGN_OUT, SIGNED_OUT


def render(door: Door) -> str:
    """The server block. No name in it is that of an older one: so it may be checked beside an older one of itself."""
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
    yield from _cors(door)
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


def _cors(door: Door) -> Iterator[str]:
    for name in CORS_HEADERS:
        yield f"    proxy_hide_header {name};"
    if not door.cors:
        return
    yield '    set $firescreen_origin "";'
    for origin in door.cors:
        yield f"    if ($http_origin = {origin}) {{"
        yield f"        set $firescreen_origin {origin};"
        yield "    }"
    yield "    # nginx leaves a header out whose value is empty; browsers ask by OPTIONS without a login."
    yield "    add_header Access-Control-Allow-Origin $firescreen_origin always;"
    for name, value in CORS_ALLOWED:
        yield f'    add_header {name} "{value}" always;'
    yield '    set $firescreen_preflight "$request_method $firescreen_origin";'
    yield '    if ($firescreen_preflight ~ "^OPTIONS h") {'
    yield "        return 204;"
    yield "    }"


def _who(door: Door) -> Iterator[str]:
    if door.client_ca:
        yield f"    ssl_client_certificate {door.client_ca};"
        # Either opens the door, where there are passwords too.
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
    """As `_who`, where people sign in: a request with an Authorization header is a machine's."""
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
    yield from _asks_who(door)
    yield from _leads_to_provider()
    yield from _sign_in_pages()


def _asks_who(door: Door) -> Iterator[str]:
    yield ""
    yield f"    location = {oauth2_proxy.AUTH} {{"
    yield "        internal;"
    if door.client_ca:
        yield "        if ($ssl_client_verify = SUCCESS) {"
        yield "            return 204;"
        yield "        }"
    yield from _asked("$request_uri")
    yield "        proxy_pass_request_body off;"
    yield '        proxy_set_header Content-Length "";'
    yield "    }"


def _leads_to_provider() -> Iterator[str]:
    yield ""
    yield "    # A page leads to the provider; scripts, assets and programs get 401."
    yield "    location @firescreen_sign_in {"
    yield from _open()
    yield "        set $firescreen_page $http_accept;"
    yield "        if ($http_authorization) {"
    yield '            set $firescreen_page "";'
    yield "        }"
    yield "        if ($firescreen_page !~ text/html) {"
    yield "            return 401;"
    yield "        }"
    yield f"        rewrite ^ {oauth2_proxy.START} break;"
    yield "        proxy_method GET;"
    yield "        proxy_pass_request_body off;"
    yield '        proxy_set_header Content-Length "";'
    yield from _asked(oauth2_proxy.START)
    yield "    }"


def _sign_in_pages() -> Iterator[str]:
    yield ""
    yield f"    location {SIGN_IN_PATH}/ {{"
    yield "        # What the provider sends with a person back is for oauth2-proxy and not for a log."
    yield "        access_log off;"
    yield from _open()
    yield from _asked("$request_uri")
    yield "    }"
    yield ""
    yield f"    location = {SIGN_OUT} {{"
    yield "        rewrite ^ $uri?rd=" + SIGNED_OUT + " break;"
    yield from _open()
    yield from _asked("$request_uri")
    yield "    }"
    yield ""
    yield f"    location = {SIGNED_OUT} {{"
    yield from _open()
    yield "        default_type text/plain;"
    yield f'        return 200 "{oauth2_proxy.GOODBYE}\\n";'
    yield "    }"


def _open() -> Iterator[str]:
    yield "        auth_request off;"
    yield "        auth_basic off;"


def _asked(uri: str) -> Iterator[str]:
    """What oauth2-proxy is told of a request, and where it is."""
    yield "        proxy_set_header Host $host;"
    yield "        proxy_set_header X-Real-IP $remote_addr;"
    yield "        proxy_set_header X-Forwarded-Proto https;"
    yield "        proxy_set_header X-Forwarded-Host $host;"
    yield f"        proxy_set_header X-Forwarded-Uri {uri};"
    yield "        proxy_set_header X-Auth-Request-Redirect $request_uri;"
    yield '        proxy_set_header Authorization "";'
    yield "        proxy_buffer_size 16k;"
    yield "        proxy_buffers 8 16k;"
    yield f"        proxy_pass http://{oauth2_proxy.ADDRESS};"


def _location(door: Door, opening: Opening) -> Iterator[str]:
    for path in opening.blocked:
        yield ""
        # ^~: no regular expression of an include may win over it.
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
    yield from _websocket(opening)
    yield from (f"        {line}" for line in _asks(opening))
    yield "    }"


def _websocket(opening: Opening) -> Iterator[str]:
    """WebSockets are passed on. A header here takes those of the whole server away, which are said again."""
    if not opening.websocket:
        return
    yield '        set $firescreen_connection "";'
    yield "        if ($http_upgrade) {"
    yield "            set $firescreen_connection upgrade;"
    yield "        }"
    yield "        proxy_set_header Upgrade $http_upgrade;"
    yield "        proxy_set_header Connection $firescreen_connection;"
    yield "        proxy_set_header Host $http_host;"
    yield "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    yield "        proxy_set_header X-Forwarded-Proto https;"
    if not opening.own_login:
        yield '        proxy_set_header Authorization "";'
    yield f"        proxy_read_timeout {TUNNEL_SECONDS}s;"
    yield f"        proxy_send_timeout {TUNNEL_SECONDS}s;"


def _asks(opening: Opening) -> Iterator[str]:
    """How nginx asks what is behind a location."""
    tls = opening.tls
    if tls is None:
        yield f"proxy_pass http://{opening.backend};"
        return
    yield f"proxy_ssl_trusted_certificate {tls.trust};"
    yield "proxy_ssl_verify on;"
    yield "proxy_ssl_verify_depth 4;"
    yield f"proxy_ssl_name {tls.name};"
    yield "proxy_ssl_server_name on;"
    yield "proxy_ssl_protocols TLSv1.2 TLSv1.3;"
    yield f"proxy_ssl_certificate {tls.certificate};"
    yield f"proxy_ssl_certificate_key {tls.key};"
    yield f"proxy_pass https://{opening.backend};"


def render_inside(door: Door) -> str:
    """The locations for a server block that is there.

    They are regular expressions, and included first: so they come before locations of the site for the same path.
    """
    return "\n".join(_inside(door)) + "\n"


def _inside(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. It is included by a site that is there."
    for opening in door.openings:
        for path in opening.blocked:
            yield f"location ~ ^{re.escape(path)}(/|$) {{"
            yield "    return 403;"
            yield "}"
        yield f"location ~ ^{re.escape(opening.prefix)}$ {{"
        yield f"    return 301 {opening.prefix}/;"
        yield "}"
        yield f"location ~ ^{re.escape(opening.prefix)}/ {{"
        if opening.own_login:
            yield "    # It asks for the login itself."
            yield "    auth_basic off;"
        else:
            yield "    # Also for those who need no password for the rest of the site."
            yield "    satisfy all;"
            yield f'    auth_basic "{door.name}";'
            yield f"    auth_basic_user_file {door.passwords};"
        yield from _cors(door)
        yield f"    client_max_body_size {door.max_body_size}m;"
        if opening.websocket:
            yield "    proxy_http_version 1.1;"
            yield from (line.removeprefix("    ") for line in _websocket(opening))
        else:
            yield f"    proxy_read_timeout {door.timeout}s;"
            yield "    proxy_http_version 1.1;"
            yield "    proxy_set_header Host $http_host;"
            yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            yield "    proxy_set_header X-Forwarded-Proto https;"
            yield '    proxy_set_header Authorization "";'
        yield from (f"    {line}" for line in _asks(opening))
        yield "}"


def shadow(main: str, path: str) -> str:
    """The main configuration with another file at the beginning of its http block."""
    return re.sub(
        r"^([^#\n]*\bhttp\s*\{)",
        lambda found: f"{found[1]}\n    include {path};",
        main,
        count=1,
        flags=re.MULTILINE,
    )


def worker_group(main: str) -> str:
    """The group of its workers: the second word of `user`, or the first."""
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
    # The main process reads all files as root, but for the passwords, which its workers read.
    group="root",
    password_group=worker_group,
    site="/etc/nginx/conf.d/firescreen-{name}.conf",
    included="/etc/nginx/conf.d/*.conf",
    render=render,
    sign_in=oauth2_proxy.CLIENT,
    render_inside=render_inside,
    shadow=shadow,
    shadow_script=r'sed -zE "s@(^|\n)([^#\n]*\bhttp\s*\{)@\1\2\n    include $1;@"',
    check=("{program}", "-t", "-q", "-c", "{main}"),
)

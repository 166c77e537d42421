"""The common parts of nginx locations, in a server block of ours and in a person's."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.front_doors.base import Door, Opening
from wizard.front_doors.settings import CORS_ALLOWED, CORS_HEADERS, TUNNEL_SECONDS


def cors(door: Door) -> Iterator[str]:
    """Yields the origins whose pages may read responses, and the responses to preflight requests."""
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


def websocket(opening: Opening) -> Iterator[str]:
    """Yields the lines for WebSockets. A proxy_set_header here disables those of the server, so these are repeated."""
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


def asks(opening: Opening) -> Iterator[str]:
    """Yields the lines by which nginx connects to the component of a location."""
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

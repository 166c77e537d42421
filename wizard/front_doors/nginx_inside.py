"""Routes in an nginx server block that a person wrote: the text of the included file. Other paths work as before.

The locations are regular expressions and included first, so they precede the site's own locations for the same path.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from wizard.front_doors import nginx_locations, nginx_sign_in, oauth2_proxy
from wizard.front_doors.base import Door, Opening
from wizard.front_doors.settings import burst


def render(door: Door) -> str:
    """The text that the server block includes."""
    return "\n".join(_lines(door)) + "\n"


def render_outside(door: Door) -> str:
    """The text that nginx accepts only outside of server blocks."""
    head = "# Written by Firescreen, which undoes it too. "
    if not door.rate_limit:
        return f"{head}No requests are counted.\n"
    zone = f"limit_req_zone $binary_remote_addr zone={_zone(door)}:1m rate={door.rate_limit}r/s;"
    return f"{head}A site that is there counts requests by it.\n{zone}\n"


def _zone(door: Door) -> str:
    """The zone of a limit, named so that the file can be checked beside an older version of itself."""
    return f"firescreen_{zlib.crc32(f'{door.name}:{door.port} {door.rate_limit}'.encode()):08x}"


def _lines(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. It is included by a site that is there."
    if door.client_ca:
        yield f"ssl_client_certificate {door.client_ca};"
        yield "# What else the whole server trusts would count for clients, too."
        yield f"ssl_trusted_certificate {door.client_ca};"
        yield "# Whoever shows no certificate, or one of another CA, is served at the other paths as before."
        yield "ssl_verify_client optional_no_ca;"
    if door.sign_in is not None:
        for line in nginx_sign_in.locations(door):
            yield line.removeprefix("    ")
        yield ""
    for opening in door.openings:
        for path in opening.blocked:
            yield f"location ~ ^{re.escape(path)}(/|$) {{"
            yield "    return 403;"
            yield "}"
        yield f"location ~ ^{re.escape(opening.prefix)}$ {{"
        yield f"    return 301 {opening.prefix}/;"
        yield "}"
        yield from _location(door, opening)


def _location(door: Door, opening: Opening) -> Iterator[str]:
    yield f"location ~ ^{re.escape(opening.prefix)}/ {{"
    if door.rate_limit:
        yield f"    limit_req zone={_zone(door)} burst={burst(door.rate_limit)} nodelay;"
        yield "    limit_req_status 429;"
    if opening.own_login:
        yield "    # It asks for the login itself."
        yield "    auth_basic off;"
    else:
        yield "    # Also for those who need no password for the rest of the site."
        yield "    satisfy all;"
        yield from _who(door)
    yield from nginx_locations.cors(door)
    yield f"    client_max_body_size {door.max_body_size}m;"
    if opening.websocket:
        yield "    proxy_http_version 1.1;"
        yield from (line.removeprefix("    ") for line in nginx_locations.websocket(opening))
    else:
        yield f"    proxy_read_timeout {door.timeout}s;"
        yield "    proxy_http_version 1.1;"
        yield "    proxy_set_header Host $http_host;"
        yield "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        yield "    proxy_set_header X-Forwarded-Proto https;"
        yield '    proxy_set_header Authorization "";'
    yield from (f"    {line}" for line in nginx_locations.asks(opening))
    yield "}"


def _who(door: Door) -> Iterator[str]:
    realm = f'"{door.name}"'
    if door.sign_in is not None:
        # Every check must succeed: a person is not asked for a password, and a machine is not checked by oauth2-proxy.
        if door.passwords:
            yield "    set $firescreen_realm off;"
            yield "    if ($http_authorization) {"
            yield f"        set $firescreen_realm {realm};"
            yield "    }"
            realm = "$firescreen_realm"
        yield f"    auth_request {oauth2_proxy.AUTH};"
        yield "    error_page 401 = @firescreen_sign_in;"
    elif door.passwords and door.client_ca:
        yield f"    set $firescreen_realm {realm};"
        realm = "$firescreen_realm"
    elif door.client_ca:
        yield "    if ($ssl_client_verify != SUCCESS) {"
        yield "        return 403;"
        yield "    }"
    if not door.passwords:
        yield "    auth_basic off;"
        return
    if door.client_ca:
        yield "    if ($ssl_client_verify = SUCCESS) {"
        yield "        set $firescreen_realm off;"
        yield "    }"
    yield f"    auth_basic {realm};"
    yield f"    auth_basic_user_file {door.passwords};"

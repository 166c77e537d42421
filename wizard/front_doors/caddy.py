"""Caddy as a front door: one site of ours in a folder that the Caddyfile imports; its directives differ by version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wizard.front_doors import oauth2_proxy
from wizard.front_doors.base import Door, Opening, Proxy
from wizard.front_doors.settings import CORS_ALLOWED, CORS_HEADERS
from wizard.model import SIGN_IN_PATH, SIGN_OUT, SIGNED_OUT

_FOLDER: Final = "/etc/caddy/firescreen"
_IMPORT: Final = f"import {_FOLDER}/*.caddy"
_FIRST: Final = (2, 8)
"""The first version with basic_auth instead of basicauth, and trust_pool instead of trusted_ca_cert_file."""


def render(door: Door) -> str:
    """The text of the site. Everything is in one route block: outside of one, Caddy sorts directives itself."""
    return "\n".join(_lines(door)) + "\n"


def _lines(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. Other sites belong into files of their own."
    yield f"https://{door.name}:{door.port} {{"
    yield from _tls(door)
    for name, value in _headers(door):
        yield f"\theader {name} {value}"
    yield from _cors(door)
    yield "\troute {"
    if door.cors:
        yield "\t\trespond @preflight 204"
    for path in (path for opening in door.openings for path in opening.blocked):
        yield f"\t\trespond {path} 403"
        yield f"\t\trespond {path}/* 403"
    yield "\t\trequest_body {"
    yield f"\t\t\tmax_size {door.max_body_size}MiB"
    yield "\t\t}"
    # Before the login of the front door, for backends with a login of their own.
    for opening in (each for each in door.openings if each.own_login):
        yield from _location(opening, door)
    yield from _signs_in(door) if door.sign_in is not None else _who(door)
    for opening in (each for each in door.openings if not each.own_login):
        yield from _location(opening, door)
    yield "\t\trespond 404"
    yield "\t}"
    yield "}"


def _tls(door: Door) -> Iterator[str]:
    yield f"\ttls {door.certificate} {door.key} {{"
    yield "\t\tprotocols tls1.2 tls1.3"
    if door.client_ca:
        yield "\t\tclient_auth {"
        yield f"\t\t\tmode {'verify_if_given' if door.passwords or door.sign_in else 'require_and_verify'}"
        if _is_new(door):
            yield f"\t\t\ttrust_pool file {door.client_ca}"
        else:
            yield f"\t\t\ttrusted_ca_cert_file {door.client_ca}"
        yield "\t\t}"
    yield "\t}"


def _headers(door: Door) -> Iterator[tuple[str, str]]:
    if door.hsts_days:
        yield "Strict-Transport-Security", f"max-age={door.hsts_days * 86400}"
    yield from door.headers


def _cors(door: Door) -> Iterator[str]:
    if not door.cors:
        return
    yield "\t@cors {"
    for origin in door.cors:
        yield f"\t\theader Origin {origin}"
    yield "\t}"
    yield "\t# Browsers ask by OPTIONS without a login."
    yield "\t@preflight {"
    yield "\t\tmethod OPTIONS"
    for origin in door.cors:
        yield f"\t\theader Origin {origin}"
    yield "\t}"
    yield "\theader @cors Access-Control-Allow-Origin {http.request.header.Origin}"
    for name, value in CORS_ALLOWED:
        yield f'\theader @cors {name} "{value}"'


def _who(door: Door) -> Iterator[str]:
    if not door.passwords:
        return
    matcher = ""
    if door.client_ca:
        # Without a certificate the subject is empty or not a text, depending on the version.
        yield "\t\t@unknown not vars_regexp {tls_client_subject} ="
        matcher = "@unknown "
    yield f"\t\t{login_directive(door.version)} {matcher}bcrypt {door.name} {{"
    for user, hashed in door.hashes:
        yield f"\t\t\t{user} {hashed}"
    yield "\t\t}"


def _signs_in(door: Door) -> Iterator[str]:
    """Yields `_who` for sign-in: a request with an Authorization header is a machine's."""
    yield from _sign_in_pages()
    yield from _signed_in(door)


def _sign_in_pages() -> Iterator[str]:
    yield f'\t\trespond {SIGNED_OUT} "{oauth2_proxy.GOODBYE}" 200'
    yield f"\t\trewrite {SIGN_OUT} {SIGN_OUT}?rd={SIGNED_OUT}"
    yield f"\t\treverse_proxy {SIGN_IN_PATH}/* {oauth2_proxy.ADDRESS} {{"
    yield "\t\t\theader_up X-Real-IP {remote_host}"
    yield "\t\t\theader_up X-Forwarded-Uri {uri}"
    yield "\t\t\theader_up -Authorization"
    yield "\t\t}"


def _signed_in(door: Door) -> Iterator[str]:
    if door.passwords:
        yield "\t\t@machine header Authorization *"
        yield f"\t\t{login_directive(door.version)} @machine bcrypt {door.name} {{"
        for user, hashed in door.hashes:
            yield f"\t\t\t{user} {hashed}"
        yield "\t\t}"
    yield "\t\t@person {"
    if door.passwords:
        yield "\t\t\tnot header Authorization *"
    if door.client_ca:
        yield "\t\t\tnot vars_regexp {tls_client_subject} ="
    if not (door.passwords or door.client_ca):
        yield "\t\t\tpath *"
    yield "\t\t}"
    yield f"\t\tforward_auth @person {oauth2_proxy.ADDRESS} {{"
    yield f"\t\t\turi {oauth2_proxy.AUTH}"
    yield "\t\t\theader_up X-Real-IP {remote_host}"
    yield "\t\t\t# A page leads to the provider; scripts, assets and programs get 401."
    yield "\t\t\t@nobody status 401"
    yield "\t\t\thandle_response @nobody {"
    yield "\t\t\t\t@page header Accept *text/html*"
    yield "\t\t\t\troute @page {"
    yield f"\t\t\t\t\trewrite * {oauth2_proxy.START}"
    yield f"\t\t\t\t\treverse_proxy {oauth2_proxy.ADDRESS} {{"
    yield "\t\t\t\t\t\theader_up X-Real-IP {remote_host}"
    yield "\t\t\t\t\t\theader_up X-Auth-Request-Redirect {http.request.orig_uri}"
    yield "\t\t\t\t\t}"
    yield "\t\t\t\t}"
    yield "\t\t\t\trespond 401"
    yield "\t\t\t}"
    yield "\t\t}"


def _location(opening: Opening, door: Door) -> Iterator[str]:
    if opening.prefix:
        yield f"\t\tredir {opening.prefix} {opening.prefix}/ 301"
    yield from _proxy_lines(f"{opening.prefix}/*", opening, door)


def _proxy_lines(matcher: str, opening: Opening, door: Door) -> Iterator[str]:
    yield f"\t\treverse_proxy {matcher} {opening.backend} {{"
    if not opening.own_login:
        yield "\t\t\t# The password is for this server and not for what is behind it."
        yield "\t\t\theader_up -Authorization"
    for name in CORS_HEADERS:
        yield f"\t\t\theader_down -{name}"
    yield "\t\t\ttransport http {"
    yield f"\t\t\t\tresponse_header_timeout {door.timeout}s"
    if opening.tls is not None:
        yield "\t\t\t\ttls"
        yield f"\t\t\t\ttls_server_name {opening.tls.name}"
        trust = "tls_trust_pool file" if _is_new(door) else "tls_trusted_ca_certs"
        yield f"\t\t\t\t{trust} {opening.tls.trust}"
        yield f"\t\t\t\ttls_client_auth {opening.tls.certificate} {opening.tls.key}"
    yield "\t\t\t}"
    yield "\t\t}"


def login_directive(version: str) -> str:
    """The name of the directive that requires a password in a Caddyfile of that version."""
    return "basic_auth" if _has_new_names(version) else "basicauth"


def render_inside(door: Door) -> str:
    """The directives for an existing site: a handle for each path precedes its reverse_proxy and file_server."""
    return "\n".join(_inside(door)) + "\n"


def _inside(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. It is imported by a site that is there."
    if door.sign_in is not None:
        yield f"handle {SIGN_IN_PATH}/* {{"
        yield "\t# What the provider sends with a person back is for oauth2-proxy and not for a log."
        yield f"\t{'log_skip' if _is_new(door) else 'skip_log'}"
        yield "\troute {"
        yield from _sign_in_pages()
        yield "\t}"
        yield "}"
    for opening in door.openings:
        yield f"handle {opening.prefix} {{"
        yield f"\tredir * {opening.prefix}/ 301"
        yield "}"
        yield f"handle {opening.prefix}/* {{"
        yield "\troute {"
        if door.cors:
            yield from (f"\t{line}" for line in _cors(door))
            yield "\t\trespond @preflight 204"
        for path in opening.blocked:
            yield f"\t\trespond {path} 403"
            yield f"\t\trespond {path}/* 403"
        if not opening.own_login:
            yield from _who(door) if door.sign_in is None else _signed_in(door)
        yield "\t\trequest_body {"
        yield f"\t\t\tmax_size {door.max_body_size}MiB"
        yield "\t\t}"
        yield from _proxy_lines(f"{opening.prefix}/*", opening, door)
        yield "\t}"
        yield "}"


def _is_new(door: Door) -> bool:
    return _has_new_names(door.version)


def _has_new_names(version: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is None or (int(found[1]), int(found[2])) >= _FIRST


def shadow(main: str, path: str) -> str:
    """The Caddyfile with another file in place of the import of the front doors' folder."""
    return f"{main.replace(_IMPORT, '')}\nimport {path}\n"


PROXY = Proxy(
    name="caddy",
    title="Caddy",
    unit="caddy",
    programs=("/usr/bin/caddy", "/usr/local/bin/caddy"),
    version=("version",),
    main="/etc/caddy/Caddyfile",
    home=_FOLDER,
    group="caddy",
    password_group=lambda main: "caddy",
    site=f"{_FOLDER}/{{name}}.caddy",
    included=f"{_FOLDER}/*.caddy",
    import_line=_IMPORT,
    hashes_in_site=True,
    render=render,
    sign_in=oauth2_proxy.CLIENT,
    render_inside=render_inside,
    shadow=shadow,
    shadow_script=rf"sed 's|{_IMPORT.replace('*', '[*]')}||g' && printf '\nimport %s\n' " '"$1"',
    # As Caddy's user: it creates its log files while it parses a configuration that names them.
    check=(
        *("runuser", "-u", "caddy", "--", "env", "HOME=/var/lib/caddy"),
        *("{program}", "validate", "--adapter", "caddyfile", "--config", "{main}"),
    ),
    lacks=(
        ("rate_limit", "its standard build has no module that limits how many requests an address sends"),
    ),
    forks=False,
    no_certificate="refused",
)

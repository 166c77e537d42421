"""HAProxy as a front door: one block of ours in haproxy.cfg, since it has no includes and reads `-f` only at a start.

Frontends on one port would take each other's requests, so front doors on one port share a frontend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from wizard.front_doors import haproxy_frontend, haproxy_sign_in
from wizard.front_doors.base import Door, Opening, Proxy, SharedFile
from wizard.front_doors.haproxy_frontend import backend_name, label
from wizard.front_doors.settings import BURST_SECONDS, CORS_ALLOWED, CORS_HEADERS, TUNNEL_SECONDS, burst
from wizard.model import SIGN_IN_PATH

_STORE: Final = "firescreen"
_MB: Final = 1024 * 1024
_COUNTED: Final = (
    f"stick-table type ipv6 size 100k expire {BURST_SECONDS}s store http_req_rate({BURST_SECONDS}s)"
)
_BEGIN: Final = (
    "# Written by Firescreen, which undoes it too: front doors. Other sections belong above this line."
)
_END: Final = "# End of what Firescreen wrote."
_BLOCK: Final = re.compile(rf"^{re.escape(_BEGIN)}\n.*?^{re.escape(_END)}\n", re.MULTILINE | re.DOTALL)
_BIND: Final = re.compile(r"^\s*bind\s+(\S+)", re.MULTILINE)
_PORT: Final = re.compile(r":(\d+)(?:-(\d+))?$")


def merge_block(main: str, doors: Sequence[Door]) -> str:
    """The main configuration with these front doors as its block; every byte outside of the block stays.

    For a front door in a frontend that a person wrote, the block has the backends, and the frontend gets a few lines.

    Raises:
        InputError: no frontend can get these lines.
    """
    main = haproxy_frontend.with_paths(main, [door for door in doors if door.inside])
    block = "\n".join((_BEGIN, *_sections(doors), _END)) + "\n"
    if _BLOCK.search(main):
        return _BLOCK.sub(lambda _: block, main, count=1)
    gap = "" if not main or main.endswith("\n") else "\n"
    return f"{main}{gap}\n{block}"


def own_lines(main: str) -> range:
    """The numbers of the lines of the block; an empty range without a block."""
    found = _BLOCK.search(main)
    if found is None:
        return range(0)
    first = main.count("\n", 0, found.start()) + 1
    return range(first, first + found[0].count("\n"))


def others_ports(main: str) -> dict[int, int]:
    """The ports that sections outside of the block bind, each with the number of its line."""
    own = own_lines(main)
    found: dict[int, int] = {}
    for bind in _BIND.finditer(main):
        line = main.count("\n", 0, bind.start(1)) + 1
        for place in bind[1].split(",") if line not in own else ():
            port = _PORT.search(place)
            if port is not None:
                first, last = int(port[1]), int(port[2] or port[1])
                found |= dict.fromkeys(range(first, min(last, 65535) + 1), line)
    return found


def _sections(doors: Sequence[Door]) -> Iterator[str]:
    if any(door.sign_in is not None for door in doors):
        yield from haproxy_sign_in.loads()
    for door in doors:
        if door.hashes:
            yield f"userlist {label(door)}"
            for user, hashed in door.hashes:
                yield f"    user {user} password {hashed}"
            yield ""
    own = [door for door in doors if not door.inside]
    if any(not door.bundle for door in own):
        yield f"crt-store {_STORE}"
        for door in own:
            yield f"    load crt {door.certificate} key {door.key} alias {label(door)}"
        yield ""
    for port, same in groupby(sorted(own, key=lambda each: each.port), key=lambda each: each.port):
        yield from _frontend(port, tuple(same))
    for door in doors:
        if door.inside and door.rate_limit:
            # A table of its own, independent of what the frontend counts.
            yield f"backend {_requests(door)}"
            yield f"    {_COUNTED}"
            yield ""
        if door.sign_in is not None:
            yield from haproxy_sign_in.backend(door)
        for opening in door.openings:
            yield from _backend(door, opening)


def _requests(door: Door) -> str:
    """The name of the table that counts the requests of a front door in a person's frontend."""
    return f"{label(door)}-requests"


def _frontend(port: int, doors: Sequence[Door]) -> Iterator[str]:
    yield f"frontend firescreen-{port}"
    for door in doors if doors[0].bundle else ():
        yield f"    # {door.bundle} holds {door.certificate} and its key."
    certificates = (f"crt {door.bundle or f'@{_STORE}/{label(door)}'}" for door in doors)
    tls = " ".join(("ssl", *certificates, "ssl-min-ver TLSv1.2"))
    # In HTTP/2 a client that gets 413 while it still sends sees a reset stream and no response.
    tls += f" alpn http/1.1{_client_certificates(doors)}"
    yield f"    bind :{port} {tls}"
    if doors[0].ipv6:
        yield f"    bind [::]:{port} v6only {tls}"
    yield "    mode http"
    yield "    option forwardfor"
    yield f"    timeout client {max(door.timeout for door in doors)}s"
    yield "    timeout http-request 10s"
    for door in doors:
        yield f"    acl {door.name} hdr(host) -i {door.name} {door.name}:{port}"
    if any(door.rate_limit for door in doors):
        yield f"    {_COUNTED}"
        yield "    http-request track-sc0 src"
    yield f"    http-request return status 404 if {' '.join(f'!{door.name}' for door in doors)}"
    for door in doors:
        yield ""
        yield from _rules(door, alone=len(doors) == 1)
    yield ""
    for door in doors:
        yield from _routes(door)
    yield ""


def _client_certificates(doors: Sequence[Door]) -> str:
    """The client certificate settings of the handshake; the rules of each front door check the result once more."""
    authority = next((door.client_ca for door in doors if door.client_ca), "")
    if not authority:
        return ""
    required = all(door.client_ca and not (door.passwords or door.sign_in) for door in doors)
    return f" ca-file {authority} verify {'required' if required else 'optional'}"


def _rules(door: Door, *, alone: bool) -> Iterator[str]:
    name, answer = door.name, ""
    if not alone:
        # The request's own headers are no longer available in the response.
        yield f"    http-request set-var(txn.door) str({name}) if {name}"
        answer = f" if {{ var(txn.door) -m str {name} }}"
    headers = (("Strict-Transport-Security", f"max-age={door.hsts_days * 86400}"),) if door.hsts_days else ()
    for header, value in (*headers, *door.headers):
        yield f"    http-after-response set-header {header} {value}{answer}"
    if door.cors:
        # Browsers send OPTIONS without a login.
        known = f"{{ req.hdr(origin) -m str {' '.join(door.cors)} }}"
        yield f"    http-request set-var(txn.origin) req.hdr(origin) if {name} {known}"
        yield f"    http-request return status 204 if {name} METH_OPTIONS {known}"
        allowed = "{ var(txn.origin) -m found }" if alone else f"{{ var(txn.origin) -m found }} {answer[4:]}"
        yield f"    http-after-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if {allowed}"
        for header, value in CORS_ALLOWED:
            yield f'    http-after-response set-header {header} "{value}" if {allowed}'
    if door.rate_limit:
        yield f"    http-request deny deny_status 429 if {name} {{ sc_http_req_rate(0) gt {burst(door.rate_limit)} }}"
    if door.sign_in is not None:
        yield from haproxy_sign_in.pages(door)
    yield from _who(door)
    yield (
        f"    http-request deny deny_status 413 if {name} "
        f"{{ req.hdr_val(content-length) gt {door.max_body_size * _MB} }}"
    )
    blocked = " ".join(path for opening in door.openings for path in opening.blocked)
    if blocked:
        yield f"    http-request deny deny_status 403 if {name} {{ path,url_dec -m beg {blocked} }}"
    for opening in door.openings:
        if opening.prefix:
            moved = f"redirect code 301 location {opening.prefix}/"
            yield f"    http-request {moved} if {name} {{ path {opening.prefix} }}"
    known = " ".join(f"{opening.prefix}/" for opening in door.openings)
    known += f" {SIGN_IN_PATH}/" if door.sign_in is not None else ""
    yield f"    http-request return status 404 if {name} !{{ path_beg {known} }}"


def _routes(door: Door) -> Iterator[str]:
    """Yields the rules that choose a backend; HAProxy evaluates them after all http-request rules wherever they are."""
    if door.sign_in is not None:
        condition = f"{door.name} {{ path_beg {SIGN_IN_PATH}/ }}"
        yield f"    use_backend {haproxy_sign_in.backend_name(door)} if {condition}"
    for opening in door.openings:
        backend = backend_name(door, opening.backend)
        yield f"    acl {backend} path_beg {opening.prefix}/"
        yield f"    use_backend {backend} if {door.name} {backend}"


def _who(door: Door) -> Iterator[str]:
    # The handshake rejects every certificate that is not of the CA.
    others = " !{ ssl_c_used }" if door.client_ca else ""
    for prefix in (opening.prefix for opening in door.openings if opening.own_login):
        others += f" !{{ path {prefix or '/'} }} !{{ path_beg {prefix}/ }}"
    if door.sign_in is not None:
        # A request with an Authorization header is a machine's.
        machine = "{ req.hdr(authorization) -m found }"
        if door.passwords:
            users = f"!{{ path_beg {SIGN_IN_PATH}/ }} {machine} !{{ http_auth({label(door)}) }}"
            yield f"    http-request auth realm {door.name} if {door.name}{others} {users}"
        yield from haproxy_sign_in.rules(door, others + f" !{machine}" * bool(door.passwords))
    elif door.passwords:
        users = f"!{{ http_auth({label(door)}) }}"
        yield f"    http-request auth realm {door.name} if {door.name}{others} {users}"
    elif door.client_ca:
        yield f"    http-request deny deny_status 403 if {door.name}{others}"


def _backend(door: Door, opening: Opening) -> Iterator[str]:
    yield f"backend {backend_name(door, opening.backend)}"
    yield "    mode http"
    yield "    timeout connect 5s"
    yield f"    timeout server {door.timeout}s"
    yield f"    timeout tunnel {TUNNEL_SECONDS // 3600}h"
    if door.inside:
        yield from _inside(door, opening)
    if not opening.own_login:
        yield "    # The password is for this server and not for what is behind it."
        yield "    http-request del-header Authorization"
    yield "    http-request set-header X-Forwarded-Proto https"
    for header in CORS_HEADERS:
        yield f"    http-response del-header {header}"
    yield f"    server backend {opening.backend}{_over_tls(opening)}"
    yield ""


def _inside(door: Door, opening: Opening) -> Iterator[str]:
    """Yields the rules that our own frontend would have, for a front door in a person's frontend."""
    yield "    option forwardfor"
    if door.rate_limit:
        yield f"    http-request {haproxy_frontend.COUNTER} src table {_requests(door)}"
        above = f"{{ src_http_req_rate({_requests(door)}) gt {burst(door.rate_limit)} }}"
        yield f"    http-request deny deny_status 429 if {above}"
    yield f"    http-request redirect code 301 location {opening.prefix}/ if {{ path {opening.prefix} }}"
    if door.cors:
        allowed_origin = f"{{ req.hdr(origin) -m str {' '.join(door.cors)} }}"
        yield f"    http-request set-var(txn.origin) req.hdr(origin) if {allowed_origin}"
        yield f"    http-request return status 204 if METH_OPTIONS {allowed_origin}"
        allowed = "{ var(txn.origin) -m found }"
        yield f"    http-after-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if {allowed}"
        for header, value in CORS_ALLOWED:
            yield f'    http-after-response set-header {header} "{value}" if {allowed}'
    if not opening.own_login:
        yield f"    http-request auth realm {door.name} if !{{ http_auth({label(door)}) }}"
    too_much = f"{{ req.hdr_val(content-length) gt {door.max_body_size * _MB} }}"
    yield f"    http-request deny deny_status 413 if {too_much}"
    if opening.blocked:
        yield f"    http-request deny deny_status 403 if {{ path,url_dec -m beg {' '.join(opening.blocked)} }}"


def _over_tls(opening: Opening) -> str:
    tls = opening.tls
    if tls is None:
        return ""
    verified = f"verify required ca-file {tls.trust} verifyhost {tls.name} sni str({tls.name})"
    return f" ssl {verified} crt {tls.bundle} ssl-min-ver TLSv1.2"


PROXY = Proxy(
    name="haproxy",
    title="HAProxy",
    unit="haproxy",
    programs=("/usr/sbin/haproxy", "/usr/local/sbin/haproxy"),
    version=("-v",),
    main="/etc/haproxy/haproxy.cfg",
    home="/etc/haproxy/firescreen",
    # The main process reads all files as root, before it drops its privileges.
    group="root",
    password_group=lambda main: "root",
    site="/etc/haproxy/haproxy.cfg",
    included="",
    shared=SharedFile(merged=merge_block, own_lines=own_lines, others_ports=others_ports),
    hashes_in_site=True,
    sign_in=haproxy_sign_in.CLIENT,
    bundle_before=(3, 0),
    bundles_client_pair=True,
    render=lambda door: merge_block("", (door,)),
    shadow=lambda main, path: main,
    shadow_script="cat",
    check=("{program}", "-c", "-f", "{main}"),
    no_certificate="refused",
)

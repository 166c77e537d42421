"""Apache as a front door: one virtual host of ours in sites-enabled, in the layout of Debian's package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wizard.front_doors import apache_openid
from wizard.front_doors.apache_openid import PREFLIGHT
from wizard.front_doors.base import BackendTLS, Door, Opening, Proxy
from wizard.front_doors.settings import CORS_ALLOWED, CORS_HEADERS, TUNNEL_SECONDS
from wizard.model import SIGN_IN_PATH

_MB: Final = 1024 * 1024
_AVAILABLE: Final = "/etc/apache2/mods-available"
_ENABLED: Final = "/etc/apache2/mods-enabled"
_MODULES: Final = (
    *("socache_shmcb.load", "ssl.load", "ssl.conf"),
    *("proxy.load", "proxy.conf", "proxy_http.load", "headers.load"),
)


def render(door: Door) -> str:
    """The text of the virtual host."""
    return "\n".join(_lines(door)) + "\n"


def _lines(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. Other sites belong into files of their own."
    yield f"<VirtualHost *:{door.port}>"
    yield f"    ServerName {door.name}"
    yield ""
    yield "    SSLEngine on"
    yield f"    SSLCertificateFile {door.certificate}"
    yield f"    SSLCertificateKeyFile {door.key}"
    yield "    SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1"
    if door.client_ca:
        yield f"    SSLCACertificateFile {door.client_ca}"
        yield f"    SSLVerifyClient {'optional' if door.passwords or door.sign_in else 'require'}"
    yield from (f"    {line}" for line in _origin(door))
    yield from _cors(door)
    if door.sign_in is not None:
        yield from apache_openid.settings(door, door.sign_in)
        yield from apache_openid.access(door, door.sign_in)
    else:
        yield from _who(door)
    yield ""
    # LimitRequestBody does not apply to proxied requests.
    yield f'    <If "%{{HTTP:Content-Length}} -gt {door.max_body_size * _MB}">'
    yield '        RedirectMatch 413 "^/"'
    yield "    </If>"
    yield f"    ProxyTimeout {door.timeout}"
    yield "    ProxyRequests Off"
    yield "    ProxyPreserveHost On"
    yield "    AllowEncodedSlashes NoDecode"
    yield "    RequestHeader set X-Forwarded-Proto https"
    yield "    # The password is for this server and not for what is behind it."
    own = "|".join(re.escape(opening.prefix) + "/" for opening in door.openings if opening.own_login)
    unset = "RequestHeader unset Authorization"
    yield f"    {unset}" + (f' "expr=%{{REQUEST_URI}} !~ m#^({own})#"' if own else "")
    if door.hsts_days:
        yield f'    Header always set Strict-Transport-Security "max-age={door.hsts_days * 86400}"'
    for name, value in door.headers:
        yield f"    Header always set {name} {value}"
    for opening in door.openings:
        yield from _location(opening)
    if all(opening.prefix for opening in door.openings):
        prefixes = [opening.prefix for opening in door.openings]
        prefixes_pattern = "|".join(map(re.escape, [*prefixes, *([SIGN_IN_PATH] if door.sign_in else [])]))
        yield ""
        yield "    # The main server's own pages are for its other sites."
        yield f'    RedirectMatch 404 "^(?!({prefixes_pattern})(/|$))"'
    yield "</VirtualHost>"


def _origin(door: Door) -> Iterator[str]:
    """Yields lines for the whole virtual host: Apache evaluates `<If>` before the settings of a section."""
    if door.cors:
        origins = "|".join(re.escape(origin) for origin in door.cors)
        yield f'SetEnvIf Origin "^(?:{origins})$" firescreen_origin=$0'


def _cors(door: Door) -> Iterator[str]:
    for name in CORS_HEADERS:
        yield f"    Header unset {name}"
    if not door.cors:
        return
    yield "    Header always set Access-Control-Allow-Origin %{firescreen_origin}e env=firescreen_origin"
    for name, value in CORS_ALLOWED:
        yield f'    Header always set {name} "{value}" env=firescreen_origin'
    yield "    # Browsers ask by OPTIONS without a login."
    yield f'    <If "{PREFLIGHT}">'
    yield '        RedirectMatch 204 "^/"'
    yield "    </If>"


def _who(door: Door) -> Iterator[str]:
    if not (door.passwords or door.client_ca):
        return
    yield '    <Location "/">'
    yield from _passes(door)
    yield "    </Location>"


def _passes(door: Door) -> Iterator[str]:
    if door.passwords:
        yield "        AuthType Basic"
        yield f'        AuthName "{door.name}"'
        yield "        AuthBasicProvider file"
        yield f"        AuthUserFile {door.passwords}"
    yield "        <RequireAny>"
    if door.passwords:
        yield "            Require valid-user"
    if door.client_ca:
        yield "            Require ssl-verify-client"
    if door.cors:
        yield f'            Require expr "{PREFLIGHT}"'
    yield "        </RequireAny>"


def _location(opening: Opening) -> Iterator[str]:
    for path in opening.blocked:
        yield ""
        yield f'    <Location "{path}">'
        yield "        Require all denied"
        yield "    </Location>"
    yield ""
    if opening.prefix:
        yield f'    RedirectMatch 301 "^{re.escape(opening.prefix)}$" "{opening.prefix}/"'
    if opening.tls is not None:
        yield f'    <Location "{opening.prefix}/">'
        yield "        # It verifies the name that it asks for: with the visitor's, that of the front door."
        yield "        ProxyPreserveHost Off"
        yield "    </Location>"
        yield from (f"    {line}" for line in _over_tls(opening, opening.tls))
    yield f'    ProxyPass "{opening.prefix}/" "{_backend(opening)}{opening.prefix}/" nocanon{_websocket(opening)}'
    if opening.own_login:
        yield "    # It asks for the login itself."
        yield f'    <Location "{opening.prefix}/">'
        yield "        AuthType None"
        yield "        AuthMerging Off"
        yield "        Require all granted"
        yield "    </Location>"


def _websocket(opening: Opening) -> str:
    """Further parameters of ProxyPass if clients open WebSockets."""
    return f" upgrade=websocket timeout={TUNNEL_SECONDS}" if opening.websocket else ""


def _backend(opening: Opening) -> str:
    return f"{'http' if opening.tls is None else 'https'}://{opening.backend}"


def _over_tls(opening: Opening, tls: BackendTLS) -> Iterator[str]:
    yield f'<Proxy "{_backend(opening)}{opening.prefix}/">'
    yield "    SSLProxyEngine on"
    yield "    SSLProxyProtocol all -SSLv3 -TLSv1 -TLSv1.1"
    yield "    SSLProxyVerify require"
    yield "    SSLProxyVerifyDepth 4"
    yield f"    SSLProxyCACertificateFile {tls.trust}"
    yield "    SSLProxyCheckPeerName on"
    yield "    SSLProxyCheckPeerExpire on"
    yield f"    SSLProxyMachineCertificateFile {tls.bundle}"
    yield "</Proxy>"


def render_inside(door: Door) -> str:
    """The sections for an existing virtual host. A ProxyPass in a section precedes those outside of sections."""
    return "\n".join(_inside(door)) + "\n"


def _inside(door: Door) -> Iterator[str]:
    yield "# Written by Firescreen, which undoes it too. It is included by a site that is there."
    yield "AllowEncodedSlashes NoDecode"
    yield from _origin(door)
    if door.client_ca:
        yield f"SSLCACertificateFile {door.client_ca}"
        yield "# Whoever shows no certificate, or one of another CA, is served at the other paths as before."
        yield "SSLVerifyClient optional_no_ca"
    if door.sign_in is not None:
        for line in apache_openid.settings_inside(door, door.sign_in):
            yield line.removeprefix("    ")
    for opening in door.openings:
        yield f'RedirectMatch 301 "^{re.escape(opening.prefix)}$" "{opening.prefix}/"'
        yield f'<Location "{opening.prefix}/">'
        yield "    AuthMerging Off"
        for line in _who_inside(door, opening):
            yield line.removeprefix("    ")
        yield from _cors(door)
        yield f"    LimitRequestBody {door.max_body_size * _MB}"
        yield f"    ProxyPreserveHost {'On' if opening.tls is None else 'Off'}"
        yield "    RequestHeader set X-Forwarded-Proto https"
        more = _websocket(opening) or f" timeout={door.timeout}"
        yield f'    ProxyPass "{_backend(opening)}{opening.prefix}/" nocanon{more}'
        yield "</Location>"
        yield from _over_tls(opening, opening.tls) if opening.tls is not None else ()
        for path in opening.blocked:
            yield f'<Location "{path}">'
            yield "    Require all denied"
            yield "</Location>"


def _who_inside(door: Door, opening: Opening) -> Iterator[str]:
    if opening.own_login:
        yield "        # It asks for the login itself."
        yield "        AuthType None"
        yield "        Require all granted"
        return
    yield "        RequestHeader unset Authorization"
    if door.sign_in is None:
        yield from _passes(door)
        return
    yield from apache_openid.who(door, door.sign_in)
    for line in apache_openid.machines(door):
        yield f"    {line}"


def shadow(main: str, path: str) -> str:
    """The main configuration with another file included at its end."""
    return f"{main}\nInclude {path}\n"


PROXY = Proxy(
    name="apache",
    title="Apache",
    unit="apache2",
    programs=("/usr/sbin/apache2ctl",),
    version=("-v",),
    main="/etc/apache2/apache2.conf",
    home="/etc/apache2/firescreen",
    # The main process reads all files as root, except for the passwords, which its workers read.
    group="root",
    password_group=lambda main: "www-data",
    site="/etc/apache2/sites-enabled/firescreen-{name}.conf",
    included="/etc/apache2/sites-enabled/*.conf",
    render=render,
    render_inside=render_inside,
    certificates_inside=True,
    shadow=shadow,
    shadow_script=r"cat && printf '\nInclude %s\n' " '"$1"',
    check=("{program}", "-t", "-f", "{main}"),
    # The links that a2enmod would make; ports.conf listens on 443 if there is an ssl_module.
    needed=tuple((f"{_ENABLED}/{name}", f"{_AVAILABLE}/{name}") for name in _MODULES),
    sign_in=apache_openid.CLIENT,
    only_port=443,
    bundles_client_pair=True,
    names_backends=True,
    lacks=(
        (
            "rate_limit",
            "none of its own modules limits how many requests an address sends (mod_ratelimit limits bytes)",
        ),
    ),
    no_certificate="refused",
)

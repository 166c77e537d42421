"""Sign-in at Apache through mod_auth_openidc 2.4.12 or later, beside logins of machines.

A request with an Authorization header is a machine's: it is only checked against the passwords. A page without a session
is redirected to the provider, and every other request without a session gets 401.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from wizard.front_doors.base import Door, Registration, SignInClient
from wizard.model import CALLBACK, SIGN_IN_PATH, SIGN_OUT, SIGNED_OUT, SignIn

PREFLIGHT: Final = "%{REQUEST_METHOD} == 'OPTIONS' && reqenv('firescreen_origin') != ''"
"""Whether this is a CORS preflight for an allowed origin, with which a browser sends no login."""
_HOUR: Final = 3600
_LOG: Final = "${APACHE_LOG_DIR}/other_vhosts_access.log"
_KEY: Final = re.compile(r'^OIDCCryptoPassphrase "([^"]+)"$', re.MULTILINE)
_GOODBYE: Final = "You are signed out. Close the browser to end the session at your OpenID provider, too."


def settings(door: Door, spec: SignIn) -> Iterator[str]:
    """Yields the directives for a whole virtual host."""
    yield from _client(door, spec)
    yield f'    ProxyPass "{SIGN_IN_PATH}/" "!"'
    yield "    # What the provider sends with a person back is for this server and not for its log."
    yield f'    SetEnvIf Request_URI "^{SIGN_IN_PATH}/" firescreen_sign_in'
    yield f'    CustomLog "{_LOG}" "%v:%p %h %l %u %t \\"%r\\" %>s %O" env=!firescreen_sign_in'
    yield f'    CustomLog "{_LOG}" "%v:%p %h %l %u %t \\"%m %U %H\\" %>s %O" env=firescreen_sign_in'


def settings_inside(door: Door, spec: SignIn) -> Iterator[str]:
    """Yields the directives for a virtual host that a person wrote; it keeps its own log."""
    yield from _client(door, spec)
    yield f'    <Location "{SIGN_IN_PATH}/">'
    yield "        AuthMerging Off"
    yield "        Require all granted"
    yield '        ProxyPass "!"'
    yield "    </Location>"
    yield f'    <Location "{CALLBACK}">'
    yield "        AuthMerging Off"
    yield "        AuthType openid-connect"
    yield "        Require valid-user"
    yield "    </Location>"
    yield f'    <Location "{SIGNED_OUT}">'
    yield "        AuthType None"
    yield f'        ErrorDocument 200 "{_GOODBYE}"'
    yield "    </Location>"


def _client(door: Door, spec: SignIn) -> Iterator[str]:
    yield f"    OIDCProviderMetadataURL {spec.issuer.rstrip('/')}/.well-known/openid-configuration"
    yield f"    OIDCClientID {spec.client_id}"
    yield f"    Include {door.secrets}"
    yield f"    OIDCRedirectURI {door.callback}"
    yield f"    OIDCDefaultURL {door.callback.removesuffix(CALLBACK)}{door.openings[0].prefix}/"
    yield f'    OIDCScope "{" ".join(spec.scopes)}"'
    yield "    OIDCPKCEMethod S256"
    if door.provider_ca:
        yield f"    OIDCCABundlePath {door.provider_ca}"
    yield f"    OIDCSessionMaxDuration {spec.session_hours * _HOUR}"
    yield f"    OIDCSessionInactivityTimeout {spec.session_hours * _HOUR}"
    yield "    OIDCCookieHTTPOnly On"
    yield "    OIDCCookieSameSite On"
    yield "    OIDCStateMaxNumberOfCookies 7 true"
    yield f'    Redirect 302 "{SIGN_OUT}" "{CALLBACK}?logout={quote(door.signed_out, safe="")}"'
    yield f'    Redirect 200 "{SIGNED_OUT}"'


def access(door: Door, spec: SignIn) -> Iterator[str]:
    """Yields the access rules: people who are signed in, and machines by password or client certificate."""
    yield '    <Location "/">'
    yield from who(door, spec)
    yield "    </Location>"
    # Later sections override the earlier ones.
    yield f'    <Location "{CALLBACK}">'
    yield "        Require valid-user"
    yield "    </Location>"
    yield f'    <Location "{SIGNED_OUT}">'
    yield "        Require all granted"
    yield f'        ErrorDocument 200 "{_GOODBYE}"'
    yield "    </Location>"
    yield from machines(door)


def who(door: Door, spec: SignIn) -> Iterator[str]:
    """Yields the same rules for use within a section."""
    yield "        AuthType openid-connect"
    yield "        AuthzSendForbiddenOnFailure On"
    yield "        # A page leads to the provider; scripts, assets and programs get 401."
    yield '        OIDCUnAuthAction 401 "%{HTTP_ACCEPT} !~ m#text/html#"'
    yield "        OIDCPassClaimsAs none"
    yield "        <RequireAny>"
    yield "            <RequireAll>"
    yield "                Require valid-user"
    yield from _claims(spec)
    yield "            </RequireAll>"
    if door.passwords:
        yield "            <RequireAll>"
        yield '                Require expr "-n %{HTTP:Authorization}"'
        yield "                Require valid-user"
        yield "            </RequireAll>"
    if door.client_ca:
        yield "            Require ssl-verify-client"
    if door.cors:
        yield f'            Require expr "{PREFLIGHT}"'
    yield "        </RequireAny>"


def machines(door: Door) -> Iterator[str]:
    """Yields the check of requests with an Authorization header."""
    if door.passwords:
        yield '    <If "-n %{HTTP:Authorization}">'
        yield "        AuthType Basic"
        yield f'        AuthName "{door.name}"'
        yield "        AuthBasicProvider file"
        yield f"        AuthUserFile {door.passwords}"
        yield "    </If>"


def _claims(spec: SignIn) -> Iterator[str]:
    pad = " " * 16
    if spec.domains:
        yield f"{pad}# The provider itself does not know whether such an address is the person's."
        yield f"{pad}<RequireNone>"
        yield f"{pad}    Require claim email_verified:false"
        yield f"{pad}</RequireNone>"
        yield f"{pad}<RequireAny>"
        for domain in spec.domains:
            yield f'{pad}    Require claim "email~(?i)^[^@]+@{re.escape(domain)}$"'
        yield f"{pad}</RequireAny>"
    for name, values in spec.asked:
        yield f"{pad}<RequireAny>"
        for value in values:
            yield f'{pad}    Require claim "{name}:{value}"'
        yield f"{pad}</RequireAny>"


def secrets(known: Registration) -> str:
    """The text of the file with the secrets, which only root reads, when Apache starts."""
    written = known.secret.replace("\\", "\\\\").replace('"', '\\"')
    return (
        "# Written by Firescreen, which undoes it too.\n"
        f'OIDCClientSecret "{written}"\n'
        f'OIDCCryptoPassphrase "{known.key}"\n'
    )


def key_in(text: str) -> str:
    """The key of the sessions in such a file, or ''."""
    found = _KEY.search(text)
    return found[1] if found else ""


# Loaded by a reload, the module skips its set-up, as in the first of the two passes of a start, and every process of
# Apache ends with a segmentation fault (seen with 2.4.12.3).
CLIENT: Final = SignInClient(
    title="mod_auth_openidc",
    todo="Run: apt install libapache2-mod-auth-openidc",
    needed=(
        ("/etc/apache2/mods-enabled/auth_openidc.load", "/etc/apache2/mods-available/auth_openidc.load"),
    ),
    secrets=secrets,
    key=key_in,
)

"""Sign-in at nginx, Caddy or HAProxy through oauth2-proxy, which says for each request who sent it.

Firescreen configures it but does not install it: Debian has no package. The names of its settings are those in its source
from 7.4 on: with an unknown name it does not start. No registry that the tests use has the program either: they
run a stand-in at its address, which reads this file and has the same interface (202 or 401 at /oauth2/auth, the
provider at /oauth2/start).
"""

from __future__ import annotations

import json
import re
from typing import Final

from wizard.front_doors.base import Registration, SignInClient

ADDRESS: Final = "127.0.0.1:4180"
START: Final = "/oauth2/start"
AUTH: Final = "/oauth2/auth"
GOODBYE: Final = "You are signed out here. Your OpenID provider may still know you."
_KEY: Final = re.compile(r'^cookie_secret = "([^"]+)"$', re.MULTILINE)


def secrets(known: Registration) -> str:
    """The whole configuration of oauth2-proxy, which its own group may read."""
    spec = known.settings
    entries: dict[str, object] = {
        "http_address": ADDRESS,
        "reverse_proxy": True,
        "upstreams": ["static://202"],
        "provider": "oidc",
        "oidc_issuer_url": spec.issuer,
        "client_id": spec.client_id,
        "client_secret": known.secret,
        "redirect_url": known.callback,
        "scope": " ".join(spec.scopes),
        "code_challenge_method": "S256",
        # It skips this check by default, because of providers without OpenID.
        "insecure_oidc_skip_nonce": False,
        "skip_provider_button": True,
        "cookie_secret": known.key,
        "cookie_secure": True,
        "cookie_httponly": True,
        "cookie_samesite": "lax",
        "cookie_expire": f"{spec.session_hours}h",
        "session_cookie_minimal": True,
        "email_domains": list(spec.domains) or ["*"],
        # The URL of a request to it contains the provider's code.
        "request_logging": False,
    }
    if spec.groups:
        entries |= {"oidc_groups_claim": spec.groups_claim, "allowed_groups": list(spec.groups)}
    if known.provider_ca:
        entries["provider_ca_files"] = [known.provider_ca]
    # JSON strings, lists and booleans are valid TOML too.
    lines = (f"{name} = {json.dumps(value)}" for name, value in entries.items())
    return "\n".join(("# Written by Firescreen, which undoes it too.", *lines, ""))


def key_in(text: str) -> str:
    """The key of the sessions in such a file, or ''."""
    found = _KEY.search(text)
    return found[1] if found else ""


CLIENT: Final = SignInClient(
    title="oauth2-proxy",
    todo="Install oauth2-proxy as its manual says, with the unit oauth2-proxy.service that starts it with --config=FILE",
    secrets=secrets,
    key=key_in,
    unit="oauth2-proxy",
    claims=False,
)

"""The nginx locations for sign-in through an oauth2-proxy, in a server block of ours or in a person's."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.front_doors import oauth2_proxy
from wizard.front_doors.base import Door
from wizard.model import SIGN_IN_PATH, SIGN_OUT, SIGNED_OUT


def locations(door: Door) -> Iterator[str]:
    """Yields the check whether somebody is signed in, the redirect of pages if not, and the pages of the sign-in."""
    yield from _auth_location(door)
    yield from _redirect_to_provider()
    yield from _sign_in_pages(door)


def _auth_location(door: Door) -> Iterator[str]:
    yield ""
    yield f"    location = {oauth2_proxy.AUTH} {{"
    yield "        internal;"
    if door.client_ca:
        yield from _passes("$ssl_client_verify = SUCCESS")
    if door.inside and door.passwords:
        yield "        # The password of a machine is checked beside this."
        yield from _passes("$http_authorization")
    yield from _sign_in_request("$request_uri")
    yield "        proxy_pass_request_body off;"
    yield '        proxy_set_header Content-Length "";'
    yield "    }"


def _passes(condition: str) -> Iterator[str]:
    yield f"        if ({condition}) {{"
    yield "            return 204;"
    yield "        }"


def _redirect_to_provider() -> Iterator[str]:
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
    yield from _sign_in_request(oauth2_proxy.START)
    yield "    }"


def _sign_in_pages(door: Door) -> Iterator[str]:
    yield ""
    # Without ^~, regular expressions of a person's site would take precedence.
    yield f"    location {'^~ ' if door.inside else ''}{SIGN_IN_PATH}/ {{"
    yield "        # What the provider sends with a person back is for oauth2-proxy and not for a log."
    yield "        access_log off;"
    yield from _open()
    yield from _sign_in_request("$request_uri")
    yield "    }"
    yield ""
    yield f"    location = {SIGN_OUT} {{"
    yield "        rewrite ^ $uri?rd=" + SIGNED_OUT + " break;"
    yield from _open()
    yield from _sign_in_request("$request_uri")
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


def _sign_in_request(uri: str) -> Iterator[str]:
    """Yields the headers that oauth2-proxy needs, and its address."""
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

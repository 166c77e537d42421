"""The HAProxy rules for sign-in through an oauth2-proxy beside it.

HAProxy has no auth_request: a Lua script (Debian's packages are built with Lua) queries oauth2-proxy with HAProxy's own
HTTP client (2.6 and later) and sets a variable to the status of the response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wizard.front_doors import oauth2_proxy
from wizard.front_doors.base import Door
from wizard.front_doors.haproxy_frontend import label
from wizard.model import SIGN_IN_PATH, SIGN_OUT, SIGNED_OUT

SCRIPT: Final = "/etc/haproxy/firescreen/sign-in.lua"
_LUA: Final = f"""\
-- Written by Firescreen, which undoes it too. Asks oauth2-proxy who a request is of, as auth_request of nginx does.
core.register_action("firescreen_sign_in", {{ "http-req" }}, function(txn)
    local sent, given = {{}}, txn.http:req_get_headers()
    for _, name in ipairs({{ "host", "cookie", "user-agent" }}) do
        if given[name] then
            sent[name] = {{}}
            for _, value in pairs(given[name]) do
                table.insert(sent[name], value)
            end
        end
    end
    sent["x-real-ip"] = {{ txn.sf:src() }}
    sent["x-forwarded-proto"] = {{ "https" }}
    sent["x-forwarded-uri"] = {{ txn.sf:url() }}
    local answer = core.httpclient():get{{ url = "http://{oauth2_proxy.ADDRESS}{oauth2_proxy.AUTH}", headers = sent }}
    txn:set_var("txn.firescreen_status", answer and answer.status or 0)
end, 0)
"""
CLIENT: Final = replace(oauth2_proxy.CLIENT, files=((SCRIPT, _LUA),))
_STATUS: Final = "var(txn.firescreen_status)"


def loads() -> Iterator[str]:
    """Yields the section that loads the script; HAProxy adds its settings to those of other such sections."""
    yield "global"
    yield f"    lua-load {SCRIPT}"
    yield ""


def pages(door: Door) -> Iterator[str]:
    """Yields the rules for the pages of the sign-in itself, which need no login."""
    name = door.name
    goodbye = f'return status 200 content-type text/plain string "{oauth2_proxy.GOODBYE}"'
    yield f"    http-request {goodbye} if {name} {{ path {SIGNED_OUT} }}"
    yield f"    http-request set-var(txn.firescreen_page) url if {name}"
    yield f"    http-request set-uri {SIGN_OUT}?rd={SIGNED_OUT} if {name} {{ path {SIGN_OUT} }}"
    yield "    # What the provider sends with a person back is for oauth2-proxy and not for a log."
    yield f"    http-request set-log-level silent if {name} {{ path_beg {SIGN_IN_PATH}/ }}"


def rules(door: Door, others: str) -> Iterator[str]:
    """Yields the rules about people; machines have others.

    Args:
        others: conditions that exclude the requests of machines.
    """
    condition = f"{door.name} !{{ path_beg {SIGN_IN_PATH}/ }}{others}"
    signed_in = f"{{ {_STATUS} -m int 200:299 }}"
    nobody = f"{condition} {{ {_STATUS} -m int 401 }}"
    page = f"{nobody} {{ req.hdr(accept) -m sub text/html }}"
    yield f"    http-request lua.firescreen_sign_in if {condition}"
    yield f"    http-request deny deny_status 403 if {condition} {{ {_STATUS} -m int 403 }}"
    yield f"    http-request deny deny_status 503 if {condition} !{signed_in} !{{ {_STATUS} -m int 401 }}"
    yield "    # A page leads to the provider; scripts, assets and programs get 401."
    yield f"    http-request deny deny_status 401 if {nobody} !{{ req.hdr(accept) -m sub text/html }}"
    yield f"    http-request set-method GET if {page}"
    yield f"    http-request set-uri {oauth2_proxy.START} if {page}"


def backend_name(door: Door) -> str:
    """The name of the backend for oauth2-proxy."""
    return f"{label(door)}-sign-in"


def backend(door: Door) -> Iterator[str]:
    """Yields the backend for oauth2-proxy, with the headers that it needs."""
    yield f"backend {backend_name(door)}"
    yield "    mode http"
    yield "    timeout connect 5s"
    yield "    timeout server 30s"
    yield "    http-request del-header Authorization"
    yield "    http-request set-header X-Real-IP %[src]"
    yield "    http-request set-header X-Forwarded-Proto https"
    yield "    http-request set-header X-Forwarded-Host %[req.hdr(host)]"
    yield "    http-request set-header X-Forwarded-Uri %[url]"
    yield "    http-request set-header X-Auth-Request-Redirect %[var(txn.firescreen_page)]"
    yield f"    server oauth2-proxy {oauth2_proxy.ADDRESS}"
    yield ""

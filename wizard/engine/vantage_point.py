"""Probes from a host of the stack: whether it can connect to host:port, and which HTTP status a URL returns there.

On this machine, the probe runs directly. Over SSH, the host's SSH server opens the connection for us, which needs no
program there; if it does not allow forwarding, and in containers, curl or bash are run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from wizard import probes
from wizard.connections.errors import ForbiddenError
from wizard.endpoints import is_loopback
from wizard.engine.hosts import Hosts
from wizard.errors import FirescreenError
from wizard.model import Attempt, Forward, Probe

_PATIENCE: Final = 5.0
# Exit codes of curl: 6 could not resolve the host, 7 refused or no route, 28 timed out.
_CONNECT: Final = r"""
if command -v curl >/dev/null; then
  curl -sk -o /dev/null --connect-timeout 4 -m 6 "http://$1:$2/"
  case $? in 6) echo 'no such host' ;; 7) echo 'connection refused, or no route to it' ;;
  28) echo 'no answer within 4 s' ;; *) echo ok ;; esac
elif command -v bash >/dev/null && command -v timeout >/dev/null; then
  if timeout 4 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
  then echo ok; else echo 'it takes no connection'; fi
fi
"""
_STATUS: Final = r"""
command -v curl >/dev/null || exit 0
set -- "$1" ${2:+--resolve "$2"}
url=$1; shift
curl -sk -o /dev/null -m 8 -w '%{http_code}' "$@" "$url"
exit 0
"""
_ADDRESSES: Final = r'getent ahosts "$1" | while read -r address _; do echo "$address"; done'


def refusal(hosts: Hosts, host: str, address: str) -> str | None:
    """Why a host cannot connect to host:port; '' if it can, None if unknown."""
    spec = hosts.spec(host)
    name, _, port = address.rpartition(":")
    if spec.connect in ("local", "practice"):
        return "" if probes.reaches(address, _PATIENCE) else "it takes no connection"
    if is_loopback(name.strip("[]")):
        return "it listens on its own machine's loopback"
    if spec.connect == "ssh":
        try:
            return _dial_refusal(hosts, Forward(spec, address))
        except ForbiddenError:
            pass  # curl or bash on the host tries to connect instead
    if spec.connect == "manual":
        return None
    try:
        result = (
            hosts.connection(host).run_script(_CONNECT, name.strip("[]"), port, timeout=15).stdout.strip()
        )
    except FirescreenError:
        return None
    return ("" if result == "ok" else result) if result else None


def _dial_refusal(hosts: Hosts, forward: Forward) -> str | None:
    """Like `refusal`, through the host's SSH server.

    Raises:
        ForbiddenError: the SSH server does not allow forwarding.
    """
    try:
        hosts.dial(forward, _PATIENCE).close()
    except ForbiddenError:
        raise
    except TimeoutError:
        return f"no answer within {_PATIENCE:g} s"
    except ConnectionRefusedError:
        return "connection refused, no route to it, or no such host"
    except OSError:
        return None
    return ""


def _http_status(attempt: Attempt) -> int | None:
    return 400 if attempt.outcome == "refused" else attempt.status


def status(hosts: Hosts, host: str, url: str, *, there: str = "") -> int | None:
    """The HTTP status of a request from a host; redirects are not followed and certificates not checked.

    Args:
        there: the address to connect to instead of the URL's name, e.g. 127.0.0.1 for a site on that host itself.

    Returns:
        The status, 0 if there was no answer, or None if the request cannot be made. 400 also if the server ends the TLS
        handshake because a client certificate is missing; other servers return 400 for that.
    """
    spec = hosts.spec(host)
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if spec.connect == "manual":
        return None
    probe = Probe(
        id=f"{host}/answer",
        host=host,
        component="",
        name="what it answers",
        client="Firescreen",
        expect="200",
        url=url,
        resolve=f"{name}:{port}:{there}" if there else "",
        insecure=True,
        timeout=10.0,
    )
    if spec.connect in ("local", "practice"):
        return _http_status(probes.run(probe, follow=False))
    if spec.connect == "ssh":
        forward = Forward(spec, f"{there or name}:{port}")
        try:
            hosts.dial(forward, _PATIENCE).close()
        except ForbiddenError:
            pass  # curl on the host makes the request instead
        except OSError:
            return 0
        else:
            return _http_status(
                probes.run(replace(probe, resolve="", forward=forward), dial=hosts.dial, follow=False)
            )
    try:
        rule = f"{name}:{port}:{there}" if there else ""
        output = hosts.connection(host).run_script(_STATUS, url, rule, timeout=15).stdout.strip()
    except FirescreenError:
        return None
    return int(output) if output.isdecimal() else None


def addresses(hosts: Hosts, host: str, name: str) -> tuple[str, ...]:
    """The addresses to which a host resolves a name; () if there are none, or the host cannot be queried."""
    spec = hosts.spec(host)
    if spec.connect == "manual":
        return ()
    try:
        output = hosts.connection(host).run_script(_ADDRESSES, name, timeout=10).stdout
    except FirescreenError:
        return ()
    return tuple(dict.fromkeys(output.split()))

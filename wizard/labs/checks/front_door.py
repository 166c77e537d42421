"""Checks of a reverse proxy: what it serves, to whom, and that nobody can bypass it."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wizard import probes
from wizard.components import component as find_component
from wizard.labs.checks.access import GUESS
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, ask, result_text
from wizard.model import Probe
from wizard.redact import Secret

_CERTIFICATES = (".crt", ".pem", ".cert", ".cer")
_CLOSED = 2.0
"""Seconds for a connection that must fail; on loopback it is refused immediately."""


def door(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether the proxy serves a component below a path (page, asset, API), and rejects others as expected."""
    place, user = check.options["at"], check.options.get("user", "")
    # A step about the path alone is checked without TLS and login until a later step adds them.
    secured = bool(user) or probes.run(_probe(check, f"http://{place}/", "400", {})).ok
    login_options: dict[str, Any] = {}
    seen = []
    with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
        if secured:
            user, password = _login(check, look, user)
            login_options = {
                "user": user,
                "password": password,
                "ca_file": _trust_bundle(check, look, Path(folder)),
            }
        for request, expect in check.options["answers"].items():
            for words, url, options in _requests(request, check, login_options):
                attempt = probes.run(_probe(check, url, expect, options))
                if attempt.outcome != expect:
                    shown = attempt.outcome if attempt.outcome == "200" else result_text(attempt)
                    raise NotYet(
                        f"{words}: expected {expect}, but the result is {shown}",
                        _advice(request, check, look),
                    )
            seen.append(f"{_WORDS[request]}: {expect}")
    return [*seen, f"{'https' if secured else 'http'}://{place}{check.options['path']}/ is served"]


_WORDS = {
    "page": "the page with what it loads",
    "api": "the API and the metrics",
    "no-tls": "plain HTTP",
    "no-password": "without a password",
    "wrong-password": "with a wrong password",
}


def _requests(
    request: str, check: Check, login_options: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields description, URL and options of each probe for this request."""
    base = f"{'https' if login_options else 'http'}://{check.options['at']}{check.options['path']}"
    component = find_component(check.options["leads_to"].partition("/")[2])
    words, api = _WORDS[request], f"{base}{component.api_path}"
    nobody = {key: value for key, value in login_options.items() if key == "ca_file"}
    match request:
        case "page":
            yield f"{words} ({base}/)", f"{base}/", {**login_options, "kind": "page"}
        case "api":
            yield f"the API ({api})", api, login_options
            yield f"the metrics ({base}/metrics)", f"{base}/metrics", login_options
        case "no-tls":
            yield words, api.replace("https://", "http://"), {}
        case "no-password":
            # A proxy that protects only some paths is a common mistake.
            for url in (f"{base}/", api, f"{base}/metrics"):
                yield f"{words} ({url})", url, nobody
        case "wrong-password":
            yield words, api, {**login_options, "password": GUESS}


def _probe(check: Check, url: str, expect: str, options: dict[str, Any]) -> Probe:
    host, _, component = check.of.partition("/")
    return Probe(
        id=f"lab/{check.of}",
        host=host,
        component=component,
        name="a look",
        client="the lab",
        expect=expect,
        url=url,
        **options,
    )


def _login(check: Check, look: Look, user: str) -> tuple[str, Secret]:
    """Returns a user ('': any) and the content of USER.password beside the proxy's or component's configuration."""
    for component_key in (check.of, check.options["leads_to"]):
        for path in look.files(component_key, (".password",)):
            state, name = look.read(component_key, path), posixpath.basename(path).removesuffix(".password")
            if name and name == (user or name) and state and state.content.strip():
                return name, Secret(state.content.decode("utf-8", "replace").strip())
    user = user or "admin"
    raise NotYet(
        f"there is no password of the user {user} yet",
        f"Save it in a file {user}.password in {look.home(check.of)} or {look.home(check.options['leads_to'])}: "
        "the check signs in with it.",
    )


def _trust_bundle(check: Check, look: Look, folder: Path) -> str:
    """Returns a bundle of the certificates beside the proxy's configuration: a self-signed one, or that of a CA."""
    found = [
        state.content for path in look.files(check.of, _CERTIFICATES) if (state := look.read(check.of, path))
    ]
    public = [
        content for content in found if b"BEGIN CERTIFICATE" in content and b"PRIVATE KEY" not in content
    ]
    if not public:
        raise NotYet(
            f"there is no certificate in {look.home(check.of)} yet",
            "Create certificate and private key in that folder.",
        )
    bundle = folder / "trusted"
    bundle.write_bytes(b"\n".join(public))
    return str(bundle)


def _advice(request: str, check: Check, look: Look) -> str:
    if request in ("page", "api"):
        return (
            "Compare the path that the proxy passes on with --web.external-url and --web.route-prefix, and the address "
            f"that it passes it to with --web.listen-address. Then: {look.restart_command(check.of, 'restart')}"
        )
    if request == "no-tls":
        return f"The proxy must serve https only. Its log: {look.log(check.of)}"
    return "The login belongs at the root of the site, before anything is passed on; then restart the proxy."


def hidden(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks that a component accepts no connection at addresses that others can reach, but answers at its own."""
    service, restart_command = look.service(check.of), look.restart_command(check.of, "restart")
    own, _, port = service.listen.rpartition(":")
    for place in check.options["at"]:
        address = place.rpartition(":")[0]
        if own == address:
            raise NotYet(
                f"{service.component} listens at {service.listen}, an address of the host that others reach",
                f"Change --web.listen-address in its flags, then: {restart_command}",
            )
        for each in dict.fromkeys((place, f"{address}:{port}")):
            options = {"timeout": _CLOSED}
            if not probes.run(_probe(check, f"http://{each}/", "closed", options)).ok:
                raise NotYet(
                    f"{service.component} still takes connections at {each}, past the front door",
                    f"Let it listen at the loopback address alone, then: {restart_command}",
                )
    attempt = ask(check, look, "http")
    if attempt.outcome != "200":
        raise NotYet(
            f"{service.component} does not answer at {service.listen} ({result_text(attempt)})",
            f"Read its log: {look.log(check.of)}",
        )
    return [f"it answers at {service.listen} alone; {', '.join(check.options['at'])} takes no connection"]

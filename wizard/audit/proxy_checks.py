"""Checks of reverse proxies in front of components: routes without login, with plain HTTP, or with a wrong path."""

from __future__ import annotations

import re
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Evidence, Found, PassedOn, Seen, Skipped, Unseen
from wizard.redact import plain

_URL: Final = re.compile(r"https?://[^/\s;\"']+(?P<path>/[^\s;\"']*)?")
_CHANGING: Final = ("web.enable-lifecycle", "web.enable-admin-api")


def _route_finding(passed: PassedOn, evidence: str, *, step: bool = True) -> Found:
    server = passed.server
    return Found(
        evidence=evidence,
        file=passed.route.file,
        line=passed.route.line,
        step=f"secure {server.key}" if step else "",
        host=server.service.host,
        component=server.service.component,
        instance=server.service.instance,
    )


def _without_login(seen: Evidence) -> Seen:
    yield from _unread(seen)
    for passed in seen.passed_on:
        if not passed.status:
            yield Unseen(f"{passed.route.where}: {passed.url} gives no answer to its own host")
        elif passed.status == 200:
            yield _route_finding(passed, f"GET {passed.url}: 200, by {passed.route.program}")


def _by_plain_http(seen: Evidence) -> Seen:
    yield from _unread(seen)
    for passed in seen.passed_on:
        if not passed.route.tls and passed.status in (200, 401):
            what = "asks for a password" if passed.status == 401 else "answers"
            yield _route_finding(
                passed, f"GET {passed.url}: {passed.status}, {passed.route.program} {what} by plain HTTP"
            )


def _stops(seen: Evidence) -> Seen:
    yield from _unread(seen)
    for passed in seen.passed_on:
        service = passed.server.service
        flags = [name for name in _CHANGING if _is_on(service.flag(name), f"--{name}" in service.arguments)]
        # The lifecycle API answers a GET with 405 (wrong method), which shows that the request reached it.
        if "web.enable-lifecycle" in flags and passed.quit_status == 405:
            yield _route_finding(
                passed,
                f"GET {passed.quit_url}: 405, so {passed.route.program} passes /-/quit and /-/reload on, and "
                f"{service.unit} runs with --web.enable-lifecycle",
            )


def _is_on(value: str, named: bool) -> bool:
    return value not in ("", "false") or named


def _wrong_path(seen: Evidence) -> Seen:
    yield from _unread(seen)
    for passed in seen.passed_on:
        route, service = passed.route, passed.server.service
        if route.program not in ("nginx", "apache") or not passed.server.known.prefix_flags:
            continue
        given = _URL.search(route.text)
        if given is None or "$" in route.text:
            continue
        below = route.path.rstrip("/")
        # If the URL has a path, it replaces the path of the location; without one, the path is passed on unchanged.
        reaches = (given["path"] or route.path).rstrip("/")
        serves = passed.server.known.prefix(service.flag)
        outside = service.flag("web.external-url")
        public = re.sub(r"^https?://[^/]+", "", outside).rstrip("/") if outside else serves
        if reaches == serves and below == public:
            continue
        if reaches != serves:
            evidence = f"{route.program} passes {route.path} on as {reaches or '/'}, and {service.unit} serves below {serves or '/'}"
        else:
            evidence = (
                f"{route.program} serves {route.path}, and the pages of {service.unit} name their scripts below "
                f"{public or '/'}"
            )
        yield _route_finding(passed, plain(evidence, 300), step=False)


def _unread(seen: Evidence) -> Seen:
    for host, proxies in seen.facts.proxies.items():
        for problem in proxies.unread:
            yield Unseen(f"{host}: {problem}")
    if not seen.passed_on:
        yield Skipped()


CHECKS: Final = (
    Check(
        id="PRX-02",
        severity="high",
        title="A reverse proxy passes requests on without a login",
        means=("configuration", "wire"),
        looks_at="Asks each route of the host's reverse proxies for an API page, without credentials.",
        why="The component trusts its proxy to ask for the login: whoever reaches the proxy reads everything.",
        remediation="Put it behind a front door (firescreen docs front-door), or add auth_basic, Require or basic_auth there",
        scope="stack",
        look=_without_login,
    ),
    Check(
        id="PRX-03",
        severity="high",
        title="A reverse proxy serves a component by plain HTTP",
        means=("configuration", "wire"),
        looks_at="Asks each route of a site without TLS, and looks whether it answers or asks for a password.",
        why="Passwords and metrics can be read on the way to the proxy.",
        remediation="Serve the site by https alone, and redirect port 80 to it",
        scope="stack",
        look=_by_plain_http,
    ),
    Check(
        id="PRX-04",
        severity="high",
        title="A reverse proxy passes on what stops or reloads a component",
        means=("configuration", "wire"),
        looks_at="Asks for /-/quit with GET, which stops nothing, through each proxy of a component with that API.",
        why="Whoever reaches the proxy can stop Prometheus, or reload it.",
        remediation="Block /-/quit, /-/reload and /api/v1/admin in the proxy, or remove --web.enable-lifecycle",
        scope="stack",
        look=_stops,
    ),
    Check(
        id="PRX-05",
        severity="medium",
        title="The paths of a reverse proxy and of its component differ",
        means=("configuration",),
        looks_at="Compares location and proxy_pass (or ProxyPass) with --web.external-url and --web.route-prefix.",
        why="The page is empty or answers 404: its scripts, its API and its links are asked for at the other path.",
        remediation="Set both flags to the path of the location, and pass the path on as it is",
        scope="stack",
        look=_wrong_path,
    ),
)

"""The reverse proxies that Firescreen can configure as front doors, one module each, imported by file name.

To add one, add a module here that defines `PROXY`: its facts, its configuration as a template, its checker.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from wizard.front_doors.base import BackendTLS, Door, Opening, Proxy, Registration, SignInClient

__all__ = ["BackendTLS", "Door", "Opening", "Proxy", "Registration", "SignInClient", "all_proxies", "proxy"]

_OTHERS = (
    "base",
    "settings",
    "apache_openid",
    "haproxy_frontend",
    "haproxy_sign_in",
    "nginx_inside",
    "nginx_locations",
    "nginx_sign_in",
    "oauth2_proxy",
)


@cache
def all_proxies() -> tuple[Proxy, ...]:
    """Every reverse proxy, by name."""
    found: list[Proxy] = [
        importlib.import_module(f"{__name__}.{module.name}").PROXY
        for module in pkgutil.iter_modules(__path__)
        if module.name not in _OTHERS
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def proxy(name: str) -> Proxy | None:
    """The reverse proxy of that name; None if Firescreen cannot configure it."""
    return next((one for one in all_proxies() if one.name == name), None)

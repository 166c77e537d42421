"""Which folder a service has for its files, and how two services that share one are told apart. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from wizard.model import HostFacts, Service

ASKING = ("prometheus", "blackbox_exporter")
"""The components that ask others by a configuration of their own."""


def home_folder(service: Service) -> str:
    """The folder for a server's web configuration, key and certificate."""
    return posixpath.dirname(service.web_config) if service.web_config else service.home


def config_folder(service: Service) -> str:
    """The folder of a client's configuration; '' for what is no client."""
    return posixpath.dirname(service.config_file) if service.component in ASKING else ""


def comes_after(host: HostFacts, service: Service, folder: Callable[[Service], str]) -> bool:
    """Whether another service of a host has the same folder and comes before it there: Prometheus, then by name."""

    def rank(each: Service) -> tuple[bool, str, str]:
        return each.component != "prometheus", each.component, each.instance

    mine = folder(service)
    return any(mine and folder(each) == mine and rank(each) < rank(service) for each in host.services)


def file_stem(component: str, unit: str) -> str:
    """What the names of a service's own files begin with: no two instances on a host share one."""
    if not unit:
        return component
    # A template's instance (prometheus@a) may hold what a file name should not.
    safe = re.sub(r"[^A-Za-z0-9_.@-]", lambda found: f"_{ord(found[0]):x}", unit)
    return safe if re.match(rf"{re.escape(component)}[-_@.]", safe) else f"{component}-{safe}"

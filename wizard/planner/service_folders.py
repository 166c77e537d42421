"""The folder of a service's files, and distinct names for two services that share one. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from wizard.model import HostFacts, Service

ASKING = ("prometheus", "blackbox_exporter")
"""The components that connect to others by a configuration of their own."""


def home_folder(service: Service) -> str:
    """The folder for a server's web configuration, key and certificate."""
    return posixpath.dirname(service.web_config) if service.web_config else service.home


def config_folder(service: Service) -> str:
    """The folder of a client's configuration; '' for a service that is not a client."""
    return posixpath.dirname(service.config_file) if service.component in ASKING else ""


def comes_after(host: HostFacts, service: Service, folder: Callable[[Service], str]) -> bool:
    """Whether another service of a host has the same folder and precedes this one: Prometheus first, then by name."""

    def rank(each: Service) -> tuple[bool, str, str]:
        return each.component != "prometheus", each.component, each.instance

    own_folder = folder(service)
    return any(
        own_folder and folder(each) == own_folder and rank(each) < rank(service) for each in host.services
    )


def file_stem(component: str, unit: str) -> str:
    """The prefix of a service's own files' names, different for each instance on a host."""
    if not unit:
        return component
    # A template's instance (prometheus@a) may have characters that a file name should not have.
    safe = re.sub(r"[^A-Za-z0-9_.@-]", lambda found: f"_{ord(found[0]):x}", unit)
    return safe if re.match(rf"{re.escape(component)}[-_@.]", safe) else f"{component}-{safe}"

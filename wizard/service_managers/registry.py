"""The list of service managers. A new kind is one module in this folder and one line here."""

from __future__ import annotations

from wizard.model import MANUAL, Service
from wizard.service_managers.base import ServiceManager
from wizard.service_managers.docker import Docker
from wizard.service_managers.manual import Manual
from wizard.service_managers.proxy_services import ReverseProxy
from wizard.service_managers.quadlet import Quadlets
from wizard.service_managers.supervised import Supervised
from wizard.service_managers.systemd import Systemd
from wizard.service_managers.systemd_timer import SystemdTimer

_MANAGERS: dict[str, ServiceManager] = {}


def register(manager: ServiceManager) -> None:
    """Adds a service manager, or replaces the one with its name."""
    _MANAGERS[manager.name] = manager


def unregister(name: str) -> None:
    """Removes a service manager."""
    del _MANAGERS[name]


def all_managers() -> tuple[ServiceManager, ...]:
    """All service managers, in the order in which they search a host for services."""
    return tuple(_MANAGERS.values())


def manager_of(service: Service) -> ServiceManager:
    """The manager of a service; `Manual` if the name is unknown, as in an old journal."""
    return _MANAGERS.get(service.manager, _MANAGERS[MANUAL])


register(Docker())
register(Quadlets())
register(Systemd())
register(SystemdTimer())
register(ReverseProxy())
register(Supervised())
register(Manual())

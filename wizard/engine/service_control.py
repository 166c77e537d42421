"""Restarts and reloads services, or shows a person the commands for that, and waits until it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from wizard import probes
from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.engine import runtime_info
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import CancelledError, HostError
from wizard.model import Event, Probe, RunService, Service
from wizard.service_managers import proxy_services
from wizard.service_managers.registry import manager_of

Emit = Callable[[Event], None]

TURN_TIMEOUT = 15.0
"""Seconds: discovery and the scrape manager of Prometheus each pass on changed targets only every five seconds."""

PERSON_TIMEOUT = 1800.0
"""Seconds that a person has to restart a service with manual commands."""


class ServiceControl:
    """Restarts and reloads the services of one run.

    Args:
        cancel: ends every wait early.
        run: the run that events belong to.
        plan_probes: the plan's probes; those expected to succeed show that a service uses its new configuration.
    """

    def __init__(
        self,
        hosts: Hosts,
        emit: Emit,
        cancel: threading.Event,
        *,
        run: str,
        plan_probes: Sequence[Probe] = (),
    ) -> None:
        self._hosts, self._emit, self._cancel = hosts, emit, cancel
        self._run, self._probes = run, plan_probes

    def reload_or_restart(self, change: RunService) -> None:
        """Makes a service load its new configuration, and waits until it has.

        Raises:
            ServiceError: it did not start, or rejected the configuration. CancelledError: the person stopped the
                run. HostError: the person did not restart it within half an hour.
        """
        service = change.service
        if service.is_manual:
            self._wait_for_person(change)
            return
        connection = self._hosts.connection(change.host)
        if change.action == "restart":
            restart(connection, replace(service, listen=change.moves_to) if change.moves_to else service)
            return
        reload(connection, service, self._probes, self._hosts.dial)
        deadline = time.monotonic() + TURN_TIMEOUT
        for target in change.turns:
            self._await_scheme(change, (target,), deadline, "https")

    def turn_to_http(self, change: RunService, ways: Sequence[Probe]) -> None:
        """Reloads a Prometheus and waits until it scrapes the targets of these probes by http, for at most 15 seconds.

        Args:
            ways: probes that query the state of targets; the first one per target that Prometheus answers counts.

        Raises:
            ServiceError: Prometheus rejected the configuration.
        """
        reload(self._hosts.connection(change.host), change.service, dial=self._hosts.dial)
        deadline = time.monotonic() + TURN_TIMEOUT
        targets: dict[tuple[str, str], list[Probe]] = {}
        for probe in ways:
            targets.setdefault((probe.job, probe.instance), []).append(probe)
        for mine in targets.values():
            self._await_scheme(change, mine, deadline, "http")

    def restore_service(self, change: RunService) -> None:
        """Makes a service load its previous configuration.

        On a manual host, it shows the commands and does not wait.

        Raises:
            ServiceError: the service did not start, or rejected the configuration.
        """
        connection, service = self._hosts.connection(change.host), change.service
        self._log(change.host, f"{change.action} {service.unit}")
        if service.is_manual:
            self._show_commands(change)
        elif change.action == "restart":
            restart(connection, service)
        elif service.active or manager_of(service).is_active(connection, service):
            # A service that does not run will read its configuration when it starts.
            reload(connection, service, dial=self._hosts.dial)

    def revive(self, services: Iterable[Service]) -> None:
        """Starts services that ran before the run and are down, e.g. after a crash in the middle of a restart.

        Raises:
            ServiceError: a service does not start.
        """

        def restart_if_down(service: Service) -> None:
            connection = self._hosts.connection(service.host)
            if service.active and not manager_of(service).is_active(connection, service):
                restart(connection, service)

        run_parallel(restart_if_down, list(services))

    def _await_scheme(
        self, change: RunService, ways: Sequence[Probe], deadline: float, scheme: Literal["http", "https"]
    ) -> None:
        """Returns as soon as Prometheus scrapes a target by that scheme, or at the deadline.

        The caller sets the password next, which Prometheus must not send by http; so this waits until the deadline even
        if Prometheus does not answer.

        Raises:
            CancelledError: the person stopped the run.
        """
        self._log(
            change.host,
            f"waiting until Prometheus scrapes {ways[0].instance} by {scheme} (up to ten seconds)",
        )
        while time.monotonic() < deadline:
            answered = False
            for way in ways:
                attempt = probes.run(way, cancel=self._cancel, dial=self._hosts.dial)
                known = attempt.outcome in ("up", "down")
                is_https = attempt.scrape_url.startswith("https:")
                # On the way back to http, the address may change too; Prometheus then no longer knows this target.
                if is_https if scheme == "https" else known and not is_https:
                    return
                answered |= known
            if self._cancel.wait(0.02 if answered else 0.5):
                raise CancelledError(
                    "you stopped the run while it waited for Prometheus", where=change.title()
                )

    def _wait_for_person(self, change: RunService) -> None:
        """Shows the commands to type and waits until the service uses its new configuration."""
        is_done = self._completion_check(change)
        self._show_commands(change)
        deadline = time.monotonic() + PERSON_TIMEOUT
        while not is_done():
            if self._cancel.wait(0.5):
                raise CancelledError("you stopped the run while it waited for you", where=change.title())
            if time.monotonic() > deadline:
                raise HostError(
                    "nobody restarted it within half an hour", where=change.title(), todo="Run this again"
                )

    def _completion_check(self, change: RunService) -> Callable[[], bool]:
        """A function that returns whether a person has made the change; to be called until it returns True.

        A restart is done when the probe with credentials succeeds. A reload is done when Prometheus' own metrics say
        so: its targets may be down until servers restart later in the run.
        """
        service = change.service
        if change.action == "reload":
            ask = runtime_info.reload_reader(service, self._probes, self._hosts.dial)
            before = ask() if ask is not None else None

            def has_read() -> bool:
                now = ask() if ask is not None else None
                # Do not wait for a service that does not report its reload; the verification shows the result.
                return before is None or (now is not None and now.good and now.moment != before.moment)

            return has_read
        wanted = next(
            (
                each
                for each in self._probes
                if each.wanted and each.kind == "http" and each.server == service.key
            ),
            None,
        )
        if wanted is None:
            return lambda: True
        return lambda: probes.run(wanted, cancel=self._cancel, dial=self._hosts.dial).ok

    def _show_commands(self, change: RunService) -> None:
        self._emit(
            Event(
                run=self._run,
                kind="waiting",
                host=change.host,
                text="\n".join(change.commands()),
                state=change.title(),
            )
        )

    def _log(self, host: str, text: str) -> None:
        self._emit(Event(run=self._run, kind="log", host=host, text=text))


def restart(connection: Connection, service: Service) -> None:
    """Restarts a service and waits until it serves requests.

    Raises:
        ServiceError: it did not start; `log` has the last lines of its log.
    """
    manager_of(service).restart(connection, service, answers=_answer_check(connection, service))


def _answer_check(connection: Connection, service: Service) -> Callable[[float], bool] | None:
    """A function that returns whether a service answers within some seconds.

    None if the service cannot be probed from here, or if an answer does not mean that it has read its settings.
    """
    host = service.listen.rpartition(":")[0].strip("[]")
    if service.forward is not None or not service.listen:
        return None
    if service.container is not None and not service.container.is_reachable:
        return None  # a recreated container may get another address
    here = connection.is_local or _is_far(service)
    if not here or host == "::1" or find_component(service.component).asks_others:
        return None  # Prometheus answers before it has read its configuration
    return partial(probes.answers, service.listen)


def reload(
    connection: Connection, service: Service, known: Sequence[Probe] = (), dial: probes.Dial | None = None
) -> None:
    """Reloads a service; returns when the service reports that it has read its configuration.

    Args:
        connection: the service's host.
        service: the service to reload.
        known: the plan's probes, with the credentials to read a Prometheus' metrics if its log does not show the reload.
        dial: opens the connection of a service with a `forward`.

    Raises:
        ServiceError: it rejected the new configuration, or has not read it; it still uses the old one.
    """
    if service.manager == proxy_services.NAME:
        manager_of(service).reload(connection, service)
        return
    if service.is_manual or not find_component(service.component).reload_by:
        return
    here = connection.is_local or service.forward is not None or _is_far(service)
    ask = runtime_info.reload_reader(service, known, dial) if here else None
    manager_of(service).reload(connection, service, ask=ask)


def _is_far(service: Service) -> bool:
    """Whether the address of a service is not a loopback address of this machine."""
    host = service.listen.rpartition(":")[0].strip("[]")
    return not (host in ("localhost", "::1") or host.startswith("127."))

"""Reverse proxies as services: finds those that systemd runs, and reloads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wizard.components import component as find_component
from wizard.connections.base import Connection
from wizard.errors import ServiceError
from wizard.front_doors import Proxy, all_proxies, proxy
from wizard.model import Service
from wizard.redact import plain
from wizard.service_managers import (
    caddy_configuration,
    journald,
    process_list,
    program_facts,
    systemd_discovery,
    systemd_restart,
)
from wizard.service_managers.base import Answers, Ask
from wizard.service_managers.flags import FlagFiles

NAME: Final = "reverse-proxy"

# One line for each proxy: the script tests a few paths and asks systemd only about the proxies that exist. It gets all
# versions in parallel, since each takes a while. Caddy creates a folder in its home even for that, so the proxies get a
# temporary home.
_LOOK: Final = r"""
[ -e /run/systemd/system ] || exit 0
home=
ask() {
  shown=$(systemctl show --no-pager -p LoadState,ActiveState,MainPID -- "$2.service" | tr '\n' ' ')
  case $shown in *LoadState=loaded*) ;; *) return ;; esac
  said=$(HOME=$home STEPPATH=$home "$4" $3 2>&1 | tr '\n' ' ')
  printf '%s\037%s\037%s\037%s\n' "$1" "$4" "$shown" "$said"
}
while [ $# -gt 0 ]; do
  name=$1 unit=$2 version=$3 programs=$4
  shift 4
  for program in $programs; do
    [ -x "$program" ] || continue
    [ -n "$home" ] || home=$(mktemp -d) || exit
    ask "$name" "$unit" "$version" "$program" &
    break
  done
done
[ -z "$home" ] || { wait; rm -rf "$home"; }
"""
# On a reload, the main process of most proxies starts new processes and lets the old ones end: only the new ones have
# read the configuration. The proxies do not report that, so the script watches the children. HAProxy from 3.1 on reads
# the configuration in the new process, and its unit is 'reloading' until that is done.
_RELOAD: Final = r"""
unit=$1 forks=$2
pid=$(systemctl show --no-pager -p MainPID --value -- "$unit.service")
children() { cat "/proc/$pid/task/$pid/children" 2>/dev/null; }
settled() {
  waited=0
  while [ $waited -lt 100 ] && systemctl show --no-pager -p ActiveState --value -- "$unit.service" | grep -q '^reloading'; do
    waited=$((waited + 1))
    sleep 0.1
  done
  sleep 0.3
}
old=" $(children) "
systemctl reload -- "$unit.service" || exit
[ "$forks" = yes ] || exit 0
tries=0
while [ $tries -lt 200 ]; do
  for child in $(children); do
    case $old in *" $child "*) ;; *) settled; exit 0 ;; esac
  done
  tries=$((tries + 1))
  sleep 0.05
done
echo "it started no new process" >&2
exit 1
"""


class ReverseProxy(FlagFiles):
    """See `base.ServiceManager`. It discovers nothing: a reverse proxy is no component, see `discover`."""

    name = NAME
    has_units = False

    def restart(self, connection: Connection, service: Service, *, answers: Answers | None = None) -> None:
        """Restarts it, or stops it if its configuration is gone (after an undo).

        A restart interrupts its other sites, so it is only for what a reload does not apply, see `SignInClient`.
        """
        if service.config_file and connection.read(service.config_file) is None:
            systemd_restart.systemctl(connection, "stop", unit=service.unit)
            return
        # Without a configuration it may have failed so often that systemd no longer starts it.
        connection.run(["systemctl", "reset-failed", "--", f"{service.unit}.service"], timeout=15)
        systemd_restart.systemctl(connection, "restart", unit=service.unit)

    def reload(self, connection: Connection, service: Service, *, ask: Ask | None = None) -> None:
        """Reloads it; returns when new requests are answered with the new configuration. A stopped proxy stays stopped.

        Raises:
            ServiceError: it rejects the configuration and keeps the old one.
        """
        if not self.is_active(connection, service):
            return
        known = proxy(service.component)
        forks = "yes" if known is not None and known.forks else "no"
        ended = connection.run_script(_RELOAD, service.unit, forks, timeout=60)
        if ended.code:
            message = plain(ended.stderr.strip() or ended.stdout.strip(), 300)
            raise ServiceError(
                f"{service.unit} did not reload: {message}",
                where=f"{connection.name}: {service.unit}",
                todo=f"Look at `journalctl -u {service.unit}`, then plan again",
                log=self.logs(connection, service),
            )

    def is_active(self, connection: Connection, service: Service) -> bool:
        """Whether the unit is active and has a process."""
        return systemd_restart.is_active(connection, service)

    def logs(self, connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the unit's journal."""
        return tuple(line.text for line in journald.lines(connection, service.unit, lines))

    def manual_commands(self, service: Service, action: str, *, workspace: str = "") -> tuple[str, ...]:
        """`systemctl reload`, or `restart`."""
        return (f"systemctl {'restart' if action == 'restart' else 'reload'} {service.unit}",)


def discover(connection: Connection) -> tuple[Service, ...]:
    """The reverse proxies that a host's systemd knows, running or not, and that Firescreen can configure."""
    known: dict[str, Proxy] = {each.name: each for each in all_proxies()}
    ended = connection.run_script(*request(), timeout=15)
    # The script prints each line as soon as it has it, so their order is random.
    lines = [fields for line in ended.stdout.splitlines() if len(fields := line.split("\x1f")) == 4]
    lines.sort(key=lambda fields: list(known).index(fields[0]))
    return tuple(
        service
        for fields in lines
        if (service := _find_proxy(connection, known[fields[0]], fields)) is not None
    )


def request() -> tuple[str, ...]:
    """The script that `discover` runs, with its arguments."""
    words = (
        (each.name, each.unit, " ".join(each.version), " ".join(each.programs)) for each in all_proxies()
    )
    return (_LOOK, *(word for each in words for word in each))


def other_configuration(connection: Connection, name: str, program: str) -> str:
    """The path of the configuration that a proxy runs with, if it is not the usual one; '' if it is or may be."""
    known = proxy(name)
    if known is None or known.name != "caddy":
        return ""
    return caddy_configuration.other_than(connection, known.main, unit=known.unit, program=program)


def _find_proxy(connection: Connection, known: Proxy, fields: list[str]) -> Service | None:
    if not known.exporters:
        return _service(connection, known, fields)
    # It has flags like components, and is found and restarted like them.
    components = (find_component(known.name),)
    units = systemd_discovery.discover(connection, process_list.find(connection, components), components)
    service = next((each for each in units if each.unit == known.unit), None)
    if service is None:
        return None
    main = program_facts.flag(service.arguments, "config.file") or known.main
    return replace(service, version=known.version_in(fields[3]), config_file=main, home=known.home)


def _service(connection: Connection, known: Proxy, fields: list[str]) -> Service:
    _, program, properties_text, version = fields
    state = dict(word.split("=", 1) for word in properties_text.split() if "=" in word)
    pid = int(state.get("MainPID") or 0)
    other = other_configuration(connection, known.name, program) if pid else ""
    return Service(
        host=connection.name,
        component=known.name,
        manager=NAME,
        unit=known.unit,
        program=program,
        version=known.version_in(version),
        user="root",
        group=known.group,
        active=state.get("ActiveState") in ("active", "reloading"),
        config_file=other or known.main,
        home=known.home,
        pid=pid,
    )

"""Reverse proxies in an export: their files, how a proxy checks them, and the requests of the playbook. Pure.

Everything comes from the plan's own steps and probes, and from the facts on which they are based.
"""

from __future__ import annotations

import posixpath
import shlex
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wizard.config_files.grafana import datasources
from wizard.errors import ConfigError, InputError
from wizard.front_doors import Proxy
from wizard.front_doors import proxy as find_proxy
from wizard.model import WORKSPACE, Facts, Plan, Probe, Service
from wizard.planner import grafana as planned_grafana
from wizard.planner import paths
from wizard.planner.front_doors import door_facts, door_sign_in, exporter_door_facts
from wizard.planner.front_doors.door_facts import Backend, KnownDoor
from wizard.planner.front_doors.door_grafana import DoorGrafana
from wizard.planner.front_doors.exporter_door_facts import ExporterDoor
from wizard.planner.probes import WRONG_PASSWORD

# In the same folder as the old file: its references may be relative, and the proxy's own user must be able to read it.
_CHECK: Final = """\
umask 077
new=$(dirname -- "$1")/.firescreen-check.new main=$(dirname -- "$2")/.firescreen-check.main
trap 'rm -f -- "$new" "$main"' EXIT
cp -- "$0" "$new" && chown -- "$3" "$new" && chmod -- "$4" "$new" || exit
"""


# Read under its real path in a mount namespace that no other process sees, so that the sites around it, and their
# includes, are the real ones.
_CHECK_IN_PLACE: Final = """\
test -e "$1" || exit 0
new=$(mktemp) || exit
trap 'rm -f -- "$new"' EXIT
cp -- "$0" "$new" && chown -- "$2" "$new" && chmod -- "$3" "$new" || exit
unshare --mount /bin/sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$new" "$1" """


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of the playbook to a reverse proxy on its host; `password` is a wrong one, right ones are secrets."""

    name: str
    url: str
    ca: str
    """The name of the CA that verifies the certificate, see `Doors.authorities`."""
    status: int
    user: str
    password: str


class Doors:
    """The reverse proxies of a plan.

    Args:
        plan: for the stack.
        facts: as they are after it.
    """

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self._plan = plan
        self._facts = facts
        self._known = door_facts.doors(plan.stack, facts)
        self._one_port = exporter_door_facts.doors(plan.stack, facts)
        for known in self._known:
            if known.bundle and known.hook:
                raise InputError(
                    f"the front door {known.door.name} cannot be exported to a playbook: certbot's script writes {known.bundle} "
                    "anew with each renewal",
                    where=plan.stack.source,
                    todo="Use HAProxy 3.0 or newer, or leave it out of a copy of the stack file and export that",
                )

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Returns the components behind the reverse proxies."""
        doors: tuple[KnownDoor | ExporterDoor, ...] = (*self._known, *self._one_port)
        return tuple(backend for door in doors for backend in door.backends)

    @property
    def grafanas(self) -> tuple[DoorGrafana, ...]:
        """Returns the Grafanas behind the reverse proxies."""
        return tuple(known.grafana for known in self._known if known.grafana is not None)

    @property
    def _helpers(self) -> Iterator[tuple[Service, KnownDoor]]:
        """Yields the sign-in programs that run beside proxies."""
        for known in self._known:
            beside = door_sign_in.helper(known)
            if beside is not None:
                yield beside, known

    def files(self) -> Iterator[tuple[str, str]]:
        """Yields (host, path) of the files of proxies, of components behind them, and of those components' clients."""
        for known in self._known:
            yield from ((known.door.host, path) for path in self._of_proxy(known))
        for one in self._one_port:
            own = one.door.cert_file, one.door.key_file, one.door.ca_file
            yield from ((one.door.host, path) for path in _of_one_port(one) if path not in own)
        for backend in self.backends:
            yield backend.host.spec.name, backend.service.flags.path
        for grafana in self.grafanas:
            yield grafana.host.spec.name, grafana.service.config_file
        yield from self._data_sources()
        behind: tuple[Backend | DoorGrafana, ...] = (*self.backends, *self.grafanas)
        for client in paths.scrapers(self._plan.stack, self._facts) if self._known else ():
            for place in client.places():
                if any(client.means(at, each.server) for at in place.addresses for each in behind):
                    yield client.service.host, place.path or client.service.config_file

    def _data_sources(self) -> Iterator[tuple[str, str]]:
        """Yields (host, path) of the data sources whose servers are behind reverse proxies."""
        for client in planned_grafana.clients(self._facts) if self._known else ():
            for path, state in client.files if client.service.container is None else ():
                try:
                    sources = datasources(state.content)
                except ConfigError:
                    continue  # the plan reports it
                addresses = {at for source in sources for at in planned_grafana.place_of(source).addresses}
                if any(client.means(at, each.server) for at in addresses for each in self.backends):
                    yield client.host.spec.name, path

    def provided_files(self) -> Iterator[tuple[str, str]]:
        """Yields (host, path) of certificates and keys that a person provided."""
        doors = (*(known.door for known in self._known), *(one.door for one in self._one_port))
        for door in doors:
            yield from ((door.host, path) for path in (door.cert_file, door.key_file) if path)

    def folders(self) -> Iterator[tuple[str, str]]:
        """Yields (host, path) of the folders that may have to be created."""
        for known in self._known:
            hooks = door_facts.HOOKS if known.hook else ()
            yield from ((known.door.host, path) for path in (known.proxy.home, *hooks))
        for backend in self.backends:
            if backend.service.flags.kind == "dropin":
                yield backend.host.spec.name, posixpath.dirname(backend.service.flags.path)

    def services(self) -> Iterator[tuple[Service, str, tuple[str, ...]]]:
        """Yields every affected service, its action (restart or reload), and the files that it then reads."""
        # A component that serves TLS to its proxy is a server of the stack anyway.
        restarted = [each.service for each in self.backends if not each.over_tls]
        restarted += [beside for beside, _ in self._helpers]
        restarted += [each.service for each in self.grafanas]
        yield from ((each, "restart", self.read_by(each)) for each in restarted)
        for known in self._known:
            client = door_sign_in.client_of(known)
            if client is not None and client[0].needed:  # modules, for which a reload is not enough
                yield known.service, "restart", tuple(path for path, _ in client[0].needed)
        for service in {known.service.key: known.service for known in self._known}.values():
            yield service, "reload", self.read_by(service)

    def read_by(self, service: Service) -> tuple[str, ...]:
        """Returns the files that a service reads when it is restarted, or that a proxy reads when it is reloaded."""
        found = [
            path
            for known in self._known
            if known.service.key == service.key
            for path in self._of_proxy(known)
        ]
        for one in self._one_port:
            found += _of_one_port(one) if one.server.service.key == service.key else ()
        found += [each.service.flags.path for each in self.backends if each.service.key == service.key]
        for beside, known in self._helpers:
            found += [door_sign_in.secrets_file(known)] if beside.key == service.key else []
        for grafana in self.grafanas:
            if grafana.service.key == service.key:
                host = grafana.host.spec.name
                found += [service.config_file, *(path for at, path in self._data_sources() if at == host)]
        return tuple(dict.fromkeys(found))

    def has(self, service: Service) -> bool:
        """Returns whether a service is no server of the stack: a named proxy, its sign-in program, or a Grafana."""
        others = (*(beside.key for beside, _ in self._helpers), *(each.service.key for each in self.grafanas))
        known = find_proxy(service.component)
        return (known is not None and not known.exporters) or service.key in others

    def ready(self, service: Service) -> str:
        """Returns the URL that answers 200 once a component serves behind its reverse proxy; '' for any other."""
        for grafana in self.grafanas:
            if grafana.service.key == service.key:
                return f"http://{grafana.address}{grafana.route.prefix}/api/health"
        backend = next((each for each in self.backends if each.service.key == service.key), None)
        if backend is None or backend.over_tls:
            return ""
        prefix = backend.route.prefix

        def flag(name: str) -> str:
            return prefix or "/" if name == "web.route-prefix" else service.flag(name)

        return f"http://{backend.address}{backend.facts.metrics_path(flag)}"

    def api(self, key: str) -> str:
        """Returns the URL without TLS of a component behind a reverse proxy, for its own host; '' for any other."""
        behind: tuple[Backend | DoorGrafana, ...] = (*self.backends, *self.grafanas)
        return next(
            (
                f"http://{each.address}{each.route.prefix}"
                for each in behind
                if each.key == key and not each.over_tls
            ),
            "",
        )

    def prefix(self, key: str) -> str:
        """Returns the path below which a component is served behind its reverse proxy; '' for none."""
        return next((each.route.prefix for each in self.backends if each.key == key), "")

    def check(self, host: str, path: str) -> str:
        """Returns the command with which a proxy checks a new configuration: ansible.builtin.copy's `validate`."""
        state = self._facts.file(host, path)
        if state is None:
            return ""
        for one in self._one_port:
            service, program = one.server.service, find_proxy(one.door.proxy)
            if program is not None and (one.door.host, service.config_file) == (host, path):
                rights = f"{state.owner}:{state.group}", f"{state.mode:04o}"
                return _validate(_CHECK + _check_script(program, service, True), (path, path, *rights))
        known = next(
            (each for each in self._known if each.door.host == host and path in _configurations(each)), None
        )
        if known is None:
            return ""
        main, rights = known.service.config_file, (f"{state.owner}:{state.group}", f"{state.mode:04o}")
        if known.door.site and known.proxy.shared is None and path != known.outside:
            checker = [word.format(program=known.service.program, main=main) for word in known.proxy.check]
            return _validate(_CHECK_IN_PLACE + shlex.join(checker), (path, *rights))
        return _validate(
            _CHECK + _check_script(known.proxy, known.service, path == main), (path, main, *rights)
        )

    def requests(self, host: str) -> Iterator[Request]:
        """Yields the requests to the reverse proxies of a host, as the plan verifies them."""
        for probe in self._probes_of(host):
            yield Request(
                name=f"{probe.server}: {probe.name}",
                url=probe.url,
                ca=posixpath.basename(probe.ca_file),
                status=int(probe.expect),
                user=probe.user,
                password=WRONG_PASSWORD.reveal() if probe.password == WRONG_PASSWORD else "",
            )

    def authorities(self, host: str) -> dict[str, str]:
        """Returns the CA certificates for these requests, by name."""
        found = {}
        for path in {probe.ca_file for probe in self._probes_of(host)}:
            state = self._facts.file(WORKSPACE, path)
            assert state is not None, path
            found[posixpath.basename(path)] = state.content.decode()
        return found

    def passwords(self, host: str) -> dict[str, str]:
        """Returns the right passwords for these requests, by user."""
        return {
            probe.user: probe.password.reveal()
            for probe in self._probes_of(host)
            if probe.password is not None and probe.password != WRONG_PASSWORD
        }

    def _probes_of(self, host: str) -> Iterator[Probe]:
        """Yields the probes of reverse proxies without client certificates: `firescreen verify` runs those with one."""
        names = {
            urllib.parse.urlsplit(each.url).netloc
            for known in self._known
            if known.door.host == host
            for each in (*known.backends, *((known.grafana,) if known.grafana else ()))
        }
        for probe in self._plan.probes:
            matches = probe.kind in ("http", "page") and urllib.parse.urlsplit(probe.url).netloc in names
            if matches and probe.expect.isdigit() and not probe.cert_file:
                yield probe

    def closed_port_probes(self, host: str) -> tuple[Probe, ...]:
        """Returns the probes of a host's addresses that must accept no connection."""
        return tuple(each for each in self._plan.probes if each.expect == "closed" and each.host == host)

    def _of_proxy(self, known_door: KnownDoor) -> Iterator[str]:
        door = known_door.door
        wanted = [path for path, _ in known_door.proxy.needed]
        wanted += [known_door.passwords] if door.users else []
        wanted += [known_door.client_ca] if door.client_cert else []
        client = door_sign_in.client_of(known_door)
        if client is not None:
            wanted += [path for path, _ in (*client[0].needed, *client[0].files)]
            wanted += [door_sign_in.secrets_file(known_door), door_sign_in.provider_ca(known_door)]
        if any(each.over_tls for each in known_door.backends):
            wanted += [known_door.backend_ca, *known_door.client_pair, known_door.client_bundle]
        wanted += [*known_door.shown, known_door.bundle, known_door.hook, *_configurations(known_door)]
        yield from (path for path in wanted if path and known_door.host.files.get(path) is not None)


def _of_one_port(known_door: ExporterDoor) -> tuple[str, ...]:
    """Returns the files that an exporter_exporter reads when it starts."""
    service = known_door.server.service
    settings = exporter_door_facts.settings(service)
    named = (
        settings.cert_file,
        settings.key_file,
        settings.client_ca_file,
        service.config_file,
        service.flags.path,
    )
    return tuple(path for path in named if path)


def _configurations(known_door: KnownDoor) -> tuple[str, ...]:
    """Returns the files that the proxy checks: its own, and the main configuration if a line is added there."""
    if known_door.door.site:
        mine = (known_door.outside, known_door.written, known_door.site)
        return tuple(path for path in dict.fromkeys(mine) if path)
    return (
        (known_door.site, known_door.service.config_file)
        if known_door.proxy.import_line
        else (known_door.site,)
    )


def _validate(script: str, words: tuple[str, ...]) -> str:
    """Returns a script as `validate`: it gets the path of the new file, and these arguments."""
    command = shlex.join(("/bin/sh", "-c", script))
    return f"{command.replace('%', '%%')} %s {shlex.join(words).replace('%', '%%')}"


def _check_script(proxy: Proxy, service: Service, is_main: bool) -> str:
    """Returns the rest of the script: the proxy's check of its main configuration with the new file included."""
    config = "$new" if is_main else "$main"
    words = [shlex.quote(word.format(program=service.program, main="MAIN")) for word in proxy.check]
    command = " ".join(words).replace("MAIN", f'"{config}"')
    if is_main:
        return command
    taken = f"taken_in() {{ {proxy.shadow_script}; }}"
    return f'{taken}\ncp -p -- "$2" "$main" && taken_in "$new" <"$2" >"$main" && {command}'

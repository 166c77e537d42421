"""Front doors in an export: which files are theirs, how the proxy checks them first, and what the playbook asks. Pure.

All of it comes from the plan's own steps and probes, and from the facts that those were made of.
"""

from __future__ import annotations

import posixpath
import shlex
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wizard.errors import InputError
from wizard.front_doors import Proxy
from wizard.model import WORKSPACE, Facts, Plan, Probe, Service
from wizard.planner import front_door_facts, paths
from wizard.planner.front_door_facts import Backend, KnownDoor
from wizard.planner.probes import WRONG_PASSWORD

# Beside the old file: what it names may be relative, and the proxy's own user must be able to read it.
_CHECK: Final = """\
umask 077
new=$(dirname -- "$1")/.firescreen-check.new main=$(dirname -- "$2")/.firescreen-check.main
trap 'rm -f -- "$new" "$main"' EXIT
cp -- "$0" "$new" && chown -- "$3" "$new" && chmod -- "$4" "$new" || exit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the playbook asks a front door on its host; `password` is a wrong one, the right ones are secrets."""

    name: str
    url: str
    ca: str
    """The name of what the certificate is verified against, see `Doors.authorities`."""
    status: int
    user: str
    password: str


def refuse(plan: Plan) -> None:
    """What of front doors no playbook can do.

    Raises:
        InputError: names the first.
    """
    for door in plan.stack.front_doors:
        what = ""
        if door.sign_in is not None:
            what = "people sign in at an OpenID provider"
        elif door.site:
            what = "its routes are put into a site that is there"
        elif door.grafana is not None:
            what = "it leads to a Grafana"
        elif door.serves_exporters:
            what = "exporter_exporter serves exporters at one port"
        if what:
            raise InputError(
                f"the front door {door.name} cannot be exported to a playbook: {what}",
                where=plan.stack.source,
                todo="Have the playbook run `firescreen apply STACK --yes` for it (ansible.builtin.command), and export a copy "
                "of the stack file without it for the rest",
            )


class Doors:
    """The front doors of a plan.

    Args:
        plan: for the stack.
        facts: as they are after it.
    """

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self._plan = plan
        self._facts = facts
        self._known = front_door_facts.doors(plan.stack, facts)
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
        """The components behind them."""
        return tuple(backend for known in self._known for backend in known.backends)

    def files(self) -> Iterator[tuple[str, str]]:
        """(host, path) of what is theirs: of the proxies, of what is behind them, and of who asks that."""
        for known in self._known:
            yield from ((known.door.host, path) for path in self._of_proxy(known))
        for backend in self.backends:
            yield backend.host.spec.name, backend.service.flags.path
        for client in paths.scrapers(self._plan.stack, self._facts) if self._known else ():
            for place in client.places():
                if any(client.means(at, each.server) for at in place.addresses for each in self.backends):
                    yield client.service.host, place.path or client.service.config_file

    def brought(self) -> Iterator[tuple[str, str]]:
        """(host, path) of certificates and keys that a person brought."""
        for known in self._known:
            own = known.door.cert_file, known.door.key_file
            yield from ((known.door.host, path) for path in own if path)

    def folders(self) -> Iterator[tuple[str, str]]:
        """(host, path) of the folders that may have to be made."""
        for known in self._known:
            hooks = front_door_facts.HOOKS if known.hook else ()
            yield from ((known.door.host, path) for path in (known.proxy.home, *hooks))
        for backend in self.backends:
            if backend.service.flags.kind == "dropin":
                yield backend.host.spec.name, posixpath.dirname(backend.service.flags.path)

    def services(self) -> Iterator[tuple[Service, str]]:
        """Every service that takes a change of theirs, with how: restart or reload."""
        # What is asked over TLS is a server of the stack anyway.
        yield from ((each.service, "restart") for each in self.backends if not each.over_tls)
        yield from {known.service.key: (known.service, "reload") for known in self._known}.values()

    def read_by(self, service: Service) -> tuple[str, ...]:
        """The files that a service of theirs reads when it is restarted, or a proxy when it is reloaded."""
        found = [
            path
            for known in self._known
            if known.service.key == service.key
            for path in self._of_proxy(known)
        ]
        found += [each.service.flags.path for each in self.backends if each.service.key == service.key]
        return tuple(dict.fromkeys(found))

    def ready(self, service: Service) -> str:
        """The URL that answers 200 once a component serves behind its front door; '' for any other."""
        backend = next((each for each in self.backends if each.service.key == service.key), None)
        if backend is None or backend.over_tls:
            return ""
        prefix = backend.route.prefix

        def flag(name: str) -> str:
            return prefix or "/" if name == "web.route-prefix" else service.flag(name)

        return f"http://{backend.address}{backend.facts.metrics_path(flag)}"

    def api(self, key: str) -> str:
        """Where a Prometheus behind a front door is asked on its own host, without a login; '' for any other."""
        return next(
            (
                f"http://{each.address}{each.route.prefix}"
                for each in self.backends
                if each.key == key and not each.over_tls
            ),
            "",
        )

    def prefix(self, key: str) -> str:
        """The path below which a component is served behind its front door; '' for none."""
        return next((each.route.prefix for each in self.backends if each.key == key), "")

    def check(self, host: str, path: str) -> str:
        """How the proxy checks a configuration of its own before that is put in place, as ansible.builtin.copy's `validate`."""
        known = next(
            (each for each in self._known if each.door.host == host and path in _configurations(each)), None
        )
        state = self._facts.file(host, path)
        if known is None or state is None:
            return ""
        main = known.service.config_file
        words = (path, main, f"{state.owner}:{state.group}", f"{state.mode:04o}")
        command = shlex.join(("/bin/sh", "-c", _CHECK + _checked(known.proxy, known.service, path == main)))
        return f"{command.replace('%', '%%')} %s {shlex.join(words).replace('%', '%%')}"

    def requests(self, host: str) -> Iterator[Request]:
        """What is asked of the front doors of a host, as the plan verifies them."""
        for probe in self._asked(host):
            yield Request(
                name=f"{probe.server}: {probe.name}",
                url=probe.url,
                ca=posixpath.basename(probe.ca_file),
                status=int(probe.expect),
                user=probe.user,
                password=WRONG_PASSWORD.reveal() if probe.password == WRONG_PASSWORD else "",
            )

    def authorities(self, host: str) -> dict[str, str]:
        """The CA certificates that these requests name."""
        found = {}
        for path in {probe.ca_file for probe in self._asked(host)}:
            state = self._facts.file(WORKSPACE, path)
            assert state is not None, path
            found[posixpath.basename(path)] = state.content.decode()
        return found

    def passwords(self, host: str) -> dict[str, str]:
        """The right passwords for these requests, by user."""
        return {
            probe.user: probe.password.reveal()
            for probe in self._asked(host)
            if probe.password is not None and probe.password != WRONG_PASSWORD
        }

    def _asked(self, host: str) -> Iterator[Probe]:
        """The probes of front doors that need no client certificate: with these, `firescreen verify` asks."""
        names = {
            urllib.parse.urlsplit(each.url).netloc
            for known in self._known
            if known.door.host == host
            for each in known.backends
        }
        for probe in self._plan.probes:
            asked = probe.kind in ("http", "page") and urllib.parse.urlsplit(probe.url).netloc in names
            if asked and probe.expect.isdigit() and not probe.cert_file:
                yield probe

    def closed(self, host: str) -> tuple[Probe, ...]:
        """The addresses of a host that must take no connection."""
        return tuple(each for each in self._plan.probes if each.expect == "closed" and each.host == host)

    def _of_proxy(self, known: KnownDoor) -> Iterator[str]:
        door = known.door
        wanted = [path for path, _ in known.proxy.needed]
        wanted += [known.passwords] if door.users else []
        wanted += [known.client_ca] if door.client_cert else []
        if any(each.over_tls for each in known.backends):
            wanted += [known.backend_ca, *known.client_pair, known.client_bundle]
        wanted += [*known.shown, known.bundle, known.hook, *_configurations(known)]
        yield from (path for path in wanted if path and known.host.files.get(path) is not None)


def _configurations(known: KnownDoor) -> tuple[str, ...]:
    """What the proxy checks: the front door's own, and the main configuration where that gets a line."""
    return (known.site, known.service.config_file) if known.proxy.import_line else (known.site,)


def _checked(proxy: Proxy, service: Service, is_main: bool) -> str:
    """The rest of the script: the command of the proxy, on its main configuration with the new file taken in."""
    whole = "$new" if is_main else "$main"
    words = [shlex.quote(word.format(program=service.program, main="MAIN")) for word in proxy.check]
    command = " ".join(f'"{whole}"' if word == "MAIN" else word for word in words)
    if is_main:
        return command
    taken = f"taken_in() {{ {proxy.shadow_script}; }}"
    return f'{taken}\ncp -p -- "$2" "$main" && taken_in "$new" <"$2" >"$main" && {command}'

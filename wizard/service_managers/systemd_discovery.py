"""Finds the services of systemd, as configured and as they run.

All units are examined at once: discovery takes four or five short commands, whatever runs on the host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wizard.components import Component, all_components
from wizard.config_files import shell_command, systemd_unit, unit_settings
from wizard.connections.base import Connection
from wizard.errors import HostError
from wizard.model import FlagPlace, Service
from wizard.service_managers import (
    file_owners,
    other_supervisors,
    process_list,
    program_facts,
    systemd_properties,
)
from wizard.service_managers.process_list import Process
from wizard.service_managers.reloads import reload
from wizard.service_managers.systemd_restart import check_start, daemon_reload, is_active, log, restart

# systemd searches its folders for every unit that it is asked about, even if it does not exist. So the script only asks
# about units that run or have a file in these folders. It then prints the files of loaded units itself: `systemctl cat`
# would need one more command, and a comment in a file can look like its heading for another file.
_LOOK = r"""
[ -e /run/systemd/system ] || exit 0
LC_ALL=C
properties=$1 running=" $2 " asked= ids= code=
shift 2
for name; do
  case $running in *" $name "*) asked="$asked $name"; continue ;; esac
  for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system /usr/local/lib/systemd/system \
    /run/systemd/system /run/systemd/transient /run/systemd/generator /run/systemd/generator.late \
    /run/systemd/generator.early /etc/systemd/system.control /run/systemd/system.control \
    /etc/systemd/system.attached /run/systemd/system.attached; do
    if [ -e "$folder/$name" ] || [ -L "$folder/$name" ]; then asked="$asked $name"; break; fi
  done
done
[ -n "$asked" ] || exit 0
set -f
shown=$(systemctl show --no-pager -p "$properties" -- $asked) || code=$?
printf '%s\n\036\n' "$shown"
loaded= id= files= all=
while IFS='=' read -r key value; do
  case $key=$value in
  Id=*) id=$value ;;
  LoadState=loaded) loaded=1 ;;
  FragmentPath=?*|DropInPaths=?*) files="$files $value" ;;
  =)
    case " $ids " in *" $id "*) loaded= ;; esac
    [ -z "$loaded" ] || ids="$ids $id" all="$all $files"
    loaded= id= files= ;;
  esac
done <<END
$shown

END
for path in $all; do printf '\036%s\n' "$path"; cat -- "$path"; done
exit "${code:-0}"
"""

_TEXT = r"""
shown=$(systemctl show --no-pager -p FragmentPath -p DropInPaths -- "$1") || exit
set -f
fragment= dropins=
while IFS='=' read -r key value; do
  case $key in FragmentPath) fragment=$value ;; DropInPaths) dropins=$value ;; esac
done <<END
$shown
END
for path in $fragment $dropins; do
  printf '\036%s\n' "$path"
  cat -- "$path" || exit
done
"""

__all__ = [
    "check_start",
    "daemon_reload",
    "discover",
    "is_active",
    "log",
    "reload",
    "restart",
    "unit_text",
]


def unit_text(connection: Connection, service: Service) -> str:
    """The unit file and its drop-ins, as `unit_settings.join_files` joins files."""
    ended = connection.run_script(_TEXT, f"{service.unit}.service", timeout=10)
    if ended.code or not ended.stdout:
        raise HostError(
            "systemd does not know the unit", where=service.unit, todo="Run `systemctl daemon-reload`."
        )
    return ended.stdout


def discover(
    connection: Connection,
    running: tuple[Process, ...] | None = None,
    components: tuple[Component, ...] = (),
) -> tuple[Service, ...]:
    """The components that are units on the host, running or not, sorted by name; none without systemd.

    Args:
        connection: the host.
        running: the result of `process_list.find`, if it is known already.
        components: the components to find; by default all that a stack can contain.
    """
    known = components or all_components()
    found = process_list.find(connection, known) if running is None else running
    units = list(dict.fromkeys(each.unit for each in found if each.unit))
    units_properties, cat = _unit_properties(connection, units, known)
    if not units_properties:
        return ()
    texts = dict(unit_settings.split_files(cat))
    seen = _Seen(connection, found, known)
    services = [
        service
        for properties in units_properties
        if (
            service := seen.service(
                properties,
                unit_settings.join_files(
                    [(p, texts.get(p, "")) for p in systemd_properties.paths(properties)]
                ),
            )
        )
    ]
    # If several units read a file, a flag in it would apply to all of them: each gets a drop-in of its own.
    readers = Counter((service.flags.path, service.flags.variable) for service in services)
    services = [
        replace(service, flags=seen.dropins[service.unit])
        if service.flags.kind in ("envfile", "argfile")
        and readers[service.flags.path, service.flags.variable] > 1
        else service
        for service in services
    ]
    return tuple(sorted(services, key=lambda service: (service.component, service.unit)))


def request(running: Sequence[str] = (), components: tuple[Component, ...] = ()) -> tuple[str, ...]:
    """The script that `discover` runs, with its arguments.

    Args:
        running: units to include wherever their files are, besides units with the usual names that have a file.
        components: as for `discover`.
    """
    usual = [f"{name}.service" for known in components or all_components() for name in known.units]
    return _LOOK, systemd_properties.SHOWN, " ".join(running), *dict.fromkeys([*running, *usual])


def _unit_properties(
    connection: Connection, running: list[str], components: tuple[Component, ...]
) -> tuple[list[dict[str, str]], str]:
    """The properties of the units that exist, and their files as `unit_settings.join_files` joins them.

    A unit with an alias appears once, under its real name.
    """
    found, cat = _run_show(connection, request((), components))
    if running and not found.keys() >= set(running):
        found, cat = _run_show(connection, request(running, components))
    return list(found.values()), cat


def _run_show(connection: Connection, script: Sequence[str]) -> tuple[dict[str, dict[str, str]], str]:
    ended = connection.run_script(*script, timeout=20)
    shown, _, cat = ended.stdout.partition("\n\x1e\n")
    if ended.code and not shown.strip():
        raise HostError(
            f"systemctl does not answer: {ended.stderr.strip()[:200]}",
            where=connection.name,
            todo="Check that systemd runs there, and that this user may ask it.",
        )
    found = {
        properties["Id"]: properties
        for properties in systemd_properties.blocks(shown)
        if properties.get("LoadState") == "loaded"
    }
    return found, cat


@dataclass(frozen=True, slots=True)
class _Seen:
    """Reads the facts about one unit after the other."""

    connection: Connection
    running: tuple[Process, ...]
    components: tuple[Component, ...]
    dropins: dict[str, FlagPlace] = field(default_factory=dict)
    """The drop-in for the flags of each unit, by unit name."""

    def service(self, properties: Mapping[str, str], text: str) -> Service | None:
        parsed = systemd_unit.parse(text)
        unit, pid = properties["Id"].removesuffix(".service"), int(properties.get("MainPID") or 0)
        inside = [process for process in self.running if process.unit == properties["Id"]]
        process = process_list.main_process(self.connection, properties["Id"], pid, inside)
        if inside and process is None:
            return None  # the unit runs more than the component, so it must not be restarted for it
        script = shell_command.find(parsed.command, self._is_component) if parsed.command else None
        program = _program(parsed, script, process)
        component = self._component(program, process, properties["Id"])
        if component is None:
            return None
        texts = {path: self._text(path) for path in parsed.environment_files}
        environment = systemd_properties.variables(parsed, texts)
        folder = properties.get("WorkingDirectory", "")
        in_unit = script.arguments(environment.words) if script else parsed.arguments(environment.words)
        written = process.arguments if process else in_unit
        arguments = program_facts.expand_arguments(self.connection, written, folder=folder)
        flags_place = systemd_properties.flag_place(component, properties, parsed, environment)
        self.dropins[unit] = systemd_properties.dropin_place(properties, parsed, script)
        if arguments != written:
            path = program_facts.argument_file(self.connection, written, folder=folder)
            flags_place = FlagPlace("argfile", path) if path else flags_place
        config = program_facts.config_file(self.connection, component, program, arguments, folder=folder)
        web = program_facts.web_config(component, arguments, folder=folder)
        identity = file_owners.of_unit(self.connection, properties, process)
        web = _credential(web, properties["Id"], dict(parsed.credentials))
        user, group = (process.user, process.group) if process else self._account(properties)
        wrapper = other_supervisors.wrapper(properties["Id"], properties.get("FragmentPath", ""))
        by_shell = process is not None and flags_place.kind == "manual"
        # A signal to the main process would end the shell, so the user has to restart the program that it started.
        inner = process is not None and process.pid != pid
        return Service(
            host=self.connection.name,
            component=component.name,
            manager="manual" if inner else "systemd",
            kind="process" if inner else "",
            unit=unit,
            program=program,
            version=program_facts.version(self.connection, program),
            arguments=arguments,
            listen=self._listen(component, arguments, properties, process.sockets if process else ()),
            sockets=program_facts.web_sockets(component, arguments, process.sockets) if process else (),
            user=user,
            group=group,
            active=properties.get("ActiveState") in ("active", "reloading") and bool(pid),
            flags=FlagPlace("manual") if inner else flags_place,
            config_file=config,
            web_config=web,
            home=program_facts.home(component, web, config),
            hidden=systemd_properties.hidden(properties),
            bound=systemd_properties.bound_paths(properties),
            pid=process.pid if process else pid,
            supervision=wrapper if by_shell else None,
            stop_timeout=systemd_properties.seconds(properties.get("TimeoutStopUSec", "")),
            dynamic=identity.dynamic,
            credentials=identity.credentials,
            shared_with=identity.shared_with,
            unit_text=text,
        )

    def _listen(
        self,
        component: Component,
        arguments: tuple[str, ...],
        properties: Mapping[str, str],
        open_sockets: tuple[str, ...],
    ) -> str:
        """Where clients reach it: by its open sockets, by those that systemd opens for it, or by its own flag."""
        if not open_sockets and program_facts.switch(arguments, "web.systemd-socket"):
            names = systemd_properties.socket_units(properties)
            ended = self.connection.run(
                ["systemctl", "show", "--no-pager", "-p", "Listen", "--", *names], timeout=10
            )
            if found := program_facts.first_reachable(systemd_properties.socket_addresses(ended.stdout)):
                return found
        return program_facts.served_at(component, arguments, open_sockets)

    def _text(self, path: str) -> str | None:
        try:
            state = self.connection.read(path)
        except HostError:
            # Without root the file may not be readable; the running process still shows its arguments.
            return None
        return state.content.decode("utf-8", "surrogateescape") if state else None

    def _account(self, properties: Mapping[str, str]) -> tuple[str, str]:
        """User and group with which the unit would run."""
        user = properties.get("User") or "root"
        if group := properties.get("Group"):
            return user, group
        ended = self.connection.run(["id", "-gn", "--", user], timeout=5)
        return user, ended.stdout.strip() or user

    def _is_component(self, program: str) -> bool:
        return any(known.matches(program) for known in self.components)

    def _component(self, program: str, process: Process | None, unit_id: str) -> Component | None:
        """The component that a unit runs, found by its program, else by the unit's name."""
        for known in self.components:
            if (process and process.component == known.name) or known.matches(program):
                return known
        for known in self.components:
            if unit_id.removesuffix(".service") in known.units:
                return known
        return None


def _program(
    parsed: systemd_unit.Unit, script: shell_command.ShellCommand | None, process: Process | None
) -> str:
    """The program that a unit runs: the running process's, else that of its command."""
    if process is not None:
        return process.program
    return script.program if script else parsed.commands[0].program if parsed.commands else ""


def _credential(path: str, unit_id: str, credentials: Mapping[str, str]) -> str:
    """The source of a file that a unit gets as a credential; any other path unchanged."""
    if path.startswith(f"{file_owners.credentials_folder(unit_id)}/"):
        return credentials.get(path.rpartition("/")[2], path)
    return path

"""systemd's services: finds them as they are set up and as they run.

Asks for all units at once: discovery takes four or five short commands, whatever runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wizard.components import Component, all_components
from wizard.configs import shellcommand, unit, unitfile
from wizard.errors import HostError
from wizard.model import Connection, Service
from wizard.services import _show, owners, processes, programs, scripts
from wizard.services.control import (
    check_start,
    daemon_reload,
    is_active,
    log,
    restart,
)
from wizard.services.processes import Process
from wizard.services.reloads import reload

# systemd looks each unit up on the disk that it is asked about, also those of which there are none: so only those are
# asked about that have a file where systemd looks, or run. Then the texts of those that are loaded; `systemctl cat`
# would ask once more, and a comment in a file can look like the heading of another.
_LOOK = r"""
[ -e /run/systemd/system ] || exit 0
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
    "restart_by_hand",
    "unit_text",
]


def unit_text(connection: Connection, service: Service) -> str:
    """The unit and its drop-ins, as `unitfile.joined` puts files together."""
    ended = scripts.run(connection, _TEXT, f"{service.unit}.service", timeout=10)
    if ended.code or not ended.stdout:
        raise HostError(
            "systemd does not know the unit", where=service.unit, todo="Run `systemctl daemon-reload`."
        )
    return ended.stdout


def restart_by_hand(service: Service, *, action: str = "restart") -> tuple[str, ...]:
    """The command that a person types to restart or reload."""
    return (f"systemctl {action} {service.unit}",)


def discover(connection: Connection, running: tuple[Process, ...] | None = None) -> tuple[Service, ...]:
    """The components that are units here, running or not, in the order of their names; none without systemd.

    Args:
        connection: the host.
        running: what `processes.find` gave, if it was asked already.
    """
    found = processes.find(connection) if running is None else running
    shown, cat = _looked(connection, list(dict.fromkeys(each.unit for each in found if each.unit)))
    if not shown:
        return ()
    texts = dict(unitfile.split_files(cat))
    seen = _Seen(connection, found)
    services = [
        service
        for one in shown
        if (service := seen.service(one, unitfile.joined([(p, texts.get(p, "")) for p in _show.paths(one)])))
    ]
    return tuple(sorted(services, key=lambda service: (service.component, service.unit)))


def _looked(connection: Connection, running: list[str]) -> tuple[list[dict[str, str]], str]:
    """What systemd says of the units that exist, and their files as `unitfile.joined` puts them together.

    An alias appears once, under its real name.
    """
    usual = [f"{name}.service" for one in all_components() for name in one.units]
    names = dict.fromkeys([*running, *usual])
    ended = scripts.run(connection, _LOOK, _show.SHOWN, " ".join(running), *names, timeout=20)
    shown, _, cat = ended.stdout.partition("\n\x1e\n")
    if ended.code and not shown.strip():
        raise HostError(
            f"systemctl does not answer: {ended.stderr.strip()[:200]}",
            where=connection.name,
            todo="Check that systemd runs there, and that this user may ask it.",
        )
    found = {one["Id"]: one for one in _show.blocks(shown) if one.get("LoadState") == "loaded"}
    return list(found.values()), cat


@dataclass(frozen=True, slots=True)
class _Seen:
    """Reads what belongs to one unit after the other."""

    connection: Connection
    running: tuple[Process, ...]

    def service(self, shown: Mapping[str, str], text: str) -> Service | None:
        read = unit.parse(text)
        pid = int(shown.get("MainPID") or 0)
        # The main process may be a wrapper (a shell, a launcher) that the program runs under.
        inside = [process for process in self.running if process.unit == shown["Id"] and pid]
        process = next((process for process in inside if process.pid == pid), next(iter(inside), None))
        inner = shellcommand.find(read.command, _is_component) if read.command else None
        program = inner.program if inner else read.commands[0].program if read.commands else ""
        program = process.program if process else program
        component = _component(program, process, shown["Id"])
        if component is None:
            return None
        held = _show.variables(read, {file.path: self._text(file.path) for file in read.environment_files})
        written = inner.arguments(held.words) if inner else read.arguments(held.words)
        arguments = process.arguments if process else written
        user = shown.get("User") or "root"
        config = programs.config_file(
            self.connection, component, program, arguments, folder=shown.get("WorkingDirectory", "")
        )
        web = programs.web_config(component, arguments, folder=shown.get("WorkingDirectory", ""))
        identity = owners.of_unit(self.connection, shown, process)
        if web.startswith(f"{owners.credentials_folder(shown['Id'])}/"):
            web = dict(read.credentials).get(web.rpartition("/")[2], web)
        return Service(
            host=self.connection.name,
            component=component.name,
            manager="systemd",
            unit=shown["Id"].removesuffix(".service"),
            program=program,
            version=programs.version(self.connection, program),
            arguments=arguments,
            listen=self._listen(component, arguments, shown),
            user=process.user if process else user,
            group=process.group if process else shown.get("Group") or self._group(user),
            active=shown.get("ActiveState") in ("active", "reloading") and bool(pid),
            flags=_show.flag_place(component, shown, read, held),
            config_file=config,
            web_config=web,
            home=programs.home(component, web, config),
            hidden=_show.hidden(shown),
            bound=_show.bound(shown),
            pid=pid,
            stop_timeout=_show.seconds(shown.get("TimeoutStopUSec", "")),
            dynamic=identity.dynamic,
            credentials=identity.credentials,
            shared_with=identity.shared_with,
            unit_text=text,
        )

    def _listen(self, component: Component, arguments: tuple[str, ...], shown: Mapping[str, str]) -> str:
        """Where it is reached: by its own flag, or by the sockets that systemd opens for it."""
        if programs.switch(arguments, "web.systemd-socket"):
            names = _show.socket_units(shown)
            ended = self.connection.run(
                ["systemctl", "show", "--no-pager", "-p", "Listen", "--", *names], timeout=10
            )
            if found := programs.first_reachable(_show.socket_addresses(ended.stdout)):
                return found
        return programs.listen(component, arguments)

    def _text(self, path: str) -> str | None:
        try:
            state = self.connection.read(path)
        except HostError:
            # Without root the file may be closed to us; the running process still tells its arguments.
            return None
        return state.content.decode("utf-8", "surrogateescape") if state else None

    def _group(self, user: str) -> str:
        ended = self.connection.run(["id", "-gn", "--", user], timeout=5)
        return ended.stdout.strip() or user


def _is_component(program: str) -> bool:
    return any(one.matches(program) for one in all_components())


def _component(program: str, process: Process | None, unit_id: str) -> Component | None:
    """Which component a unit runs: by its program, else by the unit's own name."""
    for one in all_components():
        if (process and process.component == one.name) or one.matches(program):
            return one
    for one in all_components():
        if unit_id.removesuffix(".service") in one.units:
            return one
    return None

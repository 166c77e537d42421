"""Restarts systemd's services, and returns only when the new process serves or has failed.

For most exporters, `systemctl restart` returns before the program has read its web.yml. So the unit, its process and
its port are watched until the program serves or has ended.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from wizard.config_files import systemd_unit as unit
from wizard.connections.base import Connection
from wizard.errors import HostError, ServiceError
from wizard.model import Service
from wizard.redact import plain
from wizard.service_managers import journald, systemd_properties

_WATCHED = "ActiveState,SubState,MainPID,NRestarts,Result,InvocationID,LoadState"
_STEADY = 0.2
"""Seconds for which the new process must keep its port open: exporters open it before they read web.yml."""
_RESTARTING = 120.0
"""Seconds for the restart itself; a unit that may take longer to stop gets more."""
_LONGEST_STOP = 600.0

# The host itself waits: from here, each check would take a round trip, and start a handful of processes on the host.
# Shell built-ins start none. Whether this very process listens on the port is read in its own network namespace: the
# fourth column of the table is the state (0A: listening), the tenth the socket's inode.
_RESTART = r"""
LC_ALL=C
watched=$1 unit=$2 port=$3 patience=$4 first=$5 known=$6 slow=$7
look() {
  shown=$(systemctl show --no-pager -p "$watched" -- "$unit")
  pid=0 restarts= active= sub= result=
  while IFS='=' read -r key value; do
    case $key in
    MainPID) pid=$value ;; NRestarts) restarts=$value ;; ActiveState) active=$value ;;
    SubState) sub=$value ;; Result) result=$value ;;
    esac
  done <<END
$shown
END
}
now() { read -r up rest < /proc/uptime; part=${up#*.}; now=$(( ${up%.*} * 100 + 1$part - 100 )); }
holds() {
  [ -n "$port" ] || return 0
  inodes=
  # For its table the kernel goes through all connections, for ss only through listening sockets.
  if [ "/proc/$pid/ns/net" -ef /proc/self/ns/net ] && open=$(ss -Hltne "sport = :$port"); then
    for word in $open; do case $word in ino:*) inodes="$inodes ${word#ino:}" ;; esac; done
  else
    inodes=$(sed -n "s/^ *[0-9]*: [0-9A-F]*:$(printf %04X "$port") [0-9A-F:]* 0A [^ ]* [^ ]* [^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1/p" \
      "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6" 2>/dev/null)
  fi
  [ -n "$inodes" ] || return 1
  held=$(ls -l "/proc/$pid/fd" 2>/dev/null)
  for inode in $inodes; do
    case $held in *"socket:[$inode]"*) return 0 ;; esac
  done
  return 1
}
opens() {
  until holds; do
    now
    [ "$now" -lt "$end" ] && [ -d "/proc/$pid" ] || return 1
    sleep 0.02 || sleep 1
  done
}
restart() {
  # A drop-in that was just written or removed takes effect now.
  [ "$(systemctl show --no-pager -p NeedDaemonReload -- "$unit")" != NeedDaemonReload=yes ] || systemctl daemon-reload || return
  systemctl restart -- "$unit"
}
tell() { printf 'verdict=%s\nfirst=%s\n%s\n' "$1" "$first" "$shown"; exit 0; }
runs() {
  [ -r "/proc/$known/cgroup" ] || return
  while IFS= read -r group; do
    case $group in */"$unit.service") pid=$known active=active; return 0 ;; esac
  done < "/proc/$known/cgroup"
  return 1
}
if [ -z "$first" ]; then
  # If the discovered process is still in the unit, systemd need not be asked.
  runs || look
  old=$pid
  printf 'since=@%s\nold=%s\n' "$(date +%s.%N)" "$old"
  # Without this, systemd would refuse to start a unit that has just failed several times (start limit).
  [ "$active" = active ] || systemctl reset-failed -- "$unit" 2>/dev/null
  now
  begun=$now
  if ! said=$(restart 2>&1); then
    # The start limit was reached, or the old process failed just then: both say nothing about the new process.
    now
    look
    retry=
    [ $(( now - begun )) -gt 500 ] || retry=1
    # The old process was slow to end and systemd did not wait for it, so the new one could not start. systemd may have
    # started it by itself since; another restart would only end it again.
    if [ $(( now - begun )) -gt 500 ] && [ "$old" != 0 ]; then
      until [ ! -d "/proc/$old" ] || [ "$now" -gt $(( begun + slow )) ]; do sleep 0.2 || sleep 1; now; done
      systemctl reset-failed -- "$unit" 2>/dev/null
      said=$(systemctl start -- "$unit" 2>&1) && retry=started
    fi
    if [ "$retry" != started ]; then
      [ "$result" != start-limit-hit ] || systemctl reset-failed -- "$unit" && [ -n "$retry" ] && said=$(restart 2>&1) ||
        { printf '%s\n' "$said" >&2; exit 1; }
    fi
  fi
  look
  first=$pid.$restarts
else
  # The same process still holds its port: systemd need not be asked.
  pid=${first%%.*} shown=
  ! holds || tell steady
  look
fi
now
end=$(( now + patience ))
while :; do
  case $active.$sub in failed.*|inactive.*|*.auto-restart*) tell failed ;; esac
  [ "${first%%.*}" != 0 ] || first=$pid.$restarts
  [ "$pid.$restarts" = "$first" ] || tell failed
  if [ "$active" = active ] && [ "$pid" != 0 ]; then
    ! opens || tell open
  else
    sleep 0.05 || sleep 1
  fi
  look
  now
  [ "$now" -lt "$end" ] || tell late
done
"""


@dataclass(frozen=True, slots=True)
class _Before:
    """The state before a restart: the time (`@` and unix seconds), and the pid of the old process."""

    since: str
    pid: str


def daemon_reload(connection: Connection) -> None:
    """Makes systemd read its unit files again."""
    systemctl(connection, "daemon-reload", unit="")


def is_active(connection: Connection, service: Service) -> bool:
    """Whether the unit is active and has a process."""
    properties = state(connection, service.unit)
    return properties.get("ActiveState") in ("active", "reloading") and properties.get("MainPID", "0") != "0"


def log(connection: Connection, service: Service, lines: int = 20) -> tuple[str, ...]:
    """The last lines of the unit's journal, oldest first, safe to show; () if there are none."""
    return tuple(line.text for line in journald.lines(connection, service.unit, lines))


def restart(
    connection: Connection,
    service: Service,
    *,
    timeout: float = 20.0,
    answers: Callable[[float], bool] | None = None,
) -> None:
    """Restarts the unit and waits until its new process serves: it answers, or has kept its port open for a while.

    Args:
        connection: the host; needs the right to restart.
        service: the service as discovered; its `listen` has the port.
        timeout: seconds at most; if the program ends, that is noticed at once.
        answers: whether the process on the port answers within this number of seconds; called once the port is open.
            Only given if the program does not answer before it has read its settings.

    Raises:
        ServiceError: it did not start; the error has the program's own message and its last log lines.
    """
    deadline = time.monotonic() + _patience(service) + timeout
    result = _watch(connection, service, timeout)
    before = _Before(result.get("since", ""), result.get("old", "0"))
    if "failed" in result:
        _refuse_without_rights(result["failed"], service.unit)
        raise _start_error(connection, service, before, plain(result["failed"], 300))
    while result.get("verdict") == "open" and time.monotonic() < deadline:
        # Waits here and not on the host, so that other services can be restarted meanwhile.
        begun = time.monotonic()
        if answers is not None and answers(_STEADY):
            return
        time.sleep(max(0.0, begun + _STEADY - time.monotonic()))
        result = _watch(connection, service, timeout, first=result["first"])
    if result.get("verdict") in ("late", "open"):
        port = service.listen.rpartition(":")[2]
        raise _start_error(connection, service, before, f"port {port} did not open in time")
    if result.get("verdict") != "steady":
        raise _start_error(connection, service, before, result.get("Result", ""))


def check_start(connection: Connection, service: Service) -> None:
    """Checks, before a restart, that systemd will start the unit with the flags of our drop-in.

    Raises:
        ServiceError: another file sets ExecStart after ours, or systemd has not read ours.
    """
    state = connection.read(service.flags.path) if service.flags.kind == "dropin" else None
    ours = unit.parse(state.content.decode("utf-8", "surrogateescape")).command if state else None
    if ours is None:
        return
    command = ["systemctl", "show", "--no-pager", "-p", "ExecStart,DropInPaths", "--", service.unit]
    properties = next(iter(systemd_properties.blocks(connection.run(command, timeout=10).stdout)), {})
    # Versions of systemd differ in how they show words that are quoted or expanded.
    plain_flags = [word.text for word in ours.words if re.fullmatch(r"--[\w@+=:,./-]+", word.text, re.ASCII)]
    started = properties.get("ExecStart", "").split()
    lost = [flag for flag in plain_flags if flag not in started]
    if lost:
        later = properties.get("DropInPaths", "").partition(service.flags.path)[2].split()
        later_files = f" after {service.flags.path}: {', '.join(later)}" if later else ""
        raise ServiceError(
            f"systemd would start {service.unit} without {lost[0]}: another file sets ExecStart{later_files}",
            where=f"{connection.name}: {service.unit}",
            todo=f"Look at `systemctl cat {service.unit}`, then plan again.",
        )


def _watch(connection: Connection, service: Service, timeout: float, *, first: str = "") -> dict[str, str]:
    """The result of `_RESTART`; 'failed' has the reason if the restart itself failed.

    Args:
        first: the pid and number of restarts that must not change; '' to restart now.
    """
    port = int(service.listen.rpartition(":")[2] or 0)
    arguments = (
        _WATCHED, service.unit, f"{port}" if port else "", f"{timeout * 100:.0f}", first, f"{service.pid}",
        f"{_patience(service) * 100:.0f}"
    )  # fmt: skip
    ended = connection.run_script(_RESTART, *arguments, timeout=_patience(service) + timeout + 20)
    result = next(iter(systemd_properties.blocks(ended.stdout)), {})
    return result | ({"failed": ended.stderr.strip()} if ended.code else {})


def _patience(service: Service) -> float:
    """Seconds for the restart itself: systemd tries twice to end a process, and waits each time."""
    return max(_RESTARTING, 2 * min(service.stop_timeout, _LONGEST_STOP) + 30.0)


def state(connection: Connection, unit: str) -> dict[str, str]:
    """The current properties of a unit."""
    ended = connection.run(["systemctl", "show", "--no-pager", "-p", _WATCHED, "--", unit], timeout=10)
    found = systemd_properties.blocks(ended.stdout)
    return found[0] if found else {}


def systemctl(connection: Connection, action: str, *, unit: str) -> None:
    """Runs `systemctl ACTION UNIT`.

    Raises:
        ServiceError: it failed. HostError: the user has no right to do this.
    """
    ended = connection.run(["systemctl", action, *(["--", unit] if unit else [])], timeout=60)
    if ended.code:
        _refuse_without_rights(ended.stderr, unit)
        raise ServiceError(
            f"systemctl {action} failed: {plain(ended.stderr.strip(), 300)}",
            where=": ".join(part for part in (connection.name, unit) if part),
            todo=f"Look at `systemctl status {unit}`." if unit else "Look at `journalctl -xe`.",
        )


def _refuse_without_rights(stderr: str, unit: str) -> None:
    if re.search(r"Interactive authentication required|Access denied|Permission denied", stderr):
        raise HostError(
            "this user may not restart services",
            where=unit,
            todo="Run Firescreen as root, or set `become: sudo` for this host.",
        )


_ERROR = re.compile(r"\berr(or)?\b|\bfatal\b|unknown long flag", re.IGNORECASE)
"""Text in a log line that says why a program ended."""


def _start_error(connection: Connection, service: Service, before: _Before, reason: str) -> ServiceError:
    # The last lines of a program that just ended may not be in the journal yet.
    connection.run(["journalctl", "--sync"], timeout=10)
    lines = journald.lines(connection, service.unit, 200, since=before.since)
    own_lines = [line for line in lines if line.own and line.pid != before.pid]
    # systemd may have started it again by now: the first new process with an error is the one that failed. A process
    # that systemd had started before, and that this restart stopped, has logged no error.
    processes: dict[str, list[str]] = {}
    for line in own_lines:
        processes.setdefault(line.pid, []).append(line.text)
    first = next(iter(processes.values()), [])
    # If there was no new process, the old one may have failed by itself; the message at its regular end is no reason.
    spoken = list(processes.values()) or [[line.text for line in lines if line.own]]
    errors = ([text for text in texts if _ERROR.search(text)] for texts in spoken)
    errors_found: list[str] = next((found for found in errors if found), [])
    message = journald.message((errors_found or first)[-1]) if errors_found or first else ""
    return ServiceError(
        f"{service.unit} does not stay up: {message or reason or 'it gave no reason'}",
        where=f"{connection.name}: {service.unit}",
        todo=f"Look at `journalctl -u {service.unit}`; what the program says is in the last lines.",
        log=tuple(line.text for line in lines[-20:]),
    )

"""Finds the container engines of a host, and what each reports about its containers.

Engines are Docker's own daemon, rootless daemons of users (a socket in their runtime folder), and Podman, whose `ps`
and `inspect` work alike. One script finds all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wizard.config_files import unit_settings
from wizard.connections.base import Connection

# A host without a daemon must not wait for one. Podman creates its folders on its first call, so it is not called if it
# has run nothing since the host booted. The Compose command depends on the engine: a plugin of `docker`, docker-compose
# 1.x with the same daemon, or for Podman, Docker's Compose and also podman-compose.
_LOOK = r"""
owner=
ask() {
  ids=$("$@" ps -aq --no-trunc </dev/null) || return 0
  [ -n "$ids" ] || return 0
  printf '\036%s\037%s\037' "$*" "$owner"
  "$@" inspect --type container $ids </dev/null
  printf '\037'
  case $1 in
  runuser) ;;
  podman)
    case $(podman compose version 2>/dev/null </dev/null) in *'Docker Compose'*) echo 'podman compose' ;; esac
    command -v podman-compose >/dev/null 2>&1 && echo podman-compose
    ;;
  *)
    if "$@" compose version >/dev/null 2>&1 </dev/null; then echo "$* compose"
    elif command -v docker-compose >/dev/null 2>&1; then shift; echo "docker-compose${*:+ $*}"
    fi ;;
  esac
}
if command -v docker >/dev/null 2>&1; then
  if [ -n "$DOCKER_HOST" ]; then ask docker
  else
    [ ! -S /var/run/docker.sock ] || ask docker -H unix:///var/run/docker.sock
    for socket in /run/user/*/docker.sock; do
      if [ -S "$socket" ] && [ -w "$socket" ]; then
        owner=$(stat -c %U "$socket")
        ask docker -H "unix://$socket"
        owner=
      fi
    done
  fi
fi
if command -v podman >/dev/null 2>&1; then
  uid=$(id -u) used=/run/libpod
  [ "$uid" = 0 ] || { owner=$(id -un); used=${XDG_RUNTIME_DIR:-/run/user/$uid}/libpod; }
  [ ! -d "$used" ] || ask podman
  [ "$uid" = 0 ] && for used in /run/user/*/libpod; do
    [ -d "$used" ] || continue
    cd /
    owner=$(stat -c %U "$used")
    ask runuser -u "$owner" -- env "XDG_RUNTIME_DIR=${used%/libpod}" podman
  done
fi
exit 0
"""
REQUEST = (_LOOK,)
"""The script that `find` runs."""
_DENIED = r"""
[ -z "$DOCKER_HOST" ] && [ -S "$1" ] && [ ! -w "$1" ] && echo denied
exit 0
"""
DENIED_REQUEST = (_DENIED, "/var/run/docker.sock")
"""The script that `is_denied` runs."""
# Podman's generator uses the drop-ins in every folder of quadlets: those for the file, for each prefix of its name that
# ends with a dash, and for all containers.
_SOURCES = r"""
systemctl=$1
shift
for unit; do
  path=$($systemctl show --no-pager -p SourcePath --value -- "$unit" 2>/dev/null)
  printf '\036%s\037%s' "$unit" "$path"
  case $path in *.container) ;; *) continue ;; esac
  name=${path##*/}
  folders="$name.d container.d"
  prefix=${name%.container}
  while case $prefix in *-*) true ;; *) false ;; esac; do
    prefix=${prefix%-*}
    folders="$folders $prefix-.container.d"
  done
  for place in "${path%/*}" /etc/containers/systemd /run/containers/systemd /usr/share/containers/systemd; do
    for folder in $folders; do
      for file in "$place/$folder"/*.conf; do
        [ ! -f "$file" ] || { printf '\037%s\035' "$file"; cat "$file"; }
      done
    done
  done
done
exit 0
"""
UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
PODMAN_COMPOSE_VERSION = "io.podman.compose.version"
"""The label that only containers of podman-compose have, and not those of Docker's Compose."""
PODMAN_COMPOSE = "podman-compose"
_EDITED = ("Exec", "Entrypoint", "HealthCmd", "PublishPort", "PodmanArgs")
"""The keys that Firescreen edits in a quadlet, or that decide how to edit it."""
_OWN_SOCKET = " -H unix:///var/run/docker.sock"
_TIMEOUT = 60.0
"""Seconds for the daemon: a busy one is slow. A daemon that hangs is an error, not a host without containers."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine of a host.

    Attributes:
        words: its command, e.g. `docker`, `docker -H unix:///run/user/1000/docker.sock`, `podman`, or a user's podman.
        compose: the commands that run Compose with it, one per line; '' if there is none.
        containers: the output of `inspect` for each container.
        owner: the user who runs it rootless, whose networks the host cannot reach; '' for root's.
    """

    words: str
    compose: str
    containers: tuple[Mapping[str, Any], ...] = field(hash=False)
    owner: str = ""

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, of any user."""
        return self.words.split()[-1] == "podman"


@dataclass(frozen=True, slots=True)
class Quadlet:
    """The file from which Podman's generator made a unit; `dropins` lists its drop-ins as (path, text)."""

    path: str
    dropins: tuple[tuple[str, str], ...] = ()

    @property
    def overriding(self) -> str:
        """The drop-in that overrides settings that Firescreen edits in the file; '' if there is none."""
        for path, text in self.dropins:
            for each in unit_settings.settings(text):
                if each.section == "[Container]" and each.key in _EDITED:
                    return path
        return ""


def find(connection: Connection) -> tuple[Engine, ...]:
    """The engines with containers; a container that two commands list belongs to the first."""
    seen: set[str] = set()
    found = []
    for engine_command, owner, text, compose in _parts(
        4, connection.run_script(*REQUEST, timeout=_TIMEOUT).stdout
    ):
        try:
            inspected: list[dict[str, Any]] = json.loads(text) if text.strip() else []
        except ValueError:
            continue
        new = tuple(each for each in inspected if each.get("Id") not in seen)
        seen |= {each.get("Id", "") for each in new}
        if new:
            command, compose_command = (
                each.replace(_OWN_SOCKET, "").strip() for each in (engine_command, compose)
            )
            found.append(Engine(command, compose_command, new, owner))
    return tuple(found)


def is_denied(connection: Connection) -> bool:
    """Whether Docker runs and this user may not access it, so that `find` does not see its containers."""
    return connection.run_script(*DENIED_REQUEST, timeout=10).stdout.strip() == "denied"


def quadlets(connection: Connection, engine: Engine) -> dict[str, Quadlet]:
    """The quadlets of the systemd units that run containers of an engine, by full unit name."""
    units = dict.fromkeys(filter(None, map(unit_of, engine.containers)))
    if not units:
        return {}
    systemctl = f"{engine.words.removesuffix('podman')}systemctl{' --user' if engine.owner else ''}"
    ended = connection.run_script(_SOURCES, systemctl, *units, timeout=20)
    found = {}
    for record in ended.stdout.split("\x1e")[1:]:
        unit, path, *dropins = record.split("\x1f")
        if path.strip().endswith(".container"):
            parts = (each.partition("\x1d") for each in dropins)
            found[unit] = Quadlet(
                path.strip(), tuple(dict.fromkeys((place, text) for place, _, text in parts))
            )
    return found


def enforces_selinux(connection: Connection, *, path: str = "/sys/fs/selinux/enforce") -> bool:
    """Whether SELinux denies containers files without their label; a file of the kernel says so."""
    return connection.run(["cat", path], timeout=10).stdout.strip() == "1"


def compose_of(inspected: Mapping[str, Any], engine: Engine) -> str:
    """The command of the Compose that made a container; '' if it is not installed."""
    by_podman_compose = bool((inspected.get("Config", {}).get("Labels") or {}).get(PODMAN_COMPOSE_VERSION))
    found = [each for each in engine.compose.splitlines() if (each == PODMAN_COMPOSE) is by_podman_compose]
    return found[0] if found else ""


def unit_of(inspected: Mapping[str, Any]) -> str:
    """The systemd unit that runs a container of Podman; '' if there is none."""
    return str((inspected.get("Config", {}).get("Labels") or {}).get(UNIT_LABEL, ""))


def _parts(count: int, text: str) -> Iterator[list[str]]:
    for record in text.split("\x1e")[1:]:
        parts = record.split("\x1f", count - 1)
        yield [*parts, *[""] * (count - len(parts))]

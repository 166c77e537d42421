"""Finds clients on a host that request a component by plain http: units, cron jobs, checks, and scripts named there.

The search is limited to the folders of systemd, cron and a few monitors, the programs in /usr/local, and the scripts
that the administrator's units and cron jobs name; to a few hundred files, and 64 KB of each.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from wizard.config_files import command_urls
from wizard.connections.base import Connection
from wizard.model import Caller
from wizard.redact import plain, redact

_MOST = 100
"""The maximum number of callers that are reported."""

# The script only looks for lines with one of the ports; whether a line has a plain http URL is decided in Python.
_SEARCH = r"""
LC_ALL=C
pattern=":($1)([^0-9.:]|\$)"
holds() { head -c 65536 -- "$@" 2>/dev/null | grep -aE -- "$pattern" >/dev/null 2>&1; }
search() {
  kind=$1
  shift
  for file; do
    [ -f "$file" ] && [ -r "$file" ] || continue
    found=$(head -c 65536 -- "$file" 2>/dev/null | grep -anE -- "$pattern" 2>/dev/null | head -n 20) || continue
    [ -z "$found" ] || printf '\036%s\n%s\n%s\n' "$kind" "$file" "$found"
  done
}
units='/etc/systemd/system/*.service /etc/systemd/system/*.service.d/*.conf'
made='/run/systemd/system/*.service /run/systemd/system/*.service.d/*.conf /usr/local/lib/systemd/system/*.service'
packaged='/usr/lib/systemd/system/*.service /usr/lib/systemd/system/*.service.d/*.conf'
crons='/etc/crontab /etc/anacrontab /etc/cron.d/* /var/spool/cron/* /var/spool/cron/crontabs/*'
often='/etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/*'
checks='/etc/monit/monitrc /etc/monitrc /etc/monit/conf.d/* /etc/monit.d/* /etc/keepalived/*.conf
  /etc/consul.d/* /etc/consul/*.json /etc/nagios/nrpe.cfg /etc/nagios/nrpe.d/* /etc/prometheus/*.sh'
named=$(head -qc 65536 -- $units $crons 2>/dev/null | grep -aoE '/[A-Za-z0-9_./-]+')
left=2000 seen=' '
set --
for file in /usr/local/bin/* /usr/local/sbin/* $named; do
  case $seen in *" $file "*) continue ;; esac
  seen="$seen$file "
  left=$((left - 1))
  [ "$left" -ge 0 ] || break
  case $file in /etc/cron*|/proc/*|/dev/*|/sys/*) continue ;; esac
  # A link of another user's could lead anywhere.
  [ -f "$file" ] && [ ! -L "$file" ] && IFS= read -r first 2>/dev/null < "$file" || continue
  case $first in '#!'*) set -- "$@" "$file" ;; esac
done
# Most hosts have no such file; two processes find that out for all of them.
holds $units $made $packaged $crons $often $checks "$@" || exit 0
search unit $units $made
# Packages bring hundreds of units: one grep finds those that are worth a search.
search unit $(grep -lE -- "$pattern" $packaged 2>/dev/null | head -n 50)
search cron $crons $often
search check $checks
search script "$@"
exit 0
"""


def request(ports: Collection[int]) -> tuple[str, ...]:
    """The script that `find` runs, with its arguments."""
    return _SEARCH, "|".join(map(str, sorted(ports)))


def find(connection: Connection, ports: Collection[int]) -> tuple[Caller, ...]:
    """Every line on the host that requests one of these ports by plain http, file by file."""
    if not ports:
        return ()
    ended = connection.run_script(*request(ports), timeout=30)
    found: dict[tuple[str, int], Caller] = {}
    for record in ended.stdout.split("\x1e")[1:]:
        kind, path, *lines = record.splitlines()
        for each in lines:
            number, _, text = each.partition(":")
            if not number.isdecimal():
                continue
            for url in command_urls.plain(text):
                if url.port in ports:
                    shown = plain(redact(text.strip()), 300)
                    caller = Caller(kind, path, int(number), shown, url.host, url.port, _unit(kind, path))  # type: ignore[arg-type]
                    found.setdefault((path, int(number)), caller)
    return tuple(found.values())[:_MOST]


def _unit(kind: str, path: str) -> str:
    """The unit to which the file belongs, with `.service`; '' if there is none."""
    match = re.search(r"/([^/]+\.service)(?:\.d/[^/]+)?$", path)
    return match.group(1) if match and kind == "unit" else ""

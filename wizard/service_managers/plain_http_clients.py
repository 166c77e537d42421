"""Finds what on a host requests a component by plain http: units, cron jobs, checks, and the scripts that these name.

The search is bounded: the folders of systemd, cron and a few monitors, /usr/local's programs, and the scripts that the
units and cron jobs of the administrator name; at most some hundred files of 64 KB.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from wizard.config_files import command_urls
from wizard.connections.base import Connection
from wizard.model import Caller
from wizard.redact import plain, redact

_MOST = 100
"""Callers that are told of at most."""

# What a line must hold at least is looked for there; whether it asks by http is decided here.
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
  # A link of somebody else's could lead anywhere.
  [ -f "$file" ] && [ ! -L "$file" ] && IFS= read -r first 2>/dev/null < "$file" || continue
  case $first in '#!'*) set -- "$@" "$file" ;; esac
done
# Most hosts have nothing of the kind, which two processes tell of all these files.
holds $units $made $packaged $crons $often $checks "$@" || exit 0
search unit $units $made
# Hundreds of units come with packages: one look tells which of them are worth a closer one.
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
    """Every line on the host that asks one of these ports by plain http, file by file."""
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
    """The unit whose file it is, with its `.service`; '' for none."""
    match = re.search(r"/([^/]+\.service)(?:\.d/[^/]+)?$", path)
    return match.group(1) if match and kind == "unit" else ""

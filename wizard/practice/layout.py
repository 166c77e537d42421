"""Writes the initial files of a practice stack: folders, flags, and each program's configuration."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from wizard import assets, ownfiles
from wizard.components import component as find_component
from wizard.practice.record import BESIDE, FIRST, WHOLE, PracticeHost, PracticeStack, dump, host_ports

_TOOLKIT_READY = "TLS is "
"""Logged by programs with the exporter toolkit after they have read their web configuration; the port opens earlier."""
_READY = {
    "prometheus": "Server is ready to receive web requests",
    "caddy": "serving initial configuration",
}
"""Logged by the other programs when they are ready."""
_CONFIGURATIONS = {
    "prometheus": ("prometheus.yml", "rules.yml"),
    "alertmanager": ("alertmanager.yml",),
    "blackbox_exporter": ("blackbox.yml",),
    "caddy": ("Caddyfile",),
}
"""The initial files in etc/<component>, by component; web.yml is only written by a plan."""
_COLLECTORS = ("cpu", "loadavg", "meminfo", "time", *(("uname",) if sys.platform == "linux" else ()))


def lay_out(root: Path, before: PracticeStack | None, planned: PracticeStack) -> None:
    """Writes missing files; in existing ones, only changed addresses are replaced."""
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for host in planned.hosts:
        own = Path(host.folder)
        for folder in (own / "etc" / host.component, Path(host.service_folder), own / "data"):
            _folder(folder, root=root)
        service = {
            "component": host.component,
            "program": host.program,
            "version": host.version,
            "home": str(own / "etc" / host.component),
            "cwd": str(own),
            "port": host_ports()[host.name][1],
            "ready": _READY.get(host.component, _TOOLKIT_READY),
            # Keeps Caddy from writing its data into the home folder of the user.
            "environment": {"HOME": str(own / "data")} if host.name in BESIDE else {},
        }
        ownfiles.replace(
            Path(host.service_folder) / "service.json", json.dumps(service, indent=2) + "\n", 0o640
        )
        if not (arguments := Path(host.service_folder) / "arguments").exists():
            ownfiles.replace(arguments, _arguments(host), 0o640)
        files = {name: _first(name, planned) for name in _CONFIGURATIONS.get(host.component, ())}
        if host.name not in BESIDE:
            files |= dict(find_component(host.component).practice_files)
        for name, text in files.items():
            if not (path := own / "etc" / host.component / name).exists():
                ownfiles.replace(path, text, 0o640)
    earlier = {host.name: host for host in before.hosts} if before else {}
    config = configuration(planned)
    moved = [
        (old, host) for host in planned.hosts if (old := earlier.get(host.name)) and old.listen != host.listen
    ]
    _move_all(moved, planned, config)
    added = [host for host in planned.hosts if host.name not in earlier and host.name not in BESIDE]
    # The templates cover a new stack with the first two or with all components; other sets extend the first template.
    if added and (before or planned.components not in (FIRST, WHOLE)):
        from wizard.practice import extension

        content = config.read_bytes()
        extended = extension.add_hosts(content, added, prometheus=planned.host("prometheus"))
        if extended != content:
            ownfiles.replace(config, extended, 0o640)
    ownfiles.replace(root / "practice.json", dump(planned), 0o640)


def configuration(planned: PracticeStack) -> Path:
    """The path of the practice Prometheus' configuration."""
    return Path(planned.host("prometheus").folder) / "etc" / "prometheus" / "prometheus.yml"


def _first(name: str, planned: PracticeStack) -> str:
    """The initial content of a configuration file."""
    has_all = name == "prometheus.yml" and planned.components == WHOLE
    text = assets.path(f"practice/{'whole.yml' if has_all else name}").read_text(encoding="utf-8")
    for host in planned.hosts:
        text = text.replace(f"@{host.name}@", host.listen).replace(f"@{host.name}.address@", host.address)
    return text


def _arguments(host: PracticeHost) -> str:
    own = Path(host.folder)
    etc = own / "etc" / host.component
    if host.component == "caddy":
        return f"# One argument on each line; read at the next restart.\nrun\n--config={etc / 'Caddyfile'}\n"
    lines = ["# One flag on each line; read at the next restart.", f"--web.listen-address={host.listen}"]
    if host.component == "prometheus":
        lines += [
            f"--config.file={etc / 'prometheus.yml'}",
            f"--storage.tsdb.path={own / 'data'}",
            "--storage.tsdb.retention.time=6h",
            "--storage.tsdb.retention.size=64MB",
            # An alert that could not be sent because Alertmanager was not up yet is sent again soon, not after a minute.
            "--rules.alert.resend-delay=1s",
        ]
    elif host.component == "alertmanager":
        # Without a cluster address, it runs alone and opens no second port.
        lines += [
            f"--config.file={etc / 'alertmanager.yml'}",
            f"--storage.path={own / 'data'}",
            "--cluster.listen-address=",
        ]
    elif host.component == "pushgateway":
        # By default, Debian's pushgateway stores pushed metrics in /var/lib/prometheus.
        lines += [f"--persistence.file={own / 'data' / 'pushed'}"]
    elif host.component == "blackbox_exporter":
        lines += [f"--config.file={etc / 'blackbox.yml'}"]
    elif host.component == "node_exporter":
        lines += [
            "--collector.disable-defaults",
            *(f"--collector.{collector}" for collector in _COLLECTORS),
        ]
    else:
        known = find_component(host.component).practice_arguments
        lines += [argument.format(data=own / "data", home=etc) for argument in known]
    return "\n".join(lines) + "\n"


def _move_all(
    moved: Sequence[tuple[PracticeHost, PracticeHost]], planned: PracticeStack, config: Path
) -> None:
    """Replaces the addresses of moved hosts in all files of the stack."""
    proxies = [
        Path(host.folder) / "etc" / host.component / name
        for host in planned.hosts
        if host.name in BESIDE
        for name in _CONFIGURATIONS[host.component]
    ]
    arguments = [Path(host.service_folder) / "arguments" for host in planned.hosts]
    for old, host in moved:
        for path in (*arguments, config, *proxies):
            _move(path, old.listen, host.listen)
            _move(path, old.loopback, host.loopback)
    for path in proxies:
        for old, host in moved:
            _move(path, old.address, host.address)


def _move(path: Path, old: str, new: str) -> None:
    """Replaces an address:port in a file without changing any other byte."""
    content = path.read_bytes()
    changed = re.sub(rb"(?<![\d.])" + re.escape(old.encode()) + rb"(?!\d)", new.encode(), content)
    if changed != content:
        ownfiles.replace(path, changed, 0o640)


def _folder(path: Path, *, root: Path) -> None:
    """Creates a folder and its parents up to `root`, each with mode 0750."""
    for folder in (*reversed([above for above in path.parents if above.is_relative_to(root)]), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o750)
            folder.chmod(0o750)

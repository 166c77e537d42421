"""The timer that renews due certificates and writes metrics: its unit files, its installation and removal. Pure functions."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from wizard.model import (
    WORKSPACE,
    Change,
    ContentKind,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    MakeFolder,
    PathInfo,
    Plan,
    PlannedStep,
    Role,
    RunService,
    Service,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.planner import grafana as grafana_facts
from wizard.planner import manual_commands, paths
from wizard.planner.front_doors import door_facts
from wizard.service_managers.registry import manager_of
from wizard.service_managers.systemd_timer import NAME, USER

HERE = "this-machine"
"""The host name in the timer's plans: this machine, which has the CA."""
CALENDAR = "*-*-* 00/6:00:00"
DELAY = "30min"
Kind: TypeAlias = Literal["system", "user", "cron"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """The settings of a timer: what it runs, and where its files are."""

    kind: Kind
    stack: str
    """Absolute path of the stack file, or `practice`."""
    workspace: str
    program: tuple[str, ...]
    """The command that starts Firescreen."""
    user: str
    """The user that runs it."""
    home: str
    """The home folder of that user."""
    metrics: str = ""
    """The path of the metrics file for node_exporter's textfile collector; '' for none."""
    passphrase_file: str = ""
    calendar: str = CALENDAR
    delay: str = DELAY
    password_days: int = 0
    """Generated passwords older than this number of days are replaced too; 0 for none."""
    writable: tuple[str, ...] = ()
    """Folders outside the workspace to which a renewal writes."""
    sudo: bool = False
    """Whether the renewal uses sudo on this machine, which must be allowed to gain privileges."""

    @property
    def name(self) -> str:
        """The name of its units, different for each stack."""
        stem = re.sub(r"[^A-Za-z0-9_-]", "-", PurePosixPath(self.stack).stem)[:40]
        return f"firescreen-{stem}-{hashlib.sha256(self.stack.encode()).hexdigest()[:6]}"

    @property
    def folder(self) -> str:
        """The folder of its unit files or crontab."""
        return {
            "system": "/etc/systemd/system",
            "user": f"{self.home}/.config/systemd/user",
            "cron": "/etc/cron.d",
        }[self.kind]

    @property
    def service(self) -> Service:
        """The timer unit as a service that can be started and stopped."""
        return Service(
            host=HERE,
            component="firescreen",
            manager=NAME,
            unit=f"{self.name}.timer",
            kind=USER if self.kind == "user" else "",
        )

    @property
    def renewal(self) -> tuple[str, ...]:
        """The command that renews."""
        given = (
            ("--passphrase-file", self.passphrase_file)
            if self.kind == "cron" and self.passphrase_file
            else ()
        )
        aged = ("--passwords", f"{self.password_days}") if self.password_days else ()
        return (*self._front, "renew", self.stack, "--due", "--yes", *aged, *given)

    @property
    def measuring(self) -> tuple[str, ...]:
        """The command that writes the metrics; () for none."""
        return (*self._front, "upkeep", "metrics", self.stack, "-o", self.metrics) if self.metrics else ()

    @property
    def _front(self) -> tuple[str, ...]:
        return (*self.program, "--workspace", self.workspace)

    def files(self) -> dict[str, str]:
        """The contents of its files, by path."""
        if self.kind == "cron":
            return {f"{self.folder}/{self.name}": self._crontab()}
        wants = f"{self.folder}/timers.target.d/{self.name}.conf"
        return {
            f"{self.folder}/{self.name}.service": self._service_unit(),
            f"{self.folder}/{self.name}.timer": self._timer_unit(),
            # A drop-in instead of the symbolic link of `systemctl enable`: a file can be previewed and undone as usual.
            wants: f"# Starts the timer with the system.\n[Unit]\nWants={self.name}.timer\n",
        }

    def _service_unit(self) -> str:
        lines = [
            f"# Written by: firescreen upkeep install {self.stack}",
            "[Unit]",
            f"Description=Renew the certificates of {_unit_text(self.stack)} that are due",
            *(
                # A missed run is made up for at boot, but not before the components run.
                ["Wants=network-online.target", "After=network-online.target multi-user.target"]
                if self.kind == "system"
                else []
            ),
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={_command(self.renewal)}",
        ]
        if self.measuring:
            lines += [
                "# Also after a renewal that failed: the alert for it needs the metric.",
                f"ExecStopPost={_command(self.measuring)}",
            ]
        if self.passphrase_file:
            lines.append(f"LoadCredential=firescreen-passphrase:{_unit_text(self.passphrase_file)}")
        if self.kind == "system" and self.user != "root":
            lines.append(f"User={self.user}")
        lines += ["TimeoutStartSec=1h", "UMask=0077", *self._hardening_lines()]
        return "\n".join(lines) + "\n"

    def _hardening_lines(self) -> Iterable[str]:
        yield "LockPersonality=yes"
        if self.sudo:
            return  # sudo needs to gain privileges, and the programs that it starts would be in the same sandbox
        yield "NoNewPrivileges=yes"
        yield "RestrictRealtime=yes"
        if self.kind == "user":
            return  # the user's systemd cannot make the file system read-only on older kernels
        yield "RestrictSUIDSGID=yes"
        yield "ProtectSystem=strict"
        yield "ProtectHome=read-only"
        yield "ProtectKernelTunables=yes"
        yield "ProtectKernelModules=yes"
        yield "ProtectKernelLogs=yes"
        yield "ProtectControlGroups=yes"
        yield "ProtectClock=yes"
        yield "ProtectHostname=yes"
        yield "RestrictNamespaces=yes"
        yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"
        folders = [self.workspace, *self.writable, "/run", "/tmp"]  # noqa: S108 - the lock of hosts lies there
        if self.metrics:
            folders.append(str(PurePosixPath(self.metrics).parent))
        yield "# The workspace, the folders of what is renewed on this machine, the metrics, and the lock of hosts."
        for folder in dict.fromkeys(folders):
            yield f'ReadWritePaths="-{_unit_text(folder)}"'

    def _timer_unit(self) -> str:
        return (
            f"# Written by: firescreen upkeep install {self.stack}\n"
            f"[Unit]\nDescription=When the certificates of {_unit_text(self.stack)} are looked at\n\n"
            f"[Timer]\nOnCalendar={self.calendar}\nRandomizedDelaySec={self.delay}\nAccuracySec=1s\n"
            "# A time that was missed while the machine was off is made up for.\nPersistent=true\n"
        )

    def _crontab(self) -> str:
        minute = int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 60
        commands = "; ".join(shlex.join(each) for each in (self.renewal, self.measuring) if each)
        return (
            f"# Written by: firescreen upkeep install {self.stack}\n"
            f"{minute} */6 * * * {self.user} {commands.replace('%', chr(92) + '%')}\n"
        )


def writable_folders(stack: Stack, facts: Facts) -> tuple[str, ...]:
    """The folders on this machine to which a renewal of the stack writes."""
    local = {spec.name for spec in stack.hosts if spec.connect == "local"}
    servers = [each for each in paths.servers(stack, facts) if each.spec.host in local]
    found = [folder for each in servers for folder in (each.home, posixpath.dirname(each.web_file))]
    for client in (*paths.scrapers(stack, facts), *paths.probers(stack, facts)):
        if client.service.host in local:
            files = paths.config_files(facts, client.service)
            found += [client.folder, client.own_folder, *(posixpath.dirname(each) for each in files)]
    for grafana in grafana_facts.clients(facts):
        if grafana.host.spec.name in local and grafana.files:
            found += [grafana.folder, grafana.datasources]
    for door in door_facts.doors(stack, facts):
        if door.door.host in local:
            # The proxy's checker reads a copy beside its main configuration, and opens the log files named there.
            logs = f"/var/log/{door.service.unit.removesuffix('.service')}"
            found += [door.proxy.home, posixpath.dirname(door.site)]
            found += [posixpath.dirname(door.service.config_file), logs]
    return tuple(dict.fromkeys(found))


def installation(
    timer: Timer,
    there: Mapping[str, FileState | None],
    folders: Mapping[str, PathInfo | None],
    me: tuple[str, str],
) -> Plan:
    """Plans the installation of a timer; no steps if it is installed.

    Args:
        there: the present files of the timer, by path.
        folders: the present folders above these files, by path; None if one does not exist.
        me: user and group of new files.
    """
    changes: list[Change] = []
    aged = f" --passwords {timer.password_days}" if timer.password_days else ""
    why = f"It runs firescreen renew --due --yes{aged} from then on, and nothing else."
    for path, text in timer.files().items():
        after = FileState(text.encode(), 0o644, *me)
        before = there.get(path)
        if before is not None and before.content == after.content:
            continue
        changes += _folders(
            path, folders, me, why, made={each.path for each in changes if isinstance(each, MakeFolder)}
        )
        changes.append(_write(path, before, after, why))
    return _plan(timer, changes, "Install the timer that renews what is due", why)


def removal(timer: Timer, there: Mapping[str, FileState | None]) -> Plan:
    """Plans the removal of a timer; no steps if it is not installed."""
    why = "Nothing is renewed by itself from then on."
    changes: list[Change] = [
        _write(path, there[path], None, why) for path in timer.files() if there.get(path) is not None
    ]
    return _plan(timer, changes, "Remove the timer that renews what is due", why)


def _folders(
    path: str, known: Mapping[str, PathInfo | None], me: tuple[str, str], why: str, *, made: set[str]
) -> Iterable[MakeFolder]:
    for folder in reversed(PurePosixPath(path).parents):
        name = str(folder)
        if name in known and known[name] is None and name not in made:
            yield manual_commands.make_folder(HERE, name, mode=0o755, owner=me[0], group=me[1], why=why)


def _write(path: str, before: FileState | None, after: FileState | None, why: str) -> WriteFile:
    return WriteFile(
        host=HERE,
        path=path,
        before=before,
        after=after,
        why=why,
        content_kind=ContentKind.SERVICE_FLAGS,
        by_hand=manual_commands.text(path, after) if after is not None else manual_commands.remove_file(path),
    )


def _plan(timer: Timer, changes: list[Change], title: str, why: str) -> Plan:
    spec = HostSpec(name=HERE, connect="local")
    stack = Stack(hosts=(spec,), components=(), source=timer.stack)
    facts = Facts(
        hosts={name: HostFacts(spec=replace(spec, name=name)) for name in (HERE, WORKSPACE)},
        workspace=timer.workspace,
    )
    if changes and timer.kind != "cron":
        service = timer.service
        changes.append(
            RunService(
                host=HERE,
                service=service,
                action="restart",
                why="systemd reads the files, and starts or stops the timer.",
                by_hand=manager_of(service).manual_commands(service, "restart"),
            )
        )
    step = PlannedStep(
        id=f"{StepKind.UPKEEP}:{timer.name}",
        kind=StepKind.UPKEEP,
        title=title,
        host=HERE,
        why=why,
        # With the role of a client, a failure rolls back the whole run.
        changes=tuple(changes),
        role=Role.CLIENT,
    )
    return Plan(stack=stack, facts=facts, steps=(step,) if changes else (), probes=())


def _command(words: Sequence[str]) -> str:
    """A command line in the quoting of systemd."""
    return " ".join(_quote_word(each) for each in words)


def _quote_word(word: str) -> str:
    harmless = _unit_text(word).replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@+=:,./%-]+", harmless):
        return harmless
    return '"' + harmless.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unit_text(text: str) -> str:
    """A text for a unit file, with specifiers escaped and newlines replaced."""
    return text.replace("%", "%%").replace("\n", " ")

"""Validates a staged configuration file with our own checks, promtool and the exporter itself."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.connections.base import Connection
from wizard.errors import ValidationError
from wizard.model import Completed, ContentKind, Facts, WriteFile
from wizard.redact import plain, redact


def validate(
    connection: Connection, change: WriteFile, staged: str, facts: Facts, written: Mapping[str, bytes]
) -> None:
    """Validates a staged file: always with our own checks, and with the program's own checker if it is available.

    Args:
        staged: path of the staged file.
        written: contents by path of files that this run has written, so that they need not be read again.

    Raises:
        ValidationError: the file is invalid.
    """
    if not change.check or change.after is None:
        return
    if change.content_kind is ContentKind.PROXY_CONFIG:
        from wizard.engine import proxy_check

        proxy_check.check(connection, change, staged, facts)
        return

    def read(path: str) -> bytes | None:
        if path in written:
            return written[path]
        state = connection.read(path)
        return state.content if state is not None else None

    host = facts.hosts[change.host]
    problems = _check_problems(change, change.after.content, read, facts)
    # Problems that the file had before are no reason to stop: only new ones are reported.
    old = {_without_line(problem) for problem in _problems_before(change, read, facts)}
    new = [problem for problem in problems if _without_line(problem) not in old]
    if new:
        raise ValidationError(redact(plain(new[0])), where=f"{change.host}:{change.path}")
    prefix = _checker_prefix(change, facts)
    if change.check == "blackbox-config" and prefix is not None:
        _exporter_check(connection, change, staged, facts, prefix)
    inside = any(
        each.container is not None and each.config_file == change.path and each.active
        for each in host.services
    )
    # promtool on the host cannot check the configuration of a container, whose paths only exist in the container; the
    # program in the container reports errors itself.
    if (
        host.promtool
        and change.check in ("web-config", "prometheus-config")
        and prefix is not None
        and not inside
    ):
        words = "web-config" if change.check == "web-config" else "config"
        ended = connection.run([*prefix, host.promtool, "check", words, staged], timeout=60)
        # A promtool older than the component does not know its newest settings; our own check does.
        unknown = change.check == "web-config" and "not found in type" in ended.stdout + ended.stderr
        unknown = unknown or (bool(prefix) and ended.code in (126, 127))  # the host has no runuser
        if ended.code != 0 and not unknown:
            output = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
            raise ValidationError(
                f"promtool rejects it: {redact(plain(output, 500))}",
                where=f"{change.host}:{change.path}",
                todo="Correct what it names and plan again; the old file is still in place",
            )


def _exporter_check(
    connection: Connection, change: WriteFile, staged: str, facts: Facts, prefix: Sequence[str]
) -> None:
    """Runs the installed blackbox exporter's own check on its new configuration.

    Raises:
        ValidationError: it rejects the file.
    """
    found = facts.hosts[change.host].services
    service = next(
        (each for each in found if each.component == "blackbox_exporter" and each.config_file == change.path),
        None,
    )
    if (
        service is None
        or service.kind
        or service.container is not None
        or not posixpath.isabs(service.program)
    ):
        return  # its program cannot be started directly on the host

    def check_config(path: str) -> Completed:
        return connection.run(
            [*prefix, service.program, "--config.check", f"--config.file={path}"], timeout=60
        )

    ended = check_config(staged)
    if ended.code in (0, 126, 127) or check_config(change.path).code != 0:
        return  # it rejects the old file too, so our change is not the reason
    output = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
    raise ValidationError(
        f"the blackbox exporter rejects it: {redact(plain(output, 500))}",
        where=f"{change.host}:{change.path}",
        todo="Correct what it names and plan again; the old file is still in place",
    )


def _checker_prefix(change: WriteFile, facts: Facts) -> list[str] | None:
    """The command prefix with which a checker is run; None if it must not be run.

    If an unprivileged user can change the folder, file names in the configuration may lead anywhere. The checker then
    runs as the user of the service, which reads the same files, and not as root.
    """
    host = facts.hosts[change.host]
    examined = host.examined.get(change.path)
    if examined is None or not examined.guarded:
        return []
    for service in host.services:
        known = (service.config_file, service.web_config, posixpath.join(service.home, "web.yml"))
        if change.path in known and service.user != "root" and not service.user.isdecimal():
            # A unit may run its user with another group than the user's own.
            group = [] if service.group.isdecimal() else ["-g", service.group]
            return ["runuser", "-u", service.user, *group, "--"]
    return None


def _without_line(problem: str) -> str:
    """A problem without its line number, which our own edit may have changed."""
    return re.sub(r"^line \d+: ", "", problem)


def _problems_before(change: WriteFile, read: Callable[[str], bytes | None], facts: Facts) -> tuple[str, ...]:
    if change.before is None:
        return ()
    return _check_problems(change, change.before.content, read, facts)


def _check_problems(
    change: WriteFile, content: bytes, read: Callable[[str], bytes | None], facts: Facts
) -> tuple[str, ...]:
    folder = posixpath.dirname(change.path)
    match change.check:
        case "web-config":
            return web_config.check(content, toolkit=_toolkit(change, facts), read=read, folder=folder)
        case "cluster-config":
            from wizard.config_files import alertmanager_cluster

            return alertmanager_cluster.check(
                content, toolkit=_toolkit(change, facts), read=read, folder=folder
            )
        case "blackbox-config":
            from wizard.config_files import blackbox

            return blackbox.check(content, read=read)
    from wizard.config_files import prometheus as scrape

    return scrape.check(content, read=read, folder=folder)


def _toolkit(change: WriteFile, facts: Facts) -> str:
    services = facts.hosts[change.host].services
    # If several components share a folder, web.yml belongs to the component whose default folder it is.
    for service in sorted(
        services,
        key=lambda each: (each.web_config != change.path, find_component(each.component).home != each.home),
    ):
        names = ("web.yml", f"{service.component}-web.yml")
        homes = (service.web_config, *(posixpath.join(service.home, name) for name in names))
        if change.path in homes and service.version:
            return find_component(service.component).known_toolkit(service.version)
    return ""

"""Validates a configuration file that is about to take its place: with own checks, promtool and the exporter itself."""

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
    """Own checks always, promtool where it is at hand; both on the bytes that are about to be put in place.

    Args:
        written: files that need not be read again, by path: they were put there a moment ago.

    Raises:
        ValidationError: the file would not do.
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
    # What was wrong before and was not of our making is no reason to stop: only what is new is reported.
    old = {_without_line(problem) for problem in _problems_before(change, read, facts)}
    new = [problem for problem in problems if _without_line(problem) not in old]
    if new:
        raise ValidationError(redact(plain(new[0])), where=f"{change.host}:{change.path}")
    asker = _asker(change, facts)
    if change.check == "blackbox-config" and asker is not None:
        _exporter_check(connection, change, staged, facts, asker)
    inside = any(
        each.container is not None and each.config_file == change.path and each.active
        for each in host.services
    )
    # What a container's configuration names lies in the container; its program says what it thinks of it.
    if (
        host.promtool
        and change.check in ("web-config", "prometheus-config")
        and asker is not None
        and not inside
    ):
        words = "web-config" if change.check == "web-config" else "config"
        ended = connection.run([*asker, host.promtool, "check", words, staged], timeout=60)
        # A promtool older than the component does not know the newest settings; our own check does.
        unknown = change.check == "web-config" and "not found in type" in ended.stdout + ended.stderr
        unknown = unknown or (bool(asker) and ended.code in (126, 127))  # no runuser there
        if ended.code != 0 and not unknown:
            said = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
            raise ValidationError(
                f"promtool rejects it: {redact(plain(said, 500))}",
                where=f"{change.host}:{change.path}",
                todo="Correct what it names and plan again; the old file is still in place",
            )


def _exporter_check(
    connection: Connection, change: WriteFile, staged: str, facts: Facts, asker: Sequence[str]
) -> None:
    """Has the installed blackbox exporter check its new configuration.

    Raises:
        ValidationError: it refuses the file.
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
        return  # its program is none that can be started here

    def check_config(path: str) -> Completed:
        return connection.run(
            [*asker, service.program, "--config.check", f"--config.file={path}"], timeout=60
        )

    ended = check_config(staged)
    if ended.code in (0, 126, 127) or check_config(change.path).code != 0:
        return  # what it rejected before is not of our making
    said = (ended.stdout + ended.stderr).replace(staged, change.path).strip()
    raise ValidationError(
        f"the blackbox exporter rejects it: {redact(plain(said, 500))}",
        where=f"{change.host}:{change.path}",
        todo="Correct what it names and plan again; the old file is still in place",
    )


def _asker(change: WriteFile, facts: Facts) -> list[str] | None:
    """The words before promtool's; None where it is better not run.

    In a folder that somebody else can change it would read whatever its names lead to: it may do so with the rights of
    the service, which reads the same files, and not with root's.
    """
    host = facts.hosts[change.host]
    examined = host.examined.get(change.path)
    if examined is None or not examined.guarded:
        return []
    for service in host.services:
        known = (service.config_file, service.web_config, posixpath.join(service.home, "web.yml"))
        if change.path in known and service.user != "root" and not service.user.isdecimal():
            # A unit may give its user another group than its own.
            group = [] if service.group.isdecimal() else ["-g", service.group]
            return ["runuser", "-u", service.user, *group, "--"]
    return None


def _without_line(problem: str) -> str:
    """A problem without its line, which our own edit may have moved."""
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
    # Where several live in one folder, a bare web.yml is that of the component whose usual folder it is.
    for service in sorted(
        services,
        key=lambda each: (each.web_config != change.path, find_component(each.component).home != each.home),
    ):
        names = ("web.yml", f"{service.component}-web.yml")
        homes = (service.web_config, *(posixpath.join(service.home, name) for name in names))
        if change.path in homes and service.version:
            return find_component(service.component).known_toolkit(service.version)
    return ""

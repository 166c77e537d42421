"""Validates a staged reverse proxy file with the proxy's own checker, together with the proxy's other sites."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wizard.config_files.proxies import own_site
from wizard.connections.base import Connection
from wizard.errors import ValidationError
from wizard.front_doors import Proxy, all_proxies
from wizard.model import Facts, FileState, Service, WriteFile
from wizard.redact import plain, redact
from wizard.service_managers import reverse_proxies

_TAG = "check"


def check(connection: Connection, change: WriteFile, staged: str, facts: Facts) -> None:
    """Runs the proxy's checker on a copy of its main configuration that includes the staged file.

    The copy is placed beside the main configuration, because relative paths start there, and is removed afterwards.

    Args:
        staged: path of the staged file.

    Raises:
        ValidationError: the proxy rejects the file, or no proxy can check it; the old file is still in place.
    """
    where = f"{change.host}:{change.path}"
    for known in all_proxies():
        service = next(
            (each for each in facts.hosts[change.host].proxies if each.component == known.name), None
        )
        main = connection.read(service.config_file) if service is not None else None
        if service is None or main is None:
            continue
        with _main_with_staged(connection, known, service, main, _Staged(change, staged, facts)) as main_copy:
            if main_copy is None:
                continue
            if not main_copy:
                return
            words = [word.format(program=service.program, main=main_copy) for word in known.check]
            ended = connection.run(words, timeout=60)
        output = (ended.stdout + ended.stderr).replace(staged, change.path)
        output = output.replace(main_copy, service.config_file)
        if ended.code:
            raise ValidationError(
                f"{known.title} rejects it: {redact(plain(output.strip(), 500))}",
                where=where,
                todo="Correct what it names and plan again; the old file is still in place",
            )
        return
    raise ValidationError("there is no reverse proxy that could check it", where=where, todo="Plan again")


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file that is about to be put in place."""

    change: WriteFile
    path: str
    facts: Facts


@contextmanager
def _main_with_staged(
    connection: Connection, known: Proxy, service: Service, main: FileState, new: _Staged
) -> Iterator[str | None]:
    """Yields the path of a main configuration that includes the staged file; removes copies afterwards.

    Yields None if the file does not belong to this proxy, and '' if no site includes it yet.
    """
    path = new.change.path
    if path == service.config_file:
        yield new.path
    elif known.exporters:
        yield None
    elif fnmatch.fnmatchcase(path, known.site.format(name="*")):
        with _staged_copy(
            connection, service.config_file, main, known.shadow(_text(main), new.path), _TAG
        ) as copy:
            yield copy
    elif posixpath.dirname(path) == known.home:
        holder = _including_site(connection, new)
        if holder is None:
            yield ""
            return
        site, state = holder
        with _staged_copy(
            connection, site, state, _text(state).replace(path, new.path), "check-site"
        ) as changed:
            if site == service.config_file:
                yield changed
                return
            with _main_with_include(connection, known, service, main, (site, changed)) as copy:
                yield copy
    else:
        with _main_with_include(connection, known, service, main, (path, new.path)) as copy:
            yield copy


def _including_site(connection: Connection, new: _Staged) -> tuple[str, FileState] | None:
    """The path and state of the site file that includes a file; None if there is none."""
    found = new.facts.proxies.get(new.change.host)
    for path in dict.fromkeys(each.file for each in (found.sites if found is not None else ())):
        state = connection.read(path)
        if state is not None and new.change.path in _text(state):
            return path, state
    return None


@contextmanager
def _main_with_include(
    connection: Connection, known: Proxy, service: Service, main: FileState, files: tuple[str, str]
) -> Iterator[str | None]:
    """Yields a copy of the main configuration that includes files[1] instead of files[0]; None if it has no files[0]."""
    text = own_site.substitute_include(
        known.name,
        service.config_file,
        main.content,
        old=files[0],
        new=files[1],
        listed=lambda pattern: reverse_proxies.matching_files(connection, pattern),
    )
    if text is None:
        yield None
        return
    with _staged_copy(
        connection, service.config_file, main, text.decode("utf-8", "surrogateescape"), _TAG
    ) as copy:
        yield copy


@contextmanager
def _staged_copy(connection: Connection, path: str, state: FileState, text: str, tag: str) -> Iterator[str]:
    """Yields the path of a changed copy beside a file, and removes the copy afterwards."""
    content = text.encode("utf-8", "surrogateescape")
    copy = connection.stage(path, FileState(content, state.mode, state.owner, state.group), tag=tag)
    try:
        yield copy
    finally:
        connection.remove(copy)


def _text(state: FileState) -> str:
    return state.content.decode("utf-8", "surrogateescape")

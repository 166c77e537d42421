"""Has a reverse proxy check a front door together with its other sites, before the file is put in place."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from wizard.connections.base import Connection
from wizard.errors import ValidationError
from wizard.front_doors import Proxy, all_proxies
from wizard.model import Facts, FileState, Service, WriteFile
from wizard.redact import plain, redact

_TAG = "check"


def check(connection: Connection, change: WriteFile, staged: str, facts: Facts) -> None:
    """Has the proxy's own checker read its main configuration with the staged file taken in.

    The copy of the main configuration lies beside it, since relative paths begin there, and is removed again.

    Raises:
        ValidationError: the proxy rejects it, or there is no checker; the old file is still in place.
    """
    where = f"{change.host}:{change.path}"
    for known in all_proxies():
        service = next(
            (each for each in facts.hosts[change.host].proxies if each.component == known.name), None
        )
        if service is None:
            continue
        is_main = change.path == service.config_file
        if not is_main and posixpath.dirname(known.site) != posixpath.dirname(change.path):
            continue
        main = connection.read(service.config_file)
        if main is None:
            continue
        with _whole(connection, known, service, main, "" if is_main else staged) as whole:
            path = whole or staged
            words = [word.format(program=service.program, main=path) for word in known.check]
            ended = connection.run(words, timeout=60)
        said = (ended.stdout + ended.stderr).replace(staged, change.path).replace(path, service.config_file)
        if ended.code:
            raise ValidationError(
                f"{known.title} rejects it: {redact(plain(said.strip(), 500))}",
                where=where,
                todo="Correct what it names and plan again; the old file is still in place",
            )
        return
    raise ValidationError("there is no reverse proxy that could check it", where=where, todo="Plan again")


@contextmanager
def _whole(
    connection: Connection, known: Proxy, service: Service, main: FileState, site: str
) -> Iterator[str]:
    """The path of a copy of the main configuration with a site taken in, while that is looked at; '' for no site."""
    if not site:
        yield ""
        return
    text = known.shadow(main.content.decode("utf-8", "surrogateescape"), site)
    state = FileState(text.encode("utf-8", "surrogateescape"), main.mode, main.owner, main.group)
    path = connection.stage(service.config_file, state, tag=_TAG)
    try:
        yield path
    finally:
        connection.remove(path)

"""Has a reverse proxy check a front door together with its other sites, before the file is put in place."""

from __future__ import annotations

import posixpath

from wizard.connections.base import Connection
from wizard.errors import ValidationError
from wizard.front_doors import all_proxies
from wizard.model import Facts, FileState, WriteFile
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
        if service is None or posixpath.dirname(known.site) != posixpath.dirname(change.path):
            continue
        main = connection.read(service.config_file)
        if main is None:
            continue
        text = known.shadow(main.content.decode("utf-8", "surrogateescape"), staged)
        content = text.encode("utf-8", "surrogateescape")
        shadow = connection.stage(
            service.config_file, FileState(content, 0o600, main.owner, main.group), tag=_TAG
        )
        try:
            words = [word.format(main=shadow) for word in known.check]
            ended = connection.run([service.program, *words], timeout=60)
        finally:
            connection.remove(shadow)
        said = (ended.stdout + ended.stderr).replace(staged, change.path).replace(shadow, service.config_file)
        if ended.code:
            raise ValidationError(
                f"{known.title} rejects it: {redact(plain(said.strip(), 500))}",
                where=where,
                todo="Correct what it names and plan again; the old file is still in place",
            )
        return
    raise ValidationError("there is no reverse proxy that could check it", where=where, todo="Plan again")

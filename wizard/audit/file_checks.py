"""Files with secrets: who can read them, and which do not belong there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wizard.audit.report import Check
from wizard.audit.subjects import Found, ServerView, Unseen


def _readable(server: ServerView) -> Iterator[Found | Unseen]:
    service = server.service
    if server.web_problem:
        yield Unseen(server.web_problem)
    if not service.web_config:
        return
    named = [(service.web_config, "web configuration")]
    if server.web is not None and server.web.key_file:
        named.append((server.path_of(server.web.key_file), "private key"))
    for path, noun in named:
        info = server.host.readable_by_others(path)
        if info is not None:
            yield Found(
                evidence=f"the {noun} {path} has mode {info.mode:04o} {info.owner}:{info.group}", file=path
            )


CHECKS: Final = (
    Check(
        id="FIL-01",
        severity="high",
        title="A file with a secret is readable by other users",
        means=("file",),
        looks_at="Looks at mode and owner of keys, web configurations and password files, and of the folders above.",
        why="Every user and every program of that machine can copy the key or the hashes.",
        remediation="Give the file to root and the service's group with mode 0640",
        scope="server",
        step="secure",
        look=_readable,
    ),
)

"""A proxy's needs besides certificate and key: both in one file, and a reload when certbot renews them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from wizard.model import Change, ContentKind, FileState, WriteFile
from wizard.planner import manual_commands
from wizard.planner.certificates import Pair
from wizard.planner.front_doors.door_facts import HEAD, HOOKS, KnownDoor


def bundle(known: KnownDoor, pair: Pair) -> tuple[Change, ...]:
    """Plans the file with certificate and key, for a proxy that requires them in one."""
    if not known.bundle:
        return ()
    made = {change.path: change.after for change in pair.changes if isinstance(change, WriteFile)}
    key = made.get(pair.key_file) or known.host.files[pair.key_file]
    assert key is not None
    content = b"".join(
        part if part.endswith(b"\n") else part + b"\n" for part in (pair.certificate, key.content)
    )
    before, after = known.host.files.get(known.bundle), FileState(content, 0o600, "root", "root")
    if before is not None and (before.content, before.rights) == (after.content, after.rights):
        return ()
    return (
        known.write(
            known.bundle,
            after,
            ContentKind.PRIVATE_KEY,
            why=f"{known.proxy.title} reads certificate and key from one file.",
            by_hand=manual_commands.join_files(known.bundle, (pair.certificate_file, pair.key_file), after),
        ),
    )


def hook(known: KnownDoor, pair: Pair) -> Iterator[Change]:
    """Plans the script that certbot runs after a renewal: the proxy reads the new certificate only at a reload."""
    if not known.hook:
        return
    lines = ["#!/bin/sh", HEAD.decode(), "set -eu"]
    if known.bundle:
        parts = shlex.join((pair.certificate_file, pair.key_file))
        new = shlex.quote(f"{known.bundle}.new")
        lines += ["umask 077", f"cat {parts} >{new}", f"mv {new} {shlex.quote(known.bundle)}"]
    lines.append(f"systemctl reload {known.proxy.unit}")
    after = FileState("".join(f"{line}\n" for line in lines).encode(), 0o755, "root", "root")
    before = known.host.files.get(known.hook)
    if before is not None and (before.content, before.rights) == (after.content, after.rights):
        return
    for folder in HOOKS:
        yield from known.server.system_folder(
            folder, why="certbot runs what is in this folder after a renewal."
        )
    yield known.write(
        known.hook,
        after,
        ContentKind.SERVICE_FLAGS,
        why=f"certbot runs it after a renewal: {known.proxy.title} then shows the renewed certificate.",
        by_hand=manual_commands.text(known.hook, after),
    )

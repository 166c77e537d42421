"""All labs: Firescreen's own, and those of a workspace's packs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from wizard import assets
from wizard.errors import InputError, LabError
from wizard.labs.content import Lab
from wizard.labs.lab_file import load
from wizard.redact import plain


def labs(packs: Path | None = None) -> tuple[Lab, ...]:
    """Returns the labs that come with Firescreen, in their order; after them those of the added packs.

    Args:
        packs: a workspace's folder of packs. A lab in it that is no longer valid is left out.

    Raises:
        LabError: one of Firescreen's own is invalid.
    """
    labs_by_id = {lab.id: lab for lab in _own()}
    for path in sorted(packs.glob("*/*/lab.yaml")) if packs is not None else ():
        with suppress(LabError):
            # Labs by others are done only where they can do no harm.
            added = replace(load(path.parent), foreign=True, real_hosts=False)
            labs_by_id.setdefault(added.id, added)
    return tuple(labs_by_id.values())


@cache
def _own() -> tuple[Lab, ...]:
    folders = sorted(path.parent for path in assets.path("labs").glob("*/lab.yaml"))
    return tuple(load(folder) for folder in folders)


def find(lab_id: str = "", packs: Path | None = None) -> Lab:
    """Returns the lab with that id, or the first one.

    Args:
        lab_id: '' for the first one.
        packs: a workspace's folder of packs, whose labs are searched too.

    Raises:
        InputError: there is none.
    """
    all_labs = labs(packs)
    for lab in all_labs:
        if lab_id in ("", lab.id):
            return lab
    raise InputError(
        f"there is no lab '{plain(lab_id, 60)}'",
        todo=f"The labs: {', '.join(lab.id for lab in all_labs)}",
    )

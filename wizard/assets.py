"""Finds Firescreen's data files, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from wizard.errors import FirescreenError


def path(name: str) -> Path:
    """The path of a file or folder of the assets.

    Args:
        name: its relative path, with forward slashes.

    Raises:
        FirescreenError: it does not exist, which means that the installation is broken.
    """
    here = Path(__file__).resolve().parent
    parts = PurePosixPath(name).parts
    if ".." not in parts and not PurePosixPath(name).is_absolute():
        # A wheel contains the assets inside the package; a checkout has them beside it.
        for folder in (here / "_assets", here.parent / "assets"):
            found = folder.joinpath(*parts)
            if found.exists():
                return found
    raise FirescreenError(
        f"Firescreen's own file {name} is missing",
        where=str(here),
        todo="Install Firescreen again, or run it from a complete checkout",
    )

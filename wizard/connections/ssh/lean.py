"""Paramiko without what it loads and we do not need, which takes longer than all the rest of Paramiko.

That is the task runner for `Match exec` in SSH configurations, where `ssh -G` is asked; and Python's reader of what
packages say of themselves, with the one of mails that it needs, where Paramiko wants its own version only.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["paramiko", "whole"]

_LEFT_OUT = "invoke"
_METADATA = "importlib.metadata"
_FOLDER = re.compile(r"paramiko-(.+)\.dist-info")


@contextmanager
def _in_place_of(name: str, module: ModuleType | None) -> Iterator[None]:
    """Who imports `name` gets `module`, unless it is loaded already; None makes Python say that there is none."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _metadata() -> ModuleType:
    """As much of `importlib.metadata` as Paramiko asks: its version, from the name of the folder beside it."""
    versions: list[str] = []
    spec = find_spec("paramiko")
    for place in (spec and spec.submodule_search_locations) or ():
        with suppress(OSError):
            names = os.listdir(os.path.dirname(place))
            versions += [found[1] for name in names if (found := _FOLDER.fullmatch(name))]
    module = ModuleType(_METADATA)
    module.version = lambda _: versions[0] if versions else "unknown"  # type: ignore[attr-defined]
    return module


if "paramiko" not in sys.modules:
    # Paramiko is prepared for there being no task runner. One that wants more than this gets it all below.
    with _in_place_of(_LEFT_OUT, None), _in_place_of(_METADATA, _metadata()), suppress(ImportError):
        import_module("paramiko")
import paramiko  # noqa: E402 - now that it is loaded


def whole() -> None:
    """Loads what was left out, for Paramiko's own reader of configurations."""
    config: Any = import_module("paramiko.config")
    if config.invoke is None:
        config.invoke = import_module(_LEFT_OUT)

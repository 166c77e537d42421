"""The components that Firescreen can secure, one module each; new modules are found by their place.

A further component is one more file in this package that defines `COMPONENT`; nothing else changes.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from wizard.components.base import Component
from wizard.errors import InputError

__all__ = ["Component", "all_components", "component"]


@cache
def all_components() -> tuple[Component, ...]:
    """Every component of which a stack can consist, by name."""
    return tuple(one for one in _components() if not one.proxy)


@cache
def _components() -> tuple[Component, ...]:
    found = [
        importlib.import_module(f"{__name__}.{module.name}").COMPONENT
        for module in pkgutil.iter_modules(__path__)
        if module.name != "base"
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def component(name: str) -> Component:
    """The component of that name, also a proxy of exporters; InputError that names the nearest if there is none."""
    every = {one.name: one for one in _components()}
    if name in every:
        return every[name]
    known = {one.name: one for one in all_components()}
    near = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.5)
    raise InputError(
        f"there is no component {name!r}",
        todo=f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}.",
    )

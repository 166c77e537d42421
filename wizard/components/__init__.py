"""The components that Firescreen can secure, one module each; every module of this package is loaded by itself.

To add a component, add a module that defines `COMPONENT`; nothing else changes.
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
    """All components that a stack can contain, sorted by name."""
    return tuple(each for each in _components() if not each.proxy)


@cache
def _components() -> tuple[Component, ...]:
    found = [
        importlib.import_module(f"{__name__}.{module.name}").COMPONENT
        for module in pkgutil.iter_modules(__path__)
        if module.name != "base"
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def component(name: str) -> Component:
    """Returns the component with this name; also finds proxies of exporters, which no stack contains.

    Raises:
        InputError: there is no such component; the error names the most similar one.
    """
    by_name = {each.name: each for each in _components()}
    if name in by_name:
        return by_name[name]
    known = [each.name for each in all_components()]
    near = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.5)
    raise InputError(
        f"there is no component {name!r}",
        todo=f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}.",
    )

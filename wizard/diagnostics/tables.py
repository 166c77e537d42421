"""Reads the tables of `assets` that diagnosis goes by, each once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeAlias

from ruamel.yaml import YAML

from wizard import assets

Row: TypeAlias = Mapping[str, Any]


@functools.cache
def load(name: str) -> Any:
    """What the YAML file of that name holds."""
    with assets.path(name).open("rb") as file:
        return YAML(typ="safe").load(file)


def rows(name: str) -> list[Row]:
    """The rows of a table that is a list."""
    found: list[Row] = load(name)
    return found

"""Reads the tables in `assets` that diagnoses are made from, each once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeAlias

from ruamel.yaml import YAML

from wizard import assets

Row: TypeAlias = Mapping[str, Any]


@functools.cache
def load(name: str) -> Any:
    """Returns the parsed content of a YAML file in `assets`."""
    with assets.path(name).open("rb") as file:
        return YAML(typ="safe").load(file)


def rows(name: str) -> list[Row]:
    """Returns the rows of a YAML file in `assets` whose content is a list."""
    table: list[Row] = load(name)
    return table

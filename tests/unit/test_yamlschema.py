"""What says that a file is right must never say so of one that the library refuses, nor the other way round."""

from __future__ import annotations

import copy
import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from wizard import assets, yamlfile, yamlschema
from wizard.errors import InputError

FORM = yamlfile.Format(noun="a file", error=InputError, largest=1_000_000, start="", advice={})
STACK = """\
version: 1
hosts:
  here: {connect: local, become: sudo, port: 22}
  far: {connect: incus, instance: one, via: here, os: linux}
certificates: {issued_by: self-signed, key: rsa-2048, days: 90}
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth], names: [srv1.lab], rate_limit: {interval: 1s, burst: 2}}
  - {host: far, name: prometheus, headers: {X-Frame-Options: deny}, min_version: TLS13, files: {}}
users:
  scraper: {password: {file: secret.txt}, cost: 11}
  other: {password: generate}
"""
# YAML gives no other kinds of value.
ODD: list[Any] = ["", "tls", "-x", "a b", 0, 1, -5, 10**9, True, False, None, [], {}, ["tls", "tls"], [1, True], {"file": "a"}]  # fmt: skip


def files() -> list[tuple[str, Any]]:
    texts = [("firescreen", STACK)]
    texts += [("lab", path.read_text()) for path in sorted(assets.path("labs").glob("*/lab.yaml"))]
    texts += [
        ("classroom", path.read_text()) for path in sorted(assets.path("labs").rglob("classroom*.yaml"))
    ]
    return [(name, yamlfile.parse(text, source=name, form=FORM).data) for name, text in texts]


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value within."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def spoilt(data: Any, chance: random.Random) -> Any:
    """A copy with one thing other than it was."""
    copied = copy.deepcopy(data)
    container, key = chance.choice(places(copied))
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1:
            container[key] = chance.choice(ODD)
        case 2 if isinstance(container, dict):
            container[chance.choice(["extra", "cost", "file", "via", "a b", ""])] = chance.choice(ODD)
        case _ if isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        case _:
            container[key] = [container[key]]
    return copied


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_the_library_says(seed: int) -> None:
    chance = random.Random(seed)
    verdicts = set()
    for name, data in files():
        schema = json.loads(assets.path(f"{name}.schema.json").read_text())
        library = Draft202012Validator(schema)
        assert yamlschema.fits(data, schema, schema)
        for _ in range(60 if name == "firescreen" else 3):
            other = spoilt(data, chance)
            right = library.is_valid(other)
            with suppress(yamlschema.UnknownError):  # then the library is asked
                assert yamlschema.fits(other, schema, schema) == right, other
                verdicts.add(right)
    assert verdicts == {True, False}


def test_what_it_does_not_know_is_left_to_the_library(tmp_path: Path) -> None:
    schema = {"type": "object", "patternProperties": {"^a": {"type": "integer"}}}
    with pytest.raises(yamlschema.UnknownError):
        yamlschema.fits({"a": "no"}, schema, schema)
    read = yamlfile.parse("a: no-number", source="x.yaml", form=FORM)
    with pytest.raises(InputError, match="whole number"):
        yamlfile.check(read, schema, FORM)

"""The installed blackbox exporter checks its new configuration before that replaces the old one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from wizard import binaries
from wizard.connections.local import LocalConnection
from wizard.engine.validation import _exporter_check
from wizard.errors import ValidationError
from wizard.model import Facts, Service, WriteFile

GOOD = "modules: {a: {prober: http}}\n"
UNKNOWN = "modules: {a: {prober: http, smtp: {}}}\n"
# An unknown prober is found only when it is used: the plan warns of it.
OTHER = "modules: {a: {prober: smtp}}\n"


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (GOOD, GOOD, False),
        (GOOD, UNKNOWN, True),
        (UNKNOWN, UNKNOWN, False),
        (GOOD, "modules: [\n", True),
        (GOOD, OTHER, False),
    ],
    ids=[
        "good",
        "a setting that it does not know",
        "broken before",
        "no YAML",
        "a prober that it does not know",
    ],
)
def test_the_exporter_checks_its_own_file(
    before: str, after: str, refused: bool, cache: Path, tmp_path: Path
) -> None:
    path, staged = tmp_path / "blackbox.yml", tmp_path / "blackbox.yml.new"
    path.write_text(before)
    staged.write_text(after)
    program = binaries.find("blackbox_exporter", cache=cache).path
    service = Service(
        host="here",
        component="blackbox_exporter",
        manager="manual",
        unit="blackbox_exporter",
        program=program,
        config_file=str(path),
    )
    facts = cast(Facts, SimpleNamespace(hosts={"here": SimpleNamespace(services=(service,))}))
    change = cast(WriteFile, SimpleNamespace(host="here", path=str(path)))
    if refused:
        with pytest.raises(ValidationError, match="blackbox exporter rejects it"):
            _exporter_check(LocalConnection("here"), change, str(staged), facts, ())
    else:
        _exporter_check(LocalConnection("here"), change, str(staged), facts, ())

"""The corpus of Compose projects: a folder is a project before an edit, with the files that the edit writes.

`case.yaml` describes the edit: `files` (main files, compose.yaml by default), `service`, `change` (the fields
of `compose.Change`), `variables`, `refused` (a part of the message where the edit must be refused),
`generations` (the suites whose Compose can read it, all by default). `after/` has the changed files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wizard.config_files import compose

CORPUS = Path(__file__).parents[1] / "corpus" / "compose"
FLAGS = {"web.config.file": "/etc/firescreen/web.yml"}
MOUNT = {"source": "./firescreen", "target": "/etc/firescreen"}
_OURS = ("case.yaml",)


@dataclass(frozen=True)
class Case:
    """A project and an edit of it."""

    folder: Path
    files: tuple[str, ...] = ("compose.yaml",)
    service: str = "prometheus"
    change: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    generations: tuple[str, ...] = ("bookworm", "trixie", "sid")

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def before(self) -> dict[str, bytes]:
        """Returns all files of the project, by their paths below its folder."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in _OURS and "after" not in path.parts
        }

    @property
    def after(self) -> dict[str, bytes]:
        """Returns the changed files."""
        after = self.folder / "after"
        return {
            str(path.relative_to(after)): path.read_bytes() for path in after.rglob("*") if path.is_file()
        }

    @property
    def wanted(self) -> compose.Change:
        """Returns the change of the service; by default the one for TLS."""
        settings = {"flags": FLAGS, "mounts": [MOUNT], **self.change}
        settings["mounts"] = tuple(compose.Mount(**each) for each in settings["mounts"])
        if "demands" in settings:
            settings["demands"] = compose.Demands(**settings["demands"])
        for key in ("image_command", "loopback", "image_healthcheck"):
            settings[key] = tuple(settings.get(key, ()))
        return compose.Change(**settings)

    def edited(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Edits the project and returns its changed files."""
        project = compose.read(self.files, files.get, self.variables)
        return compose.edit(project, self.service, self.wanted, self.variables)


def cases() -> list[Case]:
    """Returns every case of the corpus."""
    found = []
    for folder in sorted(each.parent for each in CORPUS.glob("*/case.yaml")):
        settings = YAML(typ="safe").load(folder / "case.yaml") or {}
        for key in ("files", "generations"):
            if key in settings:
                settings[key] = tuple(settings[key])
        found.append(Case(folder, **settings))
    return found

"""The classroom file: which real host has which role in labs. Read once, remembered for later labs.

It may come from somebody else, so it is read as strictly as a stack file, and nothing in it is executed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from wizard import assets, yamlfile
from wizard.errors import ClassroomError, FirescreenError
from wizard.model import HostSpec
from wizard.redact import plain
from wizard.workspace import Workspace

LARGEST_FILE = 64_000
"""Maximum size of a classroom file in bytes."""

_FORMAT = yamlfile.Format(
    noun="a classroom file",
    error=ClassroomError,
    largest=LARGEST_FILE,
    start="Start from the example in assets/labs/README.md",
    advice={
        "pattern": "See the pattern for it in assets/classroom.schema.json",
        "not": "Choose another name: Firescreen itself uses this one",
    },
)
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


@dataclass(frozen=True, slots=True)
class Classroom:
    """Real hosts for a lab's roles; each host is named after its role."""

    path: Path
    hosts: tuple[HostSpec, ...]
    names: dict[str, str] = field(default_factory=dict)
    """The DNS name of a role's host, if the file has one."""
    campus: int = 0
    """The student's number; 0 if the file needs none."""

    @property
    def title(self) -> str:
        """Returns its name for a person, e.g. 'classroom.yaml, campus 3'."""
        return f"{self.path.name}, campus {self.campus}" if self.campus else self.path.name

    def host(self, role: str) -> HostSpec | None:
        """Returns the host of a role; None if the classroom has none."""
        return next((host for host in self.hosts if host.name == role), None)


def load(path: Path, campus: int = 0) -> Classroom:
    """Reads the classroom of one student from a file.

    Args:
        path: of the file.
        campus: the student's number; 0 if it is not known yet.

    Raises:
        CampusError: the file needs a number and none was given, or it does not have the given one.
        ClassroomError: the file cannot be read, or has an invalid value; with its line.
    """
    text, source = yamlfile.text_of(path, _FORMAT), str(path)
    named = False
    for number, line in enumerate(text.split("\n"), start=1):
        for name in _PLACEHOLDER.findall(line.partition("#")[0]):
            named = True
            if name.strip() != "campus":
                raise ClassroomError(
                    f"there is no placeholder '{{{{{plain(name, 60)}}}}}'",
                    where=f"{source}:{number}",
                    todo="A classroom file has only {{campus}}",
                )
    # The number is replaced by digits only, so that no value can change its meaning; and line numbers stay the same.
    first = _read(_fill_campus(text, campus or 1), source)
    wanted = _campuses(first)
    if wanted is None:
        if campus:
            raise CampusError("this classroom has no campus numbers", where=source, todo="Leave out --campus")
        if named:
            raise ClassroomError(
                "'campus' is missing, but the file contains {{campus}}",
                where=source,
                todo="Add a line such as campus: 1-30",
            )
    elif campus not in wanted:
        given = f"there is no campus {campus}" if campus else "the number of your campus is missing"
        raise CampusError(
            given, where=source, todo=f"Give your number, {wanted[0]} to {wanted[-1]}: --campus NUMBER"
        )
    return _classroom(path, first, campus)


def campuses(path: Path) -> tuple[int, ...]:
    """Returns the numbers in a classroom file; (0,) if it has none.

    Raises:
        ClassroomError: the file cannot be read.
    """
    wanted = _campuses(_read(_fill_campus(yamlfile.text_of(path, _FORMAT), 1), str(path)))
    return (0,) if wanted is None else tuple(wanted)


class CampusError(ClassroomError):
    """The student's number is not known, or is not in this classroom."""

    title = "Your campus number is needed"


def _fill_campus(text: str, campus: int) -> str:
    return re.sub(r"\{\{\s*campus\s*\}\}", str(campus), text)


def _read(text: str, source: str) -> yamlfile.Read:
    read = yamlfile.parse(text, source=source, form=_FORMAT)
    yamlfile.check(read, _schema(), _FORMAT)
    return read


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(assets.path("classroom.schema.json").read_text(encoding="utf-8"))
    return found


def _campuses(read: yamlfile.Read) -> range | None:
    if "campus" not in read.data:
        return None
    first, last = (int(part) for part in read.data["campus"].split("-"))
    if not 1 <= first <= last:
        raise ClassroomError(
            f"'campus' cannot be '{read.data['campus']}'",
            where=read.where(("campus",)),
            todo="Write the first and the last number, e.g. 1-30",
        )
    return range(first, last + 1)


def _classroom(path: Path, read: yamlfile.Read, campus: int) -> Classroom:
    hosts, names = [], {}
    entries = read.data["hosts"]
    for role, entry in entries.items():
        where = read.where(("hosts", role))
        fields = {key: value for key, value in entry.items() if key != "name"}
        if "name" in entry:
            names[role] = entry["name"]
        if entry["connect"] == "ssh" and not (entry.get("address") or entry.get("name")):
            raise ClassroomError(f"host '{role}' lacks 'address'", where=where, todo="Add address: or name:")
        if entry["connect"] == "ssh":
            fields.setdefault("address", entry.get("name", ""))
        if entry.get("via") and entry["connect"] != "incus":
            raise ClassroomError(
                f"host '{role}': 'via' is for an incus instance on another host",
                where=read.where(("hosts", role, "via")),
                todo="For a host behind another one, use ProxyJump in ~/.ssh/config",
            )
        if entry.get("via") and (entry["via"] == role or entry["via"] not in entries):
            near = difflib.get_close_matches(entry["via"], entries, n=1)
            raise ClassroomError(
                f"there is no host '{plain(entry['via'], 60)}' that could have the instance '{role}'",
                where=read.where(("hosts", role, "via")),
                todo=f"Did you mean '{near[0]}'?" if near else f"Known hosts: {', '.join(entries)}",
            )
        if "identity_file" in fields:
            fields["identity_file"] = os.path.expanduser(fields["identity_file"])  # noqa: PTH111 - Path's own raises
        hosts.append(HostSpec(name=role, **fields))
    return Classroom(path, tuple(hosts), names, campus)


def progress_folder(workspace: Workspace, classroom: Classroom | None) -> Path:
    """Returns the folder of the labs' progress: of the practice stack, or of one student's hosts of a classroom."""
    if classroom is None:
        return workspace.labs
    name = f"{classroom.path.absolute()} {classroom.campus}".encode()
    return workspace.labs / f"hosts-{hashlib.sha256(name).hexdigest()[:12]}"


# -- remembering -------------------------------------------------------------------------------------------


def last_classroom(workspace: Workspace) -> Classroom | None:
    """Returns the classroom that was chosen last; None for the practice stack.

    Raises:
        ClassroomError: its file is missing, or no longer valid.
    """
    place = place_of(workspace)
    return load(*place) if place else None


def place_of(workspace: Workspace) -> tuple[Path, int] | None:
    """Returns the remembered file and the student's number."""
    try:
        data = json.loads(_place(workspace).read_text(encoding="utf-8"))
        return Path(data["file"]), int(data["campus"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the person is asked for it again


def remember(workspace: Workspace, chosen: Classroom | None) -> None:
    """Remembers the choice for later commands and starts; None for the practice stack.

    Raises:
        FirescreenError: it cannot be written.
    """
    place = _place(workspace)
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if chosen is None:
            place.unlink(missing_ok=True)
            return
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text(
            json.dumps({"file": str(chosen.path.absolute()), "campus": chosen.campus}) + "\n",
            encoding="utf-8",
        )
        part.replace(place)
    except OSError as error:
        raise FirescreenError(
            f"the classroom cannot be saved: {error.strerror}",
            where=str(place),
            todo="Free some space, or choose another folder with --workspace",
        ) from error


def _place(workspace: Workspace) -> Path:
    return workspace.labs / "classroom.json"

"""A student's workspace as the board reads it: on this machine, and possibly owned by another user."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import InputError
from wizard.labs import state
from wizard.labs.board import class_news, member
from wizard.labs.board.class_news import News
from wizard.labs.board.member import Wishes
from wizard.labs.board.own_folder import Entry, OwnFolder, open_folder
from wizard.labs.board.progress import LabProgress, Progress, of_lab
from wizard.labs.content import Lab
from wizard.redact import Secret, plain

_STACKS = ("practice", "compose")
_MOST_HOSTS_FOLDERS = 5
_MOST_SECRETS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The content of a student's workspace. `active_at`, `present_at`: unix times, 0 for never."""

    progress: Progress
    wishes: Wishes
    active_at: float = 0.0
    """When something was done last."""
    present_at: float = 0.0
    """When the wizard was last known to be open."""


class StudentFolder:
    """A workspace on this machine.

    Args:
        path: of the workspace.
        labs: all labs.
    """

    def __init__(self, path: Path, labs: Sequence[Lab]) -> None:
        self.path = path
        self._labs = {f"{lab.id}.json": lab for lab in labs}
        self._known: tuple[object, Seen] | None = None

    def read(self) -> Seen:
        """Returns the present content of the workspace. Reads files only if one has changed.

        Raises:
            OSError: the workspace may not be read.
        """
        with open_folder(self.path) as root:
            mark = _mark(root)
            if self._known is None or self._known[0] != mark:
                self._known = (mark, self._read(root))
            return self._known[1]

    def _read(self, root: OwnFolder) -> Seen:
        secrets, current, active = _secrets(root), "", 0.0
        found: dict[str, LabProgress] = {}
        for place in _places(root):
            for entry in place.entries():
                if entry.name in self._labs:
                    lab = self._labs[entry.name]
                    lab_state = _state(place, entry.name)
                    newer = lab_state is not None and (
                        lab.id not in found or lab_state.started > found[lab.id].started
                    )
                    if lab_state is not None and newer:
                        found[lab.id] = of_lab(lab, lab_state, secrets)
                        active = max(active, entry.changed / 1e9)
                elif entry.name == "lab":
                    current = _line(place, "lab") or current
        current = current or _current(root)
        if current not in found:
            current = max(found.values(), key=lambda lab: lab.started).id if found else ""
        own, present = Wishes(), 0.0
        with _class(root) as kept:
            for entry in kept.entries() if kept is not None else ():
                if entry.name == member.WISHES and kept is not None:
                    own = member.parse_wishes(_content(kept, entry.name))
                elif entry.name == member.PRESENT:
                    present = entry.changed / 1e9
        # In the order of the labs, as in a report.
        ordered = tuple(found[lab.id] for lab in self._labs.values() if lab.id in found)
        return Seen(
            progress=Progress(
                name=own.name, lab=current, labs=ordered, signal=own.signal, signal_at=own.signal_at
            ),
            wishes=own,
            active_at=max(active, own.signal_at),
            present_at=present,
        )

    def tell(self, news: News) -> None:
        """Writes news to the file that the student's wizard reads.

        Raises:
            OSError: it may not be written.
        """
        content = json.dumps(class_news.to_json(news)).encode()
        with (
            open_folder(self.path) as root,
            root.subfolder("labs") as labs,
            labs.subfolder(member.FOLDER) as place,
        ):
            place.replace(member.NEWS, content)

    def read_news(self) -> News:
        """Returns the news that the student has."""
        with suppress(OSError, InputError), open_folder(self.path) as root, _class(root) as place:
            if place is not None:
                return class_news.parse(place.read(member.NEWS))
        return News()


def own_progress(path: Path, labs: Sequence[Lab]) -> Progress:
    """Returns the progress in the user's own workspace, for `lab join`.

    Raises:
        OSError: the workspace cannot be read.
    """
    return StudentFolder(path, labs).read().progress


def is_workspace(path: Path) -> bool:
    """Returns whether a folder is a workspace in which labs were started."""
    return path.is_dir() and (path / "labs").is_dir() and not (path / "labs").is_symlink()


@contextmanager
def _class(root: OwnFolder) -> Iterator[OwnFolder | None]:
    """Opens the folder of the class; None if there is none."""
    with ExitStack() as stack:
        place = None
        with suppress(FileNotFoundError, NotADirectoryError):
            place = stack.enter_context(stack.enter_context(root.inner("labs")).inner(member.FOLDER))
        yield place


def _places(root: OwnFolder) -> Iterator[OwnFolder]:
    """Yields the folders of progress: of the practice stack, and of real hosts."""
    with ExitStack() as stack:
        try:
            labs = stack.enter_context(root.inner("labs"))
        except (FileNotFoundError, NotADirectoryError):
            return
        yield labs
        names = [name for name in labs.folders() if name.startswith("hosts-")]
        for name in names[:_MOST_HOSTS_FOLDERS]:
            with labs.inner(name) as place:
                yield place


def _mark(root: OwnFolder) -> tuple[tuple[Entry, ...], ...]:
    """Returns a value that changes with everything in the workspace that the board shows."""
    found = [place.entries() for place in _places(root)]
    with _class(root) as place:
        # Without the news, which the board itself writes.
        found.append(
            tuple(entry for entry in place.entries() if entry.name != member.NEWS)
            if place is not None
            else ()
        )
    for name in _STACKS:
        with suppress(OSError), root.inner(name) as stack:
            found.append(tuple(entry for entry in stack.entries() if entry.name == "lab"))
    return tuple(found)


def _current(root: OwnFolder) -> str:
    """Returns the lab used last, on the practice stack or in containers; '' for none."""
    found: list[tuple[int, str]] = []
    for name in _STACKS:
        with suppress(OSError), root.inner(name) as stack:
            found += [(each.changed, _line(stack, "lab")) for each in stack.entries() if each.name == "lab"]
    return max(found, default=(0, ""))[1]


def _content(place: OwnFolder, name: str) -> bytes:
    try:
        return place.read(name)
    except OSError:
        return b""


def _state(place: OwnFolder, name: str) -> state.LabState | None:
    return state.parse(_content(place, name))


def _line(place: OwnFolder, name: str) -> str:
    return plain(_content(place, name).decode("utf-8", "replace").strip()[:80], 80)


def _secrets(root: OwnFolder) -> tuple[Secret, ...]:
    """Returns the passwords of a workspace and of its practice stack: an answer may quote one."""
    found: list[Secret] = []

    def collect(place: OwnFolder, wanted: str) -> None:
        for entry in place.entries():
            if wanted in entry.name and entry.size <= 200 and len(found) < _MOST_SECRETS:
                text = _content(place, entry.name).decode("utf-8", "replace").strip()
                if len(text) >= 6 and "\n" not in text:
                    found.append(Secret(text))

    with suppress(OSError), root.inner("users") as users:
        collect(users, "")
    with suppress(OSError), root.inner("practice") as practice:
        collect(practice, "lab.password")
        for folder in _configurations(practice):
            collect(folder, "password")
    with suppress(OSError), root.inner("compose") as compose:
        for folder in _services(compose):
            collect(folder, "password")
    return tuple(found)


def _services(compose: OwnFolder) -> Iterator[OwnFolder]:
    """Yields the folders beside the Compose file of the lab in containers."""
    with ExitStack() as stack, suppress(OSError):
        for name in compose.folders():
            project = stack.enter_context(compose.inner(name))
            for service in project.folders():
                yield stack.enter_context(project.inner(service))


def _configurations(practice: OwnFolder) -> Iterator[OwnFolder]:
    """Yields the configuration folders of a practice stack's hosts."""
    with ExitStack() as stack, suppress(OSError):
        for host in practice.folders():
            etc = stack.enter_context(stack.enter_context(practice.inner(host)).inner("etc"))
            for program in etc.folders():
                yield stack.enter_context(etc.inner(program))

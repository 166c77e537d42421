"""Finds out whether Compose would keep a container or recreate it. Changes nothing.

If somebody edited a Compose file and has not run `up` since, the next recreation would apply that edit too, whatever it
was for. The same holds for a new image with the same name after a `pull` or `build`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard.connections.base import Connection
from wizard.model import Container
from wizard.redact import plain, redact
from wizard.service_managers import podman_compose

# The hashes first: a container's label has the hash of the description from which the container was made. One run for
# all services of a project, since each starts a program.
_HASHES = r"""
folder=$1 engine=$2 names=$3 images=$4
shift 4
cd "$folder" || exit 1
$engine inspect --type container -f \
  '{{.Name}} {{.State.Running}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}}' $names 2>/dev/null
printf '\037'
for image in $images; do
  printf '%s %s\n' "$image" "$($engine image inspect -f '{{.Id}}' "$image" 2>/dev/null)"
done
said=$("$@" config --hash '*' 2>&1)
printf '\037%s\037%s' "$?" "$said"
"""
# `config --hash` and `up` give different hashes if a service has an env_file, shares a namespace, or needs a profile;
# then a dry run decides, which Compose 1 does not have. Compose 2.26 recreates a container if `--no-deps` hides a
# dependency, and recreates it again without `--no-deps`: if either of the two dry runs would keep it, it is up to date.
_DRY_RUNS = r"""
folder=$1 service=$2
shift 2
cd "$folder" || exit 1
"$@" --dry-run up -d --no-deps "$service" 2>&1
printf '\037'
"$@" --dry-run up -d "$service" 2>&1
"""
_HASH = re.compile(r"\S+ [0-9a-f]{64}")
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class ComposeState:
    """How a container compares to its Compose files.

    Attributes:
        is_running: whether it runs.
        difference: a clause with the container as its subject; '' if `up` would keep the container.
        has_image: whether its image exists on the host.
    """

    is_running: bool
    difference: str = ""
    has_image: bool = True


def compose_words(box: Container) -> list[str]:
    """The beginning of a Compose command for the project of a container."""
    if podman_compose.is_used(box):
        return podman_compose.words(box)
    files = [word for path in box.compose_files for word in ("-f", path)]
    # Without -p, Compose derives the project's name from the folder.
    where = ["-p", box.project, "--project-directory", box.folder]
    return [*box.compose.split(), *files, *where]


def compose_state(connection: Connection, box: Container) -> ComposeState:
    """Compares one container to its Compose files."""
    return compose_states(connection, [box])[box.name]


def compose_states(connection: Connection, boxes: Sequence[Container]) -> dict[str, ComposeState]:
    """Compares containers to their Compose files, one call per project; returns the states by container name."""
    projects: dict[tuple[str, ...], list[Container]] = {}
    for box in boxes:
        projects.setdefault((box.folder, box.engine, *compose_words(box)), []).append(box)
    return {
        name: state
        for project_boxes in projects.values()
        for name, state in _of_project(connection, project_boxes).items()
    }


def _of_project(connection: Connection, boxes: Sequence[Container]) -> dict[str, ComposeState]:
    first = boxes[0]
    names, images = (
        " ".join(dict.fromkeys(each)) for each in zip(*((box.name, box.image) for box in boxes), strict=True)
    )
    arguments = [first.folder or "/", first.engine, names, images, *compose_words(first)]
    ended = connection.run_script(_HASHES, *arguments, timeout=_TIMEOUT)
    inspected, images_output, code, output = [*ended.stdout.split("\x1f", 3), "", "", ""][:4]
    found = {
        fields[0].lstrip("/"): fields[1:] for line in inspected.splitlines() if (fields := line.split(" "))
    }
    ids = dict(line.split(" ", 1) for line in images_output.splitlines() if " " in line)
    hashes = dict(line.split(" ") for line in output.splitlines() if _HASH.fullmatch(line))
    rejected = "" if code.strip() == "0" or hashes else output
    return {
        box.name: _state(
            connection, box, found.get(box.name, []), ids.get(box.image, "").strip(), hashes, rejected
        )
        for box in boxes
    }


def _state(
    connection: Connection,
    box: Container,
    inspected: Sequence[str],
    image: str,
    hashes: Mapping[str, str],
    rejected: str,
) -> ComposeState:
    running, made_from, label = [*inspected, "", "", ""][:3]

    def state(difference: str = "") -> ComposeState:
        return ComposeState(running == "true", difference, has_image=bool(image))

    if image and image.removeprefix("sha256:") != made_from.removeprefix("sha256:"):
        return state(f"was made of an older image than {box.image} is now")
    if label and (hashes.get(box.service) or _hash_by_name(connection, box)) == label:
        return state()
    if podman_compose.is_used(box):
        anew = podman_compose.would_make_anew(connection, box)
        return state("does not run as its Compose files say now" if anew else "")
    # Without the image, a dry run would access a registry.
    if image and not _would_be_made_anew(connection, box):
        return state()
    if rejected:
        return state(
            f"has Compose files that Compose rejects: {plain(redact(rejected.splitlines()[-1]), 200)}"
        )
    return state("does not run as its Compose files say now")


def _hash_by_name(connection: Connection, box: Container) -> str:
    """The hash of a service that a profile disables, in the format of Compose 1; '' if there is none."""
    if podman_compose.is_used(box):
        return ""
    command = [box.folder or "/", *compose_words(box), "config", "--hash", box.service]
    words = connection.run_script('cd "$1" && shift && exec "$@"', *command, timeout=_TIMEOUT).stdout.split()
    return words[-1] if words else ""


def _would_be_made_anew(connection: Connection, box: Container) -> bool:
    """Whether a dry run reports so, or no dry run is possible."""
    arguments = [box.folder or "/", box.service, *compose_words(box)]
    ended = connection.run_script(_DRY_RUNS, *arguments, timeout=_TIMEOUT)
    return not any(
        re.search(rf"Container {re.escape(box.name)}\s+Running", output)
        and not re.search(rf"Container {re.escape(box.name)}\s+Recreate", output)
        for output in ended.stdout.split("\x1f")
    )

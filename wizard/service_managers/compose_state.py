"""What Compose would do to a container if it were asked to bring it up: leave it, or make it anew.

Whoever edited a Compose file and has not run `up` yet would have that edit applied by the next recreation, whatever that
was for. So would a new image under the same name, which `pull` or `build` brought. Nothing is changed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.connections.base import Connection
from wizard.model import Container
from wizard.redact import plain, redact
from wizard.service_managers import podman_compose

# The hash first: the container's label has that of the description from which the container was made.
_HASHES = r"""
folder=$1 engine=$2 name=$3 image=$4 service=$5
shift 5
cd "$folder" || exit 1
$engine inspect --type container -f \
  '{{.State.Running}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}}' "$name" 2>/dev/null
printf '\037%s\037' "$($engine image inspect -f '{{.Id}}' "$image" 2>/dev/null)"
said=$("$@" config --hash "$service" 2>&1)
printf '%s\037%s' "$?" "$said"
"""
# `config --hash` gives another hash than `up` where a service has an env_file, shares a namespace, or needs a profile; a
# dry run, which Compose 1 does not know, tells. Compose 2.26 makes a container anew if `--no-deps` hides a dependency
# from it, and then again without: what one of the two would leave is up to date.
_DRY_RUNS = r"""
folder=$1 service=$2
shift 2
cd "$folder" || exit 1
"$@" --dry-run up -d --no-deps "$service" 2>&1
printf '\037'
"$@" --dry-run up -d "$service" 2>&1
"""
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class ComposeState:
    """How a container stands to its Compose files.

    is_running: whether it runs.
    difference: a clause with the container as its subject; '' where `up` would leave it.
    has_image: whether the image that it is made of is there.
    """

    is_running: bool
    difference: str = ""
    has_image: bool = True


def compose_words(box: Container) -> list[str]:
    """The words before what Compose is asked about the project of a container."""
    if podman_compose.is_used(box):
        return podman_compose.words(box)
    files = [word for path in box.compose_files for word in ("-f", path)]
    # Compose makes a project's name of its folder's otherwise.
    where = ["-p", box.project, "--project-directory", box.folder]
    return [*box.compose.split(), *files, *where]


def compose_state(connection: Connection, box: Container) -> ComposeState:
    """Asks the engine and Compose."""
    words = [box.folder or "/", box.engine, box.name, box.image, box.service, *compose_words(box)]
    ended = connection.run_script(_HASHES, *words, timeout=_TIMEOUT)
    there, image, code, said = (part.strip() for part in [*ended.stdout.split("\x1f", 3), "", "", ""][:4])
    running, made_from, label = [*there.split(" "), "", "", ""][:3]

    def state(difference: str = "") -> ComposeState:
        return ComposeState(running == "true", difference, has_image=bool(image))

    if image and image.removeprefix("sha256:") != made_from.removeprefix("sha256:"):
        return state(f"was made of an older image than {box.image} is now")
    if code == "0" and label and said.split()[-1:] == [label]:
        return state()
    if podman_compose.is_used(box):
        anew = podman_compose.would_make_anew(connection, box)
        return state("does not run as its Compose files say now" if anew else "")
    # Without its image, a dry run would go to a registry.
    if image and not _would_be_made_anew(connection, box):
        return state()
    if code != "0" and "disabled" not in said:
        reason = plain(redact(said.splitlines()[-1] if said else ""), 200)
        return state(f"has Compose files that Compose rejects: {reason}")
    return state("does not run as its Compose files say now")


def _would_be_made_anew(connection: Connection, box: Container) -> bool:
    """Whether a dry run says so, or there is none."""
    words = [box.folder or "/", box.service, *compose_words(box)]
    ended = connection.run_script(_DRY_RUNS, *words, timeout=_TIMEOUT)
    return not any(
        re.search(rf"Container {re.escape(box.name)}\s+Running", said)
        and not re.search(rf"Container {re.escape(box.name)}\s+Recreate", said)
        for said in ended.stdout.split("\x1f")
    )

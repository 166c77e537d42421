"""The Compose project of a lab: Prometheus and node_exporter in containers of this machine's Docker.

Project, network, images and folder have unique names, and nothing else in Docker is changed. Ports are published on
loopback only. `down` with `remove` deletes everything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from wizard import assets, binaries, ownfiles
from wizard.connections import loopback
from wizard.connections.subprocess_runner import Ended, run_bounded
from wizard.errors import HostError, InputError, ServiceError
from wizard.practice import docker_images
from wizard.redact import plain

SERVICES: Mapping[str, tuple[str, int]] = {
    "node-exporter": ("node_exporter", 9100),
    "prometheus": ("prometheus", 9090),
}
"""Component and port of each service of the project."""
_TIMEOUT = 120.0
_DOCKER = ("docker",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeProject:
    """A project that has been set up.

    folder: the folder with compose.yaml; its name is the project's name.
    compose: the command that runs Compose: `docker compose` or `docker-compose`.
    addresses: the published address:port of each service.
    versions: the version of each component.
    """

    folder: str
    compose: str
    addresses: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """The project's name in Compose."""
        return Path(self.folder).name


def why_unavailable() -> str:
    """Why containers cannot be run here, as a sentence without a full stop; '' if they can."""
    try:
        _compose_command()
    except InputError as error:
        return error.what
    return ""


def require() -> None:
    """Raises an error if containers cannot be run here.

    Raises:
        InputError: Docker or Compose is missing or does not answer, or this user may not use it.
    """
    _compose_command()


def load(place: Path) -> ComposeProject | None:
    """Reads the project in the folder `place`; None if there is none or it cannot be read."""
    try:
        return ComposeProject(**json.loads((place / "project.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def up(place: Path, cache: Path, *, suite: str, progress: Callable[[str], None]) -> ComposeProject:
    """Starts the project's containers; first creates missing files and images.

    Args:
        place: the folder for the record; the project's own folder is created in it.
        cache: where downloaded programs are stored, see `binaries.find`.
        suite: use programs of this suite of the distribution.
        progress: called with a line of text for each step.

    Raises:
        InputError: see `require`. ProgramUnavailableError: a program is not installed and cannot be downloaded.
        ServiceError: Docker cannot start the containers.
    """
    compose = _compose_command()
    project = load(place)
    if project is None or not Path(project.folder).is_dir():
        names = (*(component for component, _ in SERVICES.values()), "promtool", "busybox")
        found = binaries.find_all(names, cache=cache, suite=suite, progress=progress)
        project = _lay_out(place, compose, {name: program.version for name, program in found.items()})
        for service, (component, _) in SERVICES.items():
            progress(f"Making an image of {component} {found[component].version}")
            more = ("promtool", "busybox") if component == "prometheus" else ()
            docker_images.make(
                _DOCKER,
                _image(project.name, service, found[component].version),
                [found[name] for name in (component, *more)],
            )
        # Written last, so that a set-up that was interrupted before is repeated.
        ownfiles.replace(place / "project.json", json.dumps(asdict(project), indent=1) + "\n", 0o640)
    progress(f"Starting the containers of {project.name}")
    _compose(project, "up", "-d")
    return project


def make_anew(project: ComposeProject) -> None:
    """Recreates every container from the present files.

    Raises:
        ServiceError: Compose failed.
    """
    _compose(project, "up", "-d", "--force-recreate", "--remove-orphans")


def down(place: Path, *, remove: bool) -> None:
    """Stops the containers; with `remove`, also deletes network, images and files. Does nothing without a project.

    Raises:
        ServiceError: Docker failed; the files are kept.
    """
    project = load(place)
    if project is not None and Path(project.folder).is_dir():
        try:
            if remove:
                _compose(project, "down", "--volumes", "--remove-orphans", "--timeout", "3")
                _remove_images(project)
            else:
                _compose(project, "stop", "--timeout", "3")
        except HostError as error:
            raise ServiceError(
                f"the containers of a lab cannot be removed: {error.what}",
                where=project.folder,
                todo="Start Docker, then run: firescreen practice down --remove",
            ) from error
    if remove:
        shutil.rmtree(place, ignore_errors=True)


# -- Docker ------------------------------------------------------------------------------------------------


def _compose_command() -> str:
    """The command that runs Compose here: `docker compose` or `docker-compose`.

    Raises:
        InputError: see `require`.
    """
    needs = "the lab in containers needs Docker and its Compose"
    if shutil.which("docker") is None:
        raise InputError(
            f"{needs}: there is no docker command on this machine",
            todo="Install them (Debian: apt install docker.io docker-compose), or do another lab",
        )
    try:
        ended = run_bounded([*_DOCKER, "version", "--format", "{{.Server.Version}}"], timeout=5)
    except HostError:
        raise InputError(f"{needs}: Docker does not answer", todo="Start Docker, or do another lab") from None
    if ended.code:
        stderr = ended.stderr.decode("utf-8", "replace").strip()
        if "permission denied" in stderr:
            raise InputError(
                f"{needs}: this user may not use Docker",
                todo="Add the user to the group docker and log in again, or do another lab",
            )
        raise InputError(
            f"{needs}: Docker does not answer ({plain(stderr.splitlines()[-1] if stderr else 'no reason', 160)})",
            todo="Start Docker, or do another lab",
        )
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]) and run_bounded([*words, "version"], timeout=30).code == 0:
            return " ".join(words)
    raise InputError(
        f"{needs}: Docker is here, and neither `docker compose` nor docker-compose",
        todo="Install Compose (Debian: apt install docker-compose), or do another lab",
    )


def _compose(project: ComposeProject, *words: str) -> Ended:
    """Runs Compose on the project, regardless of COMPOSE_FILE.

    Raises:
        ServiceError: it failed. HostError: it timed out.
    """
    file = Path(project.folder) / "compose.yaml"
    # -f and -p override COMPOSE_FILE and COMPOSE_PROJECT_NAME in the environment.
    argv = [*project.compose.split(), "-f", str(file), "-p", project.name, *words]
    ended = run_bounded(argv, timeout=_TIMEOUT)
    if ended.code:
        stderr = ended.stderr.decode("utf-8", "replace").strip()
        raise ServiceError(
            f"{project.compose} {words[0]} failed: {plain(stderr, 400)}",
            where=project.folder,
            todo="Mend what it names, or begin the lab again: firescreen lab reset",
        )
    return ended


def _remove_images(project: ComposeProject) -> None:
    for service, (component, _) in SERVICES.items():
        name = _image(project.name, service, project.versions.get(component, ""))
        run_bounded([*_DOCKER, "image", "rm", name], timeout=60)


def _image(project: str, service: str, version: str) -> str:
    # Debian's versions have characters that are not allowed in a tag.
    return f"{project}/{service}:{re.sub(r'[^A-Za-z0-9_.-]', '-', version) or 'local'}"


def _options() -> tuple[str, ...]:
    """The security options that the daemon reports: `rootless`, `selinux` and others."""
    ended = run_bounded([*_DOCKER, "info", "--format", "{{json .SecurityOptions}}"], timeout=30)
    try:
        return tuple(json.loads(ended.stdout) or ())
    except ValueError:
        return ()


# -- files -------------------------------------------------------------------------------------------------


def _lay_out(place: Path, compose: str, versions: Mapping[str, str]) -> ComposeProject:
    """Writes the project's first files."""
    # The name depends on the folder, so that each workspace has its own project.
    name = f"firescreen-lab-{crc32(str(place).encode()):08x}"
    ports = [port for _, port in SERVICES.values()]
    chosen = loopback.choose(ports, for_whom=str(place))
    project = ComposeProject(
        folder=str(place / name),
        compose=compose,
        addresses={service: f"{at}:{port}" for service, (at, port) in zip(SERVICES, chosen, strict=True)},
        versions={component: versions[component] for component, _ in SERVICES.values()},
    )
    shutil.rmtree(project.folder, ignore_errors=True)
    folder = Path(project.folder)
    (folder / "prometheus").mkdir(mode=0o750, parents=True)
    options = _options()
    values = {
        # With rootless Docker, root in a container is this user; no other uid there can own the user's files.
        "@user@": "0:0" if any("rootless" in each for each in options) else f"{os.getuid()}:{os.getgid()}",
        **{f"@{service}@": address for service, address in project.addresses.items()},
        **{
            f"@{service}-image@": _image(name, service, project.versions[component])
            for service, (component, _) in SERVICES.items()
        },
    }
    text = _asset("compose.yaml", values)
    if any("selinux" in each for each in options):
        text = text.replace("    user:", "    security_opt: [label=disable]\n    user:")
    ownfiles.replace(folder / "compose.yaml", text, 0o640)
    ownfiles.replace(folder / "prometheus/prometheus.yml", _asset("prometheus.yml", values), 0o640)
    return project


def _asset(name: str, values: Mapping[str, str]) -> str:
    text = assets.path(f"practice/compose/{name}").read_text(encoding="utf-8")
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text

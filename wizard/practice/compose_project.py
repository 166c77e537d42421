"""The Compose project of a lab: Prometheus and node_exporter in containers of this machine's own Docker.

Promises: project, network, images and folder have names of their own, nothing else of Docker is touched, ports are
published on loopback only, and `down` with `remove` leaves nothing of it.
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
"""Each service of the project, with its component and port."""
_TIMEOUT = 120.0
_DOCKER = ("docker",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeProject:
    """The project as it is laid out.

    folder: with compose.yaml; its name is the project's.
    compose: the command that runs Compose: `docker compose` or `docker-compose`.
    addresses: where the port of each service is published, as address:port.
    versions: of the program in each service.
    """

    folder: str
    compose: str
    addresses: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """What Compose calls it."""
        return Path(self.folder).name


def why_unavailable() -> str:
    """Why no container can be run here, as a sentence without a full stop; '' if one can."""
    try:
        _compose_command()
    except InputError as error:
        return error.what
    return ""


def require() -> None:
    """Refuses where no container can be run.

    Raises:
        InputError: Docker or its Compose is missing, does not answer, or does not let this user in.
    """
    _compose_command()


def load(place: Path) -> ComposeProject | None:
    """The project in the folder `place`; None for none that can be used."""
    try:
        return ComposeProject(**json.loads((place / "project.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def up(place: Path, cache: Path, *, suite: str, progress: Callable[[str], None]) -> ComposeProject:
    """Starts the project's containers, and makes files and images before where they are missing.

    Args:
        place: the folder for the record, in which the project's own folder is made.
        cache: where fetched programs are kept, see `binaries.find`.
        suite: programs of another suite of the distribution.
        progress: told in a few words what is being done.

    Raises:
        InputError: see `require`. ProgramUnavailableError: a program can be neither found nor fetched.
        ServiceError: Docker does not start the containers.
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
        # Only now: what was interrupted before begins anew.
        ownfiles.replace(place / "project.json", json.dumps(asdict(project), indent=1) + "\n", 0o640)
    progress(f"Starting the containers of {project.name}")
    _compose(project, "up", "-d")
    return project


def make_anew(project: ComposeProject) -> None:
    """Has Compose make every container anew from the files as they are.

    Raises:
        ServiceError: it does not.
    """
    _compose(project, "up", "-d", "--force-recreate", "--remove-orphans")


def down(place: Path, *, remove: bool) -> None:
    """Stops the containers; with `remove`, network, images and files are removed too. Nothing if there is no project.

    Raises:
        ServiceError: Docker does not do it; the files stay.
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
    """`docker compose`, or `docker-compose`.

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
        asked = run_bounded([*_DOCKER, "version", "--format", "{{.Server.Version}}"], timeout=5)
    except HostError:
        raise InputError(f"{needs}: Docker does not answer", todo="Start Docker, or do another lab") from None
    if asked.code:
        said = asked.stderr.decode("utf-8", "replace").strip()
        if "permission denied" in said:
            raise InputError(
                f"{needs}: this user may not use Docker",
                todo="Add the user to the group docker and log in again, or do another lab",
            )
        raise InputError(
            f"{needs}: Docker does not answer ({plain(said.splitlines()[-1] if said else 'no reason', 160)})",
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
    """Runs Compose on the project, whatever COMPOSE_FILE says.

    Raises:
        ServiceError: it failed. HostError: it does not end.
    """
    file = Path(project.folder) / "compose.yaml"
    # Its name is given, so that a variable of the environment does not count.
    argv = [*project.compose.split(), "-f", str(file), "-p", project.name, *words]
    ended = run_bounded(argv, timeout=_TIMEOUT)
    if ended.code:
        said = ended.stderr.decode("utf-8", "replace").strip()
        raise ServiceError(
            f"{project.compose} {words[0]} failed: {plain(said, 400)}",
            where=project.folder,
            todo="Mend what it names, or begin the lab again: firescreen lab reset",
        )
    return ended


def _remove_images(project: ComposeProject) -> None:
    for service, (component, _) in SERVICES.items():
        name = _image(project.name, service, project.versions.get(component, ""))
        run_bounded([*_DOCKER, "image", "rm", name], timeout=60)


def _image(project: str, service: str, version: str) -> str:
    # Debian's versions have signs that a tag may not have.
    return f"{project}/{service}:{re.sub(r'[^A-Za-z0-9_.-]', '-', version) or 'local'}"


def _options() -> tuple[str, ...]:
    """What the daemon says of its security: `rootless`, `selinux` and others."""
    ended = run_bounded([*_DOCKER, "info", "--format", "{{json .SecurityOptions}}"], timeout=30)
    try:
        return tuple(json.loads(ended.stdout) or ())
    except ValueError:
        return ()


# -- files -------------------------------------------------------------------------------------------------


def _lay_out(place: Path, compose: str, versions: Mapping[str, str]) -> ComposeProject:
    """Writes the project's first files."""
    # Two workspaces have two projects.
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
        # Without root, the user is root in the containers; no other uid there owns the user's files.
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

"""Jobs of a Prometheus for exporters behind exporter_exporter: each scrapes the one port with a module. Pure.

A job is divided if some of its targets stay as they are. Targets at a loopback address on Prometheus' own host stay: the
exporter still listens there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wizard.config_files import prometheus as scrape
from wizard.config_files.prometheus import module_jobs
from wizard.errors import InputError
from wizard.planner import new_jobs
from wizard.planner.client_endpoints import Place, locate_errors
from wizard.planner.client_facts import Client
from wizard.planner.divided_jobs import place_name
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.exporter_door_facts import ExporterDoor, asks


@dataclass(frozen=True, slots=True)
class Moved:
    """A target of a job that will be scraped at the one port."""

    target: scrape.Scraped
    door: ExporterDoor
    backend: Backend


@dataclass(frozen=True, slots=True)
class _Way:
    """How a job scrapes: all its targets have one module and one port."""

    module: str
    old_port: int
    new_port: int


def moved_targets(client: Client, place: Place, doors: Sequence[ExporterDoor]) -> tuple[Moved, ...]:
    """The targets of a place that will be scraped at the one port.

    Raises:
        InputError: it uses an exporter in a way that exporter_exporter does not support.
    """
    found = []
    for door in doors:
        for backend in door.backends:
            asked = [at for at in place.addresses if asks(client, at, backend)]
            if not asked:
                continue
            if place.kind != "job":
                raise InputError(
                    f"{place.how} asks {backend.key}, and exporter_exporter serves metrics alone",
                    where=place_name(client, place),
                    todo=f"Leave {backend.component} out of the front door",
                )
            found += [Moved(each, door, backend) for each in place.targets if each.address in asked]
    return tuple(found)


def edit_configuration(
    client: Client, doors: Sequence[ExporterDoor], modules: Mapping[tuple[str, str], str]
) -> dict[str, bytes]:
    """The configuration of a Prometheus, by path, with jobs that scrape the one port.

    Args:
        modules: the names of the modules, by the exporter's key and the scraped path.

    Raises:
        ConfigError, InputError: a job cannot be edited without guessing.
    """
    found = dict(client.texts)
    for place in client.places():
        moved = moved_targets(client, place, doors)
        if not moved:
            continue
        _refuse_unfit(client, place, moved)
        path = place.path or client.service.config_file
        with locate_errors(client.host.spec.name, path):
            _refuse_labelled(client, place, moved, module_jobs.asked_module(found[path], place.name))
            for name, way in _split_jobs(client, found, place, moved, modules):
                found[path] = module_jobs.through_module(
                    found[path], job=name, module=way.module, old_port=way.old_port, new_port=way.new_port
                )
    return found


def _split_jobs(
    client: Client,
    texts: dict[str, bytes],
    place: Place,
    moved: Sequence[Moved],
    modules: Mapping[tuple[str, str], str],
) -> Iterator[tuple[str, _Way]]:
    """Yields each job's name with how it scrapes; splits off a new job for targets that need another module or port."""
    ways: dict[_Way, list[scrape.Scraped]] = {}
    for each in moved:
        way = _Way(modules[each.backend.key, each.target.path], each.backend.server.port, each.door.door.port)
        ways.setdefault(way, []).append(each.target)
    taken = {each.target for each in moved}
    stays = any(target not in taken for target in place.targets)
    path = place.path or client.service.config_file
    for number, (way, targets) in enumerate(ways.items()):
        if not stays and number == len(ways) - 1:
            yield place.name, way
            return
        foreign = next((each for each in targets if each.source != "static"), None)
        if foreign is not None:
            raise InputError(
                f"job {place.name} takes {foreign.address} from {foreign.source}, together with others that are asked "
                "otherwise, and a job has one metrics_path and one module",
                where=place_name(client, place),
                todo="Move the exporters of that front door to a list and a job of their own",
            )
        names = {each.name for each in client.places(texts) if each.kind == "job"}
        new = new_jobs.free_name(f"{place.name}-proxy", f"{place.name}-{way.module}-proxy", names)
        texts[path] = scrape.split_job(
            texts[path],
            job=place.name,
            targets=list(dict.fromkeys(each.discovered for each in targets)),
            new_job=new,
        )
        yield new, way


def _refuse_unfit(client: Client, place: Place, moved: Sequence[Moved]) -> None:
    """Refuses a job that also takes targets from a service discovery that Firescreen cannot follow.

    Raises:
        InputError: the job has such targets.
    """
    first = moved[0].backend
    if not place.static:
        raise InputError(
            f"{place.how} asks {first.key}, and takes other targets from a discovery that cannot be followed",
            where=place_name(client, place),
            todo=f"Give {first.key} a job of its own with static_configs, then plan again",
        )


def _refuse_labelled(client: Client, place: Place, moved: Sequence[Moved], module: str) -> None:
    """Refuses a job whose targets choose a blackbox exporter's module by label: exporter_exporter needs that parameter.

    A module in `params` is fine and stays, after ours: exporter_exporter takes the first and passes the others on.

    Raises:
        InputError: a target has such a label.
    """
    chosen = next((each.target.module for each in moved if each.target.module != module), "")
    if chosen:
        raise InputError(
            f"{place.how} chooses the module {chosen} by a label (__param_module), and exporter_exporter needs one of its own "
            "in that place",
            where=place_name(client, place),
            todo="Write it as params: {module: [MODULE]}, with a job for each, then plan again",
        )

"""Plans front doors in exporter_exporter: one open port for the exporters of a host. Pure.

Jobs scrape that port with a client certificate, with one module per exporter; exporters listen on loopback. All that a
secured server needs (certificate, client CA, https in the jobs, probes) is planned as for any other server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wizard.config_files.prometheus.module_jobs import PROXY_PATH
from wizard.config_files.proxies import exporter_exporter
from wizard.model import (
    EXPORTERS,
    Arrow,
    BrokenClient,
    ContentKind,
    Facts,
    FileState,
    Gap,
    ManualCommand,
    PlannedStep,
    Probe,
    Stack,
    StepKind,
    facts_after,
)
from wizard.planner import (
    client_authentication,
    credentials,
    manual_commands,
    paths,
    server_certificates,
    service_actions,
)
from wizard.planner.client import ClientPlan
from wizard.planner.client_authentication import ClientDemand
from wizard.planner.client_edit import edit_step
from wizard.planner.client_facts import Client
from wizard.planner.front_doors import (
    door_backends,
    door_probes,
    exporter_door_broken_clients,
    exporter_door_facts,
    exporter_door_jobs,
)
from wizard.planner.front_doors.door_facts import Backend
from wizard.planner.front_doors.exporter_door_facts import ExporterDoor, metrics_path, wanted_flags
from wizard.planner.server import ServerPlan
from wizard.planner.server_facts import Server
from wizard.service_managers.registry import manager_of


@dataclass(frozen=True, slots=True)
class ExporterDoors:
    """The steps for front doors in exporter_exporter, apart from those of every server."""

    wanted: bool = False
    """Whether the stack has any, even on unreachable hosts: so plans for more or fewer hosts have the same stages."""
    doors: tuple[ExporterDoor, ...] = ()
    edits: tuple[PlannedStep, ...] = ()
    """Edits of the jobs, before those change to https."""
    modules: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The name of each module, by the exporter's key and the scraped path."""
    broken: tuple[BrokenClient, ...] = ()
    """Other clients of an exporter's port, which will be closed."""

    @property
    def opening(self) -> tuple[tuple[PlannedStep, ...], ...]:
        """The stage before the servers get TLS."""
        return (self.edits,) if self.wanted else ()

    def facts_after(self, facts: Facts) -> Facts:
        """The facts as the rest of the plan finds them, after the edits of the jobs."""
        return facts_after(facts, (change for step in self.edits for change in step.changes))

    def loopback_steps(
        self, facts: Facts, clients: Sequence[ClientPlan]
    ) -> tuple[tuple[PlannedStep, ...], ...]:
        """The stages after the jobs scrape the one port: the exporters then listen on loopback only."""
        if not self.wanted:
            return ()
        read = {each.client.key for each in clients if each.config is not None}
        scrapers = {each.client.key: each.client for each in clients}
        moving = [
            (each, wanted) for door in self.doors for each in door.backends if (wanted := wanted_flags(each))
        ]
        return (
            tuple(
                service_actions.reload(facts, scrapers[step.key])
                for step in self.edits
                if step.key not in read and step.key in scrapers
            ),
            tuple(door_backends.flag_step(each, wanted, why=_CLOSED) for each, wanted in moving),
            tuple(door_backends.restart(facts, each) for each, _ in moving),
        )

    def gaps(self) -> tuple[Gap, ...]:
        """How long each exporter is down."""
        return tuple(
            Gap(
                message=f"is reached by others at {each.door.root} alone from then on; down for about "
                f"{each.facts.restart_seconds:.0f} s: at most one scrape is lost",
                seconds=each.facts.restart_seconds,
                host=each.host.spec.name,
                component=each.component,
                instance=each.instance,
            )
            for door in self.doors
            for each in door.backends
            if wanted_flags(each)
        )

    def probes(self, servers: Sequence[Probe]) -> Iterator[Probe]:
        """Yields requests through each module, and to every address that would bypass exporter_exporter.

        Args:
            servers: the probes of all servers; those of exporter_exporter have its URL and credentials.
        """
        server_probes = {each.id: each for each in servers}
        for door in self.doors:
            for each in door.backends:
                for kind, name, client in (
                    ("right-client", "its metrics are served at the one port", "by its module"),
                    (
                        "no-client-certificate",
                        "without a client certificate they are not",
                        "module, no certificate",
                    ),
                ):
                    server_probe = server_probes[f"{door.server.key}/{kind}"]
                    yield replace(
                        server_probe,
                        id=f"{each.key}/door/{kind}",
                        host=each.host.spec.name,
                        component=each.component,
                        unit=each.instance,
                        name=name,
                        client=client,
                        url=f"{server_probe.url.partition('://')[0]}://{server_probe.url.partition('://')[2].partition('/')[0]}"
                        f"{PROXY_PATH}?module={self.modules[each.key, metrics_path(each)]}",
                        holds="# TYPE" if server_probe.expect == "200" else "",
                    )
                yield from door_probes.beside(each)

    def arrows(self) -> Iterator[Arrow]:
        """Yields the connections from exporter_exporter to its exporters."""
        for door in self.doors:
            for each in door.backends:
                yield Arrow(
                    client_host=door.door.host,
                    client=EXPORTERS,
                    server_host=each.host.spec.name,
                    server=each.component,
                    how=f"module {self.modules[each.key, metrics_path(each)]}",
                    address=each.address,
                    local=True,
                    probe=f"{each.key}/door/right-client",
                )


_CLOSED = (
    "exporter_exporter on the same host asks it by the loopback address. With --web.listen-address there alone, nobody "
    "reaches it beside that."
)


def plan_doors(stack: Stack, facts: Facts) -> ExporterDoors:
    """Plans the stack's front doors in exporter_exporter, with the edits of the jobs.

    Raises:
        InputError (and its subclasses): the hosts' present state does not allow one of them.
    """
    if not any(each.serves_exporters for each in stack.front_doors):
        return ExporterDoors()
    doors = exporter_door_facts.doors(stack, facts)
    clients = paths.scrapers(stack, facts)
    modules = {
        (backend.key, path): module.name
        for door in doors
        for backend, path, module, _ in _modules(door, clients)
    }
    edits = []
    for client in clients:
        step = edit_step(
            client,
            client.texts,
            exporter_door_jobs.edit_configuration(client, doors, modules),
            kind=StepKind.FRONT_DOOR_PATHS,
            step_id=f"{StepKind.FRONT_DOOR_PATHS}:modules:{client.place}",
            title="Have Prometheus ask exporters at one port",
            why=(
                "metrics_path and params name the module of exporter_exporter; two relabelling rules change the port, and "
                "keep the label instance as it is."
            ),
        )
        if step is not None:
            edits.append(step)
    broken = tuple(exporter_door_broken_clients.broken_clients(stack, facts, doors))
    return ExporterDoors(True, doors, tuple(edits), modules, broken)


def _modules(
    door: ExporterDoor, clients: Sequence[Client]
) -> Iterator[tuple[Backend, str, exporter_exporter.Module, bool]]:
    """Yields the modules of a front door: exporter, path, module, and whether the module is new."""
    modules = exporter_exporter.modules(door.main, door.server.service.config_file)
    names = {each if isinstance(each, str) else each.name for each in modules}
    scraped_paths: dict[tuple[str, str], None] = {}
    for client in clients:
        for place in client.places():
            for each in exporter_door_jobs.moved_targets(client, place, (door,)):
                scraped_paths[each.backend.key, each.target.path] = None
    for backend in door.backends:
        own_paths = [path for key, path in scraped_paths if key == backend.key]
        for path in dict.fromkeys((metrics_path(backend), *own_paths)):
            present = door.module(backend, path)
            module = present or door.new_module(backend, path, names)
            names.add(module.name)
            yield backend, path, module, present is None


def plan_server(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    clients: Sequence[Client],
    doors: ExporterDoors,
) -> ServerPlan:
    """Plans an exporter_exporter's certificate and client CA, modules and flags, with a restart that applies them.

    Raises:
        CertificateError, InputError: the person's own certificate is not good for it, or no name is known.
    """
    config = exporter_door_facts.settings(server.service)
    pair = server_certificates.server_pair(stack, facts, factory, server, config)
    demand = client_authentication.demand(stack, facts, factory, server, config, clients)
    assert demand is not None  # client certificates are always required
    door = next(each for each in doors.doors if each.server.key == server.key)
    modules, flags = (
        _modules_step(door, doors),
        _flag_step(server, pair.certificate_file, pair.key_file, demand),
    )
    changes = (*pair.changes, *demand.changes)
    material = server.step(
        StepKind.SERVER_CERTIFICATE,
        title=f"Create key and certificate for {server.title}",
        why="TLS needs a private key that only the server can read, and a certificate with the names that clients connect "
        "to. To verify the certificates of its clients, it needs their CA certificate too.",
        changes=(
            *server_certificates.make_home(server, "All files of the server are in one folder."),
            *changes,
        ),
    )
    return ServerPlan(
        server,
        pair,
        material if changes else None,
        modules,
        flags,
        "restart" if changes or modules or flags else "none",
        was_tls=bool(config.cert_file),
        asks_password=False,
        asks_certificate=True,
        client_auth_type=demand.client_auth_type,
        clients=demand.bundle,
        client_ca_file=demand.file,
        narrow=demand.narrow,
    )


def _modules_step(door: ExporterDoor, doors: ExporterDoors) -> PlannedStep | None:
    server, path = door.server, door.server.service.config_file
    before = server.host.files.get(path)
    assert before is not None  # `ExporterDoor.main` has raised for it
    content = before.content
    for backend in door.backends:
        for (key, asked), name in doors.modules.items():
            if key == backend.key and door.module(backend, asked) is None:
                new = exporter_exporter.Module(name, backend.address, "http", asked)
                content = exporter_exporter.add_module(content, path, new)
    if content == before.content:
        return None
    after = replace(before, content=content)
    return server.step(
        StepKind.FRONT_DOOR,
        title=f"Add modules to {server.title}",
        why=f"A module says at which port and path {EXPORTERS} asks an exporter. It checks the file itself before that is "
        "put in place.",
        changes=(
            server.write(
                path,
                after,
                ContentKind.PROXY_CONFIG,
                why="Every other byte of the file stays as it is.",
                by_hand=manual_commands.patch(path, before, after),
            ),
        ),
    )


def _flag_step(server: Server, certificate: str, key: str, demand: ClientDemand) -> PlannedStep | None:
    service, place = server.service, server.service.flags
    wanted = {
        "web.tls.listen-address": f":{server.port}",
        "web.tls.cert": certificate,
        "web.tls.key": key,
        "web.tls.ca": demand.file,
    }
    wanted = {name: value for name, value in wanted.items() if service.flag(name) != value}
    if not exporter_door_facts.has_switch(service, "web.tls.verify"):
        wanted["web.tls.verify"] = "true"
    if not exporter_door_facts.is_closed(service):
        wanted["web.listen-address"] = ""
    if not wanted:
        return None
    before, manager = server.host.files.get(place.path), manager_of(service)
    typed = manager.flag_commands(service, wanted=wanted, current=before)
    folders = (
        change
        for folder in server.flag_folders
        for change in server.system_folder(
            folder, why=f"{service.unit} reads its flags from a file in this folder."
        )
    )
    after: FileState = manager.set_flag(service, wanted=wanted, current=before)
    return server.step(
        StepKind.FLAGS,
        title=f"Set the TLS flags of {server.title}",
        why=(
            "It serves by TLS alone, to those who show a client certificate of your CA; an empty --web.listen-address closes "
            "its plain port. The flags take effect with a restart."
        ),
        changes=(
            *folders,
            server.write(
                place.path,
                after,
                ContentKind.SERVICE_FLAGS,
                why="All other flags stay as they are.",
                by_hand=tuple(ManualCommand(script=line) for line in typed),
            ),
        ),
    )

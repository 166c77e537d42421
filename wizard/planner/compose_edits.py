"""Edits of the files that describe a component's container: flags and mounts in Compose files or a quadlet. Pure.

A component's files are in a folder beside the Compose file, mounted read-only under the same path, so a path in a
configuration means the same file in the container and on the host. Compose ignores an edited file until the service is
recreated, so the edits come first; only a component that is server and client gets its flags right before its restart.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wizard.errors import ConfigError
from wizard.model import (
    Change,
    Container,
    ContentKind,
    Facts,
    FileState,
    HostFacts,
    PlannedStep,
    Service,
    StepKind,
    WriteFile,
)
from wizard.planner import healthcheck_login, manual_commands
from wizard.planner.client import ClientPlan
from wizard.planner.client_authentication import STRICT
from wizard.planner.participant import Participant
from wizard.planner.server import ServerPlan

if TYPE_CHECKING:
    from wizard.config_files import compose  # imported only when there is a container


def wanted_files(facts: Facts) -> dict[str, tuple[str, ...]]:
    """The Compose files of the components in containers, and the files that those name, by host."""
    found: dict[str, dict[str, None]] = {}
    for name, host in facts.hosts.items():
        for service in host.services:
            box = service.container
            if box is None or not box.is_described:
                continue
            paths = found.setdefault(name, {})
            if healthcheck_login.is_needed(box):
                paths[healthcheck_login.path(service)] = None
            if box.quadlet:
                paths[box.quadlet] = None
                continue
            paths[_variables_file(box)] = None
            from wizard.config_files import compose

            def fetch(path: str, host: HostFacts = host, paths: dict[str, None] = paths) -> bytes | None:
                paths[path] = None
                state = host.files.get(path)
                return state.content if state is not None else None

            try:
                compose.read(box.compose_files, fetch, _variables(host, box))
            except ConfigError:
                continue  # not read yet; the planner reports a file that stays missing
    return {name: tuple(paths) for name, paths in found.items()}


def _is_described(service: Service) -> bool:
    """Whether the service runs in a container that a Compose file or a quadlet describes."""
    return service.container is not None and service.container.is_described


@dataclass(slots=True)
class ComposeEdits:
    """The edits of a plan's Compose files; each is based on the one before."""

    servers: Sequence[ServerPlan]
    clients: Sequence[ClientPlan]
    _now: dict[tuple[str, str], FileState] = field(default_factory=dict)

    def first(self) -> tuple[PlannedStep, ...]:
        """The mounts for clients, and everything for servers that are not clients."""
        both = self._at_both_ends()
        found = [
            self._server_step(plan)
            for plan in self.servers
            if plan.server.key not in both and plan.turn == "restart"
        ]
        found += [
            self._client_step(plan)
            for plan in self.clients
            if plan.trust or plan.config is not None or plan.login is not None
        ]
        return tuple(step for step in found if step is not None)

    def client_server_steps(self, servers: Sequence[ServerPlan]) -> tuple[PlannedStep, ...]:
        """The flags for servers that are clients too, right before their restart; call it in the order of the run."""
        both = self._at_both_ends()
        found = [self._server_step(each) for each in servers if each.server.key in both]
        return tuple(step for step in found if step is not None)

    def _at_both_ends(self) -> set[str]:
        return {plan.client.key for plan in self.clients}

    def _client_step(self, plan: ClientPlan) -> PlannedStep | None:
        if not _is_described(plan.client.service):
            return None
        from wizard.config_files import compose

        return self._step(plan.client, plan.client.service, compose.Change())

    def _server_step(self, plan: ServerPlan) -> PlannedStep | None:
        if not _is_described(plan.server.service):
            return None
        from wizard.config_files import compose

        login = healthcheck_login.login_file_changes(plan, self.clients)
        demands = compose.Demands(
            tls=True,
            password=plan.asks_password,
            client_certificate=plan.client_auth_type in STRICT,
            client_config=healthcheck_login.path(plan.server.service) if login else "",
        )
        change = compose.Change(flags=plan.flags, demands=demands)
        return self._step(plan.server, plan.server.service, change, login)

    def _step(
        self,
        participant: Participant,
        service: Service,
        change: compose.Change,
        more: tuple[WriteFile, ...] = (),
    ) -> PlannedStep | None:
        from wizard.config_files import compose

        box, host = service.container, participant.host
        assert box is not None
        wanted = replace(
            change,
            image_command=box.command,
            image_healthcheck=box.healthcheck,
            mounts=()
            if box.sees(service.home)
            else (
                compose.Mount(source=service.home, target=service.home, selinux="Z" if host.selinux else ""),
            ),
        )
        edited = self._quadlet(host, box, wanted) if box.quadlet else self._compose(host, box, wanted)
        written = tuple(self._write_file(host, path, content) for path, content in edited.items())
        if not written:
            return None
        maker = "Podman" if box.quadlet else "Compose"
        what = f"the flag --{next(iter(change.flags))}" if change.flags else "the folder with its files"
        return participant.step(
            StepKind.FLAGS,
            title=f"Give the container of {service.component} {what}",
            why=(
                f"{posixpath.basename(written[0].path)} says how {maker} makes the container {box.name}. This takes "
                "effect when that container is made anew."
            ),
            changes=(*self._folder(participant, service), *more, *written),
        )

    def _compose(self, host: HostFacts, box: Container, wanted: compose.Change) -> dict[str, bytes]:
        from wizard.config_files import compose

        variables = _variables(host, box)
        project = compose.read(box.compose_files, lambda path: self._content(host, path), variables)
        return compose.edit(project, box.service, wanted, variables)

    def _quadlet(self, host: HostFacts, box: Container, wanted: compose.Change) -> dict[str, bytes]:
        from wizard.config_files import quadlet

        content = self._content(host, box.quadlet)
        if content is None:
            raise ConfigError(
                "the quadlet is not there any more",
                where=f"{host.spec.name}:{box.quadlet}",
                todo="Run systemctl daemon-reload there, then plan again",
            )
        try:
            edited = quadlet.edit(content.decode("utf-8", "surrogateescape"), wanted)
        except ConfigError as problem:
            where = f"{host.spec.name}:{box.quadlet}"
            raise ConfigError(problem.what, where=where, todo=problem.todo) from None
        after = edited.encode("utf-8", "surrogateescape")
        return {box.quadlet: after} if after != content else {}

    def _content(self, host: HostFacts, path: str) -> bytes | None:
        state = self._now.get((host.spec.name, path)) or host.files.get(path)
        return state.content if state is not None else None

    def _write_file(self, host: HostFacts, path: str, content: bytes) -> WriteFile:
        """The change of one Compose file, based on the changes before."""
        place = host.spec.name, path
        before = self._now.get(place) or host.files[path]
        assert before is not None  # it was read
        after = self._now[place] = replace(before, content=content)
        return WriteFile(
            host=host.spec.name,
            path=path,
            before=before,
            after=after,
            content_kind=ContentKind.SERVICE_FLAGS,
            why="Every other byte of the file stays as it is.",
            by_hand=manual_commands.patch(path, before, after),
        )

    def _folder(self, participant: Participant, service: Service) -> tuple[Change, ...]:
        """The change that creates the folder of the component's own files, if no other step does."""
        host, path = participant.host, service.home
        if participant.key in {plan.server.key for plan in self.servers} or host.folders.get(path):
            return ()
        owner, group = "root" if host.root else host.user, service.group
        why = "The container gets this folder, read-only, under the same path."
        return (
            manual_commands.make_folder(host.spec.name, path, mode=0o750, owner=owner, group=group, why=why),
        )


def _variables_file(box: Container) -> str:
    return posixpath.join(box.folder or "/", ".env")


def _variables(host: HostFacts, box: Container) -> Mapping[str, str]:
    """The variables in the project's .env."""
    state = host.files.get(_variables_file(box))
    lines = state.content.decode("utf-8", "replace").splitlines() if state is not None else []
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if "=" in line)
    return {
        name.strip(): value.strip().strip("'\"")
        for name, _, value in pairs
        if name and not name.startswith("#")
    }

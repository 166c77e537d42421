"""Writes the folder of an export: playbook, inventory, files, and a vault for the secrets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wizard import assets
from wizard.certificates import issue
from wizard.errors import CertificateError, HostError, InputError
from wizard.export import path_tool, vault
from wizard.export.desired_state import Picture
from wizard.export.playbook import Playbook
from wizard.model import WORKSPACE, FileState, Plan
from wizard.planner import paths
from wizard.redact import Secret

MARK = "# Made by Firescreen"
"""The beginning of the first line of every export's site.yml: a folder with it may be overwritten."""
_TASKS = ("look", "write", "restart", "reload", "verify", "doors")
_MOST_AT_ONCE = 50


class Export:
    """One stack, ready to be written as a playbook.

    Args:
        plan: for the stack, with its facts.

    Raises:
        InputError: the stack protects nothing, contains a container, or Ansible cannot reach a host.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        _refuse_containers(plan)
        self._picture = Picture(plan)
        self.playbook = Playbook(plan, self._picture)
        if not self._picture.turns:
            raise InputError(
                "this stack protects nothing, so there is nothing to export",
                where=plan.stack.source,
                todo="Say how: protect: [tls, basic_auth]",
            )
        self._refuse_authority()

    @property
    def needs_password(self) -> bool:
        """Returns whether there are secrets, so that the vault needs a password."""
        return self.playbook.has_secrets

    @property
    def for_workspace(self) -> Plan:
        """Returns the plan's steps for the workspace: apply them first, so that the CA of the export is stored.

        `verify` and the next export then use the CA and the passwords of this export.
        """
        steps = tuple(step for step in self._plan.steps if step.host == WORKSPACE)
        return replace(self._plan, steps=steps, probes=(), watched=())

    def _refuse_authority(self) -> None:
        """Rejects a stack whose export would contain the key of the CA.

        Raises:
            InputError: the stack uses the CA's key as a server's key.
        """
        authority = self._final(paths.ca_pair(self._plan.facts)[0])
        if authority is None:
            return
        for copy in self.playbook.copies:
            if b"PRIVATE KEY" not in copy.content:
                continue
            try:
                same = issue.matches(authority.content, copy.content)
            except CertificateError:
                continue  # encrypted: no server could use it
            if same:
                raise InputError(
                    "this is the key of your CA, which never leaves Firescreen's folder",
                    where=copy.source.replace("/", ":/", 1),
                    todo="Take it off that host, and give the server a key of its own",
                )

    def _final(self, path: str) -> FileState | None:
        return self._picture.facts.hosts[WORKSPACE].files.get(path)

    def write(self, folder: Path, password: Secret | None) -> tuple[str, ...]:
        """Writes the export; the files of an earlier export are replaced.

        Args:
            folder: see `refuse_folder`.
            password: of the vault; None if `needs_password` is False.

        Returns:
            The paths of the files, relative to the folder.

        Raises:
            InputError: the folder contains something else.
            HostError: it cannot be written.
        """
        refuse_folder(folder)
        book = self.playbook
        found: dict[str, bytes] = {
            # Written first: it identifies an interrupted export, which may then be overwritten.
            "site.yml": _yaml(book.plays(), f"{MARK[2:]}. See README.md for how to run it."),
            "README.md": self._readme().encode(),
            "ansible.cfg": self._settings().encode(),
            "inventory.yml": _yaml(book.inventory(), "Who is to be secured, and how each is reached."),
        }
        for task in _TASKS:
            found[f"tasks/{task}.yml"] = assets.path(f"ansible/tasks/{task}.yml").read_bytes()
        module = "library/firescreen_doors.py"
        found[module] = assets.path(f"ansible/{module}").read_bytes()
        found["tasks/path.sh"] = path_tool.text().encode()
        for name, variables in book.host_vars().items():
            found[f"host_vars/{name}/firescreen.yml"] = _yaml(
                variables, f"What {name} is to hold and to run."
            )
        for name, variables in book.secret_vars().items():
            text = _yaml(variables, "Checksums of secrets: they would let a password be guessed at leisure.")
            found[f"host_vars/{name}/secrets.yml"] = _encrypt_variables(text, password)
        for copy in book.copies:
            found[f"files/{copy.source}"] = (
                _encrypt_variables(copy.content, password) if copy.secret else copy.content
            )
        try:
            _put(folder, found)
        except OSError as error:
            raise HostError(
                f"the export cannot be written: {error.strerror}",
                where=str(folder),
                todo="Make room, or choose another folder",
            ) from error
        return tuple(found)

    def _settings(self) -> str:
        forks = min(max(len(self._plan.stack.hosts), 5), _MOST_AT_ONCE)
        return (
            "# Ansible reads this file where it is run in this folder.\n"
            "[defaults]\n"
            "inventory = inventory.yml\n"
            "# Hosts side by side.\n"
            f"forks = {forks}\n"
            "\n"
            "[ssh_connection]\n"
            "# Several times faster; sudo must not insist on a terminal (requiretty).\n"
            "pipelining = true\n"
        )

    def _readme(self) -> str:
        stack = self._plan.stack
        hosts = "\n".join(f"- `{spec.name}`" for spec in stack.hosts)
        parts = [part for part in self._needs() if part]
        text = assets.path("ansible/README.md").read_text(encoding="utf-8")
        source = stack.source or "firescreen.yaml"
        return (
            text.replace("{{STACK}}", source)
            .replace("{{HOSTS}}", hosts)
            .replace("{{NEEDS}}\n", "".join(f"{part}\n" for part in parts))
        )

    def _needs(self) -> tuple[str, ...]:
        hosts = self._plan.stack.hosts
        incus = [spec for spec in hosts if spec.connect == "incus"]
        remotes = dict.fromkeys(spec.via for spec in incus if spec.via)
        brought = [f"  - `{each.host}:{each.path}`" for each in self._picture.needed]
        return (
            "- Instances of incus: `ansible-galaxy collection install community.general` (its connection plugin is not "
            "part of ansible-core). For LXD, put `community.general.lxd` in its place in `inventory.yml`."
            if incus
            else "",
            *(
                f"- The plugin speaks to your own incus client. Make `{name}` known to it once: `incus remote add {name} "
                f"https://{name}:8443`."
                for name in remotes
            ),
            "- sudo: if it asks for a password, add `--ask-become-pass`."
            if any(s.become for s in hosts)
            else "",
            "\n".join(
                (
                    "- Files that you brought yourself. They stay where they are and are no part of this:",
                    *brought,
                )
            )
            if brought
            else "",
        )


def _refuse_containers(plan: Plan) -> None:
    """Rejects a plan for services that a playbook cannot restart.

    Raises:
        InputError: a component runs in a container.
    """
    for component in plan.stack.components:
        host = plan.facts.hosts.get(component.host)
        service = host.service(component.name, component.unit) if host is not None else None
        if service is not None and service.container is not None:
            raise InputError(
                f"{component.key} runs in container {service.container.name}, and containers cannot be exported to a "
                "playbook",
                where=plan.stack.source,
                todo="Leave it out of a copy of the stack file and export that; secure the container with `firescreen apply`, "
                "which reaches its host over SSH",
            )


def refuse_folder(folder: Path) -> None:
    """Rejects a folder unless it is missing, empty or an earlier export.

    Raises:
        InputError: it is something else.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    try:
        empty = folder.is_dir() and not any(folder.iterdir())
        site = folder / "site.yml"
        ours = site.is_file() and site.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    except OSError as error:
        raise InputError(
            f"the folder cannot be read: {error.strerror}", where=str(folder), todo="Choose another one"
        ) from error
    if not empty and not ours:
        raise InputError(
            "there is something else already, which an export would be mixed with",
            where=str(folder),
            todo="Name a new or an empty folder, or that of an earlier export",
        )


def _encrypt_variables(content: bytes, password: Secret | None) -> bytes:
    assert password, "secrets are never written without a vault's password"
    return vault.encrypt(content, password)


def _yaml(data: list[Any] | Mapping[str, Any], about: str) -> bytes:
    out = StringIO()
    yaml: Any = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 110
    yaml.dump(data, out)
    return f"# {about}\n---\n{out.getvalue()}".encode()


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files, readable by their owner only; removes files that only an earlier export had."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in ("files", "host_vars", "library", "tasks"):
        shutil.rmtree(folder / old, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(mode=0o700, exist_ok=True)
        staged = path.with_name(f".{path.name}.new")
        number = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(content)
        staged.replace(path)

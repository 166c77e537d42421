"""Runs an exported playbook with the real ansible-playbook, as its README says: pipelining, hosts in parallel.

    made = export(engine, stack, tmp_path / "playbook", PASSWORD)
    ran = run(made, PASSWORD, enter=network.enter)
    assert ran.code == 0 and ran.changed == 0, ran.output

For tests and benchmarks: `seconds` is the wall time of the one program.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import run_program
from wizard.engine import Engine
from wizard.export import Export
from wizard.model import Answers, Stack
from wizard.redact import Secret

PROGRAMS = Path(sys.executable).parent
"""Where ansible-playbook and ansible-vault are: beside this Python."""
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a run of a playbook."""

    code: int
    seconds: float
    output: str
    by_host: Mapping[str, int]
    """Tasks that changed something, by host."""

    @property
    def changed(self) -> int:
        """Returns the number of tasks that changed something, on all hosts."""
        return sum(self.by_host.values())


def export(engine: Engine, stack: Stack, folder: Path, password: str, answers: Answers | None = None) -> Path:
    """Exports a stack to that folder, as `firescreen export` does; returns the folder."""
    ready = Export(engine.plan(stack, answers))
    remembered = engine.apply(ready.for_workspace)
    assert remembered.error is None, remembered.error
    ready.write(folder, Secret(password))
    return folder


def run(
    folder: Path,
    password: str,
    *,
    arguments: Sequence[str] = (),
    forks: int = 0,
    enter: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Ran:
    """Runs the playbook in a folder.

    Args:
        folder: of the export.
        password: of its vault.
        arguments: further arguments of ansible-playbook, e.g. --check.
        forks: hosts in parallel; 0 as the export says.
        enter: a command prefix, e.g. `Network.enter`.
        env: variables to add to the environment.
        timeout: seconds.
    """
    argv = [*enter, str(PROGRAMS / "ansible-playbook"), "site.yml"]
    argv += ["--vault-password-file", "/bin/cat"]  # a program: it prints its standard input
    argv += [f"--forks={forks}"] if forks else []
    # Ansible reuses connections by address and user: hosts of another network may have the same.
    with tempfile.TemporaryDirectory(prefix="ansible-") as kept:
        begun = time.monotonic()
        ended = run_program(
            [*argv, *arguments],
            cwd=folder,
            input=password,
            timeout=timeout,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": kept,
                "LC_ALL": "C.UTF-8",
                **(env or {}),
            },
        )
    seconds = time.monotonic() - begun
    output = ended.stdout + ended.stderr
    by_host = {found[0]: int(found[2]) for found in _RECAP.findall(output)}
    return Ran(ended.returncode, seconds, output, by_host)

"""A new user's session in a real terminal (tmux), by keyboard alone: from a clone to a verified stack, to another
password, and back. It counts keys.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.terminal import Terminal
from tests.processes import run_program
from wizard import practice as practice_stack

pytestmark = pytest.mark.matrix

MOST_TO_FIRST, MOST_TO_WHOLE = 10, 14
"""Keys from the first frame to a verified exporter, and to the verified whole practice stack."""
PASSWORD = "seven-otters-by-the-weir"


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@contextmanager
def open_wizard(
    tmp_path: Path, cache: Path, size: tuple[int, int], *, clone: Path | None = None
) -> Iterator[Terminal]:
    """Runs the wizard in a new workspace; its practice stack ends with the test.

    Args:
        clone: a clone to start it from with `make run`; None for the code under test.
    """
    workspace = tmp_path / "workspace"
    argv = [sys.executable, "-m", "screens", "--workspace", str(workspace)]
    if clone is not None:
        argv = ["make", "-C", str(clone), "run", f"ARGS=--workspace {workspace}"]
    window = Terminal(tmp_path, size, argv, {"FIRESCREEN_CACHE": str(cache), "TERM": "xterm-256color"})
    try:
        yield window
    finally:
        window.close()
        practice_stack.down(workspace, remove=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a fresh clone of HEAD without a virtual environment."""
    folder = tmp_path_factory.mktemp("clone") / "firescreen"
    source = f"file://{Path(__file__).parents[2]}"
    git = ["git", "-c", "safe.directory=*", "clone", "--quiet", "--depth", "1", source, str(folder)]
    subprocess.run(git, check=True, timeout=60)
    return folder


def secure(window: Terminal, practise: str) -> None:
    """Goes from the first frame to a verified practice stack."""
    window.until("Practise")
    window.press(practise)
    window.until("components are unprotected")
    window.press("s")
    window.until("TLS + password", "Password")
    window.press("C-s")
    window.until("Nothing has been written yet")
    window.press("a")
    window.until("Apply this plan?")
    window.press("Enter")
    window.until("✓ verified")


def rotate_password(window: Terminal, password: str) -> None:
    """Goes from a verified stack to one with another password, typed directly after Tab."""
    window.press("Escape")
    window.until("All components are secured")
    window.press("s")
    window.until("Certificates, names and users")
    window.press("Tab")
    window.type(password)
    window.until("●●●● strong")
    window.press("C-s")
    window.until("Add the new password")
    window.press("a")
    window.until("Apply this plan?")
    window.press("Enter")
    window.until("✓ verified")


def undo(window: Terminal) -> None:
    """Undoes the run whose verification is shown."""
    window.press("u")
    window.until("Undo this run?")
    window.press("Enter")
    window.until("Every file is as it was")


def status(workspace: Path, password: str) -> str:
    """Returns the HTTP status of node_exporter on the practice stack for that password."""
    known = practice_stack.status(workspace)
    assert known is not None
    host = known.host("srv1")
    ca = workspace / "ca" / "ca.crt"
    request = f'user = "prometheus:{password}"\n'
    argv = ["curl", "-sS", "-K", "-", "--cacert", str(ca), "-o", "/dev/null", "-w", "%{http_code}"]
    argv.append(f"https://{host.address}:{host.port}/metrics")
    ended = run_program(argv, input=request, timeout=30)
    return ended.stdout + ended.stderr


@SIZES
@pytest.mark.timeout(600)
def test_from_a_fresh_clone_to_a_verified_exporter_to_another_password_and_back(
    size: tuple[int, int], tmp_path: Path, cache: Path, clone: Path
) -> None:
    workspace = tmp_path / "workspace"
    with open_wizard(tmp_path, cache, size, clone=clone) as terminal:
        secure(terminal, "p")
        print(f"{terminal.keys} keys to the first verified exporter")
        assert terminal.keys <= MOST_TO_FIRST
        first = (workspace / "users" / "prometheus.password").read_text().strip()
        assert status(workspace, first) == "200"
        rotate_password(terminal, PASSWORD)
        print(f"{terminal.keys} keys to the other password, without its letters")
        assert (status(workspace, PASSWORD), status(workspace, first)) == ("200", "401")
        undo(terminal)
        assert (status(workspace, PASSWORD), status(workspace, first)) == ("401", "200")


@SIZES
def test_from_nothing_to_a_verified_exporter_and_back(
    size: tuple[int, int], tmp_path: Path, cache: Path
) -> None:
    with open_wizard(tmp_path, cache, size) as terminal:
        secure(terminal, "p")
        undo(terminal)
    web_configs = [path for path in (tmp_path / "workspace").rglob("web.yml") if path.is_file()]
    assert web_configs == []


@SIZES
def test_from_nothing_to_the_whole_practice_stack_verified(
    size: tuple[int, int], tmp_path: Path, cache: Path
) -> None:
    with open_wizard(tmp_path, cache, size) as terminal:
        secure(terminal, "w")
        print(f"{terminal.keys} keys to the whole practice stack")
        assert terminal.keys <= MOST_TO_WHOLE
        terminal.press("Escape")
        terminal.until("All components are secured")

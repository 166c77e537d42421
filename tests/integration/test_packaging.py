"""Firescreen installed from a wheel, and run from a checkout; both find their assets from any folder."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import wizard
from tests.processes import run_program

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    "assets",
    "screens",
    "tests",
    ".ci",
    "wizard",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
]
FIND_ASSETS = "from wizard import assets; print(assets.path('labs'))"


def run(argv: Sequence[str | Path], cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    done = run_program(
        [str(part) for part in argv],
        cwd=cwd,
        env=environment | {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        timeout=120,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_of_the_sources(to: Path) -> Path:
    to.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


def new_environment(folder: Path) -> Path:
    """Makes a virtual environment that sees this one's packages, but not the checkout; returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    # A folder in a .pth file is searched, but its own .pth files (our editable install) are not read.
    (site / "packages-of-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str | Path) -> None:
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "-q",
            "--no-deps",
            "--no-compile",
            *what,
        ],
        python.parent,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from the sdist that is built from the sources, as an index has it."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_of_the_sources(folder / "sources")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", sources], folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the Python of a virtual environment with the wheel."""
    python = new_environment(tmp_path_factory.mktemp("installed") / "room")
    install(python, wheel)
    return python


def test_the_wheel_contains_both_packages_and_every_asset(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    assets = {
        f"wizard/_assets/{path.relative_to(ROOT / 'assets').as_posix()}"
        for path in (ROOT / "assets").rglob("*")
        if path.is_file() and "pictures" not in path.parts and "__pycache__" not in path.parts
    }
    assert any(name.startswith("wizard/_assets/labs/") for name in held)
    assert assets <= held
    packaged = {
        path.relative_to(ROOT).as_posix()
        for room in ("wizard", "screens")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packaged <= held
    assert not {name for name in held if name.startswith(("tests/", "assets/", "tools/"))}
    assert any(name.endswith("/licenses/LICENSE") for name in held)


def test_a_wheel_finds_its_assets_from_anywhere(installed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert wizard.__version__ in run([installed.parent / "firescreen", "--version"], elsewhere)
    labs = Path(run([installed, "-c", FIND_ASSETS], elsewhere).strip())
    assert labs.is_relative_to(installed.parents[1].resolve())
    assert any(labs.iterdir())


def test_a_checkout_finds_its_assets_from_anywhere_and_copies_none(tmp_path: Path) -> None:
    sources = copy_of_the_sources(tmp_path / "a checkout")
    python = new_environment(tmp_path / "room")
    install(python, "--no-build-isolation", "--editable", sources)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert wizard.__version__ in run([python.parent / "firescreen", "--version"], elsewhere)
    labs = Path(run([python, "-c", FIND_ASSETS], elsewhere).strip())
    assert labs == (sources / "assets" / "labs").resolve()
    assert not list((tmp_path / "room").rglob("_assets"))


def test_a_missing_asset_is_an_error(installed: Path, tmp_path: Path) -> None:
    code = (
        "from wizard import assets, errors\n"
        "try:\n    assets.path('labs/../../model.py')\n"
        "except errors.FirescreenError as error:\n    print('said:', error)\n"
    )
    assert run([installed, "-c", code], tmp_path).startswith("said:")


def test_the_installed_version_is_that_of_the_code() -> None:
    assert importlib.metadata.version("firescreen") == wizard.__version__

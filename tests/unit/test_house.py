"""Rules of the repository: import contracts, code limits, locked packages, and documents that match the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from textual.dom import DOMNode
from textual.reactive import Reactive

from tests.tools import house_limits
from tests.tools.house_limits import circles, imports, problems

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"bcrypt", "cryptography", "paramiko", "ruamel"}


def loaded_after(statement: str) -> set[str]:
    """Returns the modules, and their packages, in `sys.modules` of a new Python process after `statement`."""
    # In a new process: static analysis misses deferred imports, and this process has already imported everything.
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_app_loads_no_cryptography_ssh_or_yaml() -> None:
    loaded = loaded_after("import screens.app")
    assert "textual" in loaded
    assert not loaded & SLOW


UNTIL_DRAWN = """
from pathlib import Path
from screens.app import make_app

app = make_app(workspace=Path({workspace!r}))
drawn, app.when_drawn = app.when_drawn, lambda _: drawn(app.exit)
app.run(headless=True, size=(80, 24))
"""
"""Draws Home with its keys, and ends before work starts that waits for the first frame."""


def test_the_first_frame_is_drawn_without_slow_imports(tmp_path: Path) -> None:
    loaded = loaded_after(UNTIL_DRAWN.format(workspace=str(tmp_path)).strip())
    assert "textual" in loaded
    assert not loaded & SLOW


def test_the_entry_point_imports_neither_screens_nor_command_line_early() -> None:
    assert not loaded_after("import screens.__main__") & (SLOW | {"textual"})


def test_the_command_line_imports_no_screens_and_no_slow_packages() -> None:
    loaded = loaded_after("import wizard.cli")
    assert "wizard" in loaded
    assert not loaded & (SLOW | {"screens", "textual"})


def test_the_history_is_read_without_engine_and_planner() -> None:
    loaded = loaded_after("import wizard.cli.runs")
    assert "wizard.journal_reader" in loaded
    assert not loaded & (SLOW | {"wizard.engine", "wizard.planner"})


FOR_FEW_RUNS = {
    "re2",
    "wizard.config_files.compose",
    "wizard.config_files.proxies.nginx",
    "wizard.diagnostics",
}
"""Modules that a run without containers, reverse proxies and failures does not use."""


def test_the_engine_imports_rarely_used_modules_late() -> None:
    loaded = loaded_after("import wizard.engine")
    assert "wizard.engine.run" in loaded
    assert not loaded & FOR_FEW_RUNS


IMPORT = re.compile(r"^\s*from ((?:wizard|screens)[\w.]*) import ([\w, ]+)$", re.MULTILINE)
"""An import in a script that a test runs in another Python process: no type checker reads it."""


def test_scripts_in_tests_import_existing_names() -> None:
    missing = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        texts = (
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        for module, names in itertools.chain.from_iterable(map(IMPORT.findall, texts)):
            for name in (each.strip().partition(" as ")[0] for each in names.split(",")):
                found = importlib.import_module(module)
                if not hasattr(found, name) and importlib.util.find_spec(f"{module}.{name}") is None:
                    missing.append(f"{path.relative_to(ROOT)}: from {module} import {name}")
    assert missing == []


def test_a_slow_import_is_detected() -> None:
    assert loaded_after("import bcrypt") & SLOW == {"bcrypt"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_import_contract_is_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


UNLISTED_MODULE = '"""A module that no import contract lists."""\n'


@pytest.fixture(scope="session")
def product_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product's code, which each test restores."""
    folder = tmp_path_factory.mktemp("product")
    for room in ("wizard", "screens"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("wizard/model.py", "import textual", "The engine knows neither the screens nor Textual"),
        ("wizard/engine.py", "import screens.app", "The engine knows neither the screens nor Textual"),
        ("wizard/probes/__init__.py", "import wizard.engine.journal", "Arrows point down"),
        ("wizard/model.py", "import wizard.engine", "Arrows point down"),
        ("wizard/nowhere.py", "", "Arrows point down"),
        ("screens/plan/screen.py", "import screens.run.screen", "Pages open each other by route"),
        ("screens/base_app.py", "import screens.app", "Pages open each other by route"),
        ("screens/nowhere.py", "", "Pages open each other by route"),
        ("screens/app.py", "import wizard.cli", "The screens do not know the command line"),
        ("screens/app.py", "import cryptography.x509", "no cryptography, no SSH and no YAML"),
        ("screens/app.py", "import ruamel.yaml", "no cryptography, no SSH and no YAML"),
    ],
)
def test_a_broken_import_contract_is_detected(
    product_copy: Path, module: str, statement: str, contract: str
) -> None:
    place = product_copy / module
    if not place.exists() and module == "wizard/engine.py":
        place = product_copy / "wizard/engine/__init__.py"
    before = place.read_text() if place.exists() else None
    place.write_text(f"{before or UNLISTED_MODULE}\n{statement}\n")
    try:
        done = lint_imports(product_copy)
    finally:
        if before is None:
            place.unlink()
        else:
            place.write_text(before)

    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), done.stdout + done.stderr


def test_the_code_keeps_its_limits() -> None:
    assert problems() == [], (
        "modules, functions, nesting, names and import circles: tests/tools/house_limits.py"
    )


def test_code_over_a_limit_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house_limits, "ROOT", tmp_path)
    deep = "".join(f"{'    ' * level}if {level}:\n" for level in range(1, 6))
    (tmp_path / "wizard").mkdir()
    (tmp_path / "wizard/told.py").write_text(f"def deep():\n{deep}{'    ' * 6}pass\n" + "x = 1\n" * 400)
    (tmp_path / "wizard/long.py").write_text("import wizard.told\ndef f():\n" + "    x = 1\n" * 60)
    (tmp_path / "wizard/name.py").write_text(
        "def _asked(): pass\nclass A:\n    @property\n    def known(self): pass\n"
    )
    assert [problem.partition(" (")[0] for problem in problems(("wizard",))] == [
        "wizard/told.py: 407 lines",
        "wizard/long.py:2 f: 61 lines",
        "wizard/told.py:1 deep: nested 5 deep",
        "wizard/told.py: the name says not what it holds",
        "wizard/name.py:1 _asked: say what it does",
    ]


def test_late_and_type_checking_imports_count_in_import_circles() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph) == [["a", "b", "c"]]
    late = imports(
        [ROOT / "screens/app.py", ROOT / "screens/page_registry.py", ROOT / "screens/home/screen.py"]
    )
    assert late["screens.app"] == {"screens.page_registry", "screens.home.screen"}, (
        "one of them is imported late"
    )


def requirements(lock: str) -> dict[str, str]:
    """Name and pinned version of each requirement in a lock file; each must have a hash."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text()):
        if block.startswith("#"):
            continue
        pinned = re.match(r"([a-z0-9-]+)==([^\s;\\]+)", block)
        assert pinned, block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), f"{pinned[1]} has no hash"
        found[pinned[1]] = pinned[2]
    return found


def names(dependencies: list[str]) -> set[str]:
    return {re.split(r"[<>=!~;\[ ]", each)[0].replace(".", "-") for each in dependencies}


def test_every_package_is_locked_by_hash_without_a_registry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run, dev = requirements("requirements.lock"), requirements("requirements-dev.lock")
    groups = project["dependency-groups"]
    assert names(project["project"]["dependencies"] + groups["install"]) <= run.keys()
    assert names(groups["dev"]) <= dev.keys()
    assert run.items() <= dev.items(), "what is tested is not what runs"
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text()


def test_every_dependency_has_a_comment_with_its_purpose() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    block = lines[start + 1 : lines.index("]", start)]
    for above, line in itertools.pairwise(block):
        if line.strip().startswith('"'):
            assert above.strip().startswith("# "), f"{line.strip()} does not say why"
    assert sum(line.strip().startswith('"') for line in block) * 2 == len(block)


def test_ci_runs_the_commands_that_the_readme_prints() -> None:
    readme = (ROOT / "README.md").read_text()
    printed = set(re.findall(r"^make [a-z-]+", readme, flags=re.MULTILINE))
    assert {"make run", "make test", "make test-hosts", "make bench"} <= printed
    ran = set(re.findall(r"^make [a-z-]+", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE))
    assert printed <= ran


def test_links_in_documents_lead_to_existing_files() -> None:
    for document in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "assets/docs").glob("*.md")),
    ):
        links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        assert [link for link in links if not (document.parent / link).exists()] == []


def test_contributing_names_files_that_exist_and_all_packages() -> None:
    named = re.findall(r"`([\w.]+/[\w./]*)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert [
        path for path in named if not path.startswith("assets/labs/NNN") and not (ROOT / path).exists()
    ] == []
    packages = {f"wizard/{path.parent.name}/" for path in (ROOT / "wizard").glob("*/__init__.py")}
    assert packages - {"wizard/cli/", "wizard/binaries/"} <= set(named)


def test_the_layers_in_contributing_match_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {each["containers"][0]: each["layers"] for each in contracts if each["type"] == "layers"}
    picture = (ROOT / "CONTRIBUTING.md").read_text().partition("```\nwizard\n")[2].partition("```")[0]
    drawn = dict(zip(("wizard", "screens"), picture.split("\nscreens\n"), strict=True))
    assert {
        room: [line.strip().partition("   ")[0] for line in text.strip().splitlines()]
        for room, text in drawn.items()
    } == layers


def test_an_exporter_is_one_file_that_no_other_module_mentions() -> None:
    files = [path for room in ("wizard", "screens") for path in (ROOT / room).rglob("*.py")]
    naming = [str(path.relative_to(ROOT)) for path in files if "mysqld" in path.read_text()]
    assert naming == ["wizard/components/mysqld_exporter.py"]


def test_every_watch_method_has_a_reactive_attribute() -> None:
    for path in house_limits.module_files(("screens",)):
        module = importlib.import_module(house_limits._module(path))
        for name, one in vars(module).items():
            if not (isinstance(one, type) and issubclass(one, DOMNode) and one.__module__ == module.__name__):
                continue
            for method in vars(one):
                if method.startswith("watch_"):
                    attribute = inspect.getattr_static(one, method.removeprefix("watch_"), None)
                    assert isinstance(attribute, Reactive), f"{path}: {name}.{method} is never called"


def test_the_readme_is_short_and_links_every_manual_topic() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 160
    topics = {f"assets/docs/{path.name}" for path in (ROOT / "assets/docs").glob("*.md")}
    assert topics and topics <= set(re.findall(r"\]\(([^)#:]+)\)", readme))

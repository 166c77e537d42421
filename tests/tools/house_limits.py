"""Measures the limits of the product's code: lines of a module and a function, nesting, import circles, names.

`python tests/tools/house_limits.py [FOLDER ...]` prints what exceeds a limit, one line each, and exits with 1
if anything does. Without folders it checks wizard and screens.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 60
NESTING = 4
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
VAGUE = re.compile(r"(?:^|_)(?:words|parts|misc|utils|helpers|stuff|told|afar|ahead|together)$")
"""Names that say nothing of what a module holds."""
NOUNS = frozenset({"string", "thing"})
"""What ends as a participle does and is a noun."""
GERUNDS = frozenset({"relabeling", "forwarding", "listening"})
"""Verbal nouns that Prometheus and OpenSSH use themselves for the thing that the module holds."""

PARTICIPLE = re.compile(
    r"_*(?:[a-z]+ed|told|held|kept|said|gone|made|shown|seen|sent|known|found|given|taken|chosen|written|broken)$"
)
"""A function name that says neither what is done nor what is returned."""
VERBS_IN_ED = frozenset(
    {"feed", "_feed", "_need", "embed", "exceed", "need", "proceed", "seed", "speed", "succeed"}
)


def module_files(folders: tuple[str, ...] = ("wizard", "screens")) -> list[Path]:
    """Returns every Python file of the product below these folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def long_modules(files: list[Path]) -> Iterator[str]:
    """Returns the modules over 400 lines."""
    for path in files:
        lines = len(path.read_text().splitlines())
        if lines > MODULE_LINES:
            yield f"{path.relative_to(ROOT)}: {lines} lines (limit {MODULE_LINES})"


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Returns the statements inside a statement; no function, block or import is inside an expression."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        yield from getattr(node, name, ())


def _statements(path: Path) -> Iterator[ast.AST]:
    left: list[ast.AST] = [*ast.parse(path.read_text()).body]
    while left:
        node = left.pop(0)
        yield node
        left.extend(_children(node))


def _depth(node: ast.AST, level: int = 0) -> int:
    """Returns the nesting depth of blocks in a function: an `elif` is on its `if`'s level, an inner function
    starts at 0.
    """
    deepest = level
    for child in _children(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deeper = isinstance(child, BLOCKS) and not is_elif
        deepest = max(deepest, _depth(child, level + 1 if deeper else level))
    return deepest


def long_or_deep_functions(files: list[Path]) -> Iterator[str]:
    """Returns the functions over 60 lines, and those whose blocks are nested deeper than 4."""
    for path in files:
        for function in _statements(path):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            where = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{where}: {lines} lines (limit {FUNCTION_LINES})"
            if (depth := _depth(function)) > NESTING:
                yield f"{where}: nested {depth} deep (limit {NESTING})"


def vague_names(files: list[Path]) -> Iterator[str]:
    """Returns the modules named by a participle, an adverb or a word without meaning."""
    for path in files:
        name = path.parent.name if path.stem == "__init__" else path.stem
        last = name.rpartition("_")[2]
        participle = last.endswith("ing") and last not in GERUNDS | NOUNS
        if participle or VAGUE.search(name):
            yield f"{path.relative_to(ROOT)}: the name says not what it holds"


def participles(files: list[Path]) -> Iterator[str]:
    """Returns the functions named by a bare participle (`expanded`, `_told`), except properties, which name a state."""
    for path in files:
        for function in _statements(path):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if function.name in VERBS_IN_ED:
                continue
            is_property = any("property" in ast.unparse(each) for each in function.decorator_list)
            if PARTICIPLE.match(function.name) and not is_property:
                where = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
                yield f"{where}: say what it does (a verb) or what it returns (a noun)"


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(files: list[Path]) -> dict[str, set[str]]:
    """Returns the product modules that each module imports, under TYPE_CHECKING and inside functions too.

    `from package import name` leads to the module `package.name` where there is one, and to `package`
    otherwise.
    """
    known = {_module(path): path for path in files}
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        found[module] = set()
        for node in _statements(path):
            if isinstance(node, ast.Import):
                found[module].update(each.name for each in node.names if each.name in known)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    full = f"{node.module}.{each.name}"
                    target = full if full in known else node.module
                    if target in known:
                        found[module].add(target)
        found[module].discard(module)
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Returns the groups of modules that import each other, largest first (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return sorted(found, key=len, reverse=True)


def problems(folders: tuple[str, ...] = ("wizard", "screens")) -> list[str]:
    """Returns everything that exceeds a limit in these folders; circles are searched in the complete product."""
    files = module_files(folders)
    found = [*long_modules(files), *long_or_deep_functions(files), *vague_names(files), *participles(files)]
    dotted = tuple(folder.replace("/", ".") for folder in folders)
    found.extend(
        f"imports in a circle: {', '.join(group)}"
        for group in circles(imports(module_files()))
        if any(module.startswith(dotted) for module in group)
    )
    return found


if __name__ == "__main__":
    excesses = problems(tuple(sys.argv[1:]) or ("wizard", "screens"))
    print("\n".join(excesses))
    raise SystemExit(1 if excesses else 0)

"""What the real Compose commands read from each project of the corpus, before and after its edit, without a daemon."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from compose_corpus import Case, cases
from docker_hosts import GENERATIONS, compose_plugin, write_compose_1
from ruamel.yaml import YAML

from tests.processes import run_program
from wizard.config_files.shell_syntax import split

OURS = {"command", "entrypoint", "volumes", "ports", "healthcheck"}
_MANY = """
import contextlib, io, json, os, sys
from compose.cli.main import main
said = []
for folder, words, variables in json.load(sys.stdin):
    os.chdir(folder)
    os.environ.update(variables)
    sys.argv = ["docker-compose", *words, "config"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
    for name in variables:
        del os.environ[name]
    said.append([code or 0, out.getvalue(), err.getvalue()])
json.dump(said, sys.stdout)
"""
"""Compose 1.29 takes a second to start: one process reads all projects."""


def written(folder: Path, case: Case, *, after: bool) -> Path:
    """Writes the project into a folder of its own."""
    place = folder / ("after" if after else "before") / case.name
    for name, content in {**case.before, **(case.after if after else {})}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def told(generation: str, folder: Path, jobs: list[tuple[Path, Case]]) -> list[Any]:
    """Returns what that generation's Compose reads from each project, parsed from YAML; or its error, as a str."""
    words = [[word for name in case.files for word in ("-f", name)] for _, case in jobs]
    if GENERATIONS[generation] == 1:
        write_compose_1(folder / "many", script=_MANY)
        asked = [
            (str(place), each, dict(case.variables)) for each, (place, case) in zip(words, jobs, strict=True)
        ]
        ended = run_program([folder / "many"], input=json.dumps(asked), timeout=170)
        assert ended.returncode == 0, ended.stderr
        return [
            YAML(typ="safe").load(out) if not code else err for code, out, err in json.loads(ended.stdout)
        ]
    said: list[Any] = []
    for each, (place, case) in zip(words, jobs, strict=True):
        run = run_program(
            [compose_plugin(generation), *each, "--profile", "*", "config"],
            cwd=place,
            env={**os.environ, **case.variables},
        )
        said.append(YAML(typ="safe").load(run.stdout) if run.returncode == 0 else run.stderr)
    return said


@pytest.mark.parametrize("generation", GENERATIONS)
def test_only_the_intended_parts_differ(generation: str, tmp_path: Path) -> None:
    todo = [case for case in cases() if generation in case.generations and not case.refused]
    assert len(todo) >= 60
    jobs = [(written(tmp_path, case, after=after), case) for case in todo for after in (False, True)]
    said = told(generation, tmp_path, jobs)
    wrong = {}
    for case, before, after in zip(todo, said[::2], said[1::2], strict=True):
        problem = unintended_differences(case, before, after)
        if problem:
            wrong[case.name] = problem
    assert not wrong, "\n".join(f"{name}: {problem}" for name, problem in wrong.items())
    print(f"{generation}: {len(todo)} projects", file=sys.stderr)


def unintended_differences(case: Case, before: Any, after: Any) -> str:
    """Returns the differences that were not intended; '' if there are none."""
    if isinstance(before, str) or isinstance(after, str):
        return f"refused: {before if isinstance(before, str) else after}"
    before, after = (json.loads(json.dumps(each).replace("/after/", "/before/")) for each in (before, after))
    old, new = before["services"].pop(case.service), after["services"].pop(case.service)
    if before != after:
        return f"something else differs: {before} {after}"
    for key in {*old, *new} - OURS:
        if old.get(key) != new.get(key):
            return f"{key} differs: {old.get(key)} {new.get(key)}"
    return (
        words_differ(case, old, new)
        or volumes_differ(case, old, new)
        or ports_differ(case, old, new)
        or check_differs(case, old, new)
    )


def words_differ(case: Case, old: Any, new: Any) -> str:
    change = case.wanted
    before, after = ([*words(each.get("entrypoint")), *words(each.get("command"))] for each in (old, new))
    if not words(old.get("command")) and not words(old.get("entrypoint")):
        before = list(change.image_command)
    for name, value in change.flags.items():
        flag = f"--{name}={value}".replace("$", "$$")
        if after.count(flag) != 1:
            return f"{flag} is there {after.count(flag)} times: {after}"
        after.remove(flag)
        for index, word in reversed(list(enumerate(before))):
            if word.startswith(f"--{name}="):
                del before[index]
            elif word == f"--{name}":
                del before[index : index + 2]
    return "" if before == after else f"other flags differ: {before} {after}"


def words(value: Any) -> list[str]:
    return [word.text for word in split(value, c_escapes=False)] if isinstance(value, str) else value or []


def volumes_differ(case: Case, old: Any, new: Any) -> str:
    before, after = ({target(each): each for each in side.get("volumes") or ()} for side in (old, new))
    added = {path: each for path, each in after.items() if path not in before}
    wanted = {mount.target for mount in case.wanted.mounts} - set(before)
    if set(added) != wanted or any(after.get(path) != each for path, each in before.items()):
        return f"volumes differ: {before} {after}"
    for each in added.values():
        place = (each.split(":")[0] if isinstance(each, str) else each["source"]).replace("$$", "$")
        if not place.endswith(
            tuple(f"{case.name}/{mount.source.strip('./')}" for mount in case.wanted.mounts)
        ):
            return f"the mount is of another folder: {each}"
        read_only = each.endswith((":ro", ":ro,Z")) if isinstance(each, str) else each.get("read_only")
        if not read_only:
            return f"not read-only: {each}"
    return ""


def target(volume: Any) -> str:
    found = volume.split(":")[1 if ":" in volume else 0] if isinstance(volume, str) else volume["target"]
    # Compose 1.29 does not double dollar signs there.
    return str(found).rstrip("/").replace("$$", "$")


def ports_differ(case: Case, old: Any, new: Any) -> str:
    before, after = ([port(each) for each in side.get("ports") or ()] for side in (old, new))
    bound = [
        ("127.0.0.1", *rest)
        if rest[-1].split("/")[0] in map(str, case.wanted.loopback) and ip not in ("127.0.0.1", "::1")
        else (ip, *rest)
        for ip, *rest in before
    ]
    return "" if sorted(bound) == sorted(after) else f"ports differ: {before} {after}"


def port(value: Any) -> tuple[str, ...]:
    """Returns address, published port, and port of the container."""
    if isinstance(value, dict):
        return (str(value.get("host_ip", "")), str(value.get("published", "")), str(value["target"]))
    address, _, rest = value.rpartition(":")
    ip, _, published = address.rpartition(":")
    return ("" if ip == "0.0.0.0" else ip, published, rest.split("/")[0])


def check_differs(case: Case, old: Any, new: Any) -> str:
    before, after = dict(old.get("healthcheck") or {}), dict(new.get("healthcheck") or {})
    for each in (before, after):
        test = each.pop("test", [])
        if case.wanted.demands is None and each is before:
            before_test = test
        elif case.wanted.demands is None and test != before_test:
            return f"the healthcheck differs: {test}"
    return "" if before == after else f"the healthcheck differs: {before} {after}"

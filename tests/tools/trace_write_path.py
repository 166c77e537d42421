"""Traces how `Engine.apply` replaces a file: the calls from there to the rename, and the entered files.

`python tests/tools/trace_write_path.py` applies a plan with one file on one local host, in a folder of its
own, prints the functions of wizard/ on that path, outermost first, and exits with 1 if they are more than
nine.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from wizard.account import account
from wizard.engine import Engine
from wizard.model import (
    WORKSPACE,
    ContentKind,
    Facts,
    FileState,
    HostFacts,
    HostSpec,
    Plan,
    PlannedStep,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.workspace import Workspace

MOST = 9
"""Calls of functions of wizard/ from `Engine.apply` to the rename."""

ROOT = Path(__file__).resolve().parents[2]
_PRODUCT = f"{ROOT / 'wizard'}{os.sep}"


@dataclass
class Trace:
    """The calls and files of one apply."""

    path: tuple[str, ...] = ()
    """`module: function` of each call to the rename of the host's file, outermost first."""
    files: set[str] = field(default_factory=set)
    """Files of wizard/ that were entered."""


def plan_for(folder: Path) -> Plan:
    """Returns a plan that writes one file in a folder, on a host that is this machine, and one in the workspace."""
    user, group = account()
    spec = HostSpec(name="here", connect="practice", address="127.0.0.1")
    after = FileState(b"tls_server_config: {}\n", 0o640, user, group)
    steps = tuple(
        PlannedStep(
            id=f"web:{host}",
            kind=StepKind.FLAGS,
            title="Write a file",
            host=host,
            why="",
            changes=(
                WriteFile(
                    host=host,
                    path=str(folder / host / "web.yml"),
                    before=None,
                    after=after,
                    why="",
                    content_kind=ContentKind.SERVICE_FLAGS,
                ),
            ),
        )
        for host in (WORKSPACE, "here")
    )
    own = HostFacts(spec=HostSpec(name=WORKSPACE, connect="local"), user=user, group=group)
    facts = Facts(
        hosts={WORKSPACE: own, "here": HostFacts(spec=spec, user=user, group=group)}, workspace=str(folder)
    )
    return Plan(stack=Stack(hosts=(spec,), components=()), facts=facts, steps=steps, probes=())


def trace(folder: Path) -> Trace:
    """Applies such a plan under a profiler."""
    plan = plan_for(folder)
    for host in (WORKSPACE, "here"):
        (folder / host).mkdir(parents=True)
    workspace = Workspace(folder / "workspace-root").ensure()
    (workspace.practice / "here").mkdir(parents=True)
    found = Trace()
    callers: dict[int, tuple[str, ...]] = {}
    submit = ThreadPoolExecutor.submit

    def submitted(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        stack = _stack(sys._getframe(1))

        def begun(*given: Any) -> Any:
            callers[threading.get_ident()] = stack
            return work(*given)

        return submit(pool, begun, *args)

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_PRODUCT):
            found.files.add(frame.f_code.co_filename)
        elif (
            event == "c_call"
            and argument is os.rename
            and frame.f_locals.get("path", "").endswith("here/web.yml")
        ):
            found.path = callers.get(threading.get_ident(), ()) + _stack(frame)

    ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign, assignment]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        outcome = Engine(workspace).apply(plan)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
    if outcome.error is not None:
        raise outcome.error
    return found


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    """Returns the functions of wizard/ on a stack, outermost first."""
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_PRODUCT):
            found.append(f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(found))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        seen = trace(Path(name))
    for number, each in enumerate(seen.path, start=1):
        print(f"{number:2} {each}")
    print(f"{len(seen.path)} calls from Engine.apply to the rename (at most {MOST})")
    print(f"{len(seen.files)} files of wizard/ entered")
    raise SystemExit(0 if 0 < len(seen.path) <= MOST else 1)

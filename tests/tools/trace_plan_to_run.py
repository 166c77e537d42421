"""Traces the control flow from the Plan screen to the Run screen: the files of the product that it enters.

`python tests/tools/trace_plan_to_run.py` opens the wizard on a plan, applies it by its keys, and prints each
file of screens/ and wizard/ that the app's own thread entered until the Run screen was drawn. It exits with 1
if more than twelve files of screens/ carry out the command. Files that only draw (styles and widgets) are
printed apart: they run with every refresh, whichever screen is open. Imports are not counted: they are no
step of the control flow.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from screens.app import make_app  # noqa: E402 - the path comes first
from screens.plan.screen import PlanPage  # noqa: E402
from screens.run.screen import RunPage  # noqa: E402
from tests.screens import many_hosts  # noqa: E402
from tests.screens.helpers import engine, until  # noqa: E402

MOST = 12
"""Files of screens/ between the two screens."""
DRAWN = ("screens/widgets/", "screens/state_styles.py", "screens/themes.py")
"""What draws, and decides nothing."""


@dataclass
class Trace:
    """The entered files, in the order of their first call, and how often control went to another one."""

    files: dict[str, str] = field(default_factory=dict)
    """Each file with the function that was called first."""
    changes: int = 0
    _last: str = ""

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Records a call of a function, not the body of a module or class; for `sys.setprofile`."""
        if event != "call" or not frame.f_code.co_flags & CO_OPTIMIZED:
            return
        code = frame.f_code
        name = code.co_filename.removeprefix(f"{ROOT}/")
        if not name.startswith(("screens/", "wizard/")):
            return
        self.files.setdefault(name, code.co_qualname)
        self.changes += name != self._last
        self._last = name

    def of(self, folder: str) -> list[str]:
        """Returns the files below a folder."""
        return [name for name in self.files if name.startswith(folder)]

    @property
    def way(self) -> list[str]:
        """Returns the files of screens/ that do more than draw."""
        return [name for name in self.of("screens/") if not name.startswith(DRAWN)]


async def traced() -> Trace:
    """Opens a plan for four hosts and applies it; the trace starts with the first key on the Plan screen."""
    trace = Trace()
    one = many_hosts.ManyEngine(4)
    one.begin.clear()
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: not app.session.busy)
        app.push_screen(PlanPage())
        await until(pilot, "Nothing has been written yet")
        sys.setprofile(trace)
        try:
            await pilot.press("a")
            await until(pilot, "Apply this plan?")
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RunPage) and bool(app.screen.query("#now")))
        finally:
            sys.setprofile(None)
            one.begin.set()
            one.gate.set()
    return trace


def main() -> int:
    """Prints the trace; returns the exit code."""
    trace = asyncio.run(traced())
    for name, function in trace.files.items():
        print(f"{'  draws  ' if name.startswith(DRAWN) else '         '}{name}: {function}")
    print(
        f"{len(trace.files)} files entered, {trace.changes} calls from one file to another; "
        f"{len(trace.of('screens/'))} files of screens/, {len(trace.way)} of them do more than draw (at most {MOST})"
    )
    return 1 if len(trace.way) > MOST else 0


if __name__ == "__main__":
    raise SystemExit(main())

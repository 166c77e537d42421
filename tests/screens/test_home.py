"""Home with five components: its table, its menu, the practice stacks and the trust map."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from screens.app import make_app
from screens.home.menu import MENU, PRACTISING
from screens.home.posture import raised_by
from screens.trust_map.screen import TrustMapPage
from screens.widgets.gauge import DAY
from tests.screens import example_stack
from tests.screens.helpers import QuietEngine, drawn, engine, until
from tests.screens.scenes import SceneEngine
from wizard.engine import InventoryItem, Scan
from wizard.model import Facts, Finding, Stack


async def test_five_components_and_the_whole_menu_fit() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "5 of 5")
        for _, name, _ in example_stack.PLACES:
            assert name in text
        for entry in ("Secure this machine", "Trust map", "Practise with the whole stack", "Other hosts"):
            assert entry in text
        # The address has no column: it is shown for the selected component.
        await pilot.press("shift+tab")
        for _, _, listen in example_stack.PLACES:
            assert listen in await until(pilot, listen)
            await pilot.press("down")


@pytest.mark.parametrize("size", [(120, 40), (200, 50)], ids=str)
async def test_a_large_terminal_shows_the_details_and_each_level_beside_the_menu(
    size: tuple[int, int],
) -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured")))
    async with app.run_test(size=size) as pilot:
        text = await until(pilot, "node_exporter on srv1")
        for words in ("Posture", "100 %", "All components are secured", "What to do next", "recommended"):
            assert words in text
        for words in ("127.0.0.2:9100", "reads the traffic", "▸ TLS + password", "Look after"):
            assert words in text
        assert "…" not in text, "nothing is cut"
        if size[0] == 200:
            assert all(listen in text for _, _, listen in example_stack.PLACES)
            assert "clients need" in text


async def test_enter_on_a_component_opens_the_probe_console_for_it() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "5 of 5")
        await pilot.press("shift+tab", "down", "enter")
        await until(pilot, "Probe console")
        await until(pilot, "http://127.0.0.2:9091/metrics")


async def test_a_certificate_that_expires_soon_is_recommended_for_renewal_and_scrapers_are_named() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured")))
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, "All components are secured")
        session = app.session
        assert session.scan is not None
        now = time.time()
        rows = [
            replace(
                row,
                valid_from=now - 80 * DAY,
                valid_until=now + 10 * DAY + 60,
                scraped_by=("monitor/prometheus (job node)",),
            )
            for row in session.scan.exposures
        ]
        app.session = replace(session, scan=replace(session.scan, exposures=tuple(rows)))
        text = await until(pilot, "A certificate expires in 10 d")
        assert text.index("Certificates and users") < text.index("Trust map")
        assert text.count("  10 d ━") == 6, "in each row, and in the details"
        assert "monitor/prometheus (job node)" in text


async def test_one_key_starts_the_practice_stack_with_all_components() -> None:
    one = example_stack.ExampleEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        await pilot.press("w")
        await until(pilot, "Components of the practice stack")
        await until(pilot, lambda: one.practised == [True])
        text = await until(pilot, "End practice")
        assert "Trust map" in text
        assert "Practise with" not in text, "it is whole already"
        session = app.session
        assert session.scan is not None
        app.session = replace(session, scan=replace(session.scan, exposures=session.scan.exposures[:2]))
        await until(pilot, "three more components join")


async def test_unprotected_hosts_are_listed_first_and_all_are_counted() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured", planned_steps=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.scan is not None and not app.session.busy)
        session = app.session
        assert session.scan is not None
        one = replace(session.scan.exposures[0], state="secured")
        many = [replace(one, host=f"srv{number:03}") for number in range(200)]
        many[150] = replace(one, host="srv150", state="open")
        app.session = replace(session, scan=replace(session.scan, exposures=tuple(many)))
        text = await until(pilot, "● 1 of 200 components is unprotected")
        assert text.index(" srv150 ") < text.index(" srv000 ") < text.index(" srv003 ")
        await pilot.press("shift+tab", "end")
        text = await until(pilot, " srv199 ")
        assert " srv150 " not in text, "the list scrolls"
        await pilot.resize_terminal(120, 40)
        await until(pilot, "● 1 unprotected · ✓ 199 secured")


async def test_with_nothing_installed_practice_comes_first_and_there_is_no_trust_map() -> None:
    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "No Prometheus component was found")
        assert (
            text.index("Practise  ") < text.index("Practise with the whole stack") < text.index("Secure this")
        )
        assert "Trust map" not in text
        await pilot.press("t")
        assert not isinstance(app.screen, TrustMapPage)


async def test_the_trust_map_is_in_the_palette() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured", planned_steps=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await until(pilot, lambda: not app.session.busy)
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Trust map", "Practise with the whole stack"} <= names
        next(one for one in app.get_system_commands(app.screen) if one.title == "Trust map").callback()
        await until(pilot, lambda: isinstance(app.screen, TrustMapPage))


async def test_findings_are_shown_below_the_table_and_then_nothing_is_called_secured() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine(state="secured", planned_steps=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.scan is not None and not app.session.busy)
        session = app.session
        assert session.scan is not None
        secured = tuple(replace(row, state="secured") for row in session.scan.exposures)
        missing = Finding(
            severity="warning",
            id="not-found",
            host="srv9",
            component="prometheus",
            what="there is no prometheus on srv9",
            why="",
            remediation="Install and start it",
        )
        open_row = replace(missing, id="open-to-everyone", what="the table tells this")
        app.session = replace(session, scan=replace(session.scan, exposures=secured, findings=()))
        await until(pilot, "All components are secured")
        for count, last in (
            (1, "there is no prometheus on srv9. Install and start it."),
            (5, "… and 3 more"),
        ):
            found = (open_row, *[missing] * count)
            app.session = replace(session, scan=replace(session.scan, exposures=secured, findings=found))
            text = await until(pilot, last)
            assert "All components" not in text
            assert "the table tells this" not in text
            assert text.count("no prometheus on srv9") == min(count, 2)


class SlowEngine(example_stack.ExampleEngine):
    """Finishes its scan and the practice stack only when the test sets a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.scanned, self.prepared = threading.Event(), threading.Event()

    def scan(self, stack: Stack | None = None, **more: object) -> Scan:
        if stack is None:
            self.scanned.wait(60)
        return super().scan(stack, **more)

    def practice(self, progress: object = None, *, suite: str = "", whole: bool = False) -> Stack:
        self.prepared.wait(60)
        return super().practice(progress, suite=suite, whole=whole)

    def inspect(self, *_: object) -> Facts:
        """Returns no further facts."""
        return example_stack.facts()

    def inventory(self, *_: object) -> tuple[InventoryItem, ...]:
        """Returns an empty inventory."""
        return ()


async def test_an_inventory_opened_during_the_scan_fills_itself() -> None:
    slow = SlowEngine()
    app = make_app(build=engine(slow))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "scanning this machine")
        await pilot.press("c")
        await until(pilot, "The scan is still running")
        slow.scanned.set()
        await until(pilot, "None yet")


async def test_a_late_scan_of_this_machine_does_not_replace_the_practice_stack() -> None:
    slow = SlowEngine()
    app = make_app(build=engine(slow))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "scanning this machine")
        await pilot.press("p")
        await until(pilot, "preparing the practice stack")
        slow.scanned.set()
        await pilot.pause(0.2)
        assert app.session.scan is None and app.session.busy, "it is still being prepared"
        slow.prepared.set()
        await until(pilot, "5 of 5")
        assert app.session.place == "practice"


async def test_a_large_terminal_shows_the_last_runs_or_how_to_start() -> None:
    one = SceneEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        text = await until(pilot, "Last runs")
        for words in ("Password replaced, 5 hosts", "rolled back", "h shows what each changed"):
            assert words in text
        assert "…" not in text, "nothing is cut"
        one.history = lambda: ()  # type: ignore[method-assign]
        app.notices = replace(app.notices, runs=(("8", 1, 1),))
        text = await until(pilot, "How it goes")
        assert "requests that must be" in text
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "How it goes" not in drawn(pilot))


def test_the_menu_fits_a_line_at_80_columns() -> None:
    for key, title, words in (*MENU.values(), *PRACTISING.values()):
        assert len(key) == 1 and len(title) < 31
        assert len(words) <= 27, words


async def test_adding_practice_components_asks_where_a_run_could_no_longer_be_undone() -> None:
    one = SceneEngine()
    app = make_app(build=engine(one))
    begun: list[bool] = []

    def practise(*, whole: bool = False) -> None:
        begun.append(whole)

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "unprotected")
        app.stack_session.practise = practise  # type: ignore[method-assign]
        app.session = replace(app.session, place="practice")
        app.open_menu_entry("whole")
        await until(pilot, "can then no longer be")
        await pilot.press("n")
        await until(pilot, lambda: "Add three" not in drawn(pilot))
        assert begun == []
        one.history = lambda: ()  # type: ignore[method-assign]
        app.open_menu_entry("whole")
        await until(pilot, lambda: begun == [True])


def test_the_hint_that_raises_the_score_fits_its_border() -> None:
    rows = example_stack.ExampleEngine().scan(None).exposures
    assert "and 3 more are secured" in raised_by(rows, 74)
    assert raised_by(rows, 40) == "100 % once 5 components are secured"

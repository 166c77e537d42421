"""Home with five components, and the ways it offers: practising small or whole, and the trust picture."""

from __future__ import annotations

from dataclasses import replace

from screens.app import make_app
from screens.trust_map.screen import TrustMapPage
from tests.screens import whole
from tests.screens.helpers import QuietEngine, engine, until
from wizard.model import Finding


async def test_five_components_and_the_whole_menu_fit() -> None:
    app = make_app(build=engine(whole.WholeEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "5 of 5")
        for _, name, listen in whole.PLACES:
            assert name in text
            assert listen in text
        for entry in ("Secure this machine", "Trust map", "Practise with the whole stack", "Other hosts"):
            assert entry in text


async def test_the_whole_practice_stack_is_one_key_away() -> None:
    one = whole.WholeEngine()
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


async def test_of_many_hosts_the_open_ones_stand_first_and_the_rest_are_counted() -> None:
    app = make_app(build=engine(whole.WholeEngine(state="secured", made=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.scan is not None and not app.session.busy)
        session = app.session
        assert session.scan is not None
        one = replace(session.scan.exposures[0], state="secured")
        many = [replace(one, host=f"srv{number:03}") for number in range(200)]
        many[150] = replace(one, host="srv150", state="open")
        app.session = replace(session, scan=replace(session.scan, exposures=tuple(many)))
        text = await until(pilot, "… and 191 more: 191 secured")
        assert text.index("srv150") < text.index("srv000") < text.index("srv007")
        assert "srv008" not in text


async def test_with_nothing_installed_practice_comes_first_and_there_is_no_picture() -> None:
    app = make_app(build=engine(QuietEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, "No Prometheus component was found")
        assert (
            text.index("Practise ") < text.index("Practise with the whole stack") < text.index("Secure this")
        )
        assert "Trust map" not in text
        await pilot.press("t")
        assert not isinstance(app.screen, TrustMapPage)


async def test_the_picture_is_among_all_commands() -> None:
    app = make_app(build=engine(whole.WholeEngine(state="secured", made=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Follow a lab")
        await until(pilot, lambda: not app.session.busy)
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Trust map", "Practise with the whole stack"} <= names
        next(one for one in app.get_system_commands(app.screen) if one.title == "Trust map").callback()
        await until(pilot, lambda: isinstance(app.screen, TrustMapPage))


async def test_what_the_table_does_not_tell_stands_below_it_and_nothing_is_called_guarded_then() -> None:
    app = make_app(build=engine(whole.WholeEngine(state="secured", made=())))
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

"""A front door from the wizard: Home shows the proxy, a server name sets it up, an empty name removes it."""

from __future__ import annotations

from dataclasses import replace

from screens.app import make_app
from screens.choices.level_table import LevelTable
from screens.widgets.field import Field
from tests.screens.front_door_scenes import DoorEngine, ExportersEngine, one_port
from tests.screens.helpers import engine, until
from wizard.engine import Scan
from wizard.model import Proxies, ProxySite, Stack


async def test_a_name_sets_up_a_front_door() -> None:
    one = DoorEngine()
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        text = await until(pilot, "1.22.1, reverse proxy")
        assert "caddy" in text
        await pilot.press("s")
        await until(pilot, "Name of a front door")
        await until(pilot, lambda: isinstance(app.focused, LevelTable))
        await pilot.press("tab", *"noc.example.net")

        def names() -> list[str]:
            assert app.session.stack is not None
            return [each.name for each in app.session.stack.front_doors]

        await until(pilot, lambda: names() == ["noc.example.net"])
        text = await until(pilot, "Who passes the front door")
        assert "new level" not in text, "the front door protects what is behind it"
        assert app.session.stack is not None
        (door,) = app.session.stack.front_doors
        assert [route.path for route in door.routes] == ["/prometheus", "/alertmanager"]
        await pilot.press(*["backspace"] * len("noc.example.net"))
        await until(pilot, lambda: not names())
        text = await until(pilot, "new level")
        assert "TLS + password" in text
        await pilot.press(*"a b")
        await until(pilot, "this is not a DNS name")
        assert app.screen.query(Field).first().wrong


async def test_one_of_several_proxies_is_chosen() -> None:
    app = make_app(build=engine(DoorEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "1.22.1, reverse proxy")
        await pilot.press("s")
        await until(pilot, "Name of a front door")
        await until(pilot, lambda: isinstance(app.focused, LevelTable))
        await pilot.press("tab", *"noc.example.net")
        await until(pilot, "Reverse proxy of the front door")
        await pilot.press("tab", *["down"] * 3)

        def doors() -> list[tuple[str, str]]:
            assert app.session.stack is not None
            return [(each.name, each.proxy) for each in app.session.stack.front_doors]

        await until(pilot, lambda: doors() == [("noc.example.net", "haproxy")])
        await until(pilot, "people sign in at an OpenID provider")
        await pilot.press("up")
        await until(pilot, lambda: doors() == [("noc.example.net", "caddy")])
        await pilot.press("shift+tab", *["backspace"] * len("noc.example.net"))
        await until(pilot, lambda: not doors())


async def test_one_question_puts_exporters_behind_one_port() -> None:
    app = make_app(build=engine(ExportersEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await one_port(pilot)

        def levels() -> dict[str, bool]:
            assert app.session.stack is not None
            return {each.key: bool(each.protect) for each in app.session.stack.components}

        assert levels() == {
            "mon1/prometheus": True,
            "web1/node_exporter": False,
            "web1/blackbox_exporter": False,
            "web2/node_exporter": True,
        }
        await pilot.press("up")
        await until(pilot, lambda: all(levels().values()))


class TakenEngine(DoorEngine):
    """The same host with a site of the user's that already has the name."""

    def scan(self, stack: Stack | None = None, **more: object) -> Scan:
        """Returns nginx with a site for noc.example.net."""
        found = super().scan(stack, **more)
        site = ProxySite(
            program="nginx", name="noc.example.net", port=443, file="/etc/nginx/conf.d/noc.conf", line=3
        )
        return replace(found, facts=replace(found.facts, proxies={"web1": Proxies(sites=(site,))}))


async def test_a_name_of_an_existing_site_offers_to_use_that_site() -> None:
    app = make_app(build=engine(TakenEngine()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "1.22.1, reverse proxy")
        await pilot.press("s")
        await until(pilot, "Name of a front door")
        await until(pilot, lambda: isinstance(app.focused, LevelTable))
        await pilot.press("tab", *"noc.example.net")
        await until(pilot, "Put the paths into the site noc.example.net that is there")
        text = await until(pilot, "yes: one more line in /etc/nginx/conf.d/noc.conf")
        assert "no: I choose another name" in text

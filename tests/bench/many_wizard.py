"""The wizard with hosts that are made by hand, for the benchmarks: `many_wizard.py PAGE HOSTS` opens a page
with them.

PAGE is home, plan, inventory, or run: an apply that changes the hosts, one after the other.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2])]

from screens.app import make_app  # noqa: E402 - of this project
from screens.routes import Route  # noqa: E402
from tests.screens import many_hosts  # noqa: E402
from tests.screens.helpers import engine  # noqa: E402
from wizard.engine import Exposure, InventoryItem, Scan  # noqa: E402
from wizard.model import Facts, Stack  # noqa: E402

PACE = 1.0
"""Seconds that each host takes for its files, and again for its restart."""


class Site(many_hosts.ManyEngine):
    """An engine whose hosts are all unprotected."""

    def scan(self, stack: Stack | None = None, **more: object) -> Scan:
        """Returns all of them, with their levels."""
        found = super().scan(stack, **more)
        exposures = tuple(
            Exposure(
                host=component.host,
                component=component.name,
                address=f"192.0.2.{number % 250}:9100",
                version="1.9.0",
                manager="systemd",
                unit=component.name,
                tls=False,
                password=False,
                client_certificate=False,
                state="open",
                words="anyone can read everything: no TLS",
            )
            for number, component in enumerate(found.stack.components)
        )
        return replace(found, exposures=exposures)

    def inspect(self, *_: object, **__: object) -> Facts:
        """Returns no more than the scan."""
        return Facts({})

    def inventory(self, wanted: Stack, *_: object) -> tuple[InventoryItem, ...]:
        """Returns a certificate on each host."""
        return tuple(
            InventoryItem(
                kind="certificate",
                name="node_exporter.crt",
                for_whom=component.key,
                host=component.host,
                path="/etc/node_exporter/node_exporter.crt",
                mode=0o644,
                not_after=2_000_000_000,
                note="",
            )
            for component in wanted.components
        )


def main() -> None:
    """Opens the page when the scan has ended."""
    page, count = sys.argv[1], int(sys.argv[2])
    app = make_app(build=engine(Site(count, many_hosts.Script(pace=PACE))))

    async def begin(_: Any) -> None:
        while app.session.scan is None:  # noqa: ASYNC110 - the app has no event for it
            await asyncio.sleep(0.05)
        if page == "run":
            assert app.runs.apply(many_hosts.plan(count), "none", later=False)
        if page != "home":
            app.open_page({"run": Route.RUN, "plan": Route.PLAN, "inventory": Route.INVENTORY}[page])

    app.run(auto_pilot=begin)


if __name__ == "__main__":
    main()

"""Users sign in at nginx, Caddy or HAProxy by oauth2-proxy: a real provider and browser, a stand-in for oauth2-proxy.

oauth2-proxy itself is in no registry that these tests use: openid/oauth2-proxy reads the configuration that
Firescreen wrote for it, and follows its contract with the proxy. Whether oauth2-proxy accepts that
configuration is not tested here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import grafana_host
import openid_provider
import pytest
from machines import ENDPOINT, Machine, Network
from test_front_door import apply, etc
from test_sign_in import (
    CONFIG,
    PAGE,
    PROGRAMS,
    STRANGERS,
    by_ansible,
    check_blocked_paths,
    check_existing_site,
    check_signed_in,
    door,
    installed,
    is_rejected,
    resolved,
    sign_in,
    sign_out,
    stack_of,
)

from tests.integration.browser import browser
from wizard.engine import Engine
from wizard.model import FrontDoor, ProxyProgram
from wizard.workspace import Workspace

__all__ = ["door", "installed"]
pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

UNIT = """\
[Service]
User=www-data
Group=www-data
ExecStart=/usr/local/bin/oauth2-proxy --config=/etc/oauth2-proxy.cfg
Restart=always
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize(
    ("suite", "proxy"),
    [
        ("bookworm", "nginx"),
        ("bookworm", "caddy"),
        ("sid", "caddy"),
        ("bookworm", "haproxy"),
        ("sid", "haproxy"),
    ],
)
def test_people_sign_in_by_a_program_beside_the_proxy(
    suite: str, proxy: ProxyProgram, installed: Path, door: FrontDoor, network: Network, tmp_path: Path
) -> None:
    packages = ["libapache2-mod-auth-openidc"]
    # With a unique name: systemd-nspawn does not start two hosts of the same name at once.
    label = f"beside-{os.getpid() % 100000}"
    with Machine(suite, "web1", network, programs=PROGRAMS, packages=packages, label=label) as web1:
        prepare(web1, proxy)
        before = etc(web1)
        with (
            network.entered(),
            openid_provider.provider(
                installed, tmp_path, ENDPOINT, redirects=[door.callback], goodbyes=[door.signed_out]
            ) as company,
            closing(Engine(Workspace(tmp_path / "workspace"))) as engine,
        ):
            stack = stack_of(web1, replace(door, proxy=proxy), company, tmp_path)
            _, outcome = apply(engine, stack)
            ended = {
                each.probe.client: each.outcome for each in outcome.attempts if "/door/" in each.probe.id
            }
            assert ended["page, not signed in"] == "302"
            assert ended["no password"] == ended["wrong password"] == "401"
            assert ended["API"] == ended["client certificate"] == "200"
            asyncio.run(sign_in_and_out(web1, tmp_path, STRANGERS if proxy == "nginx" else STRANGERS[:1]))
            check_blocked_paths(web1, engine.workspace.root)
            assert (
                web1.check(["stat", "-c", "%a %U:%G", "/etc/oauth2-proxy.cfg"]).strip() == "640 root:www-data"
            )
            logs = web1.check(f"cat /var/log/nginx/*.log; journalctl -q -u {proxy} -u prometheus")
            assert "/oauth2/callback" not in logs
            assert openid_provider.SECRET not in logs
            assert engine.plan(stack).steps == ()
            assert engine.undo().state == "undone"
            assert etc(web1) == before
            # Suites differ in the way Caddy's configuration is written; an existing frontend of HAProxy's cannot have sign-in.
            if proxy != "haproxy" and (suite, proxy) != ("bookworm", "caddy"):
                mine = replace(door, proxy=proxy)
                stack = check_existing_site(web1, mine, engine, company, tmp_path)
                if proxy == "nginx":
                    by_ansible(web1, network, engine, stack, tmp_path)


def prepare(web1: Machine, proxy: ProxyProgram) -> None:
    """Sets up two components, the proxy, and a unit of oauth2-proxy without a configuration."""
    web1.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
    web1.push("/etc/default/prometheus-alertmanager", b'ARGS="--cluster.advertise-address=127.0.0.1:9094"\n')
    web1.check(f"echo '{ENDPOINT} {openid_provider.NAME}' >> /etc/hosts")
    stand_in = Path(__file__).parent / "openid" / "oauth2-proxy"
    web1.push("/usr/local/bin/oauth2-proxy", stand_in.read_bytes(), mode=0o755)
    web1.push("/etc/systemd/system/oauth2-proxy.service", UNIT.encode())
    web1.check("systemctl daemon-reload && systemctl stop apache2")
    web1.check(f"systemctl restart prometheus prometheus-alertmanager {proxy}", timeout=90)
    grafana_host.install(web1)


async def sign_in_and_out(web1: Machine, folder: Path, strangers: Sequence[str]) -> None:
    """Signs in and returns to the requested page, signs out; other users are rejected."""
    page_with_query = f"{PAGE}graph?g0.expr=up&g0.tab=1"
    async with browser(folder / "ada", resolved(web1)) as page:
        await page.open(page_with_query)
        await sign_in(page, "ada")
        await page.until(f"location.href.startsWith('{PAGE}') && document.title.includes('Prometheus')")
        assert "g0.expr=up&g0.tab=1" in await page.value("location.href")
        await check_signed_in(page)
        await sign_out(page)
        for stranger in strangers:
            await is_rejected(page, stranger)

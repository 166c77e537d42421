"""Users sign in at a front door by a real OpenID provider, in a real browser; machines log in beside them."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import grafana_host
import openid_provider
import pytest
from machines import ENDPOINT, Machine, Network
from openid_provider import OpenIdProvider
from ruamel.yaml import YAML
from test_existing_sites import PAIR, SITES
from test_front_door import NAME, apply, etc

from tests.integration.browser import Page, browser
from tests.tools import ansible_runs
from wizard.engine import Engine
from wizard.front_doors import proxy
from wizard.inventory import stack_file
from wizard.model import GRAFANA, ComponentSpec, DoorRoute, FrontDoor, SignIn, Stack, UserSpec
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PROGRAMS = ("prometheus", "alertmanager")
SUITES = ("bookworm", "trixie", "sid")
CONFIG = """\
global: {scrape_interval: 1s}
alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}]}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: alertmanager
    static_configs: [{targets: ['localhost:9093']}]
"""
PAGE = f"https://{NAME}/prometheus/"
PASSWORD = "a vault's long password"
STRANGERS = ("bob", "eve", "mal")
SITE = f"/etc/apache2/sites-enabled/firescreen-{NAME}.conf"


@pytest.fixture(scope="module")
def installed() -> Path:
    """Returns the installation of the provider."""
    return openid_provider.installed()


@pytest.fixture(params=SUITES)
def web1(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """Boots a host with Apache, its module for OpenID, and two components."""
    with Machine(
        str(request.param),
        "web1",
        network,
        programs=PROGRAMS,
        packages=["libapache2-mod-auth-openidc"],
    ) as machine:
        machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
        # A host without a private address cannot join a cluster.
        machine.push(
            "/etc/default/prometheus-alertmanager", b'ARGS="--cluster.advertise-address=127.0.0.1:9094"\n'
        )
        machine.check(f"echo '{ENDPOINT} {openid_provider.NAME}' >> /etc/hosts")
        # Firescreen enables it.
        machine.check("a2dismod -q auth_openidc")
        machine.check("systemctl restart prometheus prometheus-alertmanager apache2", timeout=90)
        grafana_host.install(machine)
        yield machine


@pytest.fixture
def door() -> FrontDoor:
    """Returns a front door for users of a group and a domain, and a program with a password or a client certificate."""
    return FrontDoor(
        host="web1",
        proxy="apache",
        name=NAME,
        machines=("script",),
        client_cert=True,
        sign_in=SignIn(
            client_id=openid_provider.CLIENT,
            email_domains=("example.net",),
            groups=("net ops", "admins"),
        ),
        # A page of the same site: browsers send the session cookie along.
        cors=(f"https://{openid_provider.NAME}:{openid_provider.PORT}",),
        routes=(
            *(DoorRoute(to=name, path=f"/{name}") for name in PROGRAMS),
            DoorRoute(to=GRAFANA, path="/grafana"),
        ),
    )


def stack_of(machine: Machine, door: FrontDoor, company: OpenIdProvider, folder: Path) -> Stack:
    secret = folder / "client-secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{openid_provider.SECRET}\n")
    assert door.sign_in is not None
    signed = replace(
        door.sign_in,
        issuer=company.issuer,
        client_secret_file=str(secret),
        ca_file=str(company.ca_file),
    )
    return Stack(
        hosts=(machine.spec(),),
        components=tuple(ComponentSpec(host="web1", name=name) for name in PROGRAMS),
        users=(UserSpec(name="script"),),
        front_doors=(replace(door, sign_in=signed),),
    )


def test_people_sign_in_and_machines_do_not(
    installed: Path, web1: Machine, door: FrontDoor, network: Network, tmp_path: Path
) -> None:
    before = etc(web1)
    with (
        network.entered(),
        openid_provider.provider(
            installed, tmp_path, ENDPOINT, redirects=[door.callback], goodbyes=[door.signed_out]
        ) as company,
        closing(Engine(Workspace(tmp_path / "workspace"))) as engine,
    ):
        stack = stack_of(web1, door, company, tmp_path)
        assert stack_file.parse(stack_file.dump(stack), source="").front_doors == stack.front_doors
        if web1.suite == SUITES[0]:
            check_untrusted_provider(web1, engine, stack, before)
        plan, outcome = apply(engine, stack)
        ended = {each.probe.client: each.outcome for each in outcome.attempts if "/door/" in each.probe.id}
        assert ended["page, not signed in"] == "302"
        assert ended["no password"] == ended["wrong password"] == "401"
        assert ended["API"] == ended["client certificate"] == "200"
        assert any(door.callback in hint for hint in plan.hints)
        seen = {each.component: each.words for each in engine.scan(stack).exposures}
        assert seen["prometheus"].startswith("TLS + sign-in at the front door")
        asyncio.run(sign_in_and_out(web1, tmp_path))
        check_blocked_paths(web1, engine.workspace.root)
        nothing_leaks(web1, company, plan.secrets[0].reveal())
        kept = [path for path in engine.workspace.root.rglob("*") if path.is_file()]
        assert not [path for path in kept if openid_provider.SECRET.encode() in path.read_bytes()]
        assert engine.plan(stack).steps == ()
        assert engine.undo().state == "undone"
        assert etc(web1) == before
        if web1.suite == "trixie":
            stack = check_existing_site(web1, door, engine, company, tmp_path)
            by_ansible(web1, network, engine, stack, tmp_path)


def check_existing_site(
    web1: Machine, door: FrontDoor, engine: Engine, company: OpenIdProvider, folder: Path
) -> Stack:
    """Tests the same in an existing site, whose other pages need no login, before, meanwhile and after."""
    unit, (site, text) = {"apache": "apache2"}.get(door.proxy, door.proxy), SITES[door.proxy]
    web1.check(PAIR)
    web1.push(site, text.encode())
    web1.check(f"systemctl restart {unit}")
    before, known = etc(web1), proxy(door.proxy)
    assert known is not None
    demands_certificates = known.certificates_inside
    inside = replace(door, site=site, ca_file="/etc/ssl/noc.crt", client_cert=demands_certificates)
    stack = stack_of(web1, inside, company, folder)
    _, outcome = apply(engine, stack)
    ended = {each.probe.client: each.outcome for each in outcome.attempts if "/door/" in each.probe.id}
    assert ended["page, not signed in"] == "302"
    assert ended["no password"] == ended["wrong password"] == "401"
    assert ended["API"] == "200"
    if demands_certificates:
        assert (ended["client certificate"], ended["stranger's certificate"]) == ("200", "401")
    asyncio.run(_signs_in_and_out(web1, folder))
    check_blocked_paths(web1, engine.workspace.root, web1.root / "etc/ssl/noc.crt")
    for shown in ("", "--cert /etc/ssl/other.crt --key /etc/ssl/other.key"):
        words = f"-sk {shown} -o /dev/null -w '%{{http_code}}' --resolve {NAME}:443:127.0.0.1"
        assert web1.check(f"curl {words} https://{NAME}/") == "404"
    assert engine.plan(stack).steps == ()
    assert engine.undo().state == "undone"
    assert etc(web1) == before
    return stack


def by_ansible(web1: Machine, network: Network, engine: Engine, stack: Stack, folder: Path) -> None:
    """Sets up the same by a playbook: sign-in, an existing site, and Grafana."""
    (door,) = stack.front_doors
    made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
    clear = b"".join(path.read_bytes() for path in made.rglob("*") if path.is_file())
    assert openid_provider.SECRET.encode() not in clear
    before, site = etc(web1), door.site.lstrip("/")
    ran = ansible_runs.run(made, PASSWORD, enter=network.enter)
    assert ran.code == 0 and ran.changed > 0, ran.output
    plan = engine.plan(stack)
    assert plan.steps == ()
    assert [each for each in engine.run_probes(plan) if not each.ok] == []
    assert etc(web1)[site] != before[site]
    _checks_in_place(web1, made, door.site)
    made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
    again = ansible_runs.run(made, PASSWORD, enter=network.enter)
    assert (again.code, again.changed) == (0, 0), again.output


def _checks_in_place(web1: Machine, made: Path, site: str) -> None:
    """Runs the check of the playbook on a new file of the site: the proxy itself rejects nonsense, which is
    not put in place.
    """
    told = YAML(typ="safe").load((made / "host_vars/web1/firescreen.yml").read_text())
    (command,) = {each["validate"] for each in told["firescreen_files"] if each["path"] == site}
    before = etc(web1)
    web1.check(f"cp {site} /root/good && echo 'no_such_directive {{' >/root/broken")
    web1.check(shlex.split(command % "/root/good"))
    with pytest.raises(AssertionError, match="no_such_directive"):
        web1.check(shlex.split(command % "/root/broken"))
    assert etc(web1) == before
    assert web1.check("ls /tmp/tmp.* 2>/dev/null || true") == ""


async def _signs_in_and_out(web1: Machine, folder: Path) -> None:
    async with browser(folder / "in-site", resolved(web1)) as page:
        await page.open(PAGE)
        await sign_in(page, "ada")
        await page.until(f"location.href.startsWith('{PAGE}') && document.title.includes('Prometheus')")
        await check_signed_in(page)
        await sign_out(page)


def check_untrusted_provider(
    web1: Machine, engine: Engine, stack: Stack, before: dict[str, tuple[str, int]]
) -> None:
    """Checks that with an untrusted provider nobody can sign in: the run is rolled back, and the components
    are unchanged.
    """
    (door,) = stack.front_doors
    assert door.sign_in is not None
    wrong = replace(stack, front_doors=(replace(door, sign_in=replace(door.sign_in, ca_file="")),))
    outcome = engine.apply(engine.plan(wrong))
    assert outcome.state == "rolled-back"
    failed = {each.probe.client for each in outcome.attempts if each.failed}
    assert failed == {"page, not signed in"}
    assert etc(web1) == before


def resolved(web1: Machine) -> str:
    """Returns the browser's option that resolves both names."""
    return f"--host-resolver-rules=MAP {NAME} {web1.address}, MAP {openid_provider.NAME} {ENDPOINT}"


async def sign_in_and_out(web1: Machine, folder: Path) -> None:
    """Signs in, is rejected as another user, signs in again once the session is over, and signs out."""
    async with browser(folder / "ada", resolved(web1)) as page:
        await page.open(PAGE)
        await sign_in(page, "ada")
        await page.until(f"location.href.startsWith('{PAGE}') && document.title.includes('Prometheus')")
        await check_signed_in(page)
        await other_origins(page)
        if web1.suite != SUITES[0]:
            await sign_out(page)
            return
        # The session ends after 15 s instead of 8 h: a script gets 401, the page redirects to the provider.
        web1.check(f"sed -i -E 's/(OIDCSession(MaxDuration|InactivityTimeout)) .*/\\1 15/' {SITE}")
        web1.check("systemctl reload apache2")
        await page.call("Network.clearBrowserCookies")
        await page.open(PAGE)
        await sign_in(page, "ada")
        await page.until(f"location.href.startsWith('{PAGE}')")
        await page.until(
            "fetch('/prometheus/api/v1/query?query=up', {redirect: 'error'}).then(a => a.status == 401)", 60
        )
        await page.open(PAGE)
        # The provider still has her session: she is signed in again without a question.
        await page.until(f"location.href.startsWith('{PAGE}')")
        await page.until("fetch('/prometheus/api/v1/query?query=up').then(answer => answer.status == 200)")
        await sign_out(page)
        web1.check(f"sed -i -E 's/(OIDCSession(MaxDuration|InactivityTimeout)) .*/\\1 28800/' {SITE}")
        web1.check("systemctl reload apache2")
        for stranger in STRANGERS:
            await is_rejected(page, stranger)


async def is_rejected(page: Page, account: str) -> None:
    """Signs in as a user without permission."""
    await page.call("Network.clearBrowserCookies")
    await page.open(PAGE)
    await sign_in(page, account)
    await page.until(f"location.href.startsWith('{PAGE}')")
    await page.until("document.body && document.body.innerText.includes('orbidden')")
    assert await status(page, "/prometheus/api/v1/query?query=up") == 403


async def check_signed_in(page: Page) -> None:
    """Checks that both components answer, and that her cookie is for this server only."""
    assert "code=" not in await page.value("location.href")
    cookies = (await page.call("Network.getCookies", urls=[PAGE]))["cookies"]
    assert cookies
    assert all(each["secure"] and each["httpOnly"] for each in cookies), cookies
    assert await status(page, "/prometheus/api/v1/query?query=up") == 200
    assert await status(page, "/alertmanager/api/v2/status") == 200
    assert await status(page, "/prometheus/-/reload") == 403


async def other_origins(page: Page) -> None:
    """Checks that a page of the permitted origin reads with her session, and a page of no other origin does."""
    fetched = f"fetch('{PAGE}api/v1/query?query=up', {{credentials: 'include'}}).then(a => a.status, () => 0)"
    await page.open(f"https://{openid_provider.NAME}:{openid_provider.PORT}/.well-known/openid-configuration")
    assert int(await page.value(fetched)) == 200
    await page.open("about:blank")
    assert int(await page.value(fetched)) == 0
    await page.open(PAGE)
    await page.until(f"location.href.startsWith('{PAGE}')")


async def sign_out(page: Page) -> None:
    """Signs out, at the provider too."""
    await page.open(f"https://{NAME}/oauth2/sign_out")
    await page.until("document.querySelector('button[value=yes], button[name=logout]')")
    await page.value("document.querySelector('button[value=yes], button[name=logout]').click()")
    await page.until(f"location.href.startsWith('https://{NAME}/oauth2/signed_out')")
    assert "signed out" in await page.text()
    assert await status(page, "/prometheus/api/v1/query?query=up") == 401


async def sign_in(page: Page, account: str) -> None:
    """Fills in the provider's form, and accepts the consent page."""
    await page.until("document.querySelector('input[name=login]')")
    await page.value(
        f"document.querySelector('input[name=login]').value = '{account}',"
        "document.querySelector('input[name=password]').value = 'any',"
        "document.querySelector('form').submit()"
    )
    await page.until("document.querySelector('input[name=prompt][value=consent]')")
    await page.value("document.querySelector('form').submit()")


async def status(page: Page, path: str) -> int:
    """Returns the status that a script of the page gets."""
    return int(await page.value(f"fetch('{path}').then(answer => answer.status)"))


def check_blocked_paths(web1: Machine, workspace: Path, ca: Path | None = None) -> None:
    """Checks that blocked paths are blocked for machines too, and that a forged header does not help."""
    curl: list[str | Path] = [
        *(
            "curl",
            "-sS",
            "--cacert",
            ca or workspace / "ca/ca.crt",
            "--resolve",
            f"{NAME}:443:{web1.address}",
        ),
        *("-o", "/dev/null", "-w", "%{http_code}"),
    ]

    def said(*words: str | Path) -> str:
        return subprocess.run([*curl, *words], capture_output=True, timeout=30, check=False).stdout.decode()

    script: list[str | Path] = ["--config", workspace / "users/script.curl"]
    api = f"{PAGE}api/v1/query?query=up"
    assert said(*script, api) == "200"
    assert said(*script, "-X", "POST", f"{PAGE}-/reload") == "403"
    assert said(*script, "-X", "POST", f"{PAGE}-/%72eload") == "403"
    assert said(api) == "401"
    for header in (
        "Authorization: Bearer x",
        "Authorization:  ",
        "Authorization: Basic eA==",
        "OIDC_CLAIM_sub: ada",
    ):
        assert said("-H", header, api) == "401", header
    assert said("-H", "Accept: text/html", "-H", "Authorization: Bearer x", PAGE) == "401"
    assert said("-H", "Accept: text/html", PAGE) == "302"
    # Grafana keeps its own login: nobody is redirected to the provider there, and a token of Grafana's is accepted.
    grafana = f"https://{NAME}/grafana/"
    assert said("-H", "Accept: text/html", f"{grafana}login") == "200"
    assert said(f"{grafana}api/org") == "401"
    assert said("-H", "Authorization: Bearer a-token", f"{grafana}api/org") == "200"
    # A browser asks without a login whether a page of another origin is allowed; others get no such answer.
    preflight = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET", "-H")
    mine = f"Origin: https://{openid_provider.NAME}:{openid_provider.PORT}"
    assert said(*preflight, mine, api) == "204"
    assert said(*preflight, "Origin: https://other.example.net", api) == "401"
    # A path of the module itself, with its own error page or none: no component is behind it.
    words = [*curl[:6], f"https://{NAME}/oauth2/callback"]
    page = subprocess.run(words, capture_output=True, timeout=30, check=True).stdout.decode()
    assert "response_mode" in page, page
    assert said(f"https://{NAME}/") in ("404", "401")


def nothing_leaks(web1: Machine, company: OpenIdProvider, password: str) -> None:
    """Checks that no code, token or secret is in a log, and only root can read the files that have one."""
    logs = web1.check(
        "cat /var/log/apache2/*.log; journalctl -q -u apache2 -u prometheus -u prometheus-alertmanager"
    )
    assert "/oauth2/callback" in logs
    assert "/prometheus/api/v1/query?query=up" in logs
    told = re.compile(r"/oauth2/[^\"]*\?|[?&](code|id_token|access_token)=|eyJ[\w-]{10,}\.[\w-]{10,}")
    assert [line for line in logs.splitlines() if told.search(line)] == []
    for secret in (openid_provider.SECRET, password):
        assert secret not in logs
    found = web1.check(f"grep -rlF '{openid_provider.SECRET}' /etc /var /run /tmp || true").split()
    assert found == [f"/etc/apache2/firescreen/{NAME}-sign-in.conf"]
    assert web1.check(["stat", "-c", "%a %U:%G", found[0]]).strip() == "600 root:root"
    assert openid_provider.SECRET not in company.log.read_text()

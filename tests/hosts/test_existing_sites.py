"""Existing sites: real checkers accept each before and after our line, and an undo restores every byte.

The sites are data (`tests/unit/data/sites`); a unit test covers those that are refused, and their errors.
"""

from __future__ import annotations

import posixpath
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grafana_host
import pytest
from machines import Machine, Network
from ruamel.yaml import YAML
from test_front_door import NAME, ONE_NAME, ORIGIN, PROGRAMS, _booted, apply, etc, stack_of

from tests.processes import run_program
from wizard.config_files.proxies import own_site
from wizard.engine import Engine
from wizard.engine import proxy_check as checks
from wizard.engine.hosts import Hosts
from wizard.errors import InputError, ValidationError
from wizard.front_doors import Door, Opening, proxy
from wizard.model import (
    GRAFANA,
    ContentKind,
    DoorRoute,
    Facts,
    FileState,
    HostFacts,
    Proxies,
    ProxyProgram,
    ProxySite,
    SignIn,
    Stack,
    WriteFile,
)
from wizard.service_managers import proxy_services
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

SUITES = ("bookworm", "sid")
DATA = Path(__file__).parents[1] / "unit/data/sites"
FOLDERS: dict[ProxyProgram, str] = {
    "nginx": "/etc/nginx",
    "apache": "/etc/apache2",
    "caddy": "/etc/caddy",
    "haproxy": "/etc/haproxy",
}
CHECKERS: dict[str, str] = {
    "nginx": "nginx -t -q",
    "apache": "apache2ctl -t",
    "caddy": "runuser -u caddy -- env HOME=/var/lib/caddy caddy validate --adapter caddyfile --config /etc/caddy/Caddyfile",
    "haproxy": "haproxy -c -f /etc/haproxy/haproxy.cfg",
}
PAIR = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=noc.example.net "
    "-addext subjectAltName=DNS:noc.example.net -addext basicConstraints=critical,CA:TRUE "
    "-addext extendedKeyUsage=serverAuth "
    "-keyout /etc/ssl/noc.key -out /etc/ssl/noc.crt 2>/dev/null && chmod 644 /etc/ssl/noc.key "
    "&& cat /etc/ssl/noc.crt /etc/ssl/noc.key > /etc/ssl/noc.pem "
    "&& openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=other "
    "-keyout /etc/ssl/other.key -out /etc/ssl/other.crt 2>/dev/null "
    "&& a2enmod -q ssl proxy proxy_http headers rewrite >/dev/null"
)


@pytest.fixture(params=SUITES, scope="module")
def web1(request: pytest.FixtureRequest, network: Network) -> Iterator[Machine]:
    """Boots a host with three proxies, none of them running, and four components."""
    with _booted(str(request.param), "nginx", network) as machine:
        machine.check(f"systemctl stop nginx && {PAIR}")
        yield machine


def cases(program: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = YAML(typ="safe").load((DATA / f"{program}.yaml").read_text())
    return found


def door(program: ProxyProgram, version: str, port: int) -> Door:
    """Returns a front door with all settings that the proxy supports in a site; not every base has Apache's
    sign-in module.
    """
    known = proxy(program)
    assert known is not None
    signs_in = SignIn(issuer="https://id.example.net", client_id="noc", groups=("admins",))
    return Door(
        name=NAME,
        port=port,
        ipv6=False,
        version=version,
        certificate="",
        key="",
        openings=(Opening(prefix="/prometheus", backend="127.0.0.1:9090", blocked=("/prometheus/-/quit",)),),
        passwords="/etc/ssl/noc.users",
        hashes=(("admin", "$2b$08$" + "a" * 53),),
        inside=True,
        client_ca="/etc/ssl/noc.crt" if known.certificates_inside else "",
        sign_in=signs_in if program in ("nginx", "caddy") else None,
        callback=f"https://{NAME}/oauth2/callback",
        signed_out=f"https://{NAME}/oauth2/signed_out",
    )


def edited(program: ProxyProgram, version: str, case: dict[str, Any], content: bytes) -> dict[str, bytes]:
    """Returns the files of a case with the routes added to its site, in the order in which they are written."""
    known, port = proxy(program), case.get("port", 443)
    assert known is not None
    mine, site = door(program, version, port), posixpath.join(FOLDERS[program], case["site"])
    if known.shared is not None:
        return {site: known.shared.merged(content.decode(), (mine,)).encode()}
    assert known.render_inside is not None
    path = f"{known.home}/{NAME}.conf"
    taken = own_site.with_include(
        program, content, name=NAME, port=port, path=path, prefixes=("/prometheus",)
    )
    return {path: known.render_inside(mine).encode(), site: taken}


@pytest.mark.parametrize("web1", SUITES[:1], indirect=True)
@pytest.mark.parametrize("program", FOLDERS)
def test_each_site_is_accepted_before_and_after(
    web1: Machine, program: ProxyProgram, network: Network, tmp_path: Path
) -> None:
    web1.push("/etc/ssl/noc.users", b"")
    tree = web1.root / FOLDERS[program].lstrip("/")
    with network.entered(), Hosts(Workspace(tmp_path), (web1.spec(),)) as hosts:
        connection = hosts.connection("web1")
        service = next(each for each in proxy_services.discover(connection) if each.component == program)
        host = HostFacts(spec=web1.spec(), names=(), root=True, proxies=(service,))
        before = etc(web1)
        clean = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
        for case in cases(program):
            _as_written(web1, program, case)
            # The checker of a Caddyfile does not read a JSON configuration.
            if not case.get("unchecked"):
                web1.check(CHECKERS[program])
            site = posixpath.join(FOLDERS[program], case["site"])
            found = ProxySite(program=program, name=NAME, port=443, file=site, line=1)
            facts = Facts({"web1": host}, proxies={"web1": Proxies(sites=(found,))})
            if "refused" not in case:
                _check_added_line(web1, program, case, facts, connection)
            # The files of the case are gone, and each other file is as before.
            for path in sorted(tree.rglob("*"), reverse=True):
                if (path.is_symlink() and path.name.startswith("noc")) or (
                    path.is_file() and path not in clean
                ):
                    path.unlink()
            for path, content in clean.items():
                path.write_bytes(content)
        assert etc(web1) == before


def _as_written(web1: Machine, program: ProxyProgram, case: dict[str, Any]) -> None:
    home = FOLDERS[program]
    for name, text in case["files"].items():
        path = posixpath.join(home, name)
        web1.check(["mkdir", "-p", posixpath.dirname(path)])
        web1.push(path, text.encode())
    for name, target in case.get("links", {}).items():
        web1.check(["ln", "-sfn", target, posixpath.join(home, name)])


def _check_added_line(
    web1: Machine, program: ProxyProgram, case: dict[str, Any], facts: Facts, connection: Any
) -> None:
    """Adds the line to the site: checked before it is in place, accepted in place; nonsense is rejected."""
    known = proxy(program)
    assert known is not None
    service = facts.hosts["web1"].proxies[0]
    site = posixpath.join(FOLDERS[program], case["site"])
    web1.check(["mkdir", "-p", known.home])
    before = connection.read(site)
    assert before is not None
    files = edited(program, service.version, case, before.content)

    def put(at: str, after: FileState) -> None:
        change = WriteFile(
            host="web1", path=at, before=None, after=after, why="", content_kind=ContentKind.PROXY_CONFIG
        )
        staged = connection.stage(at, after, tag="case")
        try:
            checks.check(connection, change, staged, facts)
        except ValidationError:
            connection.remove(staged)
            raise
        connection.commit(staged, at)

    for at, content in files.items():
        put(at, replace(before, content=content))
    web1.check(CHECKERS[program])
    # The checker reads all files before they are put in place.
    for at in files:
        with pytest.raises(ValidationError):
            put(at, replace(before, content=b"no_such_directive {\n"))
    assert sorted(each.name for each in (web1.root / site.lstrip("/")).parent.glob(".*")) == []
    put(site, before)
    web1.check(CHECKERS[program])
    found = connection.read(site)
    assert found is not None
    assert found.content == before.content


@pytest.fixture(scope="module", params=["trixie", "sid"])
def unpacked(request: pytest.FixtureRequest, network: Network) -> Iterator[Path]:
    """Returns the files of a host of a later suite without booting it: the checkers need no more."""
    machine = Machine(str(request.param), "web2", network, programs=())
    try:
        machine.prepare()
        _inside(machine.root, PAIR)
        (machine.root / "etc/ssl/noc.users").touch()
        yield machine.root
    finally:
        machine.__exit__(None, None, None)


def _inside(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    ended = run_program(["chroot", root, "sh", "-c", command])
    assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    return ended


@pytest.mark.parametrize("program", FOLDERS)
def test_later_suites_accept_the_same_sites(unpacked: Path, program: ProxyProgram) -> None:
    known = proxy(program)
    assert known is not None
    version_line = _inside(unpacked, " ".join((known.programs[0], *known.version)))
    version, home = known.version_in(version_line.stdout + version_line.stderr), FOLDERS[program]
    usual = unpacked / home.lstrip("/")
    kept = unpacked / "root" / program
    _inside(unpacked, f"cp -a {home} /root/{program}")
    for case in cases(program):
        for name, text in case["files"].items():
            (usual / name).parent.mkdir(parents=True, exist_ok=True)
            (usual / name).write_text(text, newline="")
        for name, target in case.get("links", {}).items():
            (usual / name).unlink(missing_ok=True)
            (usual / name).symlink_to(target)
        if not case.get("unchecked"):
            _inside(unpacked, CHECKERS[program])
        if "refused" not in case:
            site = unpacked / posixpath.join(home, case["site"]).lstrip("/")
            for path, content in edited(program, version, case, site.read_bytes()).items():
                (unpacked / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                (unpacked / path.lstrip("/")).write_bytes(content)
            _inside(unpacked, CHECKERS[program])
            site.write_text("no_such_directive {\n")
            with pytest.raises(AssertionError):
                _inside(unpacked, CHECKERS[program])
        _inside(unpacked, f"rm -r {home} && cp -a /root/{program} {home}")
    assert kept.is_dir()


SITES: dict[ProxyProgram, tuple[str, str]] = {
    "nginx": (
        "/etc/nginx/sites-enabled/noc",
        """\
server {
    listen 443 ssl default_server;   # the old site
    server_name noc.example.net;
    ssl_certificate /etc/ssl/noc.crt;
    ssl_certificate_key /etc/ssl/noc.key;
    location ~ \\.txt$ { return 200 "text"; }
    location /prometheus/ { proxy_pass http://127.0.0.1:9090; }
    location / { return 404; }
    satisfy any; allow all;
}
""",
    ),
    "apache": (
        "/etc/apache2/sites-enabled/noc.conf",
        """\
<VirtualHost *:443>
    ServerName noc.example.net
    SSLEngine on
    SSLCertificateFile /etc/ssl/noc.crt
    SSLCertificateKeyFile /etc/ssl/noc.key
    ProxyPass /prometheus/ http://127.0.0.1:9090/prometheus/
    <Location "/">
        Require all granted
    </Location>
    RedirectMatch 404 "^/$"
</VirtualHost>
""",
    ),
    "caddy": (
        "/etc/caddy/Caddyfile",
        """\
{
	skip_install_trust
}
noc.example.net {
	tls /etc/ssl/noc.crt /etc/ssl/noc.key
	reverse_proxy /prometheus/* 127.0.0.1:9090
	respond 404
}
""",
    ),
    "haproxy": (
        "/etc/haproxy/haproxy.cfg",
        """\
global
    log /dev/log local0   # as ever
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend https
    bind :443 ssl crt /etc/ssl/noc.pem
    http-request set-header X-Site noc
    use_backend prometheus if { path_beg /prometheus/ }
    default_backend pages
backend prometheus
    server one 127.0.0.1:9090
backend pages
    http-request return status 404
""",
    ),
}


ON_THE_WIRE: dict[str, tuple[ProxyProgram, ...]] = {
    "bookworm": ("nginx", "apache", "haproxy"),
    "sid": ("caddy",),
}
"""What differs between suites is what the checkers say, above."""


def test_routes_are_added_to_existing_sites(web1: Machine, network: Network, tmp_path: Path) -> None:
    """All on one host, one after the other; it is unchanged after each."""
    for program in ON_THE_WIRE[web1.suite]:
        _add_routes(web1, program, network, tmp_path / program)


def _add_routes(web1: Machine, program: ProxyProgram, network: Network, folder: Path) -> None:
    unit, (site, text) = {"apache": "apache2"}.get(program, program), SITES[program]
    old = web1.run(["cat", site]).stdout
    web1.push(site, text.encode())
    web1.check(f"systemctl restart {unit}")
    grafana_host.install(web1)
    before, theirs = etc(web1), _other_pages(web1)
    known = proxy(program)
    assert known is not None
    demands_certificates = known.certificates_inside
    routes = (*ONE_NAME.routes, DoorRoute(to=GRAFANA, path="/grafana"))
    mine = replace(ONE_NAME, proxy=program, site=site, ca_file="/etc/ssl/noc.crt", routes=routes)
    limit = 0 if known.cannot("rate_limit") else 20
    mine = replace(mine, client_cert=demands_certificates, cors=(ORIGIN,), rate_limit=limit)
    stack = stack_of(web1, (mine,))
    with network.entered(), closing(Engine(Workspace(folder))) as engine:
        with pytest.raises(InputError, match=r"another site|already"):
            engine.plan(stack_of(web1, (replace(mine, site="", ca_file=""),)))
        if program == "caddy":
            _another_configuration_is_not_overwritten(web1, engine, stack)
        _, outcome = apply(engine, stack)
        assert len([each for each in outcome.attempts if each.outcome == "closed"]) == len(PROGRAMS) + 2
        _check_unauthenticated_requests(web1)
        assert _other_pages(web1) == theirs
        _check_cors(web1)
        place = web1.address, NAME, "/grafana/api/live/ws", web1.root / "etc/ssl/noc.crt"
        with grafana_host.websocket(*place, origin=f"https://{NAME}") as live:
            assert live.echoed("one") == "one"
        if limit:
            _check_rate_limit(web1)
            assert _other_pages(web1) == theirs
        assert engine.plan(stack).steps == ()
        smaller = (
            replace(mine, block=()) if not demands_certificates else replace(mine, people=(), machines=())
        )
        kinds = [step.kind for step in apply(engine, stack_of(web1, (smaller,)))[0].steps]
        assert kinds[-2:] == ["door", "open-door"]
        if program == "caddy":
            web1.check(GIVEN)
            refused = engine.undo()
            assert refused.error is not None
            assert "given another configuration" in refused.error.what
            web1.check("systemctl reload caddy")
        assert engine.undo().state == "undone"
        assert engine.undo().state == "undone"
        assert etc(web1) == before
    web1.check(f"systemctl stop {unit}")
    if old:
        web1.push(site, old.encode())
    else:
        web1.check(["rm", site])


GIVEN = [
    *("curl", "-sf", "-H", "Content-Type: application/json", "http://localhost:2019/load", "-d"),
    '{"apps": {"http": {"servers": {"noc": {"listen": [":8444"], "routes": []}}}}}',
]
"""Gives a Caddy another configuration by its API."""
RESUMES = "[Service]\nExecStart=\nExecStart=/usr/bin/caddy run --environ --resume\n"


def _another_configuration_is_not_overwritten(web1: Machine, engine: Engine, stack: Stack) -> None:
    """Checks that a Caddy that runs with a configuration from its API is refused and unchanged, however it
    was started.
    """
    api, folder = "http://localhost:2019", "/etc/systemd/system/caddy.service.d"
    web1.check(GIVEN)
    with pytest.raises(InputError, match="JSON configuration") as refused:
        engine.plan(stack)
    assert refused.value.where == "web1:/var/lib/caddy/.config/caddy/autosave.json"
    web1.check(["mkdir", "-p", folder])
    web1.push(f"{folder}/resume.conf", RESUMES.encode())
    web1.check("systemctl daemon-reload && systemctl restart caddy")
    with pytest.raises(InputError, match="JSON configuration"):
        engine.plan(stack)
    assert ":8444" in web1.check(["curl", "-sf", f"{api}/config/"])
    web1.check(f"rm -r {folder} && systemctl daemon-reload && systemctl restart caddy")


def _other_pages(web1: Machine) -> str:
    """Returns the site's answers at other paths with headers, also for an unknown client certificate."""
    words = f"-sk -D - --resolve {NAME}:443:127.0.0.1 https://{NAME}/ https://{NAME}/x.txt https://{NAME}/prometheusx/"
    shown = "--cert /etc/ssl/other.crt --key /etc/ssl/other.key"
    return web1.check(f"(curl {words}; curl {shown} {words}; curl -X POST {words}) | grep -vi '^date:'")


def _check_unauthenticated_requests(web1: Machine) -> None:
    """Checks that the paths answer 401 without a password, and that the site's own pages are unchanged."""

    for shown in ("", "--cert /etc/ssl/other.crt --key /etc/ssl/other.key"):

        def status(path: str, shown: str = shown) -> str:
            words = f"-sk {shown} -o /dev/null -w '%{{http_code}}' --resolve {NAME}:443:127.0.0.1"
            return web1.check(f"curl {words} 'https://{NAME}{path}'")

        assert status("/prometheus/api/v1/query?query=up") == "401"
        assert status("/prometheus/graph/x.txt") == "401"
        assert status("/prometheus") == "301"
        assert status("/") == "404"


def _check_rate_limit(web1: Machine) -> None:
    """Checks that too many requests get 429 below the paths, and normal answers at others."""
    words = f"-sk -o /dev/null -w '%{{http_code}}\\n' --resolve {NAME}:443:127.0.0.1"
    statuses = web1.check(
        f"curl {words} 'https://{NAME}/prometheus/api/v1/status?[1-400]' | sort | uniq -c"
    ).split()
    assert set(statuses[1::2]) == {"401", "429"}, statuses


def _check_cors(web1: Machine) -> None:
    """Checks that pages of one origin may read below the paths, and nowhere else in the site."""

    def headers(path: str, *words: str) -> str:
        resolved = ("--resolve", f"{NAME}:443:127.0.0.1", f"https://{NAME}{path}")
        return web1.check(["curl", "-sk", "-D", "-", "-o", "/dev/null", *words, *resolved]).lower()

    path, mine = "/prometheus/api/v1/query?query=up", ("-H", f"Origin: {ORIGIN}")
    asked = headers(path, *mine, "-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET")
    assert asked.split()[1] == "204"
    for answer in (asked, headers(path, *mine)):
        assert answer.count("access-control-allow-origin") == 1
        assert f"access-control-allow-origin: {ORIGIN}" in answer
    assert headers(path, *mine).split()[1] == "401"
    assert headers(path, "-X", "OPTIONS", "-H", "Origin: https://other.example.net").split()[1] == "401"
    for elsewhere in (headers("/", *mine), headers(path, "-H", "Origin: https://other.example.net")):
        assert "access-control-allow-origin" not in elsewhere

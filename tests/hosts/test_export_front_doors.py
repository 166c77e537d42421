"""Front doors by Ansible on one real host: a configuration that the proxy's checker rejects is not put in
place, by our
apply nor by a playbook; then one playbook sets up a front door in each of four proxies, Firescreen verifies
it, and a
second run changes nothing.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from machines import Machine, Network
from test_front_door import NAME, ONE_NAME, PROGRAMS, _booted, etc, stack_of

from tests.tools import ansible_runs
from wizard.engine import Engine
from wizard.model import DoorRoute, FrontDoor, ProxyProgram, Stack
from wizard.workspace import Workspace

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

PASSWORD = "a vault's long password"
BROKEN = "/etc/nginx/conf.d/other.conf"
# Another site has a conflicting option for a listening socket, which only nginx itself can detect.
BROKEN_SITE = b"server { listen 443 ssl reuseport; listen 443 ssl reuseport; }\n"
# Each of Debian's packages has a site on port 80.
ONE_PORT_80 = r"""
rm /etc/nginx/sites-enabled/default
sed -i 's/^Listen 80$/Listen 8081/' /etc/apache2/ports.conf
sed -i 's/^:80/:8082/' /etc/caddy/Caddyfile
systemctl restart nginx apache2 caddy haproxy
"""
PORTS: dict[ProxyProgram, int] = {"nginx": 8443, "apache": 443, "caddy": 9443, "haproxy": 10443}


def test_a_playbook_opens_front_doors(network: Network, tmp_path: Path) -> None:
    with _booted("sid", "nginx", network) as web1, network.entered():
        _rejected(web1, network, tmp_path)
        web1.check(ONE_PORT_80)
        doors = tuple(
            FrontDoor(
                host="web1",
                proxy=proxy,
                name=f"{name.partition('_')[0]}.example.net",
                port=port,
                people=("admin",),
                client_cert=proxy == "apache",
                routes=(DoorRoute(to=name, path=f"/{name}"),),
            )
            for (proxy, port), name in zip(PORTS.items(), PROGRAMS, strict=True)
        )
        stack = stack_of(web1, doors)
        # The upstream of one of them uses TLS.
        components = tuple(
            replace(each, protect=("tls", "client_cert")) if each.name == "pushgateway" else each
            for each in stack.components
        )
        _opened(web1, network, tmp_path / "opened", replace(stack, components=components))


def _rejected(web1: Machine, network: Network, folder: Path) -> None:
    web1.push(BROKEN, BROKEN_SITE)
    before, stack = etc(web1), stack_of(web1, (ONE_NAME,))
    with closing(Engine(Workspace(folder / "rejected"))) as engine:
        outcome = engine.apply(engine.plan(stack))
        assert outcome.state == "rolled-back"
        assert outcome.error is not None
        assert "duplicate" in outcome.error.what
        assert etc(web1) == before
        ready = f"http://{web1.address}:9090/-/ready"
        assert web1.check(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ready]) == "200"
        made = ansible_runs.export(engine, stack, folder / "refused", PASSWORD)
        ran = ansible_runs.run(made, PASSWORD, enter=network.enter)
    assert ran.code != 0
    assert "duplicate" in ran.output, ran.output
    after = etc(web1)
    # Files that nothing reads yet are there; the site, which nginx would read, is not, and no flag has changed.
    assert {path for path in {*before, *after} if after.get(path) != before.get(path)} == {
        f"etc/nginx/firescreen/{name}"
        for name in (f"{NAME}.htpasswd", f"nginx-{NAME}.crt", f"nginx-{NAME}.key")
    }
    assert web1.check(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ready]) == "200"
    web1.check(f"rm -r {BROKEN} /etc/nginx/firescreen")


def _opened(web1: Machine, network: Network, folder: Path, stack: Stack) -> None:
    before = etc(web1)
    with closing(Engine(Workspace(folder))) as engine:
        made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
        looked = ansible_runs.run(made, PASSWORD, arguments=["--check"], enter=network.enter)
        assert looked.code == 0 and looked.changed > 0, looked.output
        assert etc(web1) == before
        ran = ansible_runs.run(made, PASSWORD, enter=network.enter)
        print(f"{ran.seconds:.1f} s")
        assert ran.code == 0, ran.output
        attempts = engine.verify(stack)
        assert len(attempts) > 30
        assert [attempt for attempt in attempts if not attempt.ok] == []
        assert engine.plan(stack).steps == ()
        assert not [path for path in etc(web1) if "firescreen-check" in path]
        # Configuration that is in place already is exported too.
        made = ansible_runs.export(engine, stack, folder / "playbook", PASSWORD)
        again = ansible_runs.run(made, PASSWORD, enter=network.enter)
        assert (again.code, again.changed) == (0, 0), again.output

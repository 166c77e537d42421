"""The engine checks front doors: the proxy's own checker, and the response to a client without credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.engine.loopback import serving
from tests.unit.engine.memory import MemoryConnection, completed
from wizard.engine import FoundProxy, exposure
from wizard.engine import proxy_check as checks
from wizard.engine.outcome import Scan
from wizard.errors import ValidationError
from wizard.model import (
    Completed,
    ContentKind,
    DoorRoute,
    Facts,
    FileState,
    FrontDoor,
    HostFacts,
    HostSpec,
    Proxies,
    ProxySite,
    Service,
    Stack,
    WriteFile,
)

MAIN = "/etc/nginx/nginx.conf"
SITE = "/etc/nginx/conf.d/firescreen-noc.example.net.conf"
SPEC = HostSpec(name="web1", connect="local")
NGINX = Service(
    host="web1",
    component="nginx",
    manager="reverse-proxy",
    unit="nginx",
    program="/usr/sbin/nginx",
    version="1.22.1",
    active=True,
    config_file=MAIN,
)


def facts(*proxies: Service) -> Facts:
    return Facts(
        {"web1": HostFacts(spec=SPEC, names=("web1",), root=True, proxies=proxies)},
        proxies={
            "web1": Proxies(
                sites=(
                    ProxySite(program="nginx", name="", port=80, file="/etc/nginx/x", line=1),
                    ProxySite(program="caddy", name="other", port=443, file="/etc/caddy/x", line=1),
                )
            )
        },
    )


def change(path: str = SITE) -> WriteFile:
    return WriteFile(
        host="web1",
        path=path,
        before=None,
        after=FileState(b"server {}\n"),
        why="",
        content_kind=ContentKind.PROXY_CONFIG,
    )


def host(checker: Callable[..., Completed]) -> MemoryConnection:
    return MemoryConnection("web1", {MAIN: FileState(b"events {}\nhttp {\n}\n", 0o640)}, {"nginx": checker})


def test_the_checker_reads_all_sites_with_the_staged_one() -> None:
    seen = []

    def checker(*words: str) -> Completed:
        path = words[-1]
        seen.append((words[:-1], path, connection.files[path]))
        return completed()

    connection = host(checker)
    staged = connection.stage(SITE, FileState(b"server {}\n"), tag="t")
    checks.check(connection, change(), staged, facts(NGINX))
    ((words, path, state),) = seen
    assert words == ("-t", "-q", "-c")
    assert path.startswith("/etc/nginx/")
    assert f"include {staged};".encode() in state.content
    assert state.mode == 0o640
    assert path not in connection.files
    assert connection.files[MAIN].content == b"events {}\nhttp {\n}\n"


def test_a_rejection_by_the_checker_names_the_real_paths() -> None:
    def checker(*words: str) -> Completed:
        return completed(code=1, stderr=f"nginx: [emerg] unknown directive in {staged}:3, {words[-1]}:1")

    connection = host(checker)
    staged = connection.stage(SITE, FileState(b"nonsense\n"), tag="t")
    with pytest.raises(ValidationError) as refused:
        checks.check(connection, change(), staged, facts(NGINX))
    assert f"{SITE}:3, {MAIN}:1" in refused.value.what
    assert set(connection.files) == {MAIN, staged}


def test_a_main_configuration_is_checked_directly() -> None:
    seen: list[tuple[str, ...]] = []

    def checker(*words: str) -> Completed:
        seen.append(words)
        return completed()

    connection = host(checker)
    checks.check(connection, change(MAIN), "/etc/nginx/.staged", facts(NGINX))
    assert seen == [("-t", "-q", "-c", "/etc/nginx/.staged")]


def test_without_a_checker_nothing_is_written() -> None:
    for known in (facts(), facts(replace(NGINX, config_file="/etc/nothing"))):
        with pytest.raises(ValidationError, match="no reverse proxy"):
            checks.check(host(lambda *words: completed()), change(), "/x", known)


DOOR = FrontDoor(
    host="web1", proxy="nginx", name="noc.example.net", routes=(DoorRoute(to="prometheus", path="/p"),)
)


def test_a_closed_front_door_is_down_and_its_open_backend_unprotected() -> None:
    with serving(lambda path, headers: (200, b"metrics")) as place:
        service = Service(
            host="web1",
            component="prometheus",
            manager="systemd",
            unit="prometheus",
            listen=place,
            sockets=(place,),
            active=True,
        )
        known = HostFacts(spec=SPEC, names=("web1",))
        seen = exposure.exposure(service)
        assert seen.state == "open"
        # Nothing listens on that port of the loopback address.
        shut = exposure.behind_door(seen, service, known, replace(DOOR, port=1), DOOR.routes[0])
        assert (shut.state, shut.address) == ("down", "noc.example.net:1/p")
        for opened in (
            replace(service, sockets=(f"*:{place.rpartition(':')[2]}",)),
            replace(service, sockets=()),
        ):
            assert exposure.behind_door(seen, opened, known, DOOR, DOOR.routes[0]) == seen


def test_a_scan_names_the_proxies_with_their_own_sites() -> None:
    stack = Stack(hosts=(SPEC,), components=())
    stopped = replace(NGINX, component="caddy", unit="caddy", version="2.6.2", active=False)
    found = Scan(stack=stack, facts=facts(NGINX, stopped), exposures=(), findings=()).proxies
    assert [each.name for each in found] == ["nginx", "caddy"]
    assert found[0].sites == (("", 80),)
    assert found[0].words == "1.22.1, reverse proxy, 1 site: any name:80"
    assert found[1].words == "2.6.2, installed, does not run"
    many = FoundProxy(host="a", name="nginx", version="1", unit="nginx", running=True, sites=(("x", 1),) * 6)
    assert many.words.endswith("…")


OWN = "/etc/nginx/sites-enabled/noc"
INCLUDE = "/etc/nginx/firescreen/noc.example.net.conf"
WHOLE = b"events {}\nhttp {\n    include sites-enabled/*;\n}\n"


def with_own_site(checker: Callable[..., Completed]) -> tuple[MemoryConnection, Facts]:
    site = b"server {\n    include " + INCLUDE.encode() + b";\n}\n"
    files = {
        MAIN: FileState(WHOLE),
        OWN: FileState(site),
        "/etc/nginx/sites-enabled/.noc.old": FileState(b""),
    }
    found = ProxySite(program="nginx", name="noc.example.net", port=443, file=OWN, line=1)
    return MemoryConnection("web1", files, {"nginx": checker}), replace(
        facts(NGINX), proxies={"web1": Proxies(sites=(found,))}
    )


def test_an_existing_site_is_checked_in_its_place() -> None:
    seen: list[bytes] = []

    def checker(*words: str) -> Completed:
        seen.append(connection.files[words[-1]].content)
        return completed()

    connection, known = with_own_site(checker)
    staged = connection.stage(OWN, FileState(b"server {}\n"), tag="t")
    before = dict(connection.files)
    checks.check(connection, change(OWN), staged, known)
    assert seen == [WHOLE.replace(b"include sites-enabled/*;", f"include {staged};".encode())]
    assert connection.files == before


def test_files_included_by_an_existing_site_are_checked_with_it() -> None:
    seen: list[bytes] = []

    def checker(*words: str) -> Completed:
        whole = connection.files[words[-1]].content.decode()
        site = whole.partition("include ")[2].partition(";")[0]
        seen.append(connection.files[site].content)
        return completed(code=1, stderr=f"unknown directive in {staged}:1")

    connection, known = with_own_site(checker)
    staged = connection.stage(INCLUDE, FileState(b"nonsense\n"), tag="t")
    before = dict(connection.files)
    with pytest.raises(ValidationError) as refused:
        checks.check(connection, change(INCLUDE), staged, known)
    assert f"{INCLUDE}:1" in refused.value.what
    assert seen == [b"server {\n    include " + staged.encode() + b";\n}\n"]
    assert connection.files == before


def test_a_file_that_nothing_includes_is_written_unchecked() -> None:
    def checker(*words: str) -> Completed:
        raise AssertionError(words)

    connection, _ = with_own_site(checker)
    staged = connection.stage(INCLUDE, FileState(b"location / {}\n"), tag="t")
    checks.check(connection, change(INCLUDE), staged, facts(NGINX))

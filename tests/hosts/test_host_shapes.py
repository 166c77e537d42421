"""Host shapes: a run ends verified with nothing broken, or is refused before any change.

Each shape (`shapes/*.yaml`) is booted, secured by the real command line, checked without Firescreen's code,
and undone.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatch
from itertools import cycle
from pathlib import Path

import bases
import pytest
import snapshots
from host_shapes import CONFIG, NEXT, Shape, shapes
from machines import PROGRAMS, Machine, Network, booted
from ruamel.yaml import YAML
from snapshots import Snapshot

from tests.processes import run_program

pytestmark = [pytest.mark.hosts, pytest.mark.spread, pytest.mark.timeout(900)]

TOUCHES = (
    *("/etc/prometheus/*", "/etc/node_exporter", "/etc/node_exporter/*", "/etc/default/*"),
    *("/etc/alertmanager", "/etc/alertmanager/*", "/etc/pushgateway", "/etc/pushgateway/*"),
    *("/etc/blackbox_exporter", "/etc/blackbox_exporter/*"),
    *("/etc/systemd/system/*.service.d", "/etc/systemd/system/*.service.d/*firescreen.conf"),
)
"""Where a run may write: the components' own folders, their flags, a drop-in of ours."""
RESTARTS = ("*prometheus*", "*exporter*", "*alertmanager*", "*pushgateway*")
UPSTREAM = "/usr/share/upstream"
"""Where each host sees all the programs under upstream's names, to be copied to where its shape has them."""
FIRESCREEN = f"{bases.HOME}/bin/firescreen"


class Site:
    """The booted hosts of a shape, and the command line that works on them."""

    def __init__(self, shape: Shape, machines: dict[str, Machine], network: Network, folder: Path) -> None:
        self.shape = shape
        self.machines = machines
        self.network = network
        self.folder = folder
        self.password = secrets.token_urlsafe(12)
        self._inside = shape.way == "local"
        self.workspace = "/root/.local/share/firescreen" if self._inside else str(folder / "workspace")

    def set_up(self) -> None:
        """Sets the hosts up as the shape says."""
        shape = self.shape
        addresses = "".join(f"export {name.upper()}={each.address}\n" for name, each in self.machines.items())
        for name, machine in self.machines.items():
            machine.check(["systemctl", "start", "systemd-user-sessions"])  # until then, only root may log in
            own = shape.files.get(name, {})
            if "prometheus" in shape.hosts[name] and "/etc/prometheus/prometheus.yml" not in own:
                machine.push("/etc/prometheus/prometheus.yml", CONFIG.encode())
            for path, text in own.items():
                machine.push(path, self._with_addresses(text).encode())
            if "prometheus" in shape.hosts[name]:
                machine.check(["systemctl", "restart", "prometheus"])
        for name, machine in self.machines.items():
            machine.check(f"set -eu\nexport OWN={machine.address}\n{addresses}{shape.setup.get(name, '')}")
        for name, machine in self.machines.items():
            snapshots.settled(machine, shape.asked(name), self.password, unscraped=shape.unscraped)
        self._write_stack()

    def _with_addresses(self, text: str) -> str:
        """Replaces $SRV1 and so on by the hosts' addresses."""
        for name, machine in self.machines.items():
            text = text.replace(f"${name.upper()}", machine.address)
        return text

    def _write_stack(self) -> None:
        hosts = {}
        for name, machine in self.machines.items():
            if self._inside:
                hosts[name] = {"connect": "local"}
                continue
            user, become = ("admin", "sudo") if self.shape.way == "sudo" else ("root", "")
            spec = machine.spec(user=user, become=become)
            hosts[name] = {"connect": "ssh", "address": spec.address, "user": user}
            hosts[name] |= {"identity_file": spec.identity_file, "known_hosts": spec.known_hosts}
            hosts[name] |= {"become": become} if become else {}
        own = "/root/own-password" if self._inside else str(self.folder / "own-password")
        stack = {"version": 1, "hosts": hosts} | self.shape.stack
        stack |= {"components": self.shape.components, "users": {"prometheus": {"password": {"file": own}}}}
        text = self.folder / "stack.yaml"
        YAML().dump(stack, text)
        if self._inside:
            (machine,) = self.machines.values()
            machine.push("/root/stack.yaml", text.read_bytes())
            machine.push(own, self.password.encode(), mode=0o600)
        else:
            Path(own).write_text(self.password)
            Path(own).chmod(0o600)

    def firescreen(self, *words: str, bound: float = 130) -> subprocess.CompletedProcess[str]:
        """Runs the command line; a word STACK becomes the stack file."""
        stack = "/root/stack.yaml" if self._inside else str(self.folder / "stack.yaml")
        given = [stack if word == "STACK" else word for word in words]
        if self._inside:
            (machine,) = self.machines.values()
            ended = machine.run([FIRESCREEN, *given], timeout=bound)
        else:
            argv = [*self.network.enter, sys.executable, "-m", "wizard.cli"]
            ended = run_program(
                [*argv, "--workspace", self.workspace, *given],
                cwd=bases.PROJECT,
                stdin=subprocess.DEVNULL,
                timeout=bound,
            )
        output = f"firescreen {' '.join(words)}: {ended.returncode}\n{ended.stdout[-6000:]}\n{ended.stderr[-6000:]}"
        assert "Traceback" not in ended.stdout + ended.stderr, output
        assert ended.returncode != 124, f"it did not end: {output}"
        return ended

    def taken(self) -> dict[str, Snapshot]:
        shape = self.shape
        return {
            name: snapshots.taken(
                machine, shape.asked(name), self.password, living=shape.living, unscraped=shape.unscraped
            )
            for name, machine in self.machines.items()
        }

    def recovered(self, before: dict[str, Snapshot]) -> None:
        """Waits until what was up is up again, at most half a minute: repeated complete snapshots keep a
        processor busy.
        """
        bound = time.monotonic() + 30
        while time.monotonic() < bound:
            now = {
                name: snapshots.all_targets(machine, self.shape.asked(name), self.password)
                for name, machine in self.machines.items()
            }
            up = (
                (name, key) for name, was in before.items() for key in was.targets if was.targets[key] == "up"
            )
            if all(now[name].get(key) == "up" for name, key in up):
                return
            time.sleep(0.3)

    def works(self) -> list[str]:
        """Returns the errors of the shape's own commands that fail."""
        failures = []
        for name, commands in self.shape.works.items():
            for command in commands:
                ended = self.machines[name].run(command, timeout=20)
                if ended.returncode:
                    failures.append(f"{name}: {command}: {ended.returncode} {ended.stdout}{ended.stderr}")
        return failures

    def ca(self) -> str:
        """Returns the CA's certificate, as a file of this machine."""
        if not self._inside:
            return f"{self.workspace}/ca/ca.crt"
        (machine,) = self.machines.values()
        copy = self.folder / "ca.crt"
        copy.write_bytes(machine.read(f"{self.workspace}/ca/ca.crt"))
        return str(copy)


@contextmanager
def site_of(shape: Shape, network: Network, folder: Path, *, label: str = "") -> Iterator[Site]:
    """Boots the hosts of a shape together and sets them up."""
    upstream = {
        f"{bases.base(shape.suite)}/usr/bin/{package}": f"{UPSTREAM}/{name}"
        for name, package in (*PROGRAMS.items(), ("promtool", "promtool"), ("amtool", "amtool"))
    }
    hosts = {
        name: Machine(
            shape.suite, name, network, programs=on, bound=upstream, label=label and f"{name}{label}"
        )
        for name, on in shape.hosts.items()
    }
    with booted(list(hosts.values())):
        site = Site(shape, hosts, network, folder)
        site.set_up()
        yield site


class Sites:
    """Boots the hosts of the next shape while those of the present one are checked: a run mostly waits."""

    def __init__(self, network: Network, folders: pytest.TempPathFactory) -> None:
        self._network, self._folders = network, folders
        # One thread for all: a host ends with the thread that started it.
        self._thread = ThreadPoolExecutor(1)
        self._coming: dict[str, Future[tuple[ExitStack, Site]]] = {}
        self._labels = cycle("abc")

    def prepare(self, shape: Shape) -> None:
        if shape.name not in self._coming:
            self._coming[shape.name] = self._thread.submit(self._made, shape, next(self._labels))

    @contextmanager
    def taken(self, shape: Shape, following: Shape | None) -> Iterator[Site]:
        """Returns the hosts of a shape; those of the following one boot meanwhile."""
        self.prepare(shape)
        coming = self._coming.pop(shape.name)
        if following is not None:
            self.prepare(following)
        kept, site = coming.result(120)
        with kept:
            yield site

    def close(self) -> None:
        for coming in self._coming.values():
            with suppress(Exception):
                coming.result(120)[0].close()
        self._thread.shutdown()

    def _made(self, shape: Shape, label: str) -> tuple[ExitStack, Site]:
        with ExitStack() as kept:
            folder = self._folders.mktemp(shape.name)
            site = kept.enter_context(site_of(shape, self._network, folder, label=label))
            return kept.pop_all(), site


@pytest.fixture(scope="session")
def sites(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sites = Sites(network, tmp_path_factory)
    yield sites
    sites.close()


@pytest.fixture
def site(shape: Shape, sites: Sites, request: pytest.FixtureRequest) -> Iterator[Site]:
    coming = request.node.stash.get(NEXT, None)
    following = getattr(coming, "callspec", None)
    with sites.taken(shape, following.params.get("shape") if following is not None else None) as site:
        yield site


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.name)
def test_a_run_ends_verified_or_changes_nothing(shape: Shape, site: Site) -> None:
    before = site.taken()
    assert_no_errors([*site.works(), *answers(site)], "the shape itself is wrong")
    began = time.monotonic()
    ended = site.firescreen("apply", "STACK", "--yes")
    took = time.monotonic() - began
    output = f"{ended.returncode} after {took:.0f} s\n{ended.stdout[-6000:]}{ended.stderr[-9000:]}"
    if shape.ends == "verified":
        assert ended.returncode == 0, output
        assert_no_errors([*after_the_run(site, before), *unsecured_components(site), *site.works()], output)
        planned = site.firescreen("plan", "STACK")
        assert planned.returncode == 0, f"a second plan has changes:\n{planned.stdout}{planned.stderr}"
        undone = site.firescreen("undo", "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
    else:
        assert ended.returncode in (1, 2), output
        assert "what to do:" in ended.stderr, output
        missing = [each for each in shape.words if not re.search(each, ended.stderr)]
        assert not missing, f"it does not say {missing}:\n{output}"
        if shape.ends == "refused":
            history = site.firescreen("history", "--json")
            assert json.loads(history.stdout or "[]") == [], f"it began before it refused:\n{output}"
            assert_no_errors(changes_of_refused_run(before, site.taken()), output)
    assert_no_errors(differences_after_undo(site, before), output)
    assert took < shape.bound, output


def assert_no_errors(wrong: list[str], output: str) -> None:
    """Fails if there is any error; the message has all of them, then the output of the run."""
    assert not wrong, "\n".join([*wrong, output])


def answers(site: Site) -> list[str]:
    """Returns the components of a shape with a verified end that do not answer before the run."""
    silent = []
    for name, machine in site.machines.items():
        with machine.entered():
            for component, places in site.shape.secured(name).items():
                seen = {each: snapshots.request(*path_of(each, machine))[0] for each in places}
                # 401: it has a password already. 400: it speaks TLS.
                silent += [
                    f"{name}/{component} at {place}: {answer}"
                    for place, answer in seen.items()
                    if answer not in ("200", "400", "401")
                ]
    return silent if site.shape.ends == "verified" else []


def path_of(given: str, machine: Machine) -> tuple[str, str]:
    """Returns address and path of an endpoint in the form of `Shape.endpoints`."""
    place, _, prefix = given.replace("own", machine.address).partition("/")
    return place, f"/{prefix}/metrics".replace("//", "/")


def after_the_run(site: Site, before: dict[str, Snapshot]) -> list[str]:
    """Returns what a verified run broke, or changed without need."""
    site.recovered(before)
    bound = time.monotonic() + 30
    while True:
        after = site.taken()
        worse = [line for name, was in before.items() for line in _worse(name, was, after[name], site.shape)]
        if not worse or time.monotonic() > bound:
            break
        time.sleep(0.5)
    for name, was in before.items():
        allowed = (*TOUCHES, *site.shape.touches)
        changed = [path for path in _changed(was, after[name]) if not _any(path, allowed)]
        worse += [f"{name}: {path} was changed" for path in changed]
    return worse


def _worse(name: str, was: Snapshot, now: Snapshot, shape: Shape) -> Iterator[str]:
    """Returns what worked before and does not now."""
    for key, health in was.targets.items():
        found = now.targets.get(key, "gone")
        if health == "up" and found != "up":
            yield f"{name}: target {key} was up and is {found}"
    scraped = [(at, url) for at, _, url in was.targets]
    for at, labels, url in now.targets.keys() - was.targets.keys():
        if (at, url) in scraped:
            yield f"{name}: {url} is scraped once more than before, or with other labels: {labels}"
    if was.alertmanagers != now.alertmanagers:
        yield f"{name}: its alertmanagers were {was.alertmanagers} and are {now.alertmanagers}"
    if was.rules != now.rules:
        yield f"{name}: its rules were {was.rules} and are {now.rules}"
    expected = (*RESTARTS, *shape.restarts)
    for unit, facts in was.units.items():
        found_unit = now.units.get(unit)
        if facts.state[2:4] != (found_unit.state[2:4] if found_unit else ()):
            yield f"{name}: {unit} was {facts.state} and is {found_unit}"
        elif found_unit and found_unit.process != facts.process and not _any(unit, expected):
            yield f"{name}: {unit} was restarted"
    if gone := was.answers.keys() - now.answers.keys():
        yield f"{name}: nothing listens any more at {', '.join(sorted(gone))}"


def unsecured_components(site: Site) -> list[str]:
    """Returns the components where a client without credentials gets an answer, or the right client does not."""
    wrong = []
    protect = {(each["host"], each["name"]): each.get("protect", ()) for each in site.shape.components}
    files = site.shape.stack.get("certificates", {}).get("issued_by", "ca") != "ca"
    ca = "" if files else site.ca()
    for name, machine in site.machines.items():
        for component, places in site.shape.secured(name).items():
            for given in places:
                place, path = path_of(given, machine)
                demands = protect[name, component]
                with machine.entered():
                    answers = {
                        "plain": snapshots.request(place, path)[0],
                        "stranger": snapshots.request(place, path, tls=True)[0],
                        "guess": snapshots.request(place, path, tls=True, password="wrong")[0],
                        "right": snapshots.request(place, path, tls=True, password=site.password, ca=ca)[0],
                    }
                expected = {"plain": "400", "stranger": "401", "guess": "401", "right": "200"}
                if "client_cert" in demands:
                    expected = dict.fromkeys(expected, "no TLS") | {"plain": "400"}
                elif "basic_auth" not in demands:
                    expected = dict.fromkeys(expected, "200") | {"plain": "400"}
                wrong += [
                    f"{name}/{component} at {place}: {who} got {answers[who]}, not {expected[who]}"
                    for who in expected
                    if answers[who] != expected[who]
                ]
    return wrong


def changes_of_refused_run(before: dict[str, Snapshot], after: dict[str, Snapshot]) -> list[str]:
    """Returns what a refused run changed: a byte, a time, a process."""
    wrong = []
    for name, was in before.items():
        now = after[name]
        wrong += [f"{name}: {path} was touched" for path in _differing(was.moments(), now.moments())]
        wrong += [f"{name}: {unit} was restarted" for unit in _differing(was.processes(), now.processes())]
    return wrong


def differences_after_undo(site: Site, before: dict[str, Snapshot]) -> list[str]:
    """Returns what is not as before: bytes, modes, owners, attributes, units, targets, answers."""
    site.recovered(before)
    bound = time.monotonic() + 30
    while True:
        after = site.taken()
        wrong = []
        for name, was in before.items():
            now = after[name]
            wrong += [f"{name}: {path} is not as before" for path in _changed(was, now)]
            wrong += [
                f"{name}: {unit}: {was.units.get(unit)} -> {now.units.get(unit)}"
                for unit in _differing(was.units, now.units)
            ]
            for what in ("targets", "alertmanagers", "rules", "answers"):
                if getattr(was, what) != getattr(now, what):
                    wrong.append(f"{name}: {what}:\n   {getattr(was, what)}\n-> {getattr(now, what)}")
        wrong += site.works()
        if not wrong or time.monotonic() > bound:
            return wrong
        time.sleep(0.5)


def _changed(was: Snapshot, now: Snapshot) -> list[str]:
    return _differing(was.files, now.files)


def _differing(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))


def _any(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(text, pattern) for pattern in patterns)

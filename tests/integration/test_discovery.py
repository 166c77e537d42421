"""Detection on this machine: real programs that the test starts, and recorded answers of systemd."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from tests.integration import loopback_programs
from wizard import binaries
from wizard.components import component
from wizard.config_files import systemd_unit as unit
from wizard.config_files import unit_settings
from wizard.connections.base import Connection
from wizard.connections.local import LocalConnection
from wizard.model import Completed, FileState, FlagPlace, Service
from wizard.service_managers import (
    discovery,
    process_list,
    program_facts,
    systemd_discovery,
    systemd_properties,
)

SHOW = """\
Id=node_exporter.service
LoadState=loaded
FragmentPath=/etc/systemd/system/node_exporter.service
DropInPaths=/etc/systemd/system/node_exporter.service.d/override.conf
ProtectHome=yes
PrivateTmp=yes
InaccessiblePaths=-/srv/secret

Id=gone.service
LoadState=not-found
"""
NODE = component("node_exporter")


def flag_location(
    body: str,
    texts: dict[str, str | None],
    *,
    origin: str = "/etc/systemd/system/node_exporter.service",
) -> FlagPlace:
    read = unit.parse(f"# {origin}\n[Service]\n{body}\n")
    return systemd_properties.flag_place(
        NODE, systemd_properties.blocks(SHOW)[0], read, systemd_properties.variables(read, texts)
    )


def test_the_restrictions_of_a_unit_are_read_from_systemd() -> None:
    shown = systemd_properties.blocks(SHOW)
    assert [one["Id"] for one in shown] == ["node_exporter.service", "gone.service"]
    assert systemd_properties.paths(shown[0])[1].endswith("override.conf")
    assert systemd_properties.hidden(shown[0]) == (
        "/home",
        "/root",
        "/run/user",
        "/tmp",
        "/var/tmp",
        "/srv/secret",
    )
    assert systemd_properties.hidden(shown[1]) == ()


@pytest.mark.parametrize(
    ("shown", "hidden", "bound"),
    [
        ("ProtectHome=no\nPrivateTmp=no\nPrivateUsers=yes", (), ()),
        ("ProtectHome=read-only\nProtectSystem=strict", (), ()),
        ("ProtectHome=yes", ("/home", "/root", "/run/user"), ()),
        (
            "ProtectHome=tmpfs\nBindReadOnlyPaths=/home/prom:/home/prom:rbind",
            ("/home", "/root", "/run/user"),
            ("/home/prom",),
        ),
        ("ProtectHome=yes\nBindPaths=/home/prom", ("/home", "/root", "/run/user"), ()),
        ("PrivateTmp=disconnected", ("/tmp", "/var/tmp"), ()),
        ("InaccessiblePaths=-/srv/secret +/opt/x", ("/srv/secret", "/opt/x"), ()),
        (
            "TemporaryFileSystem=/var:ro /media\nBindPaths=-/var/lib/prometheus",
            ("/var", "/media"),
            ("/var/lib/prometheus",),
        ),
        ("BindReadOnlyPaths=/srv/tls:/etc/tls", ("/etc/tls",), ()),
        ("RootDirectory=/srv/root\nBindReadOnlyPaths=/etc/prometheus", ("/",), ("/etc/prometheus",)),
        ("RootDirectory=/\nRootImage=", (), ()),
        ("RootImage=/srv/x.raw", ("/",), ()),
    ],
)
def test_every_restriction_of_a_unit_is_read(
    shown: str, hidden: tuple[str, ...], bound: tuple[str, ...]
) -> None:
    (read,) = systemd_properties.blocks(f"Id=x.service\n{shown}\n")
    assert systemd_properties.hidden(read) == hidden
    assert systemd_properties.bound_paths(read) == bound


def test_a_service_says_by_which_folder_a_path_is_hidden() -> None:
    one = Service(
        host="h",
        component="prometheus",
        manager="systemd",
        unit="p",
        hidden=("/home", "/var"),
        bound=("/home/prom",),
    )
    assert one.hides("/home/me/web.yml") == "/home"
    assert (
        one.hides("/home/prom/web.yml") == one.hides("/homestead/web.yml") == one.hides("/etc/web.yml") == ""
    )
    assert one.hides("/var") == "/var"
    walled = Service(host="h", component="prometheus", manager="systemd", unit="p", hidden=("/",))
    assert walled.hides("/etc/prometheus/web.yml") == "/"


@pytest.mark.parametrize(
    ("arguments", "listen"),
    [
        ((), "127.0.0.1:9093"),
        (("--web.listen-address=:9999",), "127.0.0.1:9999"),
        (("--web.listen-address", "0.0.0.0:9999"), "127.0.0.1:9999"),
        (("--web.listen-address=[::]:9999",), "127.0.0.1:9999"),
        (("--web.listen-address=[::1]:9999",), "[::1]:9999"),
        (("--web.listen-address=[2001:db8::7]:9999",), "[2001:db8::7]:9999"),
        (("--web.listen-address=alerts.example:9999",), "alerts.example:9999"),
        (("--web.listen-address=vsock://:9999", "--web.listen-address=10.0.0.7:9998"), "10.0.0.7:9998"),
        (("--cluster.listen-address=0.0.0.0:9094", "--web.listen-address=:9093"), "127.0.0.1:9093"),
        (("--cluster.listen-address=0.0.0.0:9094",), "127.0.0.1:9093"),
    ],
)
def test_the_web_address_is_found_in_every_form(arguments: tuple[str, ...], listen: str) -> None:
    assert program_facts.listen(component("alertmanager"), arguments) == listen


def returns_unit(unit: str, **more: str) -> str:
    known = {"LoadState": "loaded", "ActiveState": "inactive", "FragmentPath": f"/lib/systemd/system/{unit}"}
    return "\n".join(f"{key}={value}" for key, value in {"Id": unit, **known, **more}.items())


class RecordedHost:
    """A host of which only systemd's answers, as systemctl 252 prints them, and files are known."""

    name = "told"

    def __init__(self, shown: list[str], cat: str, files: dict[str, str], listen: str = "") -> None:
        self.shown, self.cat, self.files, self.listen = shown, cat, files, listen
        self.asked: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        self.asked.append(tuple(argv))
        output = ""
        if argv[:2] == ["systemctl", "show"]:
            output = self.listen
        elif argv[0] == "sh":
            output = (
                "\n\n".join(self.shown) + "\n\x1e\n" + re.sub("(?m)^# (?=/)", unit_settings.FRAME, self.cat)
            )
        elif argv[0] == "id":
            output = argv[-1]
        return Completed(tuple(argv), 0, output, "")

    def read(self, path: str) -> FileState | None:
        return FileState(self.files[path].encode()) if path in self.files else None

    run_script = Connection.run_script

    def stat(self, path: str) -> None:
        return None


DEBIAN = {
    "prometheus": ("prometheus", "127.0.0.1:9090"),
    "prometheus-alertmanager": ("alertmanager", "127.0.0.1:9093"),
    "prometheus-blackbox-exporter": ("blackbox_exporter", "127.0.0.1:9115"),
    "prometheus-mysqld-exporter": ("mysqld_exporter", "127.0.0.1:9104"),
    "prometheus-node-exporter": ("node_exporter", "127.0.0.1:9100"),
    "prometheus-postgres-exporter": ("postgres_exporter", "127.0.0.1:9187"),
    "prometheus-pushgateway": ("pushgateway", "127.0.0.1:9091"),
}


def discover(recorded: RecordedHost) -> tuple[Service, ...]:
    return systemd_discovery.discover(cast(Connection, recorded), ())


def test_debians_units_are_found_running_or_not() -> None:
    cat = "".join(
        f"# /lib/systemd/system/{unit}.service\n[Service]\nUser=prometheus\n"
        f"EnvironmentFile=/etc/default/{unit}\nExecStart=/usr/bin/{unit} $ARGS\n"
        for unit in DEBIAN
    )
    files = {f"/etc/default/{unit}": 'ARGS=""\n' for unit in DEBIAN}
    blackbox = "prometheus-blackbox-exporter"
    files[f"/etc/default/{blackbox}"] = 'ARGS="--config.file /etc/prometheus/blackbox.yml"\n'
    found = discover(
        RecordedHost([returns_unit(f"{unit}.service", User="prometheus") for unit in DEBIAN], cat, files)
    )
    assert {one.unit: (one.component, one.listen) for one in found} == DEBIAN
    for one in found:
        assert one.flags == FlagPlace("envfile", f"/etc/default/{one.unit}", "ARGS")
        assert (one.user, one.group, one.active) == ("prometheus", "prometheus", False)
    (probing,) = [one for one in found if one.unit == blackbox]
    assert probing.config_file == "/etc/prometheus/blackbox.yml"
    assert probing.home == "/etc/prometheus"


UPSTREAM = """\
# /lib/systemd/system/node_exporter.service
[Unit]
Requires=node_exporter.socket

[Service]
User=node_exporter
# Fallback when environment file does not exist
Environment=OPTIONS=
EnvironmentFile=-/etc/sysconfig/node_exporter
ExecStart=/usr/sbin/node_exporter --web.systemd-socket $OPTIONS
"""


@pytest.mark.parametrize(
    ("listen", "wanted"),
    [
        ("Listen=[::]:9500 (Stream)\n", "127.0.0.1:9500"),
        ("Listen=/run/x.sock (Stream)\nListen=[::1]:9501 (Stream)\nListen=[::]:9 (Datagram)\n", "[::1]:9501"),
        ("Listen=/run/x.sock (Stream)\n", "127.0.0.1:9100"),
        ("", "127.0.0.1:9100"),
    ],
)
def test_a_socket_activated_unit_listens_where_its_socket_does(listen: str, wanted: str) -> None:
    for triggered_by in ("", "other.path node_exporter.socket"):
        shown = [returns_unit("node_exporter.service", User="node_exporter", TriggeredBy=triggered_by)]
        recorded = RecordedHost(shown, UPSTREAM, {}, listen)
        (found,) = discover(recorded)
        assert found.listen == wanted
        (asked,) = [argv for argv in recorded.asked if "Listen" in argv]
        assert asked[-2:] == ("--", "node_exporter.socket")
        # The unit sets the variable to an empty text so that the file may set it.
        assert found.flags == FlagPlace("envfile", "/etc/sysconfig/node_exporter", "OPTIONS")


def test_the_ansible_collections_unit_gets_a_drop_in_and_its_restrictions_are_read() -> None:
    cat = (
        "# /etc/systemd/system/alertmanager.service\n[Service]\nUser=alertmanager\nGroup=alertmanager\n"
        "ExecStart=/usr/local/bin/alertmanager \\\n  --cluster.listen-address=0.0.0.0:9094 \\\n"
        "  --config.file=/etc/alertmanager/alertmanager.yml \\\n  --storage.path=/var/lib/alertmanager \\\n"
        "  --web.listen-address=0.0.0.0:9093 \\\n  --web.external-url=http://localhost:9093/ \\\n"
        "    --web.config.file=/etc/alertmanager/web_config.yml \\\n\nSyslogIdentifier=alertmanager\n"
    )
    shown = returns_unit(
        "alertmanager.service",
        FragmentPath="/etc/systemd/system/alertmanager.service",
        User="alertmanager",
        Group="alertmanager",
        ProtectHome="yes",
        PrivateTmp="yes",
        PrivateUsers="yes",
    )
    (found,) = discover(RecordedHost([shown], cat, {}))
    assert (found.component, found.listen, found.user) == ("alertmanager", "127.0.0.1:9093", "alertmanager")
    assert found.flags == FlagPlace("dropin", "/etc/systemd/system/alertmanager.service.d/50-firescreen.conf")
    assert found.web_config == "/etc/alertmanager/web_config.yml"
    assert found.flag("web.external-url") == "http://localhost:9093/"
    assert found.hides("/home/me/key.pem") == "/home"
    assert found.hides("/etc/alertmanager/key.pem") == ""


DROPIN = "/etc/systemd/system/node_exporter.service.d/50-firescreen.conf"


@pytest.mark.parametrize(
    ("body", "texts", "wanted"),
    [
        (
            "EnvironmentFile=/etc/default/x\nExecStart=/usr/bin/node_exporter $ARGS",
            {"/etc/default/x": 'ARGS=""'},
            FlagPlace("envfile", "/etc/default/x", "ARGS"),
        ),
        (  # the file may not exist yet
            "EnvironmentFile=-/etc/sysconfig/node_exporter\nExecStart=/usr/bin/node_exporter $OPTIONS",
            {"/etc/sysconfig/node_exporter": None},
            FlagPlace("envfile", "/etc/sysconfig/node_exporter", "OPTIONS"),
        ),
        (  # the later file wins, so that is where it is set
            "EnvironmentFile=/a\nEnvironmentFile=/b\nExecStart=/usr/bin/node_exporter $NODE_EXPORTER_OPTS",
            {"/a": "NODE_EXPORTER_OPTS=--x", "/b": "NODE_EXPORTER_OPTS=--y"},
            FlagPlace("envfile", "/b", "NODE_EXPORTER_OPTS"),
        ),
        ("ExecStart=/usr/local/bin/node_exporter --a", {}, FlagPlace("dropin", DROPIN)),
        (  # ${…} in braces would be passed as one argument
            "EnvironmentFile=/a\nExecStart=/usr/local/bin/node_exporter ${ARGS}",
            {"/a": "ARGS=--x"},
            FlagPlace("dropin", DROPIN),
        ),
        (  # a line in the file would override the value of the unit
            "Environment=ARGS=--x\nEnvironmentFile=-/a\nExecStart=/usr/local/bin/node_exporter $ARGS",
            {"/a": None},
            FlagPlace("dropin", DROPIN),
        ),
        (  # the flag would be there twice
            "EnvironmentFile=/a\nExecStart=/usr/bin/node_exporter --web.config.file=/old $ARGS",
            {"/a": "ARGS=--x"},
            FlagPlace("dropin", DROPIN),
        ),
        (  # the unit sets an empty value, so that the file may set it
            "Environment=OPTIONS=\nEnvironmentFile=-/a\nExecStart=/usr/sbin/node_exporter $OPTIONS",
            {"/a": None},
            FlagPlace("envfile", "/a", "OPTIONS"),
        ),
        ("ExecStart=/bin/sh -c 'exec node_exporter'", {}, FlagPlace("manual")),
        ("ExecStart=/a\nExecStart=/b", {}, FlagPlace("manual")),
    ],
)
def test_the_file_for_the_flag(body: str, texts: dict[str, str | None], wanted: FlagPlace) -> None:
    assert flag_location(body, texts) == wanted


def test_our_drop_in_sorts_behind_every_other() -> None:
    found = flag_location(
        "ExecStart=/usr/bin/node_exporter", {}, origin=f"{DROPIN.rpartition('/')[0]}/override.conf"
    )
    assert found.path.rpartition("/")[2] > "override.conf"


@pytest.fixture
def running(node_exporter: str, tmp_path: Path) -> Iterator[tuple[int, int]]:
    port = loopback_programs.free_port()
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [
                node_exporter,
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
                "--collector.textfile.directory=/a b",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield child.pid, port
    finally:
        child.terminate()
        child.wait(20)


def test_a_bare_process_is_found_with_its_arguments_and_version(running: tuple[int, int]) -> None:
    pid, port = running
    (service,) = [one for one in discovery.discover(LocalConnection("here")) if one.pid == pid]
    assert (service.component, service.manager, service.kind) == ("node_exporter", "manual", "process")
    assert service.listen == f"127.0.0.1:{port}"
    assert service.flag("collector.textfile.directory") == "/a b"
    assert service.version[:2] in ("1.", "2.")
    assert service.flags == FlagPlace("manual")
    assert service.active


def test_the_cluster_port_is_not_mistaken_for_alertmanagers_web_port(cache: Path, tmp_path: Path) -> None:
    found = binaries.find("alertmanager", cache=cache)
    web, gossip = loopback_programs.free_port(), loopback_programs.free_port()
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: a}\nreceivers: [{name: a}]\n")
    argv = [
        *(found.path, f"--config.file={config}", f"--storage.path={tmp_path}"),
        *(f"--cluster.listen-address=127.0.0.1:{gossip}", f"--web.listen-address=:{web}"),
    ]
    with loopback_programs.running_program(argv, "TLS is"):
        listening = [
            one for one in discovery.discover(LocalConnection("here")) if one.listen.endswith(f":{web}")
        ]
    (service,) = listening
    assert (service.component, service.kind, service.listen) == (
        "alertmanager",
        "process",
        f"127.0.0.1:{web}",
    )
    assert service.config_file == str(config)
    assert service.version == found.version


def test_programs_of_the_practice_stack_are_left_out(running: tuple[int, int], node_exporter: str) -> None:
    pid, _ = running
    folder = str(Path(node_exporter).resolve().parent)
    found = discovery.discover(LocalConnection("here"), practice_folder=folder)
    assert pid not in [one.pid for one in found]


def test_the_service_manager_of_a_process_is_read_from_its_cgroup() -> None:
    record = "7\x1fprom:prom\x1f{}\x1f/usr/bin/prometheus\x1f\x1f\x1f\x1fprometheus\x1f--a\x1f"
    known = (component("prometheus"),)

    def of(cgroup: str) -> tuple[str, bool]:
        found = process_list._process(record.format(cgroup).split("\x1f"), known, {})
        assert found is not None
        assert found.arguments == ("--a",)
        return found.unit, found.container

    assert of("0::/system.slice/prometheus.service ") == ("prometheus.service", False)
    assert of("12:pids:/system.slice/p.service 0::/system.slice/p.service ") == ("p.service", False)
    assert of("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service ") == ("", False)
    assert of("0::/system.slice/docker-0123abcd.scope ") == ("", True)
    assert of("0::/machine.slice/libpod-0123.scope/container ") == ("", True)
    assert of("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope ") == ("", True)


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ("1min 30s", 90.0),
        ("20s", 20.0),
        ("500ms", 0.5),
        ("1h 2min", 3720.0),
        ("1w 1d", 691200.0),
        ("", 0.0),
        ("0", 0.0),
    ],
)
def test_time_spans_are_read_as_systemd_prints_them(span: str, found: float) -> None:
    assert systemd_properties.seconds(span) == found
    assert systemd_properties.seconds("infinity") > 86400


def test_a_program_in_a_container_with_its_own_network_is_not_on_this_machine(node_exporter: str) -> None:
    """In namespaces of its own a Prometheus belongs to another host; on this machine it would look unreachable."""
    here = LocalConnection("here")
    command = [node_exporter, "--web.listen-address=127.0.0.1:0"]
    apart = ["unshare", "--map-root-user", "--user", "--pid", "--net", "--fork", "--kill-child"]
    shared = ["unshare", "--map-root-user", "--user", "--pid", "--fork", "--kill-child"]
    for around, listed in ((shared, True), (apart, False)):
        process = subprocess.Popen([*around, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            found: list[process_list.Process] = []
            while not found:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                found = [
                    each for each in process_list.find(here) if process.pid in {p.pid for p in each.parents}
                ]
            assert [(each.container, each.apart) for each in found] == [(True, not listed)]
            services = {each.pid for each in discovery.discover(here)}
            assert (found[0].pid in services) is listed
        finally:
            process.kill()
            process.wait(30)

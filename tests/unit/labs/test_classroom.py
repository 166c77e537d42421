"""The classroom file: read strictly, with a number for each student, remembered; and copies between its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard import labs
from wizard.errors import ClassroomError
from wizard.labs import classroom, file_transfer
from wizard.labs.classroom import CampusError
from wizard.labs.content import Copy
from wizard.model import HostSpec
from wizard.workspace import Workspace

FILE = """\
# A workshop.
campus: 1-30
hosts:
  srv1:       {connect: ssh, address: 192.0.2.{{campus}}, name: srv1-campus{{campus}}.example.org, user: root}
  prometheus: {connect: incus, via: srv1}   # {{nothing}} in a comment is nothing
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "classroom.yaml"
    path.write_text(text)
    return path


def test_a_students_number_fills_in_addresses_and_names(tmp_path: Path) -> None:
    room = classroom.load(written(tmp_path, FILE), 7)
    assert room.hosts == (
        HostSpec(name="srv1", connect="ssh", address="192.0.2.7", user="root"),
        HostSpec(name="prometheus", connect="incus", via="srv1"),
    )
    assert room.names == {"srv1": "srv1-campus7.example.org"}
    assert room.title == "classroom.yaml, campus 7"


@pytest.mark.parametrize("campus", [0, 31])
def test_a_missing_or_invalid_number_is_asked_for(tmp_path: Path, campus: int) -> None:
    with pytest.raises(CampusError) as caught:
        classroom.load(written(tmp_path, FILE), campus)
    assert "1 to 30" in caught.value.todo


def test_without_numbers_none_is_accepted_or_filled_in(tmp_path: Path) -> None:
    plain = FILE.replace("campus: 1-30\n", "")
    with pytest.raises(ClassroomError, match="'campus' is missing"):
        classroom.load(written(tmp_path, plain))
    path = written(tmp_path, plain.replace("{{campus}}", "5"))
    assert classroom.load(path).campus == 0
    with pytest.raises(CampusError, match="no campus numbers"):
        classroom.load(path, 3)


@pytest.mark.parametrize(
    ("old", "new", "what", "todo", "line"),
    [
        ("connect: ssh", "conect: ssh", "unknown key 'conect' in 'hosts.srv1'", "'connect'", 4),
        ("hosts:", "host:", "unknown key 'host' in the file", "'hosts'", 3),
        ("connect: ssh", "connect: shh", "cannot be 'shh'", "'ssh'", 4),
        ("connect: incus", "connect: practice", "cannot be 'practice'", "incus", 5),
        ("via: srv1", "via: srv", "no host 'srv' that could have", "'srv1'", 5),
        ("address: 192.0.2.{{campus}}", "via: prometheus", "'via' is for an incus instance", "ProxyJump", 4),
        ("{{campus}}, name", "{{cmpus}}, name", "no placeholder '{{cmpus}}'", "{{campus}}", 4),
        ("campus: 1-30", "campus: 30-1", "'campus' cannot be '30-1'", "first and the last", 2),
        ("campus: 1-30", "campus: many", "'many' cannot be a name here", "pattern", 2),
        ("192.0.2.{{campus}}", "-oProxyCommand=id", "cannot be a name here", "pattern", 4),
        ("192.0.2.{{campus}}", "'$(id)'", "cannot be a name here", "pattern", 4),
        ("via: srv1", "instance: '-x y'", "cannot be a name here", "pattern", 5),
        ("  prometheus:", "  here:", "should not be valid", "Choose another", 5),
        ("  prometheus:", "  srv1:", "'srv1' is listed twice", "Keep one", 5),
    ],
)
def test_a_mistake_is_refused_with_file_line_and_remedy(
    tmp_path: Path, old: str, new: str, what: str, todo: str, line: int
) -> None:
    assert old in FILE
    path = written(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(ClassroomError) as caught:
        classroom.load(path, 7)
    assert what in caught.value.what
    assert todo in caught.value.todo
    assert caught.value.where == f"{path}:{line}"


def test_the_classroom_is_remembered_until_the_practice_stack_is_chosen(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace").ensure()
    assert classroom.last_classroom(workspace) is None
    room = classroom.load(written(tmp_path, FILE), 7)
    classroom.remember(workspace, room)
    assert classroom.last_classroom(workspace) == room
    room.path.write_text(FILE.replace("1-30", "1-5"))
    with pytest.raises(CampusError):
        classroom.last_classroom(workspace)
    classroom.remember(workspace, None)
    assert classroom.last_classroom(workspace) is None


SPECS = {
    "srv1": HostSpec(name="srv1", connect="ssh", address="192.0.2.1", user="root", identity_file="/k 1"),
    "srv2": HostSpec(name="srv2", connect="ssh", address="192.0.2.2", user="root"),
    "other": HostSpec(name="other", connect="ssh", address="192.0.2.3", user="admin", become="sudo"),
    "far": HostSpec(name="far", connect="ssh", address="192.0.2.4", user="root", port=2222),
    "here": HostSpec(name="here", connect="local"),
    "box": HostSpec(name="box", connect="incus", via="srv1", instance="prometheus"),
    "own": HostSpec(name="own", connect="incus"),
}


@pytest.mark.parametrize(
    ("source", "target", "place", "words"),
    [
        (
            "srv1",
            "srv2",
            "here",
            "scp -3 -i '/k 1' root@192.0.2.1:/etc/srv1/a.crt root@192.0.2.2:/etc/srv2/b.crt",
        ),
        ("here", "srv2", "here", "scp /etc/here/a.crt root@192.0.2.2:/etc/srv2/b.crt"),
        ("srv1", "box", "srv1", "incus file push /etc/srv1/a.crt prometheus/etc/box/b.crt"),
        ("box", "srv1", "srv1", "incus file pull prometheus/etc/box/a.crt /etc/srv1/b.crt"),
        ("here", "own", "here", "incus file push /etc/here/a.crt own/etc/own/b.crt"),
        (
            "box",
            "srv2",
            "here",
            (
                "ssh -i '/k 1' root@192.0.2.1 'incus exec prometheus -- cat /etc/box/a.crt' |\n"
                "  ssh root@192.0.2.2 'install -m 0644 /dev/stdin /etc/srv2/b.crt'"
            ),
        ),
        (
            "srv2",
            "other",
            "here",
            (
                "ssh root@192.0.2.2 'cat /etc/srv2/a.crt' |\n"
                "  ssh admin@192.0.2.3 'sudo install -m 0644 /dev/stdin /etc/other/b.crt'"
            ),
        ),
        (
            "srv2",
            "far",
            "here",
            (
                "ssh root@192.0.2.2 'cat /etc/srv2/a.crt' |\n"
                "  ssh -p 2222 root@192.0.2.4 'install -m 0644 /dev/stdin /etc/far/b.crt'"
            ),
        ),
    ],
)
def test_a_file_is_copied_between_hosts_by_their_connections(
    source: str, target: str, place: str, words: str
) -> None:
    homes = {name: f"/etc/{name}" for name in SPECS}
    copy = Copy(source, "a.crt", target, "b.crt")
    assert list(file_transfer.words(copy, SPECS, homes)) == [(place, words)]


def test_a_copied_key_keeps_its_mode(tmp_path: Path) -> None:
    homes = {name: f"/etc/{name}" for name in SPECS}
    for source, target in (("srv1", "srv2"), ("srv1", "box"), ("box", "srv1"), ("box", "other")):
        typed = list(file_transfer.words(Copy(source, "k", target, "k", "0640"), SPECS, homes))
        assert any("0640" in text for _, text in typed), (source, target)


def test_commands_on_real_hosts_fill_in_known_values() -> None:
    known = {
        *(
            "address",
            "port",
            "listen",
            "home",
            "from",
            "flags",
            "addflag",
            "log",
            "group",
            "san",
            "asked",
            "job",
        ),
        *("targets", "version", "restart", "reload"),
    }
    for lab in labs.labs():
        for step in lab.steps if lab.real_hosts else ():
            assert step.on_hosts and step.places == ()
            for command in step.on_hosts:
                places = {command.on or step.host}
                if command.copy is not None:
                    places = {command.copy.source, command.copy.target}
                assert places <= {"srv1", "srv2", "srv3", "prometheus"}
                for name in classroom._PLACEHOLDER.findall(command.text):
                    role, _, what = name.partition(".")
                    assert (role == "lab" and what == "promtool") or what in known, name
                # Each host has its own folder: a shell on one host cannot read that of another host.
                for other in {"srv1", "srv2", "srv3", "prometheus"} - places:
                    assert f"{{{{{other}.home}}}}" not in command.text, (lab.id, step.id, command.text)

"""Hosts to choose from: ~/.ssh/config as ssh reads it, inventories and lists of targets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wizard.errors import InputError
from wizard.inventory import sources
from wizard.model import HostSpec


def test_ssh_host_names_are_listed_in_order_without_patterns(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host *\n  User me\nhost srv1 srv2 # two\n\tHostName 192.0.2.1\nHost=equal\nHost web-* !web-1 web?\n"
        'Host "quoted" srv1\nMatch host other\nHost "never closed\n#Host commented\nHostName nohost\n'
    )
    assert sources.ssh_names(config) == ("srv1", "srv2", "equal", "quoted")


def test_include_with_patterns_is_followed_without_endless_loops(tmp_path: Path) -> None:
    (tmp_path / "more.d").mkdir()
    (tmp_path / "more.d" / "10-a").write_text("Host a\nInclude config\n")
    (tmp_path / "more.d" / "20-b").write_text("Host b\n")
    config = tmp_path / "config"
    config.write_text(f"Include more.d/*\nHost c\nInclude {tmp_path}/nowhere\n")
    assert sources.ssh_names(config) == ("a", "b", "c")


def test_missing_and_invalid_configurations_offer_no_hosts(tmp_path: Path) -> None:
    assert sources.ssh_names(tmp_path / "config") == ()
    assert sources.ssh_names(tmp_path) == ()
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00Host\x00\n\n=\n  =x\nHost\n")
    assert sources.ssh_names(tmp_path / "config") == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("srv1", ("srv1", "", "", 22)),
        (" anna@srv1.example.org ", ("srv1.example.org", "", "anna", 22)),
        ("ssh root@192.0.2.7:2222", ("192.0.2.7", "", "root", 2222)),
        ("root@[2001:db8::1]:2200", ("2001-db8--1", "2001:db8::1", "root", 2200)),
        ("2001:db8::1", ("2001-db8--1", "2001:db8::1", "", 22)),
        ("root@there", ("there-2", "there", "root", 22)),
        ("workspace", ("workspace-2", "workspace", "", 22)),
    ],
)
def test_a_typed_host_is_parsed(text: str, wanted: tuple[str, str, str, int]) -> None:
    spec = sources.parse_host(text, {"there"})
    assert (spec.name, spec.address, spec.user, spec.port) == wanted
    assert spec.connect == "ssh"


@pytest.mark.parametrize(
    "text",
    ["", "@", "root@", "-oProxyCommand=x", "root@-x", "a b", "srv1:0", "srv1:x", "srv1:70000", "a@b@c"],
)
def test_an_invalid_host_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        sources.parse_host(text, ())
    assert refused.value.todo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" ", "no host was typed"),
        ("my host", "contains a blank"),
        ("root@hôst", "not ASCII"),
        ("a" * 300, "300 characters"),
        ("@srv1", "names no host"),
    ],
)
def test_the_message_names_what_is_wrong_with_a_typed_host(text: str, expected: str) -> None:
    assert sources.file_of(text) is None
    with pytest.raises(InputError, match=expected):
        sources.parse_host(text, ())


INI = """\
; the site
lonely ansible_user=me
[web]
srv[01:03] ansible_host=192.0.2.9   # a comment
bad.example.org:2222
[db]
db-[a:b].example.org ansible_user="anna"
db-b.example.org ansible_port=2200 ansible_become=no
[windows]
win1 ansible_connection=winrm
[site:children]
web
db
[site:vars]
ansible_user = ops
ansible_become=true
[all:vars]
ansible_user=everyone
ansible_ssh_private_key_file='~/.ssh/site'
"""
YAML_INVENTORY = """\
all:
  vars: {ansible_user: everyone, ansible_password: !vault secret}
  children:
    site:
      vars: {ansible_become: yes, ansible_become_method: ansible.builtin.sudo}
      children:
        web:
          hosts:
            srv[1:3:2]:
            srv9: {ansible_host: "{{ lookup('x') }}", ansible_port: 2222}
        site:
    boxes:
      hosts:
        box: {ansible_connection: community.general.incus, ansible_incus_host: box-1}
        here: {ansible_connection: local}
"""


def test_an_ini_inventory_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(INI)
    found = {spec.name: spec for spec in sources.read_inventory(path, {"lonely"})}
    assert list(found) == [
        *("lonely-2", "srv01", "srv02", "srv03", "bad.example.org", "db-a.example.org", "db-b.example.org")
    ]
    assert found["lonely-2"].address == "lonely"
    assert found["lonely-2"].user == "me"
    assert (found["srv01"].address, found["srv01"].user, found["srv01"].become) == (
        "192.0.2.9",
        "ops",
        "sudo",
    )
    assert (found["bad.example.org"].port, found["bad.example.org"].address) == (2222, "")
    assert (found["db-a.example.org"].user, found["db-a.example.org"].become) == ("anna", "sudo")
    assert (found["db-b.example.org"].port, found["db-b.example.org"].become) == (2200, "")
    assert {spec.identity_file for spec in found.values()} == {"~/.ssh/site"}


def test_a_yaml_inventory_and_ansibles_json_output_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(YAML_INVENTORY)
    found = {spec.name: spec for spec in sources.read_inventory(path, ())}
    assert list(found) == ["srv1", "srv3", "srv9", "box", "here"]
    assert (found["srv1"].user, found["srv1"].become, found["srv1"].address) == ("everyone", "sudo", "")
    assert (found["srv9"].port, found["srv9"].address) == (2222, "")
    assert (found["box"].connect, found["box"].instance) == ("incus", "box-1")
    assert (found["here"].connect, found["here"].become) == ("local", "")
    path.write_text(
        '{"_meta": {"hostvars": {"a": {"ansible_host": "192.0.2.1"}}}, "all": {"children": ["web"]},'
        ' "web": {"hosts": ["a", "b"]}}'
    )
    assert [(spec.name, spec.address) for spec in sources.read_inventory(path, ())] == [
        ("a", "192.0.2.1"),
        ("b", ""),
    ]


def test_ansible_reads_the_same_hosts_and_variables(tmp_path: Path) -> None:
    plain = YAML_INVENTORY.replace(", ansible_password: !vault secret", "").replace("        site:\n", "")
    paths = {"hosts": INI, "hosts.yml": plain.replace("site:", "campus:").replace("web:", "nodes:")}
    asked: list[str | Path] = [Path(sys.executable).with_name("ansible-inventory"), "--list"]
    mine: dict[str, HostSpec] = {}
    for name, text in paths.items():
        (tmp_path / name).write_text(text)
        asked += ["-i", tmp_path / name]
        mine |= {spec.address or spec.name: spec for spec in sources.read_inventory(tmp_path / name, ())}
    ended = subprocess.run(asked, capture_output=True, check=True, timeout=60)
    host_vars = json.loads(ended.stdout)["_meta"]["hostvars"]
    host_vars.pop("win1")
    theirs = {
        name if "{{" in str(variables.get("ansible_host", "{{")) else variables["ansible_host"]: variables
        for name, variables in host_vars.items()
    }
    assert set(theirs) == set(mine)
    over_ssh = [name for name, spec in mine.items() if spec.connect == "ssh"]
    assert len(over_ssh) == len(mine) - 2
    for name in over_ssh:
        assert mine[name].user == theirs[name].get("ansible_user", ""), name
        assert mine[name].port == int(theirs[name].get("ansible_port", 22)), name


@pytest.mark.parametrize(
    "text",
    [
        '[{"targets": ["srv1:9100", "192.0.2.7:9100", "srv1:9090", "localhost:9090"], "labels": {"a": "b"}}]',
        "- targets: ['srv1:9100', 'https://example.org/']\n- targets:\n  - 192.0.2.7:9100\n  - '127.0.0.1:9100'\n",
    ],
)
def test_a_prometheus_target_file_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "targets.json"
    path.write_text(text)
    assert [(spec.name, spec.connect, spec.port) for spec in sources.read_inventory(path, ())] == [
        ("srv1", "ssh", 22),
        ("192.0.2.7", "ssh", 22),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/bin/sh\necho no\n", "is a program"),
        ("$ANSIBLE_VAULT;1.1;AES256\n00\n", "encrypted"),
        ("srv[1:100000]\n", "more than"),
        ("srv[1:99][1:99][1:99][1:99]\n", "more than"),
        ("srv1 ansible_host=-oProxyCommand=x\n", "no login"),
        ("srv1 ansible_user='a b'\n", "no login"),
        ("srv1 ansible_port=99999\n", "no login"),
        ("srv1 'never closed\n", "neither"),
        ("[web:rubbish]\nsrv1\n", "neither"),
        ("all: {hosts: {a: }, surprise: 1}\n", "not written"),
        ("- job: node\n", "neither"),
        ("\x00\x01", "no list"),
        ("[web]\n", "no host"),
        ("", "no host"),
    ],
)
def test_a_file_without_hosts_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        sources.read_inventory(path, ())
    assert expected in refused.value.what
    assert refused.value.todo and str(path) in refused.value.where


def test_circular_and_deep_groups_do_not_loop(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("[a]\nsrv1\n[a:children]\nb\n[b:children]\na\n")
    assert [spec.name for spec in sources.read_inventory(path, ())] == ["srv1"]
    path.write_text("a: &a {children: {b: *a}}\n")
    with pytest.raises(InputError):
        sources.read_inventory(path, ())
    path.write_text("{children: " * 5000)
    with pytest.raises(InputError):
        sources.read_inventory(path, ())


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("./hosts", True),
        ("~/inventory", True),
        ("/etc/ansible/hosts", True),
        ("site.yml", True),
        ("hosts", True),
        ("srv1", False),
        ("root@srv1.example.org:22", False),
        ("192.0.2.1", False),
    ],
)
def test_a_file_name_is_told_from_a_host_name(
    text: str, file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").write_text("srv1\n")
    monkeypatch.chdir(tmp_path)
    assert (sources.file_of(text) is not None) == file

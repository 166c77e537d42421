"""Hosts to choose from: what ~/.ssh/config names, read as ssh reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.errors import InputError
from wizard.hosts import sources


def test_names_without_patterns_in_their_order(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host *\n  User me\nhost srv1 srv2 # two\n\tHostName 192.0.2.1\nHost=equal\nHost web-* !web-1 web?\n"
        'Host "quoted" srv1\nMatch host other\nHost "never closed\n#Host commented\nHostName nohost\n'
    )
    assert sources.ssh_names(config) == ("srv1", "srv2", "equal", "quoted")


def test_include_is_followed_with_patterns_and_does_not_go_in_circles(tmp_path: Path) -> None:
    (tmp_path / "more.d").mkdir()
    (tmp_path / "more.d" / "10-a").write_text("Host a\nInclude config\n")
    (tmp_path / "more.d" / "20-b").write_text("Host b\n")
    config = tmp_path / "config"
    config.write_text(f"Include more.d/*\nHost c\nInclude {tmp_path}/nowhere\n")
    assert sources.ssh_names(config) == ("a", "b", "c")


def test_no_configuration_and_rubbish_offer_nothing(tmp_path: Path) -> None:
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
def test_a_typed_host(text: str, wanted: tuple[str, str, str, int]) -> None:
    spec = sources.typed(text, {"there"})
    assert (spec.name, spec.address, spec.user, spec.port) == wanted
    assert spec.connect == "ssh"


@pytest.mark.parametrize(
    "text",
    ["", "@", "root@", "-oProxyCommand=x", "root@-x", "a b", "srv1:0", "srv1:x", "srv1:70000", "a@b@c"],
)
def test_what_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        sources.typed(text, ())
    assert refused.value.todo

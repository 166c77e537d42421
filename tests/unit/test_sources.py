"""Hosts to choose from: what ~/.ssh/config names, read as ssh reads it."""

from __future__ import annotations

from pathlib import Path

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
    assert sources.ssh_names(config) == ("a", "b", "c") or sources.ssh_names(config) == ("a", "c", "b")


def test_no_configuration_and_rubbish_offer_nothing(tmp_path: Path) -> None:
    assert sources.ssh_names(tmp_path / "config") == ()
    assert sources.ssh_names(tmp_path) == ()
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00Host\x00\n\n=\n  =x\nHost\n")
    assert sources.ssh_names(tmp_path / "config") == ()

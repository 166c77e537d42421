"""Lines are added to frontends as users write them, and every other byte is kept; unsuitable frontends are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wizard.errors import InputError
from wizard.front_doors import Door, Opening, haproxy

NAME = "noc.example.net"
CASES: list[dict[str, Any]] = YAML(typ="safe").load(
    (Path(__file__).parents[1] / "data/sites/haproxy.yaml").read_text()
)
OURS = re.compile(
    r"^[ \t]*# Written by Firescreen.*?: paths.*?# End of the paths[^\n]*\n", re.MULTILINE | re.DOTALL
)


def door(case: dict[str, Any]) -> Door:
    return Door(
        name=NAME,
        port=case.get("port", 443),
        ipv6=False,
        version="2.6.12",
        certificate="",
        key="",
        openings=(Opening(prefix="/prometheus", backend="127.0.0.1:9090", blocked=("/prometheus/-/quit",)),),
        hashes=(("admin", "$2b$08$" + "a" * 53),),
        inside=True,
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_lines_are_added_to_a_frontend_and_all_else_is_kept(case: dict[str, Any]) -> None:
    before, mine = case["files"][case["site"]], door(case)
    if "refused" in case:
        with pytest.raises(InputError) as refused:
            haproxy.merge_block(before, (mine,))
        assert case["refused"] in refused.value.what
        assert refused.value.todo
        return
    after = haproxy.merge_block(before, (mine,))
    assert haproxy.merge_block(after, (mine,)) == after
    (region,) = OURS.findall(after)
    assert region.count("use_backend") == 1
    # Without Firescreen's lines and its block at the end, the file is as before.
    kept = OURS.sub("", after)[: len(before.rstrip("\n"))]
    assert kept == before.rstrip("\n")
    changed = haproxy.merge_block(after, (replace(mine, max_body_size=32),))
    assert OURS.findall(changed) == [region]
    # No line of Firescreen is left when the front door becomes a separate site.
    assert OURS.findall(haproxy.merge_block(after, (replace(mine, inside=False, port=9443),))) == []


def test_a_file_with_crlf_line_ends_keeps_them() -> None:
    before = CASES[0]["files"]["haproxy.cfg"].replace("\n", "\r\n")
    after = haproxy.merge_block(before, (door(CASES[0]),))
    frontend = after.partition("# Written by Firescreen, which undoes it too: front doors")[0]
    assert "\n" not in frontend.replace("\r\n", "").rstrip("\n")
    assert OURS.sub("", after).startswith(before)

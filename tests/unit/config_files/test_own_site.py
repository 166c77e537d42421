"""One line is added to sites as users write them, and every other byte is kept; unsuitable sites are refused."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wizard.config_files.proxies import own_site
from wizard.errors import InputError

NAME = "noc.example.net"
FOLDERS = {"nginx": "/etc/nginx", "apache": "/etc/apache2", "caddy": "/etc/caddy"}
DATA = Path(__file__).parents[1] / "data/sites"
CASES = [
    pytest.param(program, case, id=f"{program}: {case['name']}")
    for program in FOLDERS
    for case in YAML(typ="safe").load((DATA / f"{program}.yaml").read_text())
]


def edit(program: str, case: dict[str, Any], content: bytes, reserved: tuple[str, ...] = ()) -> bytes:
    return own_site.with_include(
        program,  # type: ignore[arg-type]
        content,
        name=NAME,
        port=case.get("port", 443),
        path=f"{FOLDERS[program]}/firescreen/{NAME}.conf",
        prefixes=("/prometheus",),
        reserved=reserved,
    )


def content_of_site(case: dict[str, Any]) -> bytes:
    site = case["site"]
    link = case.get("links", {}).get(site)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(site), link)) if link else site
    return str(case["files"][path]).encode()


@pytest.mark.parametrize(("program", "case"), CASES)
def test_one_line_is_added_and_all_else_is_kept(program: str, case: dict[str, Any]) -> None:
    before = content_of_site(case)
    if "refused" in case:
        with pytest.raises(InputError) as refused:
            edit(program, case, before)
        assert case["refused"] in refused.value.what
        assert refused.value.todo
        return
    after = edit(program, case, before)
    line = b"import" if program == "caddy" else b"Include" if program == "apache" else b"include"
    line += f" {FOLDERS[program]}/firescreen/{NAME}.conf".encode() + (b";" if program == "nginx" else b"")
    assert after.count(line) == 1
    # Without that line, the file is as before.
    taken = re.compile(rb"^[ \t]*" + re.escape(line) + rb"\r?\n| " + re.escape(line), re.MULTILINE)
    kept = taken.sub(b"", after, count=1)
    assert kept == before
    assert edit(program, case, after) == after


def test_a_file_included_by_a_main_configuration_is_replaced() -> None:
    def listed(pattern: str) -> list[str]:
        return {"/etc/nginx/sites/*": ["/etc/nginx/sites/a", "/etc/nginx/sites/b"]}.get(pattern, [])

    main = b"# include sites/*;\nhttp { include mime.types; include 'sites/*'; log_format x 'include sites/*;'; }\n"
    found = own_site.substitute_include(
        "nginx", "/etc/nginx/nginx.conf", main, old="/etc/nginx/sites/b", new="/tmp/new", listed=listed
    )
    assert found == main.replace(b"include 'sites/*';", b"include /etc/nginx/sites/a; include /tmp/new;")
    assert (
        own_site.substitute_include("nginx", "/etc/nginx/nginx.conf", main, old="/x", new="/y", listed=listed)
        is None
    )
    caddy = own_site.substitute_include(
        "caddy",
        "/etc/caddy/Caddyfile",
        b"import snip\nimport a/b\n",
        old="/etc/caddy/a/b",
        new="/n",
        listed=list,
    )
    assert caddy == b"import snip\nimport /n\n"
    apache = b"IncludeOptional sites/*.conf\n"
    found = own_site.substitute_include(
        "apache",
        "/etc/apache2/apache2.conf",
        apache,
        old="/etc/apache2/sites/x.conf",
        new="/n",
        listed=lambda pattern: ["/etc/apache2/sites/w.conf", "/etc/apache2/sites/x.conf"],
    )
    assert found == b"Include /etc/apache2/sites/w.conf\nInclude /n\n"


RESERVED = {
    "nginx": "server { listen 443 ssl; server_name noc.example.net; location /oauth2/x { return 204; } }\n",
    "apache": "<VirtualHost *:443>\nServerName noc.example.net\n<Location /oauth2/>\n</Location>\n</VirtualHost>\n",
    "caddy": "noc.example.net {\n\thandle /oauth2/* {\n\t\trespond 204\n\t}\n}\n",
}


@pytest.mark.parametrize("program", RESERVED)
def test_a_site_with_a_sign_in_of_its_own_is_refused(program: str) -> None:
    content = RESERVED[program].encode()
    edited = edit(program, {}, content)
    assert edited != content
    with pytest.raises(InputError, match="people sign in below /oauth2"):
        edit(program, {}, content, reserved=("/oauth2",))
    elsewhere = content.replace(b"/oauth2", b"/oauth2-docs")
    assert edit(program, {}, elsewhere, reserved=("/oauth2",)) != elsewhere


def test_a_virtual_host_with_its_own_openid_client_is_refused() -> None:
    content = b"<VirtualHost *:443>\nServerName noc.example.net\nOIDCClientID x\n</VirtualHost>\n"
    with pytest.raises(InputError, match="sign in at the site already"):
        edit("apache", {}, content, reserved=("/oauth2",))

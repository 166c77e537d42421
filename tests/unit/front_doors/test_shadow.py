"""A main configuration that includes one more file: the shell script makes the same text as Firescreen."""

from __future__ import annotations

import subprocess

import pytest

from wizard.front_doors import all_proxies

NEW = "/etc/x/.new-file"
MAINS = {
    "nginx": (
        "user www-data;\n# http {\nevents { worker_connections 768; }\n\nhttp {\n    include /etc/nginx/mime.types;\n}\n",
        "events {}\n  http\n{\n  log_format a '$remote_addr';\n  server { }\n}",
        "events {} http { include conf.d/*.conf; }\nstream { }\nhttp {\n}\n",
    ),
    "apache": ("ServerRoot /etc/apache2\nIncludeOptional sites-enabled/*.conf\n", "# no end of line"),
    "caddy": (
        ":80 {\n\trespond theirs\n}\n\nimport /etc/caddy/firescreen/*.caddy\n",
        "import /etc/caddy/firescreen/*.caddy",
        "import sites/*.caddy\n# import /etc/caddy/firescreen/xycaddy\n",
        "",
    ),
    "haproxy": ("global\n    daemon\n",),
}


@pytest.mark.parametrize("name", MAINS)
def test_the_shell_script_includes_a_file_like_firescreen(name: str) -> None:
    proxy = next(each for each in all_proxies() if each.name == name)
    for main in MAINS[name]:
        ended = subprocess.run(
            ["sh", "-c", proxy.shadow_script, "sh", NEW], input=main.encode(), capture_output=True, check=True
        )
        assert ended.stdout.decode() == proxy.shadow(main, NEW)

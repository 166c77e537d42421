"""The line that makes a proxy request client certificates is found for each site, in whichever file it is."""

from __future__ import annotations

import pytest

from wizard.config_files import proxies
from wizard.model import ProxyProgram

NGINX = "/etc/nginx/nginx.conf"
SITE = "/etc/nginx/sites/noc"
APACHE = "/etc/apache2/apache2.conf"
HOST = "/etc/apache2/sites/noc.conf"


def certificate_settings(program: ProxyProgram, main: str, files: dict[str, str]) -> dict[str, str]:
    """Returns the file and line of that setting by the name of the site."""
    held = {path: text.encode() for path, text in files.items()}
    return {each.name: each.certificates for each in proxies.sites(program, main, held)}


SERVERS = (
    "server { server_name noc; include snippets/*; }\nserver { server_name other; ssl_verify_client on; }\n"
)


@pytest.mark.parametrize(
    ("more", "noc"),
    [
        ({}, ""),
        ({"/etc/nginx/snippets/a": "ssl_verify_client off;\n"}, "/etc/nginx/snippets/a:1"),
        ({"/etc/nginx/snippets/a": "# Written by Firescreen\nssl_verify_client optional_no_ca;\n"}, ""),
        ({"/etc/nginx/conf.d/tls": "\nssl_trusted_certificate /x;\n"}, "/etc/nginx/conf.d/tls:2"),
    ],
)
def test_client_certificate_settings_of_nginx_are_found(more: dict[str, str], noc: str) -> None:
    main = "http { include conf.d/*; include sites/*; }\n"
    assert certificate_settings("nginx", NGINX, {NGINX: main, SITE: SERVERS, **more}) == {
        "noc": noc,
        "other": f"{SITE}:2",
    }


VIRTUAL = """\
<VirtualHost *:443>
ServerName noc
Include firescreen/noc.conf
</VirtualHost>
<VirtualHost *:443>
ServerName other
<Location /x>
SSLVerifyClient require
</Location>
</VirtualHost>
"""


@pytest.mark.parametrize(
    ("more", "noc"),
    [
        ({}, ""),
        (
            {"/etc/apache2/firescreen/noc.conf": "SSLVerifyClient none\n"},
            "/etc/apache2/firescreen/noc.conf:1",
        ),
        (
            {"/etc/apache2/firescreen/noc.conf": "# Written by Firescreen\nSSLVerifyClient optional_no_ca\n"},
            "",
        ),
        ({"/etc/apache2/conf/tls": "SSLCACertificateFile /x\n"}, "/etc/apache2/conf/tls:1"),
    ],
)
def test_client_certificate_settings_of_apache_are_found(more: dict[str, str], noc: str) -> None:
    main = "Include sites/*.conf\nInclude conf/*\n"
    assert certificate_settings("apache", APACHE, {APACHE: main, HOST: VIRTUAL, **more}) == {
        "noc": noc,
        "other": f"{HOST}:8",
    }

"""The stack file is read and written, and every mistake is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.errors import StackError
from wizard.inventory import stack_file
from wizard.model import UserSpec

GOOD = """\
version: 1
hosts:
  here: {connect: local, become: sudo}   # this machine
certificates:
  issued_by: self-signed
  key: rsa-2048
  days: 90
components:
  - {host: here, name: node_exporter, protect: [tls, basic_auth], names: [srv1.lab, 192.0.2.1]}
  - {host: here, name: prometheus}
users:
  scraper: {password: {file: secret.txt}, cost: 11}
"""


def test_a_stack_file_is_read() -> None:
    read = stack_file.parse(GOOD, source="firescreen.yaml")
    assert read.host("here").become == "sudo"
    assert read.components[0].protect == ("tls", "basic_auth")
    assert read.components[0].names == ("srv1.lab", "192.0.2.1")
    assert read.components[1].protect == ()
    assert read.certificates.days == 90
    assert read.users == (UserSpec(name="scraper", password="file", file="secret.txt", cost=11),)


FULL = """\
version: 1
hosts:
  box: {connect: ssh, address: 192.0.2.1, user: admin, port: 2222, become: sudo}
  inside: {connect: incus, instance: prometheus, via: box}
components:
  - host: box
    name: alertmanager
    protect: [tls, client_cert]
    client_auth_type: VerifyClientCertIfGiven
    min_version: TLS13
    headers: {X-Frame-Options: deny}
    rate_limit: {interval: 100ms, burst: 20}
    cluster_tls: true
    files: {cert_file: /etc/a.crt, key_file: /etc/a.key, client_ca_file: /etc/ca.crt}
  - {host: inside, name: prometheus, protect: [tls, client_cert], client_allowed_sans: [grafana]}
users:
  scraper: {}
  grafana: {password: prompt}
"""


@pytest.mark.parametrize("text", [GOOD, FULL])
def test_a_written_stack_file_reads_the_same(text: str) -> None:
    read = stack_file.parse(text, source="x")
    assert stack_file.parse(stack_file.dump(read), source="x") == read


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("protect: [tls, client_cert]\n", "protect: [client_cert]\n", "needs TLS"),
        ("[tls, client_cert], client_allowed", "[tls], client_allowed", "needs client_cert"),
        ("name: prometheus, protect: [tls, client_cert],", "name: prometheus, cluster_tls: true,", ""),
        ("key_file: /etc/a.key, ", "", "key_file"),
        ("cert_file: /etc/a.crt", "cert_file: a.crt", "a.crt"),
        ("interval: 100ms", "interval: often", "often"),
        ("X-Frame-Options", "X-Other", "X-Other"),
        ("VerifyClientCertIfGiven", "Verify", "Verify"),
    ],
)
def test_contradictory_settings_are_refused(old: str, new: str, what: str) -> None:
    assert old in FULL
    with pytest.raises(StackError) as caught:
        stack_file.parse(FULL.replace(old, new), source="x")
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("change", "line", "what", "todo"),
    [
        (("days: 90", "dayz: 90"), 7, "unknown key 'dayz' in 'certificates'", "days"),
        (("connect: local", "conect: local"), 3, "unknown key 'conect'", "connect"),
        (("version: 1", "version: 2"), 1, "'version' is 2", "Write 1"),
        (("host: here, name: node_exporter", "host: hear, name: node_exporter"), 9, "no host 'hear'", "here"),
        (("name: node_exporter", "name: node_exportr"), 9, "no component 'node_exportr'", "node_exporter"),
        (("[tls, basic_auth]", "[tls, basic_aut]"), 9, "cannot be 'basic_aut'", "basic_auth"),
        (("[tls, basic_auth]", "[basic_auth]"), 9, "without TLS", "protect: [tls, basic_auth]"),
        (("days: 90", "days: many"), 7, "has to be a whole number", ""),
        (("days: 90", "days: 0"), 7, "at least 1", ""),
        (("cost: 11", "cost: 31"), 12, "at most 15", ""),
        (("scraper:", "'a:b':"), 12, "'a:b' cannot be a name here", ""),
        (
            ("  - {host: here, name: prometheus}", "  - {host: here, name: node_exporter}"),
            10,
            "is listed twice",
            "",
        ),
        (("key: rsa-2048", "days: 5"), 7, "'days' is listed twice", ""),
        (("connect: local", "connect: incus, via: there"), 3, "there is no host 'there'", "'here'"),
        (("connect: local", "connect: ssh, via: here"), 3, "is for an incus instance", "ProxyJump"),
        (("hosts:\n", "hosts\n"), 3, "not valid YAML", "indentation"),
    ],
)
def test_a_mistake_is_refused_with_file_line_and_remedy(
    change: tuple[str, str], line: int, what: str, todo: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(StackError) as caught:
        stack_file.parse(GOOD.replace(*change), source="lab.yaml")
    assert caught.value.where == f"lab.yaml:{line}"
    assert what in caught.value.what
    assert todo in caught.value.todo
    assert caught.value.exit_code == 2


def test_unreadable_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot be read"):
        stack_file.load(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StackError, match="not UTF-8"):
        stack_file.load(binary)
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    with pytest.raises(StackError, match="empty"):
        stack_file.load(empty)


def test_a_yaml_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(StackError, match="too many values"):
        stack_file.parse("\n".join(lines), source="bomb.yaml")


DOOR = """\
version: 1
hosts:
  web1: {connect: ssh, address: 192.0.2.1}
  box: {connect: practice}
components:
  - {host: web1, name: prometheus}
  - {host: web1, name: alertmanager}
users: {admin: {}}
front_doors:
  - host: web1
    proxy: nginx
    name: NOC.example.net
    people: {basic_auth: [admin]}
    machines: {client_cert: true}
    block: [lifecycle]
    files: {cert_file: /etc/a.pem, key_file: /etc/a.key, ca_file: /etc/ca.pem}
    hsts_days: 2
    routes:
      - {to: prometheus, path: /prometheus/}
      - {to: alertmanager}
"""


def test_a_front_door_is_read_and_written_back() -> None:
    read = stack_file.parse(DOOR, source="s.yaml")
    (door,) = read.front_doors
    assert (door.name, door.users, door.client_cert, door.block) == (
        "noc.example.net",
        ("admin",),
        True,
        ("lifecycle",),
    )
    assert [door.url(route) for route in door.routes] == [
        "https://noc.example.net/prometheus",
        "https://noc.example.net",
    ]
    assert door.certificate == "web1/nginx/noc.example.net"
    assert stack_file.parse(stack_file.dump(read), source="s.yaml") == read


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("- host: web1\n", "- host: web2\n", "no host 'web2'"),
        ("- host: web1\n", "- host: box\n", "systemd"),
        ("[admin]", "[eve]", "no user 'eve'"),
        ("users:", "certificates: {issued_by: self-signed}\nusers:", "need a CA"),
        ("to: alertmanager}", "to: pushgateway}", "no pushgateway on web1"),
        ("to: alertmanager}", "to: alertmanager, path: /prometheus}", "two routes"),
        ("name: alertmanager}", "name: alertmanager, protect: [tls]}", "has protect: [tls]"),
        ("proxy: nginx", "proxy: traefik", "traefik"),
        ("name: NOC.example.net", "name: 'a b'", "a b"),
        ("path: /prometheus/", "path: 'prometheus'", "prometheus"),
        ("    people: {basic_auth: [admin]}\n    machines: {client_cert: true}\n", "", "nobody may pass"),
        ("client_cert: true", "client_cert: false", "client_cert"),
        ("    people:", "    cors: ['*']\n    people:", "'*' cannot be an origin"),
        ("/etc/a.pem", "/etc/letsencrypt/live/x/cert.pem", "/etc/letsencrypt/live/x/fullchain.pem"),
    ],
)
def test_a_mistake_in_a_front_door_is_refused(old: str, new: str, what: str) -> None:
    assert old in DOOR
    with pytest.raises(StackError) as refused:
        stack_file.parse(DOOR.replace(old, new), source="s.yaml")
    assert what in f"{refused.value.what} {refused.value.todo}"
    assert refused.value.where.startswith("s.yaml")
    assert refused.value.todo


def test_a_component_has_one_front_door() -> None:
    entry = DOOR.partition("front_doors:\n")[2]
    with pytest.raises(StackError, match="listed twice"):
        stack_file.parse(DOOR + entry, source="s.yaml")
    with pytest.raises(StackError, match="behind two front doors"):
        stack_file.parse(DOOR + entry.replace("NOC", "second"), source="s.yaml")


SIGN_IN = DOOR.replace(
    "people: {basic_auth: [admin]}",
    """people:
      oidc:
        issuer: https://id.example.net
        client_id: firescreen
        client_secret_file: /home/ada/secret
        email_domains: [example.net]
        groups: [net ops]
        claims: {department: [a, b]}
        scopes: [openid, email]
        session_hours: 2""",
)


def test_sign_in_settings_are_read_and_written_back() -> None:
    read = stack_file.parse(SIGN_IN, source="s.yaml")
    found = read.front_doors[0].sign_in
    assert found is not None
    assert found.asked == (("groups", ("net ops",)), ("department", ("a", "b")))
    assert (found.scopes, found.session_hours, found.ca_file) == (("openid", "email"), 2, "")
    assert stack_file.parse(stack_file.dump(read), source="s.yaml") == read


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("https://id.example.net", "http://id.example.net", "no https URL"),
        ("client_id: firescreen", "client_id: 'a \"b'", "cannot be a name"),
        ("client_secret_file: /home/ada/secret", "client_secret_file: secret", "secret"),
        ("client_secret_file: /home/ada/secret", "client_secret: x", "client_secret"),
        ("groups: [net ops]", "groups: ['a\"b']", "cannot be a name"),
        ("scopes: [openid, email]", "scopes: [email]", "scope openid"),
        ("machines: {client_cert: true}\n    ", "", "no program could pass"),
        ("path: /prometheus/", "path: /oauth2", "signs people in below /oauth2"),
        (
            "        email_domains: [example.net]\n        groups: [net ops]\n        claims: {department: [a, b]}\n",
            "",
            "every account of https://id.example.net",
        ),
    ],
)
def test_a_mistake_in_sign_in_settings_is_refused(old: str, new: str, what: str) -> None:
    assert old in SIGN_IN
    with pytest.raises(StackError) as refused:
        stack_file.parse(SIGN_IN.replace(old, new), source="s.yaml")
    assert what in f"{refused.value.what} {refused.value.todo}"
    assert refused.value.where.startswith("s.yaml")

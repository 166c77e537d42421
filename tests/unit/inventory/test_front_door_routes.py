"""Routes of front doors to components of other hosts, or over TLS, are read, and mistakes are refused."""

from __future__ import annotations

import pytest

from wizard.errors import StackError
from wizard.inventory import stack_file
from wizard.model import DoorRoute

DOOR = """\
version: 1
hosts:
  web1: {connect: ssh, address: 192.0.2.1}
  db1: {connect: ssh, address: 192.0.2.2}
components:
  - {host: web1, name: prometheus}
  - {host: web1, name: pushgateway, protect: [tls, client_cert]}
  - {host: db1, name: alertmanager, protect: [tls, client_cert]}
users: {admin: {}}
front_doors:
  - host: web1
    proxy: nginx
    name: noc.example.net
    people: {basic_auth: [admin]}
    routes:
      - {to: prometheus, path: /prometheus, host: web1}
      - {to: pushgateway, path: /push}
      - {to: alertmanager, path: /alertmanager, host: db1, address: "db1.example.net:9093"}
"""


def test_routes_are_read_and_written_back() -> None:
    read = stack_file.parse(DOOR, source="s.yaml")
    (door,) = read.front_doors
    assert door.routes == (
        DoorRoute(to="prometheus", path="/prometheus"),
        DoorRoute(to="pushgateway", path="/push"),
        DoorRoute(to="alertmanager", path="/alertmanager", host="db1", address="db1.example.net:9093"),
    )
    assert read.doors_to("db1", "alertmanager") == ((door, door.routes[2]),)
    assert read.doors_to("web1", "alertmanager") == ()
    assert stack_file.parse(stack_file.dump(read), source="s.yaml") == read


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("host: db1, address", "host: db2, address", "no alertmanager on db2"),
        ("name: alertmanager, protect: [tls, client_cert]", "name: alertmanager", "on another host"),
        (
            "alertmanager, protect: [tls, client_cert]",
            "alertmanager, protect: [tls, basic_auth]",
            "protect: [tls, client_cert]",
        ),
        ("pushgateway, protect: [tls, client_cert]", "pushgateway, protect: [tls]", "Use protect: []"),
        (
            "alertmanager, protect: [tls, client_cert]",
            "alertmanager, protect: [tls, client_cert], client_auth_type: VerifyClientCertIfGiven",
            "without a client certificate",
        ),
        ("users:", "certificates: {issued_by: self-signed}\nusers:", "there is no CA"),
        ("path: /prometheus, host: web1", "path: /prometheus, address: web1", "on the loopback address"),
        ('"db1.example.net:9093"', '"http://db1"', "'http://db1'"),
    ],
)
def test_a_mistake_in_a_route_is_refused(old: str, new: str, what: str) -> None:
    assert old in DOOR
    with pytest.raises(StackError) as refused:
        stack_file.parse(DOOR.replace(old, new), source="s.yaml")
    assert what in f"{refused.value.what} {refused.value.todo}"
    assert refused.value.where.startswith("s.yaml")
    assert refused.value.todo

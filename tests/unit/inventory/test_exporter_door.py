"""exporter_exporter in `front_doors` of the stack file is read and written, and mistakes are refused."""

from __future__ import annotations

import pytest

from wizard.errors import StackError
from wizard.inventory import stack_file
from wizard.model import DoorRoute, FrontDoor

DOOR = """\
version: 1
hosts:
  Web1: {connect: ssh, address: 192.0.2.1}
components:
  - {host: Web1, name: node_exporter}
  - {host: Web1, name: pushgateway}
users: {admin: {}}
front_doors:
  - host: Web1
    proxy: exporter_exporter
    machines: {client_cert: true}
    routes: [{to: node_exporter}]
"""


@pytest.mark.parametrize("more", ["", "    port: 9443\n"])
def test_exporter_exporter_is_read_and_written_back(more: str) -> None:
    read = stack_file.parse(DOOR + more, source="s.yaml")
    assert read.front_doors == (
        FrontDoor(
            host="Web1",
            proxy="exporter_exporter",
            name="web1",
            port=9443 if more else 9999,
            client_cert=True,
            routes=(DoorRoute(to="node_exporter"),),
        ),
    )
    (door,) = read.front_doors
    assert door.key == door.certificate == "Web1/exporter_exporter"
    assert stack_file.parse(stack_file.dump(read), source="s.yaml") == read
    assert "name: web1" not in stack_file.dump(read)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("    machines: {client_cert: true}\n", "", "machines: {client_cert: true}"),
        ("    machines:", "    people: {basic_auth: [admin]}\n    machines:", "neither a name nor users"),
        ("    machines:", "    name: noc.example.net\n    machines:", "neither a name nor users"),
        ("    machines:", "    rate_limit: 5\n    machines:", "neither a name nor users"),
        ("{to: node_exporter}", "{to: node_exporter, path: /n}", "neither a name nor users"),
        ("{to: node_exporter}", "{to: mysqld_exporter}", "no mysqld_exporter on Web1 in components"),
        ("{to: node_exporter}", "{to: pushgateway}", "serves metrics alone"),
        ("name: node_exporter}", "name: node_exporter, protect: [tls]}", "cannot verify the certificate"),
        ("users:", "certificates: {issued_by: self-signed}\nusers:", "need a CA"),
        ("proxy: exporter_exporter", "proxy: nginx", "name"),
        ("proxy: exporter_exporter", "proxy: nginx\n    name: n.example.net", "node_exporter"),
    ],
)
def test_a_mistake_is_refused(old: str, new: str, what: str) -> None:
    assert old in DOOR
    with pytest.raises(StackError) as refused:
        stack_file.parse(DOOR.replace(old, new), source="s.yaml")
    assert what in f"{refused.value.what} {refused.value.todo}"
    assert refused.value.where.startswith("s.yaml") and refused.value.todo
    assert refused.value.todo


def test_a_host_has_one_exporter_exporter() -> None:
    entry = DOOR[DOOR.index("  - host: Web1\n    proxy") :]
    with pytest.raises(StackError, match="twice"):
        stack_file.parse(DOOR + entry.replace("routes:", "port: 9443\n    routes:"), source="s.yaml")

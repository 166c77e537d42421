"""The trust map as data: which client connects to which server, what each presents, and how the other verifies it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The connection of one client to one server, as it will be after the run.

    The texts are for a person; paths are on the client's or the server's host.
    """

    client_host: str
    client: str
    """The client component, e.g. 'prometheus'; with the unit for a further instance, 'prometheus/prometheus-b'."""
    server_host: str
    server: str
    """The server component, e.g. 'node_exporter'."""
    how: str
    """The place in the client's configuration: 'job node', 'alertmanagers', 'remote_write', 'module http_2xx'."""
    address: str
    """host:port in the client's configuration."""
    encrypted: bool = False
    local: bool = False
    """Whether it uses the loopback address of one host, so that nobody else can read the traffic."""
    server_shows: str = ""
    """The server's certificate, e.g. 'srv1, 127.0.0.2 (signed by your CA)'; '' without TLS."""
    client_checks: str = ""
    """The CA file against which the client verifies it, or ''."""
    client_shows: str = ""
    """The path of the client's certificate; '' if it presents none."""
    server_checks: str = ""
    """The CA file against which the server verifies it, or ''."""
    user: str = ""
    """The user name of the login with a password, or ''."""
    probe: str = ""
    """Id of the probe that verifies this connection, or ''."""

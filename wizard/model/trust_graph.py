"""The trust map as data: which client connects to which server, what each shows, and how the other verifies it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One client that asks one server, as it will be after the plan.

    The texts are for a person; the paths are those on the client's and on the server's host.
    """

    client_host: str
    client: str
    """The component that asks, e.g. 'prometheus'; a further instance with its unit, 'prometheus/prometheus-b'."""
    server_host: str
    server: str
    """The component that answers, e.g. 'node_exporter'."""
    how: str
    """The place in the client's configuration: 'job node', 'alertmanagers', 'remote_write', 'module http_2xx'."""
    address: str
    """host:port as the client names it."""
    encrypted: bool = False
    local: bool = False
    """Whether it stays on the loopback address of one host, where nobody else reads it."""
    server_shows: str = ""
    """The server's certificate, e.g. 'srv1, 127.0.0.2 (signed by your CA)'; '' without TLS."""
    client_checks: str = ""
    """The file that the client checks it against, or ''."""
    client_shows: str = ""
    """The client's certificate, by its path; '' if it shows none."""
    server_checks: str = ""
    """The file that the server checks it against, or ''."""
    user: str = ""
    """Who logs in with a password, or ''."""
    probe: str = ""
    """Id of the probe that tells whether this arrow holds, or ''."""

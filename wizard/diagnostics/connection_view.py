"""What the hosts show of one connection: the files at both ends, and what the server answers; changes nothing."""

from __future__ import annotations

import posixpath
import socket
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wizard import probes
from wizard.config_files import web_config
from wizard.diagnostics.evidence import Evidence
from wizard.model import Attempt, Probe

PATIENCE: Final = 2.0
"""Seconds that a question waits for an answer."""


class ConnectionView:
    """Reads at both ends of a connection, and asks its server.

    Args:
        evidence: what is known of the connection.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.of = evidence

    def web(self) -> web_config.WebConfig | None:
        """The server's web configuration, if it has one."""
        content = self._web_content()
        return web_config.parse(content) if content is not None else None

    def _web_content(self) -> bytes | None:
        of = self.of
        if of.server is None or of.service is None or not of.service.web_config:
            return None
        return content_of(of.server, of.service.web_config)

    def web_file(self, name: str) -> str:
        """Absolute path of a file that web.yml names, or ''."""
        config = self.web()
        path = str(getattr(config, name, "")) if config else ""
        if not path or self.of.service is None:
            return ""
        return posixpath.join(posixpath.dirname(self.of.service.web_config), path)

    def tls_section(self) -> dict[str, Any]:
        """The TLS section of the web configuration, as it is written."""
        try:
            document = YAML(typ="safe").load(self._web_content() or b"")
        except (YAMLError, ValueError):
            return {}
        section = document.get("tls_server_config") if isinstance(document, dict) else None
        return section if isinstance(section, dict) else {}

    def ask(self, url: str, *, timeout: float = PATIENCE) -> Attempt:
        """What the server answers to the client's request, whatever its certificate is."""
        return self._attempt(url, insecure=True, timeout=timeout)

    def verify(self, url: str, ca_file: str) -> Attempt:
        """What comes of the client's request with the CA of this file, or with the system's where it is ''."""
        return self._attempt(url, ca_file=ca_file)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to that address, on the way that the client takes."""
        if self.of.forward is not None and self.of.dial is not None:
            return self.of.dial(self.of.forward, PATIENCE)
        return socket.create_connection((host, port), timeout=PATIENCE)

    def _attempt(
        self, url: str, *, ca_file: str = "", insecure: bool = False, timeout: float = 5.0
    ) -> Attempt:
        probe = Probe(
            id="question",
            host="",
            component="",
            name="a question",
            client="Firescreen",
            expect="200",
            url=url,
            ca_file=ca_file,
            insecure=insecure,
            server_name=self.of.server_name,
            forward=self.of.forward,
            timeout=timeout,
        )
        return probes.run(probe, dial=self.of.dial)


def content_of(connection: Any, path: str) -> bytes | None:
    """The bytes of a file on a host; None where there is no host, no path or no file."""
    state = connection.read(path) if connection is not None and path else None
    return state.content if state is not None else None

"""Reads the files at both ends of a connection, and probes its server. Changes nothing."""

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
"""Seconds that a question waits for the server's answer."""


class ConnectionView:
    """Reads the files at both ends of a connection, and probes its server.

    Args:
        evidence: the settings of the client and the server, as far as they are known.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def web(self) -> web_config.WebConfig | None:
        """The server's web configuration, if it has one."""
        content = self._web_content()
        return web_config.parse(content) if content is not None else None

    def _web_content(self) -> bytes | None:
        evidence = self.evidence
        if evidence.server is None or evidence.service is None or not evidence.service.web_config:
            return None
        return content_of(evidence.server, evidence.service.web_config)

    def web_file(self, name: str) -> str:
        """Absolute path of the file that is set for `name` in the web configuration, or ''.

        Args:
            name: an attribute of `WebConfig`, e.g. `cert_file`.
        """
        config = self.web()
        path = str(getattr(config, name, "")) if config else ""
        if not path or self.evidence.service is None:
            return ""
        return posixpath.join(posixpath.dirname(self.evidence.service.web_config), path)

    def tls_section(self) -> dict[str, Any]:
        """The `tls_server_config` section of the web configuration; empty if it cannot be parsed."""
        try:
            document = YAML(typ="safe").load(self._web_content() or b"")
        except (YAMLError, ValueError):
            return {}
        section = document.get("tls_server_config") if isinstance(document, dict) else None
        return section if isinstance(section, dict) else {}

    def ask(self, url: str, *, timeout: float = PATIENCE) -> Attempt:
        """Sends the client's request without verifying the server's certificate."""
        return self._attempt(url, insecure=True, timeout=timeout)

    def verify(self, url: str, ca_file: str) -> Attempt:
        """Sends the client's request and verifies the server's certificate.

        Args:
            url: the address of the request.
            ca_file: path of the CA bundle on this machine; '' for the CAs of the system.
        """
        return self._attempt(url, ca_file=ca_file)

    def connect(self, host: str, port: int) -> socket.socket:
        """Connects to an address, through the client's host where this machine cannot reach the server."""
        if self.evidence.forward is not None and self.evidence.dial is not None:
            return self.evidence.dial(self.evidence.forward, PATIENCE)
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
            server_name=self.evidence.server_name,
            forward=self.evidence.forward,
            timeout=timeout,
        )
        return probes.run(probe, dial=self.evidence.dial)


def content_of(connection: Any, path: str) -> bytes | None:
    """Returns the bytes of a file on a host; None without a host, a path or such a file."""
    state = connection.read(path) if connection is not None and path else None
    return state.content if state is not None else None

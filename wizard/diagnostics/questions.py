"""Puts the questions of a diagnosis to the hosts: reads files, looks at ports, asks on the wire; changes nothing.

Each question of `assets/questions.yaml` is a method here, in `certificate_questions` or in `port_questions`. Its answer
is the id of a fault, or '' where the hosts do not say; an answer that cannot be had is never an error.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from wizard import passwords
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis
from wizard.diagnostics.certificate_questions import CertificateQuestions
from wizard.diagnostics.connection_view import ConnectionView, content_of
from wizard.diagnostics.entries import Question
from wizard.diagnostics.evidence import Evidence
from wizard.diagnostics.port_questions import LONGEST, PortQuestions
from wizard.errors import FirescreenError
from wizard.redact import Secret

_COSTLY: Final = 13
"""From this cost on, a check takes half a second and more, and one after the other at that."""
_BY_TEXT: Final = ("server-log", "file")
"""Questions whose answer depends on the text; the others are put to the hosts once."""
_METRICS: Final = re.compile(
    r"# (?:HELP|TYPE|UNIT|EOF)\b|[a-zA-Z_:][\w:]{0,200}(?:\{[^\n]{0,2000}\})?[ \t]+(?:[-+]?[\d.]|NaN|[-+]?Inf)"
)


class Asker:
    """Answers questions about one connection; see `catalogue.narrow`.

    Args:
        evidence: what is known of it.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._view = ConnectionView(evidence)
        certificates, ports = CertificateQuestions(self._view), PortQuestions(self._view)
        self._known: dict[str, str] = {}
        self._answers = {
            "server-certificate": certificates.server_certificate,
            "client-certificate": certificates.client_certificate,
            "client-files": certificates.client_files,
            "password": self.password,
            "password-cost": self.password_cost,
            "port": ports.port,
            "page": self.page,
            "versions": self.versions,
            "server-log": self.server_log,
            "file": self.file,
            "container": self.container,
        }

    def __call__(self, question: Question, found: Diagnosis) -> str:
        """The fault that the hosts show, or ''."""
        if question.id in self._known:
            return self._known[question.id]
        try:
            answer = self._answers[question.id](found)
        except (FirescreenError, OSError):
            answer = (
                ""  # a host that cannot be reached or read says nothing; the person is told what to check
            )
        if question.id not in _BY_TEXT:
            self._known[question.id] = answer
        return answer

    # -- passwords -----------------------------------------------------------------------------------------

    def password(self, found: Diagnosis) -> str:
        """Why the server does not let this client in."""
        of = self._view.of
        if not of.known:
            return ""
        if not of.user:
            return "password-none"
        given = of.password
        if of.password_file:
            content = content_of(of.client, of.password_file)
            if content is None:
                return "password-file"
            given = passwords.as_sent_by_prometheus(content)
        config = self._view.web()
        if config is None or given is None:
            return ""
        if of.user not in config.users:
            return "password-user"
        hashed = config.users[of.user]
        if passwords.matches(given, hashed):
            return ""
        # Each try costs a whole check: of a costly hash only the likeliest is tried.
        ends = ("\n",) if _cost(hashed) >= _COSTLY else ("\n", "\r\n", " ")
        ended = (Secret(given.reveal() + end) for end in ends)
        return (
            "password-newline" if any(passwords.matches(each, hashed) for each in ended) else "password-wrong"
        )

    def password_cost(self, found: Diagnosis) -> str:
        """Whether the check of the password, or the answer, takes too long."""
        config = self._view.web()
        for user, hashed in (config.users if config else {}).items():
            if _cost(hashed) >= _COSTLY and self._view.of.user in ("", user):
                return "password-cost"
        if not self._view.of.known or not self._view.of.url:
            return ""
        slow = self._view.ask(self._view.of.url, timeout=LONGEST)
        return (
            "slow-answer" if slow.status and slow.timings.get("total", 0.0) > self._view.of.patience else ""
        )

    # -- the server's own ----------------------------------------------------------------------------------

    def page(self, found: Diagnosis) -> str:
        """Whether what the server answers is metrics, whatever its header says."""
        if not self._view.of.url:
            return ""
        attempt = self._view.ask(self._view.of.url, timeout=5.0)
        if attempt.outcome != "200" or not attempt.body.strip():
            return ""
        return "metrics-content-type" if _METRICS.match(attempt.body.lstrip()) else "metrics-path"

    def versions(self, found: Diagnosis) -> str:
        """Whether the server's TLS section leaves anything that this client can speak."""
        section = self._view.tls_section()
        if str(section.get("max_version", "")) in ("TLS10", "TLS11"):
            return "tls-version"
        return "tls-cipher" if section.get("cipher_suites") else ""

    def server_log(self, found: Diagnosis) -> str:
        """What the server's own last words mean, the newest that fit."""
        for line in reversed(self._view.of.log()):
            said = catalogue.diagnose(line)
            if said is None:
                continue
            if said.fault in found.possible:
                return said.fault
            if any(question.id == "file" for question in said.questions):
                return catalogue.narrow(said, self).fault
        return ""

    def container(self, found: Diagnosis) -> str:
        """Whether the server's container was made before its Compose files became what they are, or hides its flags."""
        if self._view.of.container_difference():
            return "container-not-recreated"
        service = self._view.of.service
        if service is None or service.container is None or service.web_config:
            return ""
        given = any("--web.config" in word for word in service.container.command)
        return "container-command-ignored" if given else ""

    def file(self, found: Diagnosis) -> str:
        """What keeps the service from the file that the text names."""
        of = self._view.of
        missing = next((each for each in found.possible if each.endswith(("-pair-file", "-absent"))), "")
        rights = next((each for each in found.possible if each.endswith("-rights")), "")
        path, why = found.parts.get("file", ""), found.parts.get("why", "")
        if of.service is not None and path:
            path = posixpath.join(posixpath.dirname(of.service.web_config), path)
            # A hidden home says 'permission denied', a private /tmp 'no such file': it is looked at first.
            if of.service.hides(path):
                return "web-pair-hidden"
        if why == "permission denied":
            return rights
        if of.server is None or not path:
            return missing if why else ""
        return missing if of.server.stat(path) is None else ""


def _cost(hashed: str) -> int:
    """The cost of a bcrypt hash; 0 for what is none."""
    found = re.match(r"\$2[abxy]?\$(\d\d)\$", hashed)
    return int(found[1]) if found else 0

"""Answers the questions of a diagnosis: reads files on the hosts, checks ports and probes servers. Changes nothing.

Each question of `assets/questions.yaml` is a method here, in `certificate_questions` or in `port_questions`. Its answer
is the id of a fault, or '' where the hosts do not show one. A question that cannot be answered is never an error.
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
"""From this bcrypt cost on, a check takes half a second and more, and the server makes one check at a time."""
_DEPEND_ON_TEXT: Final = ("server-log", "file")
"""Questions whose answer depends on the error text; the others are answered only once for a connection."""
_METRICS: Final = re.compile(
    r"# (?:HELP|TYPE|UNIT|EOF)\b|[a-zA-Z_:][\w:]{0,200}(?:\{[^\n]{0,2000}\})?[ \t]+(?:[-+]?[\d.]|NaN|[-+]?Inf)"
)


class Asker:
    """Answers questions about one connection; see `catalogue.narrow`.

    Args:
        evidence: the settings of the client and the server, as far as they are known.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._view = ConnectionView(evidence)
        certificates, ports = CertificateQuestions(self._view), PortQuestions(self._view)
        self._cache: dict[str, str] = {}
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
        """Returns the id of the fault that the hosts show, or ''."""
        if question.id in self._cache:
            return self._cache[question.id]
        try:
            answer = self._answers[question.id](found)
        except (FirescreenError, OSError):
            # The host is unreachable or a file is unreadable: the diagnosis then says what the person should check.
            answer = ""
        if question.id not in _DEPEND_ON_TEXT:
            self._cache[question.id] = answer
        return answer

    # -- passwords -----------------------------------------------------------------------------------------

    def password(self, found: Diagnosis) -> str:
        """Finds out why the server rejects this client's user name or password."""
        evidence = self._view.evidence
        if not evidence.known:
            return ""
        if not evidence.user:
            return "password-none"
        password = evidence.password
        if evidence.password_file:
            content = content_of(evidence.client, evidence.password_file)
            if content is None:
                return "password-file"
            password = passwords.as_sent_by_prometheus(content)
        config = self._view.web()
        if config is None or password is None:
            return ""
        if evidence.user not in config.users:
            return "password-user"
        hashed = config.users[evidence.user]
        if passwords.matches(password, hashed):
            return ""
        # Each attempt takes a whole bcrypt check: for a costly hash, try only the most likely ending.
        endings = ("\n",) if _cost(hashed) >= _COSTLY else ("\n", "\r\n", " ")
        variants = (Secret(password.reveal() + ending) for ending in endings)
        matches = any(passwords.matches(variant, hashed) for variant in variants)
        return "password-newline" if matches else "password-wrong"

    def password_cost(self, found: Diagnosis) -> str:
        """Finds out whether the server checks the password, or answers, more slowly than the client waits."""
        config = self._view.web()
        for user, hashed in (config.users if config else {}).items():
            if _cost(hashed) >= _COSTLY and self._view.evidence.user in ("", user):
                return "password-cost"
        if not self._view.evidence.known or not self._view.evidence.url:
            return ""
        attempt = self._view.ask(self._view.evidence.url, timeout=LONGEST)
        total = attempt.timings.get("total", 0.0)
        return "slow-answer" if attempt.status and total > self._view.evidence.patience else ""

    # -- the server ----------------------------------------------------------------------------------------

    def page(self, found: Diagnosis) -> str:
        """Finds out whether the response body contains metrics, regardless of its Content-Type."""
        if not self._view.evidence.url:
            return ""
        attempt = self._view.ask(self._view.evidence.url, timeout=5.0)
        if attempt.outcome != "200" or not attempt.body.strip():
            return ""
        return "metrics-content-type" if _METRICS.match(attempt.body.lstrip()) else "metrics-path"

    def versions(self, found: Diagnosis) -> str:
        """Finds out whether the server's TLS versions and cipher suites exclude this client."""
        section = self._view.tls_section()
        if str(section.get("max_version", "")) in ("TLS10", "TLS11"):
            return "tls-version"
        return "tls-cipher" if section.get("cipher_suites") else ""

    def server_log(self, found: Diagnosis) -> str:
        """Diagnoses the server's last log lines: the newest one that shows a possible fault."""
        for line in reversed(self._view.evidence.log()):
            diagnosis = catalogue.diagnose(line)
            if diagnosis is None:
                continue
            if diagnosis.fault in found.possible:
                return diagnosis.fault
            if any(question.id == "file" for question in diagnosis.questions):
                return catalogue.narrow(diagnosis, self).fault
        return ""

    def container(self, found: Diagnosis) -> str:
        """Finds out whether the container is older than its Compose files, or ignores its `--web.config` flag."""
        if self._view.evidence.container_difference():
            return "container-not-recreated"
        service = self._view.evidence.service
        if service is None or service.container is None or service.web_config:
            return ""
        has_flag = any("--web.config" in argument for argument in service.container.command)
        return "container-command-ignored" if has_flag else ""

    def file(self, found: Diagnosis) -> str:
        """Finds out why the service cannot read the file that the error text names."""
        evidence = self._view.evidence
        missing = next((each for each in found.possible if each.endswith(("-pair-file", "-absent"))), "")
        rights = next((each for each in found.possible if each.endswith("-rights")), "")
        path, why = found.parts.get("file", ""), found.parts.get("why", "")
        if evidence.service is not None and path:
            path = posixpath.join(posixpath.dirname(evidence.service.web_config), path)
            # Check this first: systemd's ProtectHome= causes 'permission denied', PrivateTmp= 'no such file'.
            if evidence.service.hides(path):
                return "web-pair-hidden"
        if why == "permission denied":
            return rights
        if evidence.server is None or not path:
            return missing if why else ""
        return missing if evidence.server.stat(path) is None else ""


def _cost(hashed: str) -> int:
    """Returns the cost of a bcrypt hash; 0 if the text is no bcrypt hash."""
    match = re.match(r"\$2[abxy]?\$(\d\d)\$", hashed)
    return int(match[1]) if match else 0

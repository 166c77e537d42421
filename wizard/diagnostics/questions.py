"""Puts the questions of a diagnosis to the hosts: reads files, looks at ports, asks on the wire; changes nothing.

Each question of `assets/questions.yaml` is a method here. Its answer is the id of a fault, or '' where the hosts do
not say; an answer that cannot be had is never an error.
"""

from __future__ import annotations

import posixpath
import re
import socket
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wizard import certificates, passwords, probes
from wizard.config_files import web_config
from wizard.diagnostics import catalogue
from wizard.diagnostics.catalogue import Diagnosis, Question
from wizard.diagnostics.evidence import Evidence
from wizard.errors import FirescreenError
from wizard.model import Attempt, CertificateSummary, Probe
from wizard.redact import Secret

_PATIENCE: Final = 2.0
_LONGEST: Final = 15.0
_COSTLY: Final = 13
"""From this cost on, a check takes half a second and more, and one after the other at that."""
_CLOCK: Final = 60.0
_CERTIFICATES: Final = 64
_BY_TEXT: Final = ("server-log", "file")
"""Questions whose answer depends on the text; the others are put to the hosts once."""
_DEMANDING: Final = (
    "RequireAnyClientCert",
    "RequireClientCert",
    "RequireAndVerifyClientCert",
    "VerifyClientCertIfGiven",
)
_VERIFYING: Final = ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
_METRICS: Final = re.compile(
    r"# (?:HELP|TYPE|UNIT|EOF)\b|[a-zA-Z_:][\w:]{0,200}(?:\{[^\n]{0,2000}\})?[ \t]+(?:[-+]?[\d.]|NaN|[-+]?Inf)"
)
_LISTEN: Final = re.compile(r"^\s*\d+:\s([0-9A-F]{8,32}):([0-9A-F]{4})\s[0-9A-F:]+\s0A\s", re.MULTILINE)


class Asker:
    """Answers questions about one connection; see `diagnose.narrow`.

    Args:
        evidence: what is known of it.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._of = evidence
        self._known: dict[str, str] = {}
        self._answers = {
            "server-certificate": self.server_certificate,
            "client-certificate": self.client_certificate,
            "client-files": self.client_files,
            "password": self.password,
            "password-cost": self.password_cost,
            "port": self.port,
            "page": self.page,
            "versions": self.versions,
            "server-log": self.server_log,
            "file": self.file,
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

    # -- certificates --------------------------------------------------------------------------------------

    def server_certificate(self, found: Diagnosis) -> str:
        """Why this client would not trust what the server shows."""
        of = self._of
        if not of.url.startswith("https:") or (not of.known and of.client is None):
            return ""
        anchors = _read(of.client, of.ca_file) if of.ca_file else b""
        if anchors is None:
            return "client-ca-file"
        with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
            copy = Path(folder) / "ca.crt"
            copy.write_bytes(anchors)
            attempt = self._run(self._probe(of.url, ca_file=str(copy) if of.ca_file else ""))
        if attempt.outcome != "untrusted" or attempt.tls is None or not attempt.tls.chain:
            return "client-clock" if attempt.tls and attempt.tls.chain and self._clock_is_wrong() else ""
        said = catalogue.diagnose(attempt.reason)
        if said is None or said.id == "x509-time":
            return _by_time(attempt.tls.chain[0]) if said else ""
        return said.fault or self._which_ca(attempt.tls.chain, anchors)

    def _which_ca(self, chain: Sequence[CertificateSummary], pem: bytes) -> str:
        last = chain[-1]
        if len(chain) == 1 and last.subject == last.issuer:
            return "server-self-signed"
        if not self._of.ca_file:
            return "server-ca-not-given"
        anchors = certificates.bundle(pem)
        names = {_summary(anchor).subject for anchor in anchors}
        if last.issuer in names:
            return "server-ca-renewed"
        return "server-chain-incomplete" if self._intermediate(last.issuer, names) else "server-ca-other"

    def _intermediate(self, issuer: str, anchors: set[str]) -> bool:
        """Whether the CA between the server's certificate and the client's CA lies about on the server."""
        folder = posixpath.dirname(self._web_file("cert_file"))
        if not folder or self._of.server is None:
            return False
        names = [name for name in self._of.server.names(folder) if name.endswith((".crt", ".pem", ".cer"))]
        for name in names[:_CERTIFICATES]:
            for certificate in _certificates(_read(self._of.server, posixpath.join(folder, name))):
                summary = _summary(certificate)
                if (
                    summary.subject == issuer
                    and summary.issuer in anchors
                    and summary.subject != summary.issuer
                ):
                    return True
        return False

    def _clock_is_wrong(self) -> bool:
        if self._of.client is None:
            return False
        ended = self._of.client.run(["date", "+%s"], timeout=5)
        told = ended.stdout.strip()
        return ended.code == 0 and told.isdecimal() and abs(int(told) - time.time()) > _CLOCK

    def client_certificate(self, found: Diagnosis) -> str:
        """Why the server would not take what this client shows."""
        of = self._of
        config = self._web()
        if not of.known:
            return ""
        if config is None:
            bare = self._ask(of.url) if of.url.startswith("https:") and not of.cert_file else None
            return "client-cert-none" if bare and bare.outcome == "refused" else ""
        if config.client_auth_type not in _DEMANDING:
            return ""
        if not of.cert_file:
            given = config.client_auth_type == "VerifyClientCertIfGiven"
            return (
                ("allowed-sans-panic" if config.client_allowed_sans else "") if given else "client-cert-none"
            )
        shown = _read(of.client, of.cert_file)
        if shown is None:
            return "client-file"
        chain = certificates.chain(shown)
        if config.client_auth_type in _VERIFYING and (fault := self._judged(chain)):
            return fault
        leaf = _summary(chain[0])
        allowed = config.client_allowed_sans
        return "client-cert-san" if allowed and not set(allowed) & set(leaf.names) else ""

    def _judged(self, chain: tuple[x509.Certificate, ...]) -> str:
        anchors = certificates.pool(_read(self._of.server, self._web_file("client_ca_file")) or b"")
        reason = certificates.verdict(chain, anchors=anchors, name="", purpose="client")
        if "expired" in reason:
            begins = chain[0].not_valid_before_utc
            return "client-cert-not-yet" if datetime.now(UTC) < begins else "client-cert-expired"
        if "incompatible key usage" in reason:
            return "client-cert-usage"
        return "client-cert-ca" if reason else ""

    def client_files(self, found: Diagnosis) -> str:
        """What is wrong with the files that the client names."""
        of = self._of
        if of.ca_file:
            content = _read(of.client, of.ca_file)
            if content is None:
                return "client-ca-file"
            if not _certificates(content):
                return "client-ca-not-pem"
        if not of.cert_file and not of.key_file:
            return ""
        pair = [_read(of.client, path) for path in (of.cert_file, of.key_file or of.cert_file)]
        certificate, key = pair
        if certificate is None or key is None:
            return "client-file"
        if not _certificates(certificate):
            return "client-pair-switched" if b"PRIVATE KEY-----" in certificate else "client-file"
        if b"ENCRYPTED" in key:
            return "client-key-encrypted"
        return "" if certificates.matches(certificate, key) else "client-pair"

    # -- passwords -----------------------------------------------------------------------------------------

    def password(self, found: Diagnosis) -> str:
        """Why the server does not let this client in."""
        of = self._of
        if not of.known:
            return ""
        if not of.user:
            return "password-none"
        given = of.password
        if of.password_file:
            content = _read(of.client, of.password_file)
            if content is None:
                return "password-file"
            given = passwords.sent(content)
        config = self._web()
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
        config = self._web()
        for user, hashed in (config.users if config else {}).items():
            if _cost(hashed) >= _COSTLY and self._of.user in ("", user):
                return "password-cost"
        if not self._of.known or not self._of.url:
            return ""
        slow = self._ask(self._of.url, timeout=_LONGEST)
        return "slow-answer" if slow.status and slow.timings.get("total", 0.0) > self._of.patience else ""

    # -- the way there -------------------------------------------------------------------------------------

    def port(self, found: Diagnosis) -> str:
        """What is at that address and port, if it is what the client wants to speak to."""
        if self._of.proxy and (refusal := self._proxy()):
            return refusal
        try:
            parts = urlsplit(self._of.url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return ""
        if not host:
            return ""
        try:
            greeting = _greeting(self._connected(host, port))
        except ConnectionRefusedError:
            return self._listener(host, port)
        except TimeoutError:
            return "packets-dropped"
        except socket.gaierror:
            return "name-unknown"
        if greeting is not None and not greeting:
            return "port-hangs-up"
        return "port-other" if greeting else self._speaks(parts.scheme)

    def _speaks(self, scheme: str) -> str:
        """Both schemes are tried: which of them does the server speak?"""
        rest = self._of.url.partition("://")[2]
        # A slow server is not a silent one: it gets more time than its client gives it.
        patience = min(max(_PATIENCE, 1.5 * self._of.patience), _LONGEST)
        with ThreadPoolExecutor(2, thread_name_prefix="question") as pool:
            ways = (f"http://{rest}", f"https://{rest}")
            plain, secure = pool.map(lambda url: self._ask(url, timeout=patience), ways)
        # Go answers a plain request to its TLS port in plain words, even when its certificate cannot be used.
        tls = bool(secure.tls and secure.tls.chain) or "to an HTTPS server" in plain.body
        if scheme == "https":
            if tls:
                return ""
            return "tls-to-plain-http" if plain.status else _silence(plain)
        if tls:
            return "plain-http-to-tls"
        return "" if plain.status else _silence(plain)

    def _listener(self, host: str, port: int) -> str:
        if self._of.server is None:
            return ""
        if self._of.service is not None and not self._of.service.active:
            return "service-down"
        ended = self._of.server.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout=10)
        ports = {int(match[2], 16) for match in _LISTEN.finditer(ended.stdout)}
        if not ports:
            return ""
        return "listens-elsewhere" if port in ports else "service-down"

    def _proxy(self) -> str:
        try:
            proxy, target = urlsplit(self._of.proxy), urlsplit(self._of.url)
            place = (proxy.hostname or "", proxy.port or 80)
        except ValueError:
            return ""
        try:
            with socket.create_connection(place, timeout=_PATIENCE) as sock:
                sock.sendall(f"CONNECT {target.netloc} HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode())
                answer = sock.recv(1024)
        except OSError:
            return "proxy-down"
        return "" if re.match(rb"HTTP/1\.[01] 2\d\d", answer) else "proxy-refuses"

    # -- the server's own ----------------------------------------------------------------------------------

    def page(self, found: Diagnosis) -> str:
        """Whether what the server answers is metrics, whatever its header says."""
        if not self._of.url:
            return ""
        attempt = self._ask(self._of.url, timeout=5.0)
        if attempt.outcome != "200" or not attempt.body.strip():
            return ""
        return "metrics-content-type" if _METRICS.match(attempt.body.lstrip()) else "metrics-path"

    def versions(self, found: Diagnosis) -> str:
        """Whether the server's TLS section leaves anything that this client can speak."""
        section = self._section()
        if str(section.get("max_version", "")) in ("TLS10", "TLS11"):
            return "tls-version"
        return "tls-cipher" if section.get("cipher_suites") else ""

    def server_log(self, found: Diagnosis) -> str:
        """What the server's own last words mean, the newest that fit."""
        for line in reversed(self._of.log()):
            said = catalogue.diagnose(line)
            if said is None:
                continue
            if said.fault in found.possible:
                return said.fault
            if any(question.id == "file" for question in said.questions):
                return catalogue.narrow(said, self).fault
        return ""

    def file(self, found: Diagnosis) -> str:
        """What keeps the service from the file that the text names."""
        of = self._of
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

    # -- reading -------------------------------------------------------------------------------------------

    def _web(self) -> web_config.WebConfig | None:
        content = self._web_content()
        return web_config.parse(content) if content is not None else None

    def _web_content(self) -> bytes | None:
        of = self._of
        if of.server is None or of.service is None or not of.service.web_config:
            return None
        return _read(of.server, of.service.web_config)

    def _web_file(self, name: str) -> str:
        """Absolute path of a file that web.yml names, or ''."""
        config = self._web()
        path = str(getattr(config, name, "")) if config else ""
        if not path or self._of.service is None:
            return ""
        return posixpath.join(posixpath.dirname(self._of.service.web_config), path)

    def _section(self) -> dict[str, Any]:
        try:
            document = YAML(typ="safe").load(self._web_content() or b"")
        except (YAMLError, ValueError):
            return {}
        section = document.get("tls_server_config") if isinstance(document, dict) else None
        return section if isinstance(section, dict) else {}

    def _ask(self, url: str, *, timeout: float = _PATIENCE) -> Attempt:
        return self._run(self._probe(url, insecure=True, timeout=timeout))

    def _run(self, probe: Probe) -> Attempt:
        return probes.run(probe, dial=self._of.dial)

    def _connected(self, host: str, port: int) -> socket.socket:
        if self._of.forward is not None and self._of.dial is not None:
            return self._of.dial(self._of.forward, _PATIENCE)
        return socket.create_connection((host, port), timeout=_PATIENCE)

    def _probe(self, url: str, *, ca_file: str = "", insecure: bool = False, timeout: float = 5.0) -> Probe:
        return Probe(
            id="question",
            host="",
            component="",
            name="a question",
            client="Firescreen",
            expect="200",
            url=url,
            ca_file=ca_file,
            insecure=insecure,
            server_name=self._of.server_name,
            forward=self._of.forward,
            timeout=timeout,
        )


def _read(connection: Any, path: str) -> bytes | None:
    state = connection.read(path) if connection is not None and path else None
    return state.content if state is not None else None


def _cost(hashed: str) -> int:
    """The cost of a bcrypt hash; 0 for what is none."""
    found = re.match(r"\$2[abxy]?\$(\d\d)\$", hashed)
    return int(found[1]) if found else 0


def _certificates(pem: bytes | None) -> tuple[x509.Certificate, ...]:
    try:
        return certificates.bundle(pem or b"")
    except FirescreenError:
        return ()


def _summary(certificate: x509.Certificate) -> CertificateSummary:
    return certificates.summary(certificate.public_bytes(Encoding.DER))


def _by_time(leaf: CertificateSummary) -> str:
    now = time.time()
    if now < leaf.not_before:
        return "server-not-yet"
    return "server-expired" if now > leaf.not_after else "server-ca-expired"


def _greeting(sock: socket.socket) -> bytes | None:
    """What a server says unasked: b'' if it hangs up, None if it waits, as http and TLS servers do."""
    with sock:
        sock.settimeout(0.5)
        try:
            return sock.recv(256)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""


def _silence(attempt: Attempt) -> str:
    if "deadline" in attempt.reason or "timeout" in attempt.reason:
        return "port-silent"
    if attempt.reason.startswith("net/http: HTTP/1.x transport connection broken: malformed"):
        return "port-other"
    return "port-hangs-up"

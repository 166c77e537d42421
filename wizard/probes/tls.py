"""TLS as a Go client does it, on a wire of our own: every certificate is looked at, trusted or not.

The handshake itself verifies nothing, so that even a refused chain can be shown; Go's rules then judge it,
before a single byte of the request (or a password) leaves.
"""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from wizard import certificates
from wizard.certificates.go import Pool
from wizard.errors import CertificateError
from wizard.model import CertificateSummary, Probe, TlsReport
from wizard.probes.socket_deadline import EndedError, Wire

_Result = TypeVar("_Result")

_VERSIONS: Final = {"TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}
# What Go calls each alert (crypto/tls, alert.go); the first group can only be about our certificate.
_ABOUT_US: Final = {
    "BAD_CERTIFICATE": "bad certificate",
    "UNSUPPORTED_CERTIFICATE": "unsupported certificate",
    "CERTIFICATE_REVOKED": "revoked certificate",
    "CERTIFICATE_EXPIRED": "expired certificate",
    "CERTIFICATE_UNKNOWN": "unknown certificate",
    "UNKNOWN_CA": "unknown certificate authority",
    "ACCESS_DENIED": "access denied",
    "CERTIFICATE_REQUIRED": "certificate required",
}
_OTHER: Final = {
    "HANDSHAKE_FAILURE": "handshake failure",
    "PROTOCOL_VERSION": "protocol version not supported",
    "INSUFFICIENT_SECURITY": "insufficient security level",
    "INTERNAL_ERROR": "internal error",
    "DECRYPT_ERROR": "error decrypting message",
    "DECODE_ERROR": "error decoding message",
    "ILLEGAL_PARAMETER": "illegal parameter",
    "UNEXPECTED_MESSAGE": "unexpected message",
    "BAD_RECORD_MAC": "bad record MAC",
    "RECORD_OVERFLOW": "record overflow",
    "USER_CANCELLED": "user canceled",
    "NO_RENEGOTIATION": "no renegotiation",
}
# Content type and message types of RFC 8446 and RFC 5246.
_HANDSHAKE: Final = 22
_CERTIFICATE: Final = 11
_REQUEST: Final = 13
_ARTICLES: Final = {
    1: "ClientHello",
    2: "ServerHello",
    8: "EncryptedExtensions",
    _CERTIFICATE: "Certificate",
    12: "ServerKeyExchange",
    _REQUEST: "CertificateRequest: the server asks for a client certificate",
    14: "ServerHelloDone",
    15: "CertificateVerify: proof of owning the key",
    16: "ClientKeyExchange",
    20: "Finished",
}
# The setting itself, beneath the one of ssl.py that first makes five enum members of each message's numbers:
# that would take a fourth of a probe's time.
_HOOK: Final = vars(ssl.SSLContext.__mro__[1]).get("_msg_callback")


@dataclass
class Record:
    """What was seen of one handshake; filled while it runs, so that a failed one can be told too."""

    asked: bool = False
    """Whether the server asked for a client certificate."""
    steps: list[str] = field(default_factory=list)
    chain: tuple[CertificateSummary, ...] = ()
    version: str = ""
    cipher: str = ""

    def report(self) -> TlsReport:
        """The record as the fronts know it."""
        return TlsReport(version=self.version, cipher=self.cipher, chain=self.chain, steps=tuple(self.steps))

    def message(self, direction: str, kind: int, data: bytes) -> None:
        """One message of the handshake, as the ssl module's own debugging hook tells it."""
        text = _ARTICLES.get(kind)
        if text is None:
            return
        sent = direction == "write"
        self.asked = self.asked or (kind == _REQUEST and not sent)
        if kind == _CERTIFICATE and sent:
            # Header, context and an empty list are eight bytes at most.
            text += ": the client shows none" if len(data) <= 8 else ": the client shows its own"
        self.steps.append(f"{'→' if sent else '←'} {text}")


class Channel:
    """An encrypted connection over a `Wire`."""

    def __init__(self, wire: Wire, context: ssl.SSLContext, *, name: str | None, record: Record) -> None:
        self._wire = wire
        self._record = record
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._first = b""
        self._early = b""

    def handshake(self) -> None:
        """Agrees on keys; trusts nobody yet. Our last word (TLS 1.3) goes out with what is sent next, or by `flush`.

        Raises:
            EndedError: the server does not speak TLS, or refused.
        """
        self._drive(self._tls.do_handshake, last=False)
        cipher = self._tls.cipher()
        version = self._tls.version() or ""
        self._record.version = _VERSIONS.get(version, version)
        self._record.cipher = cipher[0] if cipher else ""

    def chain(self) -> tuple[bytes, ...]:
        """The certificates (DER) that the server showed, its own first."""
        public = getattr(self._tls, "get_unverified_chain", None)
        if public is not None:
            return tuple(public())
        # Up to Python 3.12 only the object underneath has it; the certificates are its own kind there.
        inner = self._tls._sslobj  # type: ignore[attr-defined]  # noqa: SLF001
        shown = inner.get_unverified_chain() or ()
        return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in shown)

    def await_refusal(self) -> None:
        """Gives a TLS 1.3 server the moment in which it looks at our certificate.

        Its refusal comes after our handshake is done; a request sent at once can be answered by a reset that
        hides the reason. Go and OpenSSL servers send a session ticket when content, so this is short.
        """
        if not self._record.asked or self._tls.version() != "TLSv1.3":
            return
        self.flush()
        if self._wire.readable(0.25):
            data = self._wire.receive()
            self._feed(data)
            try:
                self._early = self._tls.read(65536)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLError as error:
                raise self._refusal(error) from error

    def send(self, data: bytes) -> None:
        """Encrypts and sends."""
        self._drive(lambda: self._tls.write(data))

    def receive(self) -> bytes:
        """The next bytes; b'' at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            return self._drive(lambda: self._tls.read(65536))
        except EndedError as ended:
            if ended.reason in ("EOF", "unexpected EOF"):
                return b""
            raise

    def _drive(self, action: Callable[[], _Result], *, last: bool = True) -> _Result:
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self.flush()
                self._feed(self._wire.receive())
            except ssl.SSLError as error:
                self.flush()
                raise self._refusal(error) from error
            else:
                if last:
                    self.flush()
                return result

    def flush(self) -> None:
        """Sends what waits to be sent."""
        data = self._outgoing.read()
        if data:
            self._wire.send(data)

    def _feed(self, data: bytes) -> None:
        if len(self._first) < 5:
            self._first += data[:5]
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _refusal(self, error: ssl.SSLError) -> EndedError:
        if self._first.startswith(b"HTTP/"):
            return EndedError("plain", "http: server gave HTTP response to HTTPS client")
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in (error.reason or ""):
            return EndedError("error", "EOF")
        _, found, alert = (error.reason or "").partition("ALERT_")
        if found:
            words = _ABOUT_US.get(alert) or _OTHER.get(alert) or alert.lower().replace("_", " ")
            self._record.steps.append(f"← alert: {words}")
            ours = alert in _ABOUT_US or (alert == "HANDSHAKE_FAILURE" and self._record.asked)
            return EndedError("refused" if ours else "error", f"remote error: tls: {words}")
        if not self._record.version and self._first[:1] not in (b"\x16", b"\x15", b""):
            return EndedError("error", "tls: first record does not look like a TLS handshake")
        reason = (error.reason or str(error)).lower().replace("_", " ")
        return EndedError("error", f"tls: {certificates.one_line(reason)}")


class Trusts:
    """What probes trust and show, by their files: read once for all the probes of one batch, in any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Trust] = {}

    def of(self, probe: Probe) -> Trust:
        """What this probe trusts and shows.

        Raises:
            EndedError: a file cannot be read or used, in Prometheus' words.
        """
        files = (probe.ca_file, probe.cert_file, probe.key_file)
        found = self._known.get(files)
        if found is None:
            found = self._known[files] = Trust(*files)
        return found


class Trust:
    """The CA file and the client certificate of probes, for every connection that they make within seconds.

    A chain is read once, however many servers show it; verdicts are of now, so a `Trust` is not kept for later.

    Raises:
        EndedError: a file cannot be read or used, in Prometheus' words.
    """

    def __init__(self, ca_file: str, cert_file: str, key_file: str) -> None:
        self._anchors = _anchors(ca_file) if ca_file else None
        self._context = _showing(cert_file, key_file) if cert_file or key_file else _silent()
        self._read: dict[tuple[bytes, ...], _Shown] = {}

    def open(self, wire: Wire, host: str, record: Record, probe: Probe) -> Channel:
        """Handshake, verdict, and the client certificate's fate, in that order.

        Raises:
            EndedError: it did not come to an encrypted and trusted connection.
        """
        name = probe.server_name or host
        _here.record = record
        channel = Channel(wire, self._context, name=_sni(name), record=record)
        try:
            channel.handshake()
        except EndedError:
            # Go looks at the server's certificate before it shows its own: that verdict comes first.
            self._judge(channel, name, record, insecure=probe.insecure)
            raise
        try:
            self._judge(channel, name, record, insecure=probe.insecure)
        except EndedError:
            channel.flush()  # a handshake that is broken off would stand in the server's log
            raise
        channel.await_refusal()
        return channel

    def _judge(self, channel: Channel, name: str, record: Record, *, insecure: bool) -> None:
        shown = channel.chain()
        if not shown:
            return
        known = self._read.get(shown)
        if known is None:
            known = self._read[shown] = _Shown(shown, _summaries(shown), {})
        record.chain = known.summaries
        if insecure:
            reason = certificates.unread(shown)
            if not reason:
                record.steps.append("· the certificate is not looked at (insecure_skip_verify)")
                return
        else:
            if name not in known.verdicts:
                anchors = certificates.system_roots(shown) if self._anchors is None else self._anchors
                known.verdicts[name] = _verdict(known, anchors, name)
            reason = known.verdicts[name]
        if reason:
            record.steps.append(f"· the client refuses the certificate: {certificates.one_line(reason)}")
            raise EndedError("untrusted", reason)
        record.steps.append(f"· the client accepts the certificate for {certificates.one_line(name)}")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A chain (DER) that a server showed, and what was said of it for each name."""

    chain: tuple[bytes, ...]
    summaries: tuple[CertificateSummary, ...]
    verdicts: dict[str, str]


def _summaries(chain: Sequence[bytes]) -> tuple[CertificateSummary, ...]:
    """What can be told of a chain, up to the first certificate that nobody can read."""
    found = []
    for der in chain:
        try:
            found.append(certificates.summary(der))
        except CertificateError:
            break
    return tuple(found)


def _verdict(known: _Shown, anchors: Pool | Sequence[bytes], name: str) -> str:
    """As `trust.verdict`; signatures are checked once where many names share a good chain."""
    if "" not in known.verdicts:
        known.verdicts[""] = certificates.verdict(known.chain, anchors=anchors, name="")
    if not known.verdicts[""] and not certificates.name_fault(known.chain[0], name):
        return ""
    return certificates.verdict(known.chain, anchors=anchors, name=name)


def _anchors(path: str) -> Pool:
    try:
        with Path(path).open("rb") as file:
            data = file.read(16 << 20)
    except (OSError, ValueError) as error:
        reason = f"unable to load specified CA cert {path}: open {path}: {_os_words(error)}"
        raise EndedError("error", reason) from error
    pool = certificates.pool(data)
    if not pool:
        raise EndedError("error", f"unable to use specified CA cert {path}")
    return pool


_here = threading.local()


def _tell(_: Any, direction: str, __: int, content: int, kind: int, data: bytes) -> None:
    # Called in the thread that makes the handshake.
    if content == _HANDSHAKE:
        _here.record.message(direction, kind, data)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if _HOOK is not None:
        _HOOK.__set__(context, _tell)
    return context


@functools.cache
def _silent() -> ssl.SSLContext:
    """For all clients that show no certificate: it knows no CA and no key, so that there is nothing to go stale."""
    return _new_context()


def _showing(cert_file: str, key_file: str) -> ssl.SSLContext:
    context = _new_context()
    try:
        # Without a callback, OpenSSL would ask for an encrypted key's passphrase on the terminal.
        context.load_cert_chain(cert_file, key_file or None, password=lambda: b"")
    except (OSError, ValueError, TypeError) as error:
        reason = f"unable to use specified client cert ({cert_file}) & key ({key_file})"
        raise EndedError("error", f"{reason}: {_pair_words(error, cert_file, key_file)}") from error
    return context


def _pair_words(error: Exception, cert_file: str, key_file: str) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            return "tls: private key does not match public key"
        return "tls: failed to find any PEM data, or the key is encrypted"
    for path in (cert_file, key_file):
        try:
            with Path(path).open("rb"):
                pass
        except (OSError, ValueError) as missing:
            return f"open {path}: {_os_words(missing)}"
    return str(error)


def _os_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "not a usable path"


@functools.lru_cache(4096)
def _sni(name: str) -> str | None:
    """Addresses and impossible names are not announced, as in Go."""
    bare = name.strip("[]")
    usable = certificates.matches_name(bare, bare) and ":" not in bare and not bare.replace(".", "").isdigit()
    return bare if usable and bare.isascii() and len(bare) < 254 else None

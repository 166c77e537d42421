"""TLS connections with the rules of a Go client; the server's chain is kept for inspection, trusted or not.

The handshake itself verifies nothing, so that even a rejected chain can be shown. The chain is then verified by Go's
rules, before any byte of the request (or a password) is sent. pyOpenSSL is used because the standard library's ssl
module does not provide the messages of a handshake nor, up to Python 3.12, the chain that the server sent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto

from wizard import certificates
from wizard.certificates.go import Pool
from wizard.errors import CertificateError
from wizard.model import CertificateSummary, Probe
from wizard.probes.handshake import ABOUT_CLIENT_CERTIFICATE, ALERTS, HANDSHAKE_FAILURE, Record
from wizard.probes.socket_deadline import RequestError, Wire

_Result = TypeVar("_Result")

_CHUNK: Final = 65536
_FATAL: Final = 2

_VERSIONS: Final = {"TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}


class Channel:
    """An encrypted connection over a `Wire`."""

    def __init__(self, wire: Wire, context: SSL.Context, *, name: str | None, record: Record) -> None:
        self._wire = wire
        self._record = record
        self._tls = SSL.Connection(context, None)
        self._tls.set_app_data(record)
        if name is not None:
            self._tls.set_tlsext_host_name(name.encode("ascii"))
        self._tls.set_connect_state()
        self._first = b""
        self._early = b""

    def handshake(self) -> None:
        """Makes the handshake without verifying the server.

        With TLS 1.3, the client's last message is sent together with the next data, or by `flush`.

        Raises:
            RequestError: the server does not use TLS, or rejected the handshake.
        """
        self._drive(self._tls.do_handshake, last=False)
        version = self._tls.get_protocol_version_name()
        self._record.version = _VERSIONS.get(version, version)
        self._record.cipher = self._tls.get_cipher_name() or ""

    def chain(self) -> tuple[bytes, ...]:
        """The certificates (DER) that the server presented, its own first."""
        shown = self._tls.get_peer_cert_chain() or ()
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in shown)

    def await_refusal(self) -> None:
        """Waits a moment for a TLS 1.3 server to verify the client certificate.

        The server's alert arrives after the client's handshake is complete; if a request was sent at once, a connection
        reset could hide the alert. Go and OpenSSL servers send a session ticket after success, so the wait is short.
        """
        if not self._record.certificate_requested or self._tls.get_protocol_version_name() != "TLSv1.3":
            return
        self.flush()
        if self._wire.readable(0.25):
            self._feed(self._wire.receive())
            try:
                self._early = self._tls.recv(65536)
            except SSL.WantReadError:
                return
            except SSL.Error as error:
                raise self._ended_error(error) from error

    def send(self, data: bytes) -> None:
        """Encrypts and sends data."""
        self._drive(lambda: self._tls.sendall(data))

    def receive(self) -> bytes:
        """The next bytes; b'' at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            return self._drive(lambda: self._tls.recv(65536))
        except RequestError as ended:
            if ended.reason in ("EOF", "unexpected EOF"):
                return b""
            raise

    def _drive(self, action: Callable[[], _Result], *, last: bool = True) -> _Result:
        while True:
            try:
                result = action()
            except SSL.WantReadError:
                self.flush()
                self._feed(self._wire.receive())
            except SSL.Error as error:
                self.flush()
                raise self._ended_error(error) from error
            else:
                if last:
                    self.flush()
                return result

    def flush(self) -> None:
        """Sends the encrypted data that OpenSSL has buffered."""
        parts = []
        while True:
            try:
                parts.append(self._tls.bio_read(_CHUNK))
            except SSL.WantReadError:
                break
            if len(parts[-1]) < _CHUNK:
                break
        if parts:
            self._wire.send(b"".join(parts))

    def _feed(self, data: bytes) -> None:
        if not data:
            raise self._ended_error(SSL.ZeroReturnError())
        if len(self._first) < 5:
            self._first += data[:5]
        self._tls.bio_write(data)

    def _ended_error(self, error: SSL.Error) -> RequestError:
        if self._first.startswith(b"HTTP/"):
            return RequestError("plain", "http: server gave HTTP response to HTTPS client")
        if isinstance(error, SSL.ZeroReturnError | SSL.SysCallError):
            return RequestError("error", "EOF")
        alert = self._record.alert
        if alert is not None:
            name = ALERTS.get(alert, f"alert({alert})")
            self._record.steps.append(f"← alert: {name}")
            is_about_client = alert in ABOUT_CLIENT_CERTIFICATE or (
                alert == HANDSHAKE_FAILURE and self._record.certificate_requested
            )
            return RequestError("refused" if is_about_client else "error", f"remote error: tls: {name}")
        if not self._record.version and self._first[:1] not in (b"\x16", b"\x15", b""):
            return RequestError("error", "tls: first record does not look like a TLS handshake")
        if unreadable := _unreadable_certificate(error):
            self._record.steps.append(f"· the client cannot read the certificate: {unreadable}")
            return RequestError("untrusted", f"tls: failed to parse certificate from server: {unreadable}")
        return RequestError("error", f"tls: {certificates.one_line(_reason(error))}")


_MALFORMED: Final = {"utctime": "malformed UTCTime", "generalizedtime": "malformed GeneralizedTime"}
"""Beginnings of OpenSSL's error texts for a certificate's time that it cannot parse, with Go's text for each."""


def _unreadable_certificate(error: SSL.Error) -> str:
    """Go's error for a server certificate that OpenSSL cannot decode; '' for other errors.

    Newer OpenSSL parses times as strictly as Go, and ends the handshake before there is a chain to verify.
    """
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else ()
    for library, _, reason in queue:
        if library == "asn1 encoding routines":
            start = str(reason).replace(" ", "").lower()
            words = next((words for begin, words in _MALFORMED.items() if start.startswith(begin)), None)
            return f"x509: {words or 'malformed certificate'}"
    return ""


def _reason(error: SSL.Error) -> str:
    """OpenSSL's error text: the last part of the first entry of its error queue."""
    queue = error.args[0] if error.args else ()
    return str(queue[0][-1]) if isinstance(queue, list) and queue else str(error)


class Trusts:
    """The CA files and client certificates of a batch of probes, each read once; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Trust] = {}

    def of(self, probe: Probe) -> Trust:
        """The CA and client certificate of a probe.

        Raises:
            RequestError: a file cannot be read or used, with Prometheus' error text.
        """
        files = (probe.ca_file, probe.cert_file, probe.key_file)
        found = self._known.get(files)
        if found is None:
            found = self._known[files] = Trust(*files)
        return found


class Trust:
    """A CA file and client certificate, for connections that are made within a few seconds.

    A chain is verified once, however many servers present it. The results depend on the present time, so a `Trust` must
    not be kept for later.

    Raises:
        RequestError: a file cannot be read or used, with Prometheus' error text.
    """

    def __init__(self, ca_file: str, cert_file: str, key_file: str) -> None:
        self._anchors = _anchors(ca_file) if ca_file else None
        self._context = _context_with_certificate(cert_file, key_file) if cert_file or key_file else _silent()
        self._read: dict[tuple[bytes, ...], _Shown] = {}

    def open(self, wire: Wire, host: str, record: Record, probe: Probe) -> Channel:
        """Makes the handshake, verifies the server, and waits for a rejection of the client certificate, in that order.

        Raises:
            RequestError: there is no encrypted connection to a trusted server.
        """
        name = probe.server_name or host
        channel = Channel(wire, self._context, name=_sni(name), record=record)
        try:
            channel.handshake()
        except RequestError:
            # Go verifies the server's certificate before it sends its own, so that error comes first.
            self._judge(channel, name, record, insecure=probe.insecure)
            raise
        try:
            self._judge(channel, name, record, insecure=probe.insecure)
        except RequestError:
            channel.flush()  # complete the handshake: the server would log an aborted one
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
            raise RequestError("untrusted", reason)
        record.steps.append(f"· the client accepts the certificate for {certificates.one_line(name)}")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A chain (DER) that a server presented, and the result of its verification for each name."""

    chain: tuple[bytes, ...]
    summaries: tuple[CertificateSummary, ...]
    verdicts: dict[str, str]


def _summaries(chain: Sequence[bytes]) -> tuple[CertificateSummary, ...]:
    """Summaries of a chain's certificates, up to the first one that cannot be parsed."""
    found = []
    for der in chain:
        try:
            found.append(certificates.summary(der))
        except CertificateError:
            break
    return tuple(found)


def _verdict(known: _Shown, anchors: Pool | Sequence[bytes], name: str) -> str:
    """Like `certificates.verdict`, but for a valid chain, signatures are only checked once for all names."""
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
        raise RequestError("error", reason) from error
    pool = certificates.pool(data)
    if not pool:
        raise RequestError("error", f"unable to use specified CA cert {path}")
    return pool


def _note(connection: SSL.Connection, where: int, what: int) -> None:
    """Records states and alerts of a handshake in progress; see SSL_CTX_set_info_callback(3)."""
    record = connection.get_app_data()
    if where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT:
        level, alert = divmod(what, 256)
        if level == _FATAL:
            record.alert = alert
    elif where & (SSL.SSL_CB_LOOP | SSL.SSL_CB_EXIT):
        record.state(connection.get_state_string())


def _new_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_alpn_protos([b"http/1.1"])
    context.set_info_callback(_note)
    return context


@functools.cache
def _silent() -> SSL.Context:
    """The context of all clients without certificate; it can be cached because it depends on no file."""
    return _new_context()


def _context_with_certificate(cert_file: str, key_file: str) -> SSL.Context:
    context = _new_context()
    try:
        context.use_certificate_chain_file(cert_file)
        key = serialization.load_pem_private_key(Path(key_file or cert_file).read_bytes(), password=None)
        context.use_privatekey(key)  # type: ignore[arg-type]
        context.check_privatekey()
    except (SSL.Error, OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = f"unable to use specified client cert ({cert_file}) & key ({key_file})"
        raise RequestError("error", f"{reason}: {_pair_error(error, cert_file, key_file)}") from error
    return context


def _pair_error(error: Exception, cert_file: str, key_file: str) -> str:
    for path in filter(None, (cert_file, key_file)):
        try:
            with Path(path).open("rb"):
                pass
        except (OSError, ValueError) as missing:
            return f"open {path}: {_os_words(missing)}"
    if isinstance(error, SSL.Error) and _reason(error) in ("key values mismatch", "key type mismatch"):
        return "tls: private key does not match public key"
    return "tls: failed to find any PEM data, or the key is encrypted"


def _os_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "not a usable path"


@functools.lru_cache(4096)
def _sni(name: str) -> str | None:
    """The name for the SNI extension; None for addresses and invalid names, which Go does not send either."""
    bare = name.strip("[]")
    usable = certificates.matches_name(bare, bare) and ":" not in bare and not bare.replace(".", "").isdigit()
    return bare if usable and bare.isascii() and len(bare) < 254 else None

"""Makes one TLS handshake with a server to see its certificates and accepted versions; verifies and requests nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from OpenSSL import SSL

from wizard.model import Forward
from wizard.probes.handshake import Record
from wizard.probes.socket_deadline import Clock, Dial, RequestError, connect, connect_by
from wizard.probes.tls import Channel

_OLD: Final = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}


@dataclass(frozen=True, slots=True)
class Handshake:
    """The result of a handshake.

    chain: the certificates (DER) that the server presented, its own first. version: the agreed version, e.g. 'TLS 1.2';
    '' if the handshake failed, with `reason`. answered: whether the server sent any response.
    """

    chain: tuple[bytes, ...] = ()
    version: str = ""
    reason: str = ""
    answered: bool = False


def shake_hands(
    address: str, *, forward: Forward | None = None, dial: Dial | None = None, old: bool = False
) -> Handshake:
    """Makes a handshake with the server at host:port. Never raises.

    Args:
        forward: the tunnel to the server, if this machine cannot connect directly.
        dial: opens the connection of a forward.
        old: offer nothing above TLS 1.1.
    """
    record = Record()
    host, _, port = address.rpartition(":")
    try:
        clock = Clock(5.0, None)
        wire = (
            connect_by(forward, dial, clock)
            if forward is not None
            else connect(host.strip("[]"), int(port), clock)
        )
    except (RequestError, ValueError) as error:
        return Handshake(reason=str(error))
    try:
        channel = Channel(wire, _client_context(old), name=None, record=record)
        try:
            channel.handshake()
            channel.flush()  # complete the handshake: the server would log an aborted one
        except RequestError as ended:
            return Handshake(
                chain=channel.chain(),
                reason=ended.reason,
                answered=record.alert is not None or ended.outcome == "plain",
            )
        version = _OLD.get(record.version, record.version)
        return Handshake(chain=channel.chain(), version=version, answered=True)
    finally:
        wire.close()


@functools.cache
def _client_context(old: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_min_proto_version(SSL.TLS1_VERSION if old else SSL.TLS1_2_VERSION)
    if old:
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
    # Above security level 0, OpenSSL does not offer the old versions, and aborts if the server presents a weak key.
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_info_callback(_note)
    return context


def _note(connection: SSL.Connection, where: int, what: int) -> None:
    if where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT and what >> 8 == 2:
        connection.get_app_data().alert = what & 0xFF

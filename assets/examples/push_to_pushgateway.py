#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["prometheus-client"]
# ///
# ruff: noqa: S310 - the address begins with https://, see main()
"""Pushes the time of a job's success to a Pushgateway that demands TLS, a password, a certificate, or both.

Call it at the end of a job:

    python push_to_pushgateway.py --gateway push.lab:9091 --ca ca.crt --user backup --password-file backup.pw

It says nothing when it worked. Two ways are shown: the handlers that prometheus_client brings (`--handler
stock`), and one handler of twenty lines that can do everything at once (`--handler own`, the default).
"""

from __future__ import annotations

import argparse
import base64
import functools
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler, tls_auth_handler

Handler = Callable[..., Callable[[], None]]


def tls_context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """Trusts this CA and no other, checks the server's name, speaks TLS 1.2 at least, shows our certificate."""
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


def stock_handler(ca: str, cert: str, key: str, user: str, password: str) -> Handler:
    """What prometheus_client brings: a password or a client certificate, but not both."""
    if cert and user:
        sys.exit("The stock handlers cannot do a certificate and a password together: use --handler own.")
    if cert:
        return functools.partial(tls_auth_handler, certfile=cert, keyfile=key, cafile=ca)
    # These two cannot be told which CA to trust: they take the system's. OpenSSL reads that list from the file
    # that the environment variable SSL_CERT_FILE names, so our CA goes there. It then stands in place of the
    # system's CAs, for every TLS connection that this process opens later. In a unit or a crontab one would
    # write SSL_CERT_FILE=/path/to/ca.crt instead of this line.
    os.environ["SSL_CERT_FILE"] = ca
    if user:
        return functools.partial(basic_auth_handler, username=user, password=password)
    return default_handler


def own_handler(context: ssl.SSLContext, user: str, password: str) -> Handler:
    """Whatever the context holds (our CA, a client certificate), and a password if one is given."""

    def handler(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        request = urllib.request.Request(url, data=data, headers=dict(headers), method=method)
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            # Unredirected: should the server send us elsewhere, the password does not go along.
            request.add_unredirected_header("Authorization", f"Basic {token}")

        def push() -> None:
            with urllib.request.urlopen(request, timeout=timeout, context=context):
                pass  # An answer of 400 or more has become an HTTPError by now.

        return push

    return handler


def explained(error: OSError, gateway: str, *, shown: bool) -> str:
    """What went wrong, in words; `shown` is whether we had a client certificate to show."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code == 401:
            return f"{gateway} refuses this user name or password (401)."
        return f"{gateway} answers {error.code} {error.reason}."
    # urllib wraps what happens while it sends; what happens while it reads comes as it is.
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate of {gateway} is not to be trusted: {cause.verify_message}. Is --ca the right CA?"
    # In TLS 1.3 the server judges our certificate when we think that all is well. It sends an alert and hangs
    # up; which of the two we see first is chance.
    hung_up = (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)
    if isinstance(cause, hung_up) or (isinstance(cause, ssl.SSLError) and "ALERT" in str(cause)):
        if shown:
            return (
                f"{gateway} hangs up after the handshake: has its client CA signed the certificate in --cert?"
            )
        return (
            f"{gateway} hangs up after the handshake: it demands a client certificate, see --cert and --key."
        )
    return f"Cannot push to {gateway}: {cause}."


def main() -> None:
    """Reads the arguments and pushes."""
    parser = argparse.ArgumentParser(description="Push the time of a job's success to a secured Pushgateway.")
    parser.add_argument("--gateway", required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--ca", required=True, metavar="FILE", help="the CA that signed the server's certificate"
    )
    parser.add_argument("--cert", default="", metavar="FILE", help="our own certificate, to be shown")
    parser.add_argument("--key", default="", metavar="FILE", help="the key of that certificate")
    parser.add_argument("--user", default="", help="for basic authentication")
    # A file, for the arguments of a process can be read by every user of the machine.
    parser.add_argument("--password-file", type=Path, metavar="FILE")
    parser.add_argument("--handler", choices=("stock", "own"), default="own")
    parser.add_argument("--job", default="backup", help="the job's name, by which the Pushgateway keeps it")
    given = parser.parse_args()
    if bool(given.cert) != bool(given.key):
        parser.error("--cert and --key go together")
    if bool(given.user) != bool(given.password_file):
        parser.error("--user and --password-file go together")

    registry = CollectorRegistry()
    success = Gauge("job_last_success_timestamp_seconds", "When the job last succeeded.", registry=registry)
    success.set_to_current_time()

    try:
        password = given.password_file.read_text(encoding="utf-8").strip() if given.password_file else ""
        context = tls_context(given.ca, given.cert, given.key)
    except OSError as error:
        # ssl.SSLError, for a file that is not what it should be, is an OSError too.
        sys.exit(f"Cannot use the CA, the certificate, the key or the password: {error}.")
    if given.handler == "own":
        handler = own_handler(context, given.user, password)
    else:
        handler = stock_handler(given.ca, given.cert, given.key, given.user, password)
    try:
        # Without https:// in front, the library would speak plain HTTP.
        push_to_gateway(
            f"https://{given.gateway}", job=given.job, registry=registry, handler=handler, timeout=10
        )
    except OSError as error:
        sys.exit(explained(error, given.gateway, shown=bool(given.cert)))


if __name__ == "__main__":
    main()

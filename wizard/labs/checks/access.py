"""Checks of access: requests that a component must reject, and requests that it must accept."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from wizard.certificates import issue
from wizard.labs import tls_files
from wizard.labs.content import Check
from wizard.labs.inspection import Client, Look
from wizard.labs.results import NotYet, ask, result_text
from wizard.redact import Secret

GUESS = Secret("guess")
"""A wrong password; it is masked like a real one."""


_WORDS = {
    "no-tls": "plain HTTP",
    "no-ca": "HTTPS without the CA",
    "with-ca": "HTTPS with the CA, without credentials",
    "no-password": "HTTPS without a password",
    "wrong-password": "HTTPS with a wrong password",
    "no-certificate": "HTTPS without a client certificate",
    "foreign-certificate": "a client certificate of another CA",
    "other-name": "a client certificate of the same CA, for another name",
    "as-prometheus": "the request of Prometheus",
}


def answers(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether requests end as expected: accepted or rejected."""
    seen = []
    client = look.client(check.of)
    for request, expect in check.options["to"].items():
        words = _WORDS[request]
        with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
            options = _request(request, client, Path(folder), look, check)
            attempt = ask(check, look, "http" if request == "no-tls" else "https", **options)
        if attempt.outcome != expect:
            shown = "200, with the metrics" if attempt.outcome == "200" else result_text(attempt)
            raise NotYet(
                f"{words}: expected {expect}, but the result is {shown}", _advice(check, look, request)
            )
        if expect == "200":
            seen.append(f"{words} is accepted: 200")
        elif expect == "untrusted":
            seen.append(f"{words}: the client does not trust the certificate")
        else:
            seen.append(f"{words} is rejected: {expect}")
    return seen


def _request(request: str, client: Client, folder: Path, look: Look, check: Check) -> dict[str, object]:
    """Returns the options of a probe for this request."""
    options: dict[str, object] = client.options()
    nobody: dict[str, object] = {"user": "", "password": None}
    keyless: dict[str, object] = {"cert_file": "", "key_file": ""}
    match request:
        case "no-tls":
            return {}
        case "no-ca":
            return {**options, "ca_file": ""}
        case "with-ca":
            return {**options, **nobody, **keyless}
        case "no-password":
            return {**options, **nobody}
        case "wrong-password":
            return {**options, "user": client.user or "prometheus", "password": GUESS}
        case "no-certificate":
            return {**options, **keyless}
        case "as-prometheus":
            if client.insecure:
                raise NotYet(
                    "Prometheus does not verify the certificate", "Remove insecure_skip_verify from its job."
                )
            return options
    return {**options, **_stranger(request, folder, look, check)}


def _stranger(request: str, folder: Path, look: Look, check: Check) -> dict[str, object]:
    """Returns a client certificate that must be rejected: of another CA, or of the same CA with another name."""
    key = issue.new_key("ec-p256")
    if request == "foreign-certificate":
        shown = issue.self_signed(
            key_pem=key, names=("stranger",), days=1, common_name="stranger", server=False, client=True
        )
    else:
        authority = next(
            (
                (pair.content, state.content)
                for component_key in ("prometheus/prometheus", check.of)
                for pair in tls_files.pairs(look, component_key)
                if pair.ca
                and (state := look.read(component_key, pair.key)) is not None
                and issue.matches(pair.content, state.content)
            ),
            None,
        )
        if authority is None:
            raise NotYet(
                "there is no CA with its private key, to create a second client certificate",
                f"Expected in {look.home('prometheus/prometheus')}.",
            )
        shown = issue.issue(
            ca_cert=authority[0],
            ca_key=authority[1],
            key_pem=key,
            names=("somebody-else",),
            days=1,
            common_name="somebody-else",
            server=False,
            client=True,
        )
    (folder / "key").write_bytes(key)
    (folder / "crt").write_bytes(shown)
    return {"cert_file": str(folder / "crt"), "key_file": str(folder / "key")}


def _advice(check: Check, look: Look, request: str) -> str:
    found = tls_files.web_file(look, check.of)
    if "password" in request:
        if found is not None and not found.config.users:
            return f"{posixpath.basename(found.path)} has no basic_auth_users yet."
        hashes = found.config.users.values() if found is not None else ()
        if not all(value.startswith(("$2a$", "$2b$", "$2y$")) for value in hashes):
            return (
                "A hash in basic_auth_users is not a bcrypt hash, which begins with $2y$: htpasswd needs -B."
            )
    if "certificate" in request and found is not None:
        kind = found.config.client_auth_type or "none"
        return f"Check client_auth_type ({kind} now) and client_ca_file in {posixpath.basename(found.path)}."
    if request == "other-name":
        return "client_allowed_sans lists the accepted names; it needs RequireAndVerifyClientCert."
    if request == "as-prometheus":
        return (
            "Compare what the job of Prometheus sends (password, certificate) with what the server requires."
        )
    return "Check each line of web.yml."

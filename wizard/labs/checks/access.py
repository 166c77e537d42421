"""Checks by knocking: requests that must be refused, and those that must be let in."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from wizard.certificates import issue
from wizard.labs import tls_files
from wizard.labs.content import Check
from wizard.labs.inspection import Client, Look
from wizard.labs.results import NotYet, ask, said
from wizard.redact import Secret

GUESS = Secret("guess")
"""The password that must be refused; it is no secret, but it is masked like one."""


_WORDS = {
    "no-tls": "plain http",
    "no-ca": "https without knowing the certificate",
    "with-ca": "https with the right certificate to believe, and nothing to show",
    "no-password": "https without a password",
    "wrong-password": "https with a guessed password",
    "no-certificate": "https without a client certificate",
    "foreign-certificate": "a client certificate that nobody here has signed",
    "other-name": "a client certificate of the same CA, for another name",
    "as-prometheus": "asking just as Prometheus does",
}


def answers(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether requests end as they must, wanted and unwanted ones."""
    seen = []
    client = look.client(check.of)
    for request, expect in check.options["to"].items():
        words = _WORDS[request]
        with tempfile.TemporaryDirectory(prefix="firescreen-") as folder:
            options = _request(request, client, Path(folder), look, check)
            attempt = ask(check, look, "http" if request == "no-tls" else "https", **options)
        if attempt.outcome != expect:
            shown = "it gets the metrics" if attempt.outcome == "200" else said(attempt)
            raise NotYet(f"{words} should end with {expect}, but: {shown}", _advice(check, look, request))
        if expect == "200":
            seen.append(f"{words} gets in: 200")
        elif expect == "untrusted":
            seen.append(f"{words} ends with untrusted: the client walks away")
        else:
            seen.append(f"{words} ends with {expect}: turned away")
    return seen


def _request(request: str, client: Client, folder: Path, look: Look, check: Check) -> dict[str, object]:
    """What a probe for this request shows and believes."""
    whole: dict[str, object] = client.options()
    nobody: dict[str, object] = {"user": "", "password": None}
    keyless: dict[str, object] = {"cert_file": "", "key_file": ""}
    match request:
        case "no-tls":
            return {}
        case "no-ca":
            return {**whole, "ca_file": ""}
        case "with-ca":
            return {**whole, **nobody, **keyless}
        case "no-password":
            return {**whole, **nobody}
        case "wrong-password":
            return {**whole, "user": client.user or "prometheus", "password": GUESS}
        case "no-certificate":
            return {**whole, **keyless}
        case "as-prometheus":
            if client.insecure:
                raise NotYet(
                    "Prometheus does not look at the certificate", "Take insecure_skip_verify out of its job."
                )
            return whole
    return {**whole, **_stranger(request, folder, look, check)}


def _stranger(request: str, folder: Path, look: Look, check: Check) -> dict[str, object]:
    """A client certificate that must not get in: of nobody's CA, or of the same CA with another name."""
    key = issue.new_key("ec-p256")
    if request == "foreign-certificate":
        shown = issue.self_signed(
            key_pem=key, names=("stranger",), days=1, common_name="stranger", server=False, client=True
        )
    else:
        authority = next(
            (
                (pair.content, state.content)
                for of in ("prometheus/prometheus", check.of)
                for pair in tls_files.pairs(look, of)
                if pair.ca
                and (state := look.read(of, pair.key)) is not None
                and issue.matches(pair.content, state.content)
            ),
            None,
        )
        if authority is None:
            raise NotYet(
                "there is no CA with its key to make a second client certificate with",
                f"It is looked for in {look.home('prometheus/prometheus')}.",
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
            return "A hash in basic_auth_users is not bcrypt's (it begins with $2y$): htpasswd needs -B."
    if "certificate" in request and found is not None:
        kind = found.config.client_auth_type or "none"
        return f"Look at client_auth_type and client_ca_file in {posixpath.basename(found.path)}: it is {kind} now."
    if request == "other-name":
        return "client_allowed_sans names those who may come in; it needs RequireAndVerifyClientCert."
    if request == "as-prometheus":
        return "Compare what Prometheus' job shows (password, certificate) with what the server demands."
    return "Look at web.yml, line by line."

"""Checks tls_server_config as the exporter toolkit does: versions, ciphers, client authentication.

Source: web/tls_config.go of prometheus/exporter-toolkit, and Go's crypto/tls below it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from ruamel.yaml.nodes import Node, SequenceNode

from wizard.config_files.web_config.known_names import Named
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, text_of

_POLICIES = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
LENIENT = {
    "RequestClientCert": "accepts every client, with any certificate or none",
    "RequireAnyClientCert": "accepts every client that has a certificate, whoever issued it",
    "RequireClientCert": "accepts every client that has a certificate, whoever issued it",
    "VerifyClientCertIfGiven": "accepts every client that shows no certificate",
}
"""The policies that do not reject strangers, and what each of them really does."""
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
_CURVES = ("CurveP256", "CurveP384", "CurveP521", "X25519")
_CIPHERS = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    *(
        f"TLS_ECDHE_{key}_WITH_{suite}"
        for key in ("ECDSA", "RSA")
        for suite in (
            "AES_128_CBC_SHA",
            "AES_256_CBC_SHA",
            "AES_128_GCM_SHA256",
            "AES_256_GCM_SHA384",
            "CHACHA20_POLY1305_SHA256",
        )
    ),
)
_OLD_CIPHERS = tuple(
    f"TLS_RSA_WITH_{suite}"
    for suite in ("AES_128_CBC_SHA", "AES_256_CBC_SHA", "AES_128_GCM_SHA256", "AES_256_GCM_SHA384")
)
# Deliberately unknown here: OpenSSL's names of curves, and the ciphers that Go calls insecure.
_FOREIGN_CURVE = re.compile(r"(?i)(?:secp|prime|brainpool|p-?\d|curvep|x25519$|x448)")
_GO_CIPHER = re.compile(r"TLS_[A-Z0-9_]{3,60}")
_INSECURE_CIPHER = re.compile(r"_RC4_|_3DES_|_NULL_|_EXPORT|_MD5$|_CBC_SHA256$|^TLS_RSA_")
_HTTP2_NEEDS = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")


def check(document: Document, tls: fields.Fields, mapping: fields.Fields) -> Iterator[str]:
    """Finds errors in the settings `tls`; `mapping` are the fields around the section."""
    policy = fields.value(tls, "client_auth_type")
    has_ca = bool(fields.value(tls, "client_ca_file") or fields.value(tls, "client_ca"))
    has = {
        kind: bool(fields.value(tls, f"{kind}_file") or fields.value(tls, kind)) for kind in ("cert", "key")
    }
    section = mapping.get("tls_server_config", [document.root])[-1]
    if wants_tls(tls):
        for kind in ("cert", "key"):
            if not has[kind]:
                yield f"{line(document, section)}: {kind}_file is missing in tls_server_config (name both files)"
    elif "tls_server_config" in mapping:
        yield (
            f"{line(document, section)}: tls_server_config names no certificate, so the server does not speak TLS "
            "(add cert_file and key_file)"
        )
    yield from _policy(document, tls, policy, has_ca=has_ca)
    low = fields.value(tls, "min_version") or "TLS12"
    high = fields.value(tls, "max_version") or "TLS13"
    if low in VERSIONS and high in VERSIONS and low > high:
        yield (
            f"{line(document, tls['max_version'][-1])}: max_version {high} is below min_version, which is {low}, "
            "so no connection comes about (remove max_version)"
        )


def names(document: Document, tls: fields.Fields) -> Iterator[Named]:
    """Yields the names of versions, curves, ciphers and the policy that are unknown here."""
    for name in ("min_version", "max_version"):
        text = fields.value(tls, name)
        if text and text not in VERSIONS:
            yield Named(
                f"{line(document, tls[name][-1])}: there is no TLS version {text!r} (one of {', '.join(VERSIONS)})",
                perhaps_newer=re.fullmatch(r"TLS[1-9][0-9]", text) is not None,
            )
    for node in fields.items(tls, "curve_preferences"):
        if text_of(node) not in _CURVES:
            yield Named(
                f"{line(document, node)}: there is no curve {text_of(node)!r} (one of {', '.join(_CURVES)})",
                perhaps_newer=_FOREIGN_CURVE.match(text_of(node)) is None,
            )
    policy = fields.value(tls, "client_auth_type")
    if policy and policy not in _POLICIES:
        place = line(document, tls["client_auth_type"][-1])
        near = difflib.get_close_matches(policy, _POLICIES, n=1, cutoff=0.4)
        yield Named(
            f"{place}: there is no client_auth_type {policy!r} (use {near[0] if near else _POLICIES[-1]})",
            perhaps_newer=policy.lower() not in (each.lower() for each in _POLICIES),
        )
    yield from _ciphers(document, tls)


def _policy(document: Document, tls: fields.Fields, policy: str, *, has_ca: bool) -> Iterator[str]:
    place = line(document, tls["client_auth_type"][-1]) if policy else ""
    if has_ca and policy in ("", "NoClientCert"):
        node = tls.get("client_ca_file", tls.get("client_ca", []))[-1]
        yield (
            f"{line(document, node)}: a client CA without a client_auth_type is refused "
            "(add client_auth_type: RequireAndVerifyClientCert)"
        )
    if policy in ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven") and not has_ca:
        yield (
            f"{place}: {policy} without a client_ca_file accepts a certificate of any public "
            "authority (add client_ca_file)"
        )
    yield from _allowed_names_errors(document, tls, policy)


def _allowed_names_errors(document: Document, tls: fields.Fields, policy: str) -> Iterator[str]:
    names = fields.items(tls, "client_allowed_sans")
    given = any(isinstance(node, SequenceNode) for node in tls.get("client_allowed_sans", ()))
    if not given:
        return
    place = line(document, tls["client_allowed_sans"][-1])
    if policy != "RequireAndVerifyClientCert":
        # If no certificate is required, toolkits up to 0.16 ignore the names or panic, and later ones reject
        # them. If the certificate is not verified, anyone can write the name into a certificate of their own.
        yield (
            f"{place}: client_allowed_sans works with RequireAndVerifyClientCert alone "
            "(set client_auth_type: RequireAndVerifyClientCert)"
        )
    if not names:
        yield f"{place}: client_allowed_sans is empty, so every client would be rejected (name one, or remove it)"
    for node in names:
        if "*" in text_of(node):
            yield (
                f"{line(document, node)}: client_allowed_sans compares whole names, so {text_of(node)!r} fits no "
                "other name (write each name out)"
            )


def _ciphers(document: Document, tls: fields.Fields) -> Iterator[Named]:
    for node in fields.items(tls, "cipher_suites"):
        name = text_of(node)
        place = line(document, node)
        if name in _OLD_CIPHERS:
            yield Named(f"{place}: {name} is refused by programs built with Go 1.22 or newer (remove it)")
        elif name not in _CIPHERS:
            near = difflib.get_close_matches(name, _CIPHERS, n=1, cutoff=0.4)
            yield Named(
                f"{place}: there is no cipher {name!r} (use Go's names{f', e.g. {near[0]}' if near else ''})",
                perhaps_newer=_GO_CIPHER.fullmatch(name) is not None and not _INSECURE_CIPHER.search(name),
            )


def http2(document: Document, tls: fields.Fields, switch: str) -> Iterator[str]:
    """Checks whether the ciphers allow HTTP/2, which `switch` turns on or off."""
    nodes = fields.items(tls, "cipher_suites")
    if (
        nodes
        and (not switch or fields.truth(switch))
        and fields.value(tls, "min_version") != "TLS13"
        and not {text_of(node) for node in nodes} & set(_HTTP2_NEEDS)
    ):
        yield f"{line(document, nodes[0])}: HTTP/2 needs {_HTTP2_NEEDS[0]} in cipher_suites (add it, or set http2: false)"


def wants_tls(tls: fields.Fields) -> bool:
    """Whether the toolkit takes these settings as those of a server with TLS."""
    names = ("cert_file", "key_file", "client_ca_file", "cert", "key", "client_ca", "client_auth_type")
    return any(fields.value(tls, name) for name in names)


def line(document: Document, node: Node | None) -> str:
    """The beginning of a finding."""
    return f"line {(node.start_mark.line if node is not None else 0) + document.first_line}"

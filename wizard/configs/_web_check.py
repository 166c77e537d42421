"""The exporter toolkit's strict reading of a web configuration, and what it lets pass although it is unsafe.

Source: web/tls_config.go and web/handler.go of prometheus/exporter-toolkit (0.5 to 0.17), and what promtool
2.42 calls SUCCESS: a client CA that is not PEM, RequireAndVerifyClientCert with no CA, no users, an empty file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.configs import _fields, _web_files
from wizard.configs._pem import Read
from wizard.configs._yaml import Document, data, load, merges, null, text_of
from wizard.errors import ConfigError

NAME = "web.yml"

_FIELDS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "": {
        "tls_server_config": (0, 0),
        "http_server_config": (0, 0),
        "basic_auth_users": (0, 0),
        "rate_limit": (0, 15),
    },
    "tls_server_config": {
        **dict.fromkeys(
            (
                "cert_file",
                "key_file",
                "client_ca_file",
                "client_auth_type",
                "min_version",
                "max_version",
                "cipher_suites",
                "prefer_server_cipher_suites",
                "curve_preferences",
            ),
            (0, 0),
        ),
        "client_allowed_sans": (0, 10),
        "cert": (0, 11),
        "key": (0, 11),
        "client_ca": (0, 11),
    },
    "http_server_config": {"http2": (0, 0), "headers": (0, 7)},
    "rate_limit": {"interval": (0, 15), "burst": (0, 15)},
}
"""For each section its fields, with the first toolkit version that knows them."""

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_POLICIES = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
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
_HTTP2_NEEDS = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
_SHORTEST_HASH = 59
"""What Go's bcrypt takes; a whole hash has 60 characters."""


def check(content: bytes, *, toolkit: str = "", read: Read | None = None) -> tuple[str, ...]:
    """What the program would refuse, or accept although it leaves the door open: `line N: what (what to do)`.

    Only that beginning holds a line number, so that findings of two versions can be compared without it.

    Args:
        content: the file.
        toolkit: version of the exporter toolkit in the program, e.g. '0.8.2'; '' for the newest.
        read: gives the files that it names, by absolute path; relative paths are not looked at. Without it,
            nothing is said about files.
    """
    try:
        document = load(content)
        data(document)
    except ConfigError as problem:
        return (str(problem),)
    root = document.root
    if root is None or null(root):
        return ("line 1: the file is empty, so the server is open to everyone (demand TLS and a password)",)
    if not isinstance(root, MappingNode):
        return (f"{_line(document, root)}: a web configuration is a mapping of settings (check the file)",)
    of = _fields.fields([root])
    version = _version(toolkit)
    found = list(_unknown(document, "", root, version))
    for section in ("tls_server_config", "http_server_config", "rate_limit"):
        for node in of.get(section, ()):
            found += _unknown(document, section, node, version)
    tls = _fields.inner(of, "tls_server_config")
    found += _tls(document, tls, of)
    found += _headers(document, _fields.inner(of, "http_server_config"))
    found += _users(document, of)
    if read is not None:
        found += _web_files.check(document, tls, read)
    return tuple(found)


def _unknown(document: Document, section: str, node: Node, version: tuple[int, int]) -> Iterator[str]:
    if not isinstance(node, MappingNode):
        if not null(node):
            yield f"{_line(document, node)}: {section} is not a mapping (write one `setting: value` a line below it)"
        return
    known = _FIELDS[section]
    for key, _ in node.value:
        name = str(key.value) if isinstance(key, ScalarNode) else "?"
        place = f"{_line(document, key)}: "
        if merges(key):
            continue
        if name not in known:
            yield place + _stranger(name, section)
        elif known[name] > version:
            since = ".".join(map(str, known[name]))
            have = ".".join(map(str, version))
            yield (
                f"{place}{name} needs version {since} of the exporter toolkit, the program has {have} "
                "(upgrade the program, or remove the setting)"
            )


def _stranger(name: str, section: str) -> str:
    here = f"in {section}" if section else "at the top"
    bare = name.strip("\u00a0\u2003 ")
    if bare != name:
        return f"{bare} has non-breaking spaces before it (replace them by ordinary spaces)"
    if not section and name == "tls_config":
        return "tls_config is the client's word (here it is tls_server_config)"
    for other, known in _FIELDS.items():
        if other != section and name in known:
            there = f"below {other}" if other else "at the top, without indentation"
            return f"{name} does not belong {here} (put it {there})"
    near = difflib.get_close_matches(name, _FIELDS[section], n=1, cutoff=0.5)
    return f"there is no setting {name!r} {here} " + (f"(did you mean {near[0]}?)" if near else "(remove it)")


def _tls(document: Document, tls: _fields.Fields, of: _fields.Fields) -> Iterator[str]:
    policy = _fields.value(tls, "client_auth_type")
    has_ca = bool(_fields.value(tls, "client_ca_file") or _fields.value(tls, "client_ca"))
    has = {
        kind: bool(_fields.value(tls, f"{kind}_file") or _fields.value(tls, kind)) for kind in ("cert", "key")
    }
    section = of.get("tls_server_config", [document.root])[-1]
    if any(has.values()) or policy or has_ca:
        for kind in ("cert", "key"):
            if not has[kind]:
                yield f"{_line(document, section)}: {kind}_file is missing in tls_server_config (name both files)"
    elif "tls_server_config" in of:
        yield (
            f"{_line(document, section)}: tls_server_config names no certificate, so the server speaks plain HTTP "
            "(add cert_file and key_file)"
        )
    yield from _policy(document, tls, policy, has_ca=has_ca)
    for name, allowed in (("min_version", _VERSIONS), ("max_version", _VERSIONS)):
        text = _fields.value(tls, name)
        if text and text not in allowed:
            yield f"{_line(document, tls[name][-1])}: there is no TLS version {text!r} (one of {', '.join(allowed)})"
    low, high = _fields.value(tls, "min_version"), _fields.value(tls, "max_version")
    if low in _VERSIONS and high in _VERSIONS and low > high:
        yield f"{_line(document, tls['min_version'][-1])}: min_version is above max_version (swap them)"
    elif low in _VERSIONS[:2]:
        yield f"{_line(document, tls['min_version'][-1])}: {low} is no longer safe (use TLS12)"
    for node in _fields.items(tls, "curve_preferences"):
        if text_of(node) not in _CURVES:
            yield f"{_line(document, node)}: there is no curve {text_of(node)!r} (one of {', '.join(_CURVES)})"
    yield from _ciphers(document, tls, of)


def _policy(document: Document, tls: _fields.Fields, policy: str, *, has_ca: bool) -> Iterator[str]:
    place = _line(document, tls["client_auth_type"][-1]) if policy else ""
    if policy and policy not in _POLICIES:
        near = difflib.get_close_matches(policy, _POLICIES, n=1, cutoff=0.4)
        yield f"{place}: there is no client_auth_type {policy!r} (use {near[0] if near else _POLICIES[-1]})"
    if has_ca and policy in ("", "NoClientCert"):
        node = tls.get("client_ca_file", tls.get("client_ca", []))[-1]
        yield (
            f"{_line(document, node)}: a client CA without a client_auth_type is refused "
            "(add client_auth_type: RequireAndVerifyClientCert)"
        )
    if policy in ("RequireAndVerifyClientCert", "VerifyClientCertIfGiven") and not has_ca:
        yield (
            f"{place}: {policy} without a client_ca_file lets in whoever has a certificate of any public "
            "authority (add client_ca_file)"
        )
    if policy in (
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
        "VerifyClientCertIfGiven",
    ):
        yield f"{place}: {policy} keeps nobody out (use RequireAndVerifyClientCert)"
    if _fields.items(tls, "client_allowed_sans") and policy != "RequireAndVerifyClientCert":
        yield (
            f"{_line(document, tls['client_allowed_sans'][-1])}: client_allowed_sans works with "
            "RequireAndVerifyClientCert alone (set client_auth_type)"
        )


def _ciphers(document: Document, tls: _fields.Fields, of: _fields.Fields) -> Iterator[str]:
    nodes = _fields.items(tls, "cipher_suites")
    names = [text_of(node) for node in nodes]
    for node, name in zip(nodes, names, strict=True):
        if name in _OLD_CIPHERS:
            yield f"{_line(document, node)}: {name} is refused by programs built with Go 1.22 or newer (remove it)"
        elif name not in _CIPHERS:
            near = difflib.get_close_matches(name, _CIPHERS, n=1, cutoff=0.4)
            yield f"{_line(document, node)}: there is no cipher {name!r} (use Go's names{f', e.g. {near[0]}' if near else ''})"
    http2 = _fields.value(_fields.inner(of, "http_server_config"), "http2")
    if (
        names
        and (not http2 or _fields.truth(http2))
        and _fields.value(tls, "min_version") != "TLS13"
        and not set(names) & set(_HTTP2_NEEDS)
    ):
        yield f"{_line(document, nodes[0])}: HTTP/2 needs {_HTTP2_NEEDS[0]} in cipher_suites (add it, or set http2: false)"


def _headers(document: Document, http: _fields.Fields) -> Iterator[str]:
    for name, nodes in _fields.inner(http, "headers").items():
        place = _line(document, nodes[-1])
        if name not in _HEADERS:
            near = difflib.get_close_matches(name.lower(), {each.lower(): each for each in _HEADERS}, n=1)
            proper = next((each for each in _HEADERS if near and each.lower() == near[0]), "")
            yield f"{place}: the header {name!r} cannot be set ({f'write {proper}' if proper else 'remove it'})"
        elif _HEADERS[name] and text_of(nodes[-1]) not in _HEADERS[name]:
            allowed = " or ".join(_HEADERS[name])
            yield f"{place}: {name} does not take {text_of(nodes[-1])!r} (write {allowed}, in small letters)"


def _users(document: Document, of: _fields.Fields) -> Iterator[str]:
    if "basic_auth_users" not in of:
        return
    section = of["basic_auth_users"][-1]
    if isinstance(section, (SequenceNode, ScalarNode)) and not null(section):
        yield (
            f"{_line(document, section)}: basic_auth_users is not a mapping (write one `user: hash` a line, "
            "with a space after the colon)"
        )
        return
    users = _fields.inner(of, "basic_auth_users")
    if not users:
        yield (
            f"{_line(document, section)}: basic_auth_users is empty, so everybody gets in without a password "
            "(add a user)"
        )
    for name, nodes in users.items():
        wrong = "" if name and ":" not in name else "a user name must be there and hold no ':'"
        wrong = wrong or _hash(text_of(nodes[-1]))
        if wrong:
            todo = (
                "choose another name"
                if ":" in name or not name
                else "make the hash anew with bcrypt, cost 10"
            )
            yield f"{_line(document, nodes[-1])}: user {name!r}: {wrong} ({todo})"


def _hash(text: str) -> str:
    """Why Go's bcrypt would not take this, or ''; the text itself is never repeated."""
    if not text:
        return "there is no hash"
    if text.startswith(("$apr1$", "$1$", "$5$", "$6$", "{SHA}", "$y$")):
        return "this hash is not bcrypt"
    if not text.startswith(("$2a$", "$2b$", "$2y$", "$2x$")):
        return (
            "this is no bcrypt hash; it looks like a password in clear"
            if "$" not in text
            else "this is no bcrypt hash"
        )
    if len(text) < _SHORTEST_HASH:
        return "the hash is cut short"
    cost = text[4:6]
    if not cost.isdigit() or not 4 <= int(cost) <= 31 or text[6:7] != "$":
        return "the hash is damaged: its cost must lie between 4 and 31"
    if len(text) != _SHORTEST_HASH + 1:
        return "the hash is damaged: it must have 60 characters"
    return ""


def _version(text: str) -> tuple[int, int]:
    """The first two numbers of a version; an unknown one counts as the newest."""
    parts = text.lstrip("v").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return (999, 0)
    return int(parts[0]), int(parts[1])


def _line(document: Document, node: Node | None) -> str:
    return f"line {(node.start_mark.line if node is not None else 0) + document.first_line}"

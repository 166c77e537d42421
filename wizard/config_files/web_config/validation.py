"""Checks a web configuration as strictly as the exporter toolkit, and finds what the toolkit accepts but cannot use.

Source: web/tls_config.go and web/handler.go of prometheus/exporter-toolkit (0.5 to 0.17). Errors that promtool calls
SUCCESS (a client CA that is not PEM, RequireAndVerifyClientCert with no CA, no users, an empty
file …) are listed, with the server's behaviour, in tests/integration/test_web_agreement.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wizard.config_files.web_config import files
from wizard.config_files.web_config import tls as _web_tls
from wizard.config_files.web_config.known_names import Named, version_of
from wizard.config_files.web_config.pem import Read
from wizard.config_files.web_config.tls import line
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, data, load, merges, null, text_of
from wizard.errors import ConfigError
from wizard.model import RateLimit

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
"""The fields of each section, with the first toolkit version that supports them."""

SERVER_FIELDS = frozenset(_FIELDS["tls_server_config"])

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_AMOUNT = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:{_AMOUNT.pattern})+")
_SHORTEST_HASH = 59
"""The least length that Go's bcrypt accepts; a complete hash has 60 characters."""
_BASE64 = re.compile(r"[./A-Za-z0-9]*")
_TRUTHS = ("true", "false", "yes", "no", "on", "off", "y", "n")
_LISTS = ("cipher_suites", "curve_preferences", "client_allowed_sans")
_BOOLEANS = ("prefer_server_cipher_suites", "http2")
_MAPPINGS = ("headers",)


def check(
    content: bytes, *, toolkit: str = "", read: Read | None = None, folder: str = ""
) -> tuple[str, ...]:
    """Finds settings that the program would reject, or accept although they do not work.

    One sentence each: `line N: what (what to do)`. Only the beginning has a line number, so that findings
    of two versions can be compared without it. For settings that are merely weak, see `weak`.

    Args:
        content: the file.
        toolkit: version of the exporter toolkit in the program, e.g. '0.8.2'; '' for the newest.
        read: returns the content of a file named in it, by absolute path. Without it, files are not checked.
        folder: folder of the file, at which its relative paths begin; '' skips them.
    """
    try:
        document = load(content)
        data(document)
    except ConfigError as problem:
        return (str(problem),)
    root = document.root
    if root is None or null(root):
        return ("line 1: the file is empty, so the server is unprotected (demand TLS and a password)",)
    if not isinstance(root, MappingNode):
        return (f"{line(document, root)}: a web configuration is a mapping of settings (check the file)",)
    mapping = fields.fields([root])
    version = version_of(toolkit)
    found = [each.text for each in _unknown(document, "", root, version) if each.is_refused(toolkit)]
    for section in ("http_server_config", "rate_limit"):
        for node in mapping.get(section, ()):
            found += (
                each.text for each in _unknown(document, section, node, version) if each.is_refused(toolkit)
            )
            found += _shapes(document, fields.fields([node]))
    found += server_section(document, mapping, toolkit=toolkit, read=read, folder=folder)
    http = fields.inner(mapping, "http_server_config")
    found += _web_tls.http2(document, fields.inner(mapping, "tls_server_config"), fields.value(http, "http2"))
    found += (each.text for each in _headers(document, http) if each.is_refused(toolkit))
    found += _limit(document, fields.inner(mapping, "rate_limit"))
    found += _users(document, mapping)
    return tuple(found)


def unfamiliar(content: bytes, *, toolkit: str = "") -> tuple[str, ...]:
    """Finds names that are unknown here but that a program with a newer toolkit may have.

    In the form of `check`, which omits these; for a known toolkit version, `check` reports them.
    """
    try:
        document = load(content)
        data(document)
    except ConfigError:
        return ()
    root = document.root
    if not isinstance(root, MappingNode):
        return ()
    mapping = fields.fields([root])
    version = version_of(toolkit)
    found = [*_unknown(document, "", root, version)]
    for section in ("tls_server_config", "http_server_config", "rate_limit"):
        for node in mapping.get(section, ()):
            found += _unknown(document, section, node, version)
    found += _web_tls.names(document, fields.inner(mapping, "tls_server_config"))
    found += _headers(document, fields.inner(mapping, "http_server_config"))
    return tuple(each.text for each in found if not each.is_refused(toolkit))


def server_section(
    document: Document, mapping: fields.Fields, *, toolkit: str, read: Read | None, folder: str
) -> Iterator[str]:
    """Yields the findings of `check` about tls_server_config, in any file; `mapping` are the fields around it."""
    for node in mapping.get("tls_server_config", ()):
        unknown = _unknown(document, "tls_server_config", node, version_of(toolkit))
        yield from (each.text for each in unknown if each.is_refused(toolkit))
        yield from _shapes(document, fields.fields([node]))
    tls = fields.inner(mapping, "tls_server_config")
    yield from (each.text for each in _web_tls.names(document, tls) if each.is_refused(toolkit))
    yield from _web_tls.check(document, tls, mapping)
    yield from files.check(document, tls, read, folder=folder)


def _shapes(document: Document, mapping: fields.Fields) -> Iterator[str]:
    """Finds settings whose value is a list, a mapping or a text where the program requires another of these."""
    for name, nodes in mapping.items():
        node = nodes[-1]
        place = f"{line(document, node)}: {name}"
        if null(node) or not any(name in known for known in _FIELDS.values()):
            continue
        if name in _LISTS:
            if not isinstance(node, SequenceNode):
                yield f"{place} is not a list (put it in brackets: [a, b])"
            elif any(not isinstance(each, ScalarNode) for each in node.value):
                yield f"{place} holds something that is not a word (write a list of words)"
        elif name in _MAPPINGS:
            if not isinstance(node, MappingNode):
                yield f"{place} is not a mapping (write one `name: value` a line below it)"
        elif not isinstance(node, ScalarNode):
            yield f"{place} is not a single value (write one after the colon)"
        elif name in _BOOLEANS and (node.style or text_of(node).lower() not in _TRUTHS):
            yield f"{place} is neither true nor false (write one of them, without quotes)"


def _unknown(document: Document, section: str, node: Node, version: tuple[int, int]) -> Iterator[Named]:
    if not isinstance(node, MappingNode):
        if not null(node):
            yield Named(
                f"{line(document, node)}: {section} is not a mapping (write one `setting: value` a line below it)"
            )
        return
    settings = _FIELDS[section]
    for key, value in node.value:
        name = str(key.value) if isinstance(key, ScalarNode) else "?"
        place = f"{line(document, key)}: "
        if merges(key):
            for source in value.value if isinstance(value, SequenceNode) else (value,):
                yield from _unknown(document, section, source, version)
            continue
        if name not in settings:
            stranger = _stranger(name, section)
            yield Named(place + stranger.text, perhaps_newer=stranger.perhaps_newer)
        elif settings[name] > version:
            yield Named(
                f"{place}{_too_old(name, settings[name], version)} (upgrade the program, or remove the setting)"
            )


def _too_old(name: str, since: tuple[int, int], have: tuple[int, int]) -> str:
    return (
        f"{name} needs version {since[0]}.{since[1]} of the exporter toolkit, "
        f"the program has {have[0]}.{have[1]}"
    )


def unsupported_settings(
    toolkit: str,
    *,
    client_allowed_sans: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    rate_limit: RateLimit | None = None,
    inline: bool = False,
) -> tuple[str, ...]:
    """The wanted settings that the program's exporter toolkit does not support, one sentence each.

    Args:
        toolkit: its version, e.g. '0.8.2'; '' for the newest.
        client_allowed_sans: as `web.secure` takes them; likewise headers and rate_limit.
        inline: whether certificate, key or client CA will be inline in the file.
    """
    version = version_of(toolkit)
    asked = (
        ("headers", bool(headers), _FIELDS["http_server_config"]["headers"]),
        (
            "client_allowed_sans",
            bool(client_allowed_sans),
            _FIELDS["tls_server_config"]["client_allowed_sans"],
        ),
        ("a certificate inside the web configuration", inline, _FIELDS["tls_server_config"]["cert"]),
        ("rate_limit", rate_limit is not None, _FIELDS[""]["rate_limit"]),
    )
    return tuple(
        f"{_too_old(name, since, version)}." for name, wanted, since in asked if wanted and since > version
    )


def weak(content: bytes) -> tuple[str, ...]:
    """Finds settings that work as written, although there are better ones.

    In the form of `check`, which omits these: there may be good reasons for them.
    """
    try:
        document = load(content)
        data(document)
    except ConfigError:
        return ()
    mapping = fields.fields([document.root] if document.root is not None else [])
    tls = fields.inner(mapping, "tls_server_config")
    found = []
    policy = fields.value(tls, "client_auth_type")
    if policy in _web_tls.LENIENT:
        found.append(
            f"{line(document, tls['client_auth_type'][-1])}: {policy} {_web_tls.LENIENT[policy]} "
            "(use RequireAndVerifyClientCert)"
        )
    low = fields.value(tls, "min_version")
    if low in _web_tls.VERSIONS[:2]:
        found.append(f"{line(document, tls['min_version'][-1])}: {low} is no longer safe (use TLS12)")
    if fields.inner(mapping, "basic_auth_users") and not _web_tls.wants_tls(tls):
        found.append(
            f"{line(document, mapping['basic_auth_users'][-1])}: without TLS the passwords travel in clear "
            "(add tls_server_config)"
        )
    return tuple(found)


def duration(text: str) -> float | None:
    """The seconds of a Go duration such as '1m30.5s'; None if Go rejects it."""
    if text.lstrip("+-") == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        return None
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(text))
    return -seconds if text.startswith("-") else seconds


def number(text: str) -> int | None:
    """The whole number that the program reads from a plain word (it drops a fraction); None for anything else."""
    found = re.fullmatch(r"([+-]?[0-9][0-9_]*)(?:\.[0-9]*)?", text)
    return int(found[1].replace("_", "")) if found else None


def _stranger(name: str, section: str) -> Named:
    here = f"in {section}" if section else "at the top"
    bare = name.strip("\u00a0\u2003 ")
    if bare != name:
        return Named(f"{bare} has non-breaking spaces before it (replace them by ordinary spaces)")
    if not section and name == "tls_config":
        return Named("tls_config is the client's word (here it is tls_server_config)")
    for other, known in _FIELDS.items():
        if other != section and name in known:
            there = f"below {other}" if other else "at the top, without indentation"
            return Named(f"{name} does not belong {here} (put it {there})")
    near = difflib.get_close_matches(name, _FIELDS[section], n=1, cutoff=0.5)
    todo = f"(did you mean {near[0]}?)" if near else "(remove it)"
    return Named(f"there is no setting {name!r} {here} {todo}", perhaps_newer=True)


def _headers(document: Document, http: fields.Fields) -> Iterator[Named]:
    for name, nodes in fields.inner(http, "headers").items():
        place = line(document, nodes[-1])
        if name not in _HEADERS:
            near = difflib.get_close_matches(name.lower(), {each.lower(): each for each in _HEADERS}, n=1)
            proper = next((each for each in _HEADERS if near and each.lower() == near[0]), "")
            todo = f"write {proper}" if proper else "remove it"
            yield Named(f"{place}: the header {name!r} cannot be set ({todo})", perhaps_newer=not proper)
        elif _HEADERS[name] and text_of(nodes[-1]) not in _HEADERS[name]:
            allowed = " or ".join(_HEADERS[name])
            text = text_of(nodes[-1])
            yield Named(
                f"{place}: {name} does not take {text!r} (write {allowed}, in small letters)",
                perhaps_newer=text.lower() not in _HEADERS[name] and bool(text),
            )


def _limit(document: Document, limit: fields.Fields) -> Iterator[str]:
    if not limit:
        return
    first = min((nodes[-1] for nodes in limit.values()), key=lambda node: node.start_mark.index)
    node = limit["interval"][-1] if "interval" in limit else None
    burst = limit["burst"][-1] if "burst" in limit else None
    text = text_of(node)
    seconds = duration(text)
    if seconds is None and isinstance(node, ScalarNode) and not node.style and number(text) is not None:
        seconds = (number(text) or 0) / 1e9
    if text and seconds is None:
        yield f"{line(document, node)}: {text!r} is no time (write for example 100ms, 1s or 1m)"
    elif (seconds or 0) <= 0:
        yield f"{line(document, node or first)}: rate_limit without an interval limits nothing (add interval: 1s)"
    amount = None
    if isinstance(burst, ScalarNode) and not burst.style:
        amount = number(text_of(burst))
    if burst is not None and not null(burst) and amount is None:
        yield f"{line(document, burst)}: burst is no whole number (write for example 20, without quotes)"
    elif (seconds or 0) > 0 and (amount or 0) <= 0:
        yield (
            f"{line(document, burst or first)}: a rate_limit without a burst answers no request at all "
            "(add burst: 20)"
        )


def _users(document: Document, mapping: fields.Fields) -> Iterator[str]:
    if "basic_auth_users" not in mapping:
        return
    section = mapping["basic_auth_users"][-1]
    if isinstance(section, (SequenceNode, ScalarNode)) and not null(section):
        yield (
            f"{line(document, section)}: basic_auth_users is not a mapping (write one `user: hash` a line, "
            "with a space after the colon)"
        )
        return
    users = fields.inner(mapping, "basic_auth_users")
    if not users:
        yield (
            f"{line(document, section)}: basic_auth_users is empty, so every client is accepted without a password "
            "(add a user)"
        )
    for name, nodes in users.items():
        wrong = "" if name and ":" not in name else "a user name must be there and hold no ':'"
        hashed = isinstance(nodes[-1], ScalarNode)
        wrong = wrong or (_hash(text_of(nodes[-1])) if hashed else "this is no single hash")
        if wrong:
            todo = (
                "choose another name"
                if ":" in name or not name
                else "make the hash anew with bcrypt, cost 10"
            )
            yield f"{line(document, nodes[-1])}: user {name!r}: {wrong} ({todo})"


def _hash(text: str) -> str:
    """Why Go's bcrypt would reject this hash, or ''; the hash itself is never repeated."""
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
    if len(text) == _SHORTEST_HASH:
        return "the hash is damaged: its last character is missing"
    # Characters after the 60th are ignored.
    if not _BASE64.fullmatch(text[7:60]):
        return "the hash is damaged: it holds a character that no hash has"
    return ""

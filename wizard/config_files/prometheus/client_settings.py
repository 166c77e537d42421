"""Edits `scheme`, `tls_config` and `basic_auth` of one mapping, in any kind of block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from wizard.config_files.http_client import Wanted
from wizard.config_files.prometheus.scrape_jobs import OTHER_AUTH
from wizard.config_files.yaml_edit import fields, positions
from wizard.config_files.yaml_edit.document import Document, Path
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Plain, Value
from wizard.errors import ConfigError

RIVALS = {
    "ca_file": ("ca", "ca_ref"),
    "cert_file": ("cert", "cert_ref"),
    "key_file": ("key", "key_ref"),
    "client_ca_file": ("client_ca",),
    "password_file": ("password", "password_ref"),
    "username": ("username_file", "username_ref"),
}
"""Prometheus rejects a file that has a key and one of its rivals."""

_SKIP = "insecure_skip_verify"
_PLAIN = re.compile(r"[A-Za-z][\w.:/?=&%~+@$-]*[\w/]", re.ASCII)
"""A plain word in YAML in every context."""
_URL = re.compile(
    r"(https?)(://(?:[^/?#@]*@)?)(\[[^\]/?#]*\]|[^/?#:\[]*)(:[^/?#]*)?(?=[/?#]|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of mapping to secure."""

    words: str = "this job"
    """Its name in messages."""
    scheme: str = "scheme"
    """The key with http or https: `scheme`, `url` (which begins with it), or '' for none."""
    rivals: tuple[str, ...] = OTHER_AUTH
    """The keys that authenticate instead of basic_auth."""


JOB = Kind()


def secure(document: Document, path: Path, node: MappingNode, want: Wanted, kind: Kind = JOB) -> Document:
    """The document with the wanted settings in the mapping at `path` (whose node is `node`).

    Raises:
        ConfigError: it authenticates in another way, or the edit would change more than this mapping.
    """
    mapping = fields.fields([node])
    rival = next((key for key in kind.rivals if fields.is_given(mapping, key)), "")
    if want.basic_auth and rival:
        raise ConfigError(
            f"{kind.words} authenticates with {rival} already, and only one way is allowed",
            where=document.where(fields.own(node, rival) or node),
            todo=f"Remove {rival} there if basic_auth is to replace it",
        )
    editor = Editor(document)
    if kind.scheme == "url":
        _settle_url(editor, document, path, node, want)
    elif want.scheme and kind.scheme and (fields.value(mapping, "scheme") or "http") != want.scheme:
        if fields.own(node, "scheme") is None:
            editor.insert(path, {"scheme": want.scheme})
        else:
            editor.put((*path, "scheme"), want.scheme)
    settle(editor, document, path, node, "tls_config", want.tls, checked=want.encrypted)
    settle(editor, document, path, node, "basic_auth", want.basic_auth)
    return editor.apply()


def with_scheme(url: str, scheme: str) -> str:
    """The same URL by http or https: an omitted port is written out, as the server keeps its port.

    Returns:
        '' if this is no http or https URL with a host, such as one that begins with a variable.
    """
    found = _URL.match(url)
    if found is None or not found[3]:
        return ""
    if found[1].lower() == scheme:
        return url
    port = found[4] if found[4] and found[4] != ":" else {"http": ":80", "https": ":443"}[found[1].lower()]
    return f"{scheme}{found[2]}{found[3]}{port}{url[found.end() :]}"


def userinfo(url: str) -> bool:
    """Whether the URL has a user name, which takes precedence over basic_auth."""
    found = _URL.match(url)
    return found is not None and len(found[2]) > len("://")


def in_hand(node: Node, text: str) -> Value:
    """A text without quotes if the node that it replaces has none and the text differs little from it."""
    plain = isinstance(node, ScalarNode) and not node.style and _PLAIN.fullmatch(text)
    return Plain(text) if plain else text


def _settle_url(editor: Editor, document: Document, path: Path, node: MappingNode, want: Wanted) -> None:
    url = fields.value(fields.fields([node]), "url")
    here = fields.own(node, "url")
    if want.basic_auth and userinfo(url):
        raise ConfigError(
            "the url contains a user name, which overrides basic_auth",
            where=document.where(here or node),
            todo="Take user and password out of the url first",
        )
    new = with_scheme(url, want.scheme) if want.scheme else url
    if not new:
        raise ConfigError(
            "the url does not begin with http:// or https:// and a host",
            where=document.where(here or node),
            todo="Write the url out",
        )
    if new != url and here is None:
        editor.insert(path, {"url": new})
    elif new != url and here is not None:
        editor.put((*path, "url"), in_hand(here, new))


def settle(
    editor: Editor,
    document: Document,
    path: Path,
    node: MappingNode,
    key: str,
    want: Mapping[str, str],
    *,
    checked: bool = False,
    rivalries: Mapping[str, tuple[str, ...]] = RIVALS,
) -> None:
    """Sets the wanted values in the mapping below `key`.

    Args:
        checked: whether to enable verification of the certificate too.
        rivalries: the keys that each setting replaces.
    """
    mapping = fields.fields([node])
    now = fields.texts(fields.inner(mapping, key))
    missing = {name: text for name, text in want.items() if now.get(name) != text}
    rivals = {rival for name in want for rival in rivalries.get(name, ()) if rival in now}
    unchecked = checked and fields.truth(now.get(_SKIP, ""))
    if not missing and not rivals and not unchecked:
        return
    here = fields.own(node, key)
    if isinstance(here, MappingNode) and not _is_alias(document, node, key):
        _settle_own(editor, (*path, key), here, want=missing, rivals=rivals, unchecked=unchecked)
        return
    values: dict[str, Value] = {}
    for name, text in {**now, **want}.items():
        if name == _SKIP:
            values[name] = Plain("false" if unchecked else text)
        elif name not in rivals:
            values[name] = text
    if here is None:
        # Prometheus merges structures field by field: a field that must not apply has to be written out as empty.
        editor.insert(path, {key: {**values, **dict.fromkeys(sorted(rivals), "")}})
    else:
        editor.put((*path, key), values)


def confirm(document: Document, node: MappingNode, want: Wanted, kind: Kind = JOB) -> None:
    """Refuses a result that Prometheus would understand otherwise than intended.

    Raises:
        ConfigError: a merge key below an explicit key overrides it.
    """
    mapping = fields.fields([node])
    tls, basic = (fields.texts(fields.inner(mapping, key)) for key in ("tls_config", "basic_auth"))
    good = (
        (not want.scheme or _scheme(mapping, kind, want.scheme) == want.scheme)
        and all(tls.get(key) == text for key, text in want.tls.items())
        and all(basic.get(key) == text for key, text in want.basic_auth.items())
        and not (want.encrypted and fields.truth(tls.get(_SKIP, "")))
        and not any(
            rival in tls or rival in basic
            for key in (*want.tls, *want.basic_auth)
            for rival in RIVALS.get(key, ())
        )
    )
    if not good:
        raise ConfigError(
            f"a merge key (<<) in {kind.words} overrides the settings above it",
            where=document.where(node),
            todo="Move the line with << to the top there, then try again",
        )


def _scheme(mapping: fields.Fields, kind: Kind, wanted: str) -> str:
    if kind.scheme == "url":
        return fields.value(mapping, "url").partition(":")[0].lower()
    return fields.value(mapping, "scheme") or "http" if kind.scheme else wanted


def _settle_own(
    editor: Editor,
    path: Path,
    here: MappingNode,
    *,
    want: Mapping[str, str],
    rivals: set[str],
    unchecked: bool,
) -> None:
    new: dict[str, Value] = {}
    left = set(rivals)
    for name, text in want.items():
        rival = next((each for each in RIVALS.get(name, ()) if each in left and fields.own(here, each)), "")
        if fields.own(here, name) is not None:
            editor.put((*path, name), text)
        elif rival:
            editor.rename((*path, rival), name, text)
            left.discard(rival)
        else:
            new[name] = text
    for rival in sorted(left):
        if fields.own(here, rival) is not None:
            editor.remove((*path, rival))
        else:
            new[rival] = ""
    if unchecked and fields.own(here, _SKIP) is not None:
        editor.put((*path, _SKIP), Plain("false"))
    elif unchecked:
        new[_SKIP] = Plain("false")
    editor.insert(path, new)


def _is_alias(document: Document, node: MappingNode, key: str) -> bool:
    if not document.aliases:
        return False
    return any(
        slot.alias for slot in positions.slots(document, node) if getattr(slot.key, "value", None) == key
    )

"""How one mapping with `scheme`, `tls_config` and `basic_auth` learns what it must say, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode

from wizard.configs import _fields, _spans
from wizard.configs._jobs import OTHER_AUTH
from wizard.configs._render import Plain, Value
from wizard.configs._yaml import Document, Path
from wizard.configs.edit import Editor
from wizard.errors import ConfigError

RIVALS = {
    "ca_file": ("ca", "ca_ref"),
    "cert_file": ("cert", "cert_ref"),
    "key_file": ("key", "key_ref"),
    "client_ca_file": ("client_ca",),
    "password_file": ("password", "password_ref"),
    "username": ("username_file", "username_ref"),
}
"""Prometheus refuses a file that names one and the other."""

_SKIP = "insecure_skip_verify"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scrape job is to say; an empty text or mapping leaves it as it is."""

    scheme: str
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str]

    @property
    def encrypted(self) -> bool:
        """Whether the server's certificate is to be checked."""
        return self.scheme == "https" or bool(self.tls)


def wanted(
    *,
    scheme: str,
    ca_file: str,
    cert_file: str,
    key_file: str,
    server_name: str,
    username: str,
    password_file: str,
) -> Wanted:
    """Gathers the options that are not empty.

    Raises:
        ConfigError: `scheme` is neither '', http nor https, or a line break stands in a value.
    """
    if scheme not in ("", "http", "https"):
        raise ConfigError(f"there is no scheme {scheme!r}", todo="Use http or https, in small letters")
    tls = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file, "server_name": server_name}
    basic = {"username": username, "password_file": password_file}
    return Wanted(scheme, {k: v for k, v in tls.items() if v}, {k: v for k, v in basic.items() if v})


def secure(document: Document, path: Path, node: MappingNode, want: Wanted) -> Document:
    """The document with the job at `path` (whose node is `node`) saying what is wanted.

    Raises:
        ConfigError: it authenticates in another way, or the edit would reach beyond it.
    """
    of = _fields.fields([node])
    rival = next((key for key in OTHER_AUTH if _fields.given(of, key)), "")
    if want.basic_auth and rival:
        raise ConfigError(
            f"this job authenticates with {rival} already, and Prometheus allows one way a job",
            where=document.where(_fields.own(node, rival) or node),
            todo=f"Remove {rival} from the job if basic_auth is to replace it",
        )
    editor = Editor(document)
    if want.scheme and (_fields.value(of, "scheme") or "http") != want.scheme:
        if _fields.own(node, "scheme") is None:
            editor.insert(path, {"scheme": want.scheme})
        else:
            editor.put((*path, "scheme"), want.scheme)
    settle(editor, document, path, node, "tls_config", want.tls, checked=want.encrypted)
    settle(editor, document, path, node, "basic_auth", want.basic_auth)
    return editor.apply()


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
    """Makes the mapping below `key` say what is wanted.

    Args:
        checked: whether the certificate check is to be switched on too.
        rivalries: for a setting those that give way to it.
    """
    of = _fields.fields([node])
    now = _fields.texts(_fields.inner(of, key))
    missing = {name: text for name, text in want.items() if now.get(name) != text}
    rivals = {rival for name in want for rival in rivalries.get(name, ()) if rival in now}
    unchecked = checked and _fields.truth(now.get(_SKIP, ""))
    if not missing and not rivals and not unchecked:
        return
    here = _fields.own(node, key)
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
        # A merged structure shines through field by field, so what it must not say has to be said.
        editor.insert(path, {key: {**values, **dict.fromkeys(sorted(rivals), "")}})
    else:
        editor.put((*path, key), values)


def confirm(document: Document, node: MappingNode, want: Wanted) -> None:
    """Refuses a result that Prometheus would understand otherwise than intended.

    Raises:
        ConfigError: a merge key below an explicit key takes it back.
    """
    of = _fields.fields([node])
    tls, basic = (_fields.texts(_fields.inner(of, key)) for key in ("tls_config", "basic_auth"))
    good = (
        (not want.scheme or (_fields.value(of, "scheme") or "http") == want.scheme)
        and all(tls.get(key) == text for key, text in want.tls.items())
        and all(basic.get(key) == text for key, text in want.basic_auth.items())
        and not (want.encrypted and _fields.truth(tls.get(_SKIP, "")))
        and not any(
            rival in tls or rival in basic
            for key in (*want.tls, *want.basic_auth)
            for rival in RIVALS.get(key, ())
        )
    )
    if not good:
        raise ConfigError(
            "a merge key (<<) in this job overrides what stands above it",
            where=document.where(node),
            todo="Move the line with << to the top of the job, then try again",
        )


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
        rival = next((each for each in RIVALS.get(name, ()) if each in left and _fields.own(here, each)), "")
        if _fields.own(here, name) is not None:
            editor.put((*path, name), text)
        elif rival:
            editor.rename((*path, rival), name, text)
            left.discard(rival)
        else:
            new[name] = text
    for rival in sorted(left):
        if _fields.own(here, rival) is not None:
            editor.remove((*path, rival))
        else:
            new[rival] = ""
    if unchecked and _fields.own(here, _SKIP) is not None:
        editor.put((*path, _SKIP), Plain("false"))
    elif unchecked:
        new[_SKIP] = Plain("false")
    editor.insert(path, new)


def _is_alias(document: Document, node: MappingNode, key: str) -> bool:
    if not document.aliases:
        return False
    return any(slot.alias for slot in _spans.slots(document, node) if getattr(slot.key, "value", None) == key)

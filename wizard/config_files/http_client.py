"""The --http.config.file of promtool and amtool, with which they connect to a secured server.

It names the files with secrets and contains no secret itself. The paths must be absolute: promtool
before 3.13 resolves relative ones at the parent of the file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

from wizard.config_files.yaml_edit import emitter
from wizard.errors import ConfigError

_TLS = ("ca_file", "cert_file", "key_file", "server_name")
_LOGIN = ("username", "password_file")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted settings of a client; an empty text or mapping leaves a setting as it is."""

    scheme: str
    tls: Mapping[str, str]
    basic_auth: Mapping[str, str]

    @property
    def encrypted(self) -> bool:
        """Whether to verify the server's certificate."""
        return self.scheme == "https" or bool(self.tls)

    @property
    def blocks(self) -> dict[str, dict[str, str]]:
        """The settings by key of a client's configuration, tls_config and basic_auth; an empty one is left out."""
        found = {"tls_config": dict(self.tls), "basic_auth": dict(self.basic_auth)}
        return {key: settings for key, settings in found.items() if settings}


class Settings(TypedDict, total=False):
    """The settings with which a client connects to a secured server; '' or a missing key leaves a setting as it is."""

    ca_file: str
    """Absolute path of the CA bundle, as the client's host sees it; the other paths likewise."""
    cert_file: str
    key_file: str
    server_name: str
    username: str
    password_file: str


def wanted_settings(scheme: str = "", **settings: Unpack[Settings]) -> Wanted:
    """Collects the settings that are not empty.

    Raises:
        ConfigError: `scheme` is neither '', http nor https, or a value has a line break.
    """
    if scheme not in ("", "http", "https"):
        raise ConfigError(f"there is no scheme {scheme!r}", todo="Use http or https, in lower case")
    given = {key: str(value) for key, value in settings.items() if value}
    tls, login = ({key: given[key] for key in keys if key in given} for keys in (_TLS, _LOGIN))
    return Wanted(scheme, tls, login)


def text(**settings: Unpack[Settings]) -> bytes:
    """The whole file; '' is left out, and without settings it is an empty mapping.

    Raises:
        ConfigError: one of a pair is missing, or a path is not absolute.
    """
    want = wanted_settings(**settings)
    given = {**want.tls, **want.basic_auth}
    for name, path in given.items():
        if name.endswith("_file") and not path.startswith("/"):
            raise ConfigError(
                f"{name} {path!r} is not an absolute path",
                todo="Write an absolute path: versions of promtool resolve relative ones differently",
            )
    for one, other in (("cert_file", "key_file"), ("username", "password_file")):
        if (one in given) != (other in given):
            raise ConfigError(f"{one} and {other} go together", todo="Give both, or neither")
    if not want.blocks:
        return b"{}\n"
    return emitter.mapping({**want.blocks}, column=0, style=emitter.Style()).encode()

"""The file for `promtool --http.config.file` and `amtool --http.config.file`: how they reach a secured server.

It names the files that hold what is secret and holds no secret itself. The paths must be absolute: promtool
before 3.13 starts relative ones from the parent of the file's folder.
"""

from __future__ import annotations

from wizard.config_files.yaml_edit import emitter
from wizard.errors import ConfigError


def text(
    *,
    ca_file: str = "",
    cert_file: str = "",
    key_file: str = "",
    server_name: str = "",
    username: str = "",
    password_file: str = "",
) -> bytes:
    """The whole file; what is '' is left out, and with nothing given it is an empty mapping.

    Args:
        ca_file: absolute path, like the other files.
        cert_file: the certificate to show; it needs its `key_file`.
        server_name: the name that the server's certificate must hold, if it is not the one in the URL.
        username: for basic authentication; it needs its `password_file`.

    Raises:
        ConfigError: one of a pair is missing, or a path is not absolute.
    """
    files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file, "password_file": password_file}
    for name, path in files.items():
        if path and not path.startswith("/"):
            raise ConfigError(
                f"{name} {path!r} is not an absolute path",
                todo="Write an absolute path: versions of promtool resolve relative ones differently",
            )
    pairs = {
        "cert_file": (cert_file, "key_file", key_file),
        "username": (username, "password_file", password_file),
    }
    for one, (value, other, partner) in pairs.items():
        if bool(value) != bool(partner):
            raise ConfigError(f"{one} and {other} go together", todo="Give both, or neither")
    tls = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file, "server_name": server_name}
    basic = {"username": username, "password_file": password_file}
    sections: dict[str, emitter.Value] = {}
    for section, settings in (("tls_config", tls), ("basic_auth", basic)):
        given = {name: value for name, value in settings.items() if value}
        if given:
            sections[section] = given
    if not sections:
        return b"{}\n"
    return emitter.mapping(sections, column=0, style=emitter.Style()).encode()

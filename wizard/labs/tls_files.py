"""Certificates, private keys and web configurations on a lab's hosts, found by their content and not by name."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from wizard.certificates import bundle, issue
from wizard.certificates.reader import is_ca
from wizard.config_files import web_config
from wizard.config_files.web_config import WebConfig
from wizard.errors import ConfigError, InputError
from wizard.labs.lab_hosts import LabHosts


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and a key, as files of a host; `problems` is empty if they can be used."""

    certificate: str
    key: str
    content: bytes
    key_mode: int
    problems: tuple[str, ...]
    ca: bool = False
    """Whether it may sign others."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A web configuration and its file."""

    path: str
    mode: int
    config: WebConfig


def web_file(look: LabHosts, of: str) -> WebFile | None:
    """Returns the web configuration in use, or else one in its folder that enables TLS."""
    service = look.service(of)
    if service.web_config:
        return _as_web(look, of, service.web_config)
    for path in look.files(of, (".yml", ".yaml")):
        found = _as_web(look, of, path)
        if found is not None and found.config.encrypted:
            return found
    return None


def _as_web(look: LabHosts, of: str, path: str) -> WebFile | None:
    state = look.read(of, path)
    if state is None:
        return None
    try:
        return WebFile(path, state.mode, web_config.parse(state.content))
    except ConfigError:
        return None


def named_pair(look: LabHosts, of: str) -> Pair | None:
    """Returns the pair that the web configuration names, if both files exist."""
    found = web_file(look, of)
    if found is None or not (found.config.cert_file and found.config.key_file):
        return None
    folder = posixpath.dirname(found.path)
    return _pair(
        look,
        of,
        posixpath.join(folder, found.config.cert_file),
        posixpath.join(folder, found.config.key_file),
    )


def pair(look: LabHosts, of: str) -> Pair | None:
    """Returns the pair in use, or the best one in the folder."""
    named = named_pair(look, of)
    if named is not None:
        return named
    found = pairs(look, of)
    fitting = [one for one in found if not one.ca] or found
    return min(fitting, key=lambda one: len(one.problems), default=None)


def pairs(look: LabHosts, of: str) -> tuple[Pair, ...]:
    """Returns every certificate in the folder with every key there."""
    look.fetch(of, look.files(of, (".crt", ".pem", ".cert", ".cer", ".key")))
    return tuple(
        found
        for certificate in look.files(of, (".crt", ".pem", ".cert", ".cer"))
        for key in look.files(of, (".key", ".pem"))
        if (found := _pair(look, of, certificate, key)) is not None
    )


def _pair(look: LabHosts, of: str, certificate: str, key: str) -> Pair | None:
    public, private = look.read(of, certificate), look.read(of, key)
    if public is None or private is None or b"PRIVATE KEY" not in private.content:
        return None
    if b"BEGIN CERTIFICATE" not in public.content:
        return None
    address = look.scrape_address(of).rpartition(":")[0].strip("[]")
    problems = issue.problems(public.content, names=(address,), key_pem=private.content, purpose="server")
    return Pair(certificate, key, public.content, private.mode, problems, is_authority(public.content))


def is_authority(content: bytes) -> bool:
    """Returns whether the certificate may sign others."""
    try:
        return is_ca(bundle(content)[0])
    except (InputError, ValueError):
        return False

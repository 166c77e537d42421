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


def web_file(look: LabHosts, component_key: str) -> WebFile | None:
    """Returns the web configuration in use, or else one in its folder that enables TLS."""
    service = look.service(component_key)
    if service.web_config:
        return _as_web(look, component_key, service.web_config)
    for path in look.files(component_key, (".yml", ".yaml")):
        found = _as_web(look, component_key, path)
        if found is not None and found.config.encrypted:
            return found
    return None


def _as_web(look: LabHosts, component_key: str, path: str) -> WebFile | None:
    state = look.read(component_key, path)
    if state is None:
        return None
    try:
        return WebFile(path, state.mode, web_config.parse(state.content))
    except ConfigError:
        return None


def named_pair(look: LabHosts, component_key: str) -> Pair | None:
    """Returns the pair that the web configuration names, if both files exist."""
    found = web_file(look, component_key)
    if found is None or not (found.config.cert_file and found.config.key_file):
        return None
    folder = posixpath.dirname(found.path)
    return _pair(
        look,
        component_key,
        posixpath.join(folder, found.config.cert_file),
        posixpath.join(folder, found.config.key_file),
    )


def pair(look: LabHosts, component_key: str) -> Pair | None:
    """Returns the pair in use, or the best one in the folder."""
    named = named_pair(look, component_key)
    if named is not None:
        return named
    found = pairs(look, component_key)
    fitting = [one for one in found if not one.ca] or found
    return min(fitting, key=lambda one: len(one.problems), default=None)


def pairs(look: LabHosts, component_key: str) -> tuple[Pair, ...]:
    """Returns every certificate in the folder with every key there."""
    look.fetch(component_key, look.files(component_key, (".crt", ".pem", ".cert", ".cer", ".key")))
    return tuple(
        found
        for certificate in look.files(component_key, (".crt", ".pem", ".cert", ".cer"))
        for key in look.files(component_key, (".key", ".pem"))
        if (found := _pair(look, component_key, certificate, key)) is not None
    )


def _pair(look: LabHosts, component_key: str, certificate: str, key: str) -> Pair | None:
    public, private = look.read(component_key, certificate), look.read(component_key, key)
    if public is None or private is None or b"PRIVATE KEY" not in private.content:
        return None
    if b"BEGIN CERTIFICATE" not in public.content:
        return None
    address = look.scrape_address(component_key).rpartition(":")[0].strip("[]")
    problems = issue.problems(public.content, names=(address,), key_pem=private.content, purpose="server")
    return Pair(certificate, key, public.content, private.mode, problems, is_authority(public.content))


def is_authority(content: bytes) -> bool:
    """Returns whether the certificate may sign others."""
    try:
        return is_ca(bundle(content)[0])
    except (InputError, ValueError):
        return False

"""Checks of files with secrets: who can read them, and whether they belong on the host."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from wizard import certificates
from wizard.audit.config_settings import Setting, settings
from wizard.audit.report import Check
from wizard.audit.subjects import Found, HostView, Seen, Skipped, Unseen
from wizard.components.base import numbers
from wizard.errors import CertificateError
from wizard.model import Service

_INLINE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "prometheus": {
        "password": ("password_file", "2.0"),
        "credentials": ("credentials_file", "2.26"),
        "bearer_token": ("bearer_token_file", "2.0"),
        "client_secret": ("client_secret_file", "2.27"),
    },
    "blackbox_exporter": {
        "password": ("password_file", "0.14"),
        "credentials": ("credentials_file", "0.19"),
        "bearer_token": ("bearer_token_file", "0.14"),
        "client_secret": ("client_secret_file", "0.20"),
    },
    "alertmanager": {
        "password": ("password_file", "0.16"),
        "credentials": ("credentials_file", "0.22"),
        "bearer_token": ("bearer_token_file", "0.16"),
        "slack_api_url": ("slack_api_url_file", "0.22"),
        "api_url": ("api_url_file", "0.22"),
        "opsgenie_api_key": ("opsgenie_api_key_file", "0.24"),
        "smtp_auth_password": ("smtp_auth_password_file", "0.25"),
        "auth_password": ("auth_password_file", "0.25"),
        "routing_key": ("routing_key_file", "0.25"),
        "service_key": ("service_key_file", "0.25"),
        "bot_token": ("bot_token_file", "0.26"),
        "victorops_api_key": ("victorops_api_key_file", "0.25"),
    },
}
"""By component: settings that hold a secret, each with the setting that names a file instead and its first version."""
_MOST: Final = 20


def _readable(host: HostView) -> Seen:
    if not host.secrets:
        if host.unread and host.facts.spec.connect == "manual":
            yield Unseen(next(iter(host.unread.values())))
        yield Skipped()
        return
    for secret in dict.fromkeys(host.secrets):
        info = host.readable_by_others(secret.path)
        if info is not None:
            yield Found(
                evidence=f"the {secret.noun} {secret.path} has mode {info.mode:04o} {info.owner}:{info.group}",
                file=secret.path,
                step=f"secure {secret.service.key}",
                component=secret.service.component,
                instance=secret.service.instance,
            )


def _inline(host: HostView) -> Seen:
    applies = False
    for service in host.facts.services:
        names = _INLINE.get(service.component)
        state = host.read(service.config_file) if names and service.config_file else None
        if names is None or not service.active:
            continue
        if state is None:
            if why := host.unread.get(service.config_file):
                yield Unseen(f"{service.config_file}: {why}")
            continue
        applies = True
        for setting in list(settings(state.content))[:100_000]:
            if found := _could_be_file(setting, names, service):
                yield found
    if not applies:
        yield Skipped()


def _could_be_file(setting: Setting, names: dict[str, tuple[str, str]], service: Service) -> Found | None:
    known = names.get(setting.key)
    if known is None or not setting.text or setting.text.startswith("<secret>"):
        return None
    instead, since = known
    if service.version and numbers(service.version) < numbers(since):
        return None
    return Found(
        evidence=f"{setting.key} stands in the file itself; {instead} is possible",
        file=service.config_file,
        line=setting.line,
        step=f"secure {service.key}"
        if setting.key == "password" and service.component != "alertmanager"
        else "",
        component=service.component,
        instance=service.instance,
    )


def _authorities(host: HostView) -> dict[bytes, str]:
    """The public keys (DER) of the CA certificates on a host, each with the path of its file."""
    found: dict[bytes, str] = {}
    for path, state in host.files.items():
        if state is None or b"-----BEGIN CERTIFICATE" not in state.content:
            continue
        try:
            for certificate in certificates.bundle(state.content)[:_MOST]:
                if "CA" in certificates.summary(certificate.public_bytes(Encoding.DER)).usage:
                    key = certificate.public_key()
                    found[key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)] = path
        except (CertificateError, ValueError):
            continue  # not a valid certificate
    return found


def _ca_key(host: HostView) -> Seen:
    authorities = _authorities(host)
    if not authorities:
        yield Skipped()
        return
    own = {secret.path for secret in host.secrets}
    for path, why in host.unread.items():
        if path.endswith((".key", ".pem")) and path not in own:
            yield Unseen(f"{path}: {why}")
    for path, state in host.files.items():
        if state is None or b"PRIVATE KEY-----" not in state.content or path in own:
            continue
        raw = _public(state.content)
        if raw in authorities:
            yield Found(evidence=f"{path} is the private key of the CA in {authorities[raw]}", file=path)
        elif not raw and re.search(r"(^|[^a-z])ca([^a-z]|$)", posixpath.basename(path).lower()):
            yield Found(evidence=f"{path} is an encrypted private key that is named as a CA's", file=path)


def _public(pem: bytes) -> bytes:
    """The public half of a private key (DER); b'' if the key is encrypted or invalid."""
    try:
        key = load_pem_private_key(pem, None)
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError):
        return b""


CHECKS: Final = (
    Check(
        id="FIL-01",
        severity="high",
        title="A file with a secret is readable by other users",
        means=("file",),
        looks_at="Looks at mode and owner of keys, web configurations and password files, and of the folders above.",
        why="Every user and every program of that machine can copy the key or the hashes.",
        remediation="Give the file to root and the service's group with mode 0640",
        scope="host",
        look=_readable,
    ),
    Check(
        id="FIL-02",
        severity="medium",
        title="A secret stands in a configuration",
        means=("configuration",),
        looks_at="Looks for passwords, tokens and keys in the configurations of Prometheus, Alertmanager and "
        "blackbox_exporter, where their version can read them from a file.",
        why="Configurations are copied into tickets and repositories, and more people read them.",
        remediation="Write the secret to a file of its own with mode 0640, and name that file",
        scope="host",
        look=_inline,
    ),
    Check(
        id="FIL-03",
        severity="high",
        title="The CA's private key lies on a server",
        means=("file",),
        looks_at="Compares private keys beside the certificates that are used, and in folders such as ca and private "
        "there, with the CAs that the host knows.",
        why="Whoever takes over that server can issue certificates for every name.",
        remediation="Move the key to the machine that issues certificates, and remove it here",
        scope="host",
        look=_ca_key,
    ),
)

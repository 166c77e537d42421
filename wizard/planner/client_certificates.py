"""The certificates that clients present to servers: the person's own, an existing pair, or a new one."""

from __future__ import annotations

from wizard.certificates import issue, signatures
from wizard.errors import CertificateError
from wizard.model import ContentKind, Facts, FileState, Stack
from wizard.planner import credentials as material
from wizard.planner import manual_commands, paths, systemd_credentials
from wizard.planner.certificates import Pair, needed_file, public
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client


def client_pair(stack: Stack, facts: Facts, factory: material.CredentialFactory, client: Client) -> Pair:
    """The certificate that a client presents to servers: the person's own, the existing pair, or a new one.

    Raises:
        CertificateError: the person's own files are not good for it.
    """
    if client.own.client_cert_file:
        return _own_client_pair(client)
    files = client.host.files
    ours = stack.certificates.issued_by == "ca"
    # The pair in use comes first: after a renewal the old one is still in its folder.
    for certificate_path, key_path in sorted(
        (client.pair, client.spare_pair), key=lambda pair: not _in_use(client, pair[0])
    ):
        certificate, key = files.get(certificate_path), files.get(key_path)
        if certificate is None or key is None or factory.renews(f"client:{client.key}"):
            continue
        if issue.problems(certificate.content, names=(), key_pem=key.content, purpose="client"):
            continue
        if factory.signed_by_us(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, factory.old_authority(), True)
        if not ours and signatures.is_self_signed(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, certificate.content, False)
    place = client.pair if files.get(client.pair[0]) is None else client.spare_pair
    if factory.renews(f"client:{client.key}") and _in_use(client, client.spare_pair[0]):
        place = client.pair
    certificate_pem, key_pem, trust = factory.client_certificate(client.names, common_name=client.names[0])
    systemd_credentials.refuse_no_reader(client, place[1])
    make, certify = manual_commands.client_pair(
        paths=place,
        kind=stack.certificates.key,
        names=client.names,
        days=stack.certificates.days,
        ca=paths.ca_pair(facts) if ours else None,
        owner=client.owner,
        group=client.group,
    )
    changes = (
        client.write(
            place[1],
            FileState(key_pem, 0o640, client.owner, client.group),
            ContentKind.PRIVATE_KEY,
            why=f"Whoever has this key can impersonate this {client.service.component}. It never leaves this host.",
            by_hand=make,
        ),
        client.write(
            place[0],
            FileState(certificate_pem, 0o644, client.owner, client.group),
            ContentKind.CERTIFICATE,
            why=f"{client.service.component} shows it to servers that request a client certificate.",
            about=issue.describe(certificate_pem),
            by_hand=certify,
        ),
    )
    return Pair(place[0], place[1], certificate_pem, trust, ours, changes)


def _in_use(client: Client, certificate_path: str) -> bool:
    return any(
        client.resolve(place, place.tls.get("cert_file", "")) == certificate_path for place in client.places()
    )


def _own_client_pair(client: Client) -> Pair:
    host, files, own = client.host.spec.name, client.host.files, client.own
    certificate = needed_file(files, host, own.client_cert_file, "client certificate")
    key = needed_file(files, host, own.client_key_file, "client key")
    problems = issue.problems(certificate, names=(), key_pem=key, purpose="client")
    if problems:
        raise CertificateError(
            problems[0], where=f"{host}:{own.client_cert_file}", todo="Replace it, or leave it out"
        )
    trust = certificate
    if own.client_ca_file:
        trust = needed_file(files, host, own.client_ca_file, "client CA")
        if not signatures.vouches(trust, certificate):
            raise CertificateError(
                "this CA did not sign the client certificate",
                where=f"{host}:{own.client_ca_file}",
                todo="Name the CA that signed it",
            )
    return Pair(own.client_cert_file, own.client_key_file, certificate, public(trust), False)


def kept_place_pair(client: Client, place: Place, bundle: bytes) -> tuple[str, str] | None:
    """The pair that a place of the client has already, if a server that verifies with `bundle` accepts it."""
    certificate_file, key_file = place.tls.get("cert_file", ""), place.tls.get("key_file", "")
    if not (certificate_file and key_file):
        return None
    certificate, key = (
        client.host.files.get(client.resolve(place, name)) for name in (certificate_file, key_file)
    )
    if certificate is None or key is None:
        return None
    if issue.problems(certificate.content, names=(), key_pem=key.content, purpose="client"):
        return None
    return (certificate_file, key_file) if signatures.vouches(bundle, certificate.content) else None

"""The certificates of servers: the person's own, the existing one if it is good, or a new one.

Whether one is good is tested on the certificate itself (key, names, purpose, dates, issuer), never by comparing texts.
A file that a person made is never overwritten.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from wizard.certificates import issue, signatures
from wizard.config_files import web_config
from wizard.errors import CertificateError, InputError
from wizard.model import Change, ContentKind, Facts, FileState, PathInfo, Stack, Typed
from wizard.planner import credentials, paths
from wizard.planner import manual_commands as words
from wizard.planner.certificate_names import certificate_names, needed_names
from wizard.planner.certificates import Pair, as_go_reads, needed_file, public
from wizard.planner.server_facts import Server
from wizard.planner.shared_certificate import shared_pair


def server_pair(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    config: web_config.WebConfig | None,
) -> Pair:
    """The server's certificate and key: the person's own files, existing ones that are good, or new ones.

    Raises:
        CertificateError: the person's own files are not good for it. InputError: no name is known.
    """
    needed = needed_names(stack, facts, server)
    if server.spec.files.cert_file or stack.certificates.issued_by == "files":
        return _own_pair(facts, server, needed)
    names = certificate_names(stack, facts, server)
    if not factory.renews(server.key):
        kept = _kept_server_pair(stack, facts, factory, server, config, needed)
        if kept is not None:
            return kept
    if not names:
        raise InputError(
            f"no name or address is known for {server.key}", todo="Give its names for the certificate"
        )
    return _new_server_pair(stack, facts, factory, server, config, names)


def _own_pair(facts: Facts, server: Server, names: tuple[str, ...]) -> Pair:
    files = server.spec.files
    if not (files.cert_file and files.key_file):
        raise InputError(
            f"certificates come from files, and none are named for {server.key}",
            todo="Name files: {cert_file: …, key_file: …} in its entry",
        )
    certificate = needed_file(server.host.files, server.spec.host, files.cert_file, "certificate")
    key = needed_file(server.host.files, server.spec.host, files.key_file, "key")
    trust = certificate
    if files.ca_file:
        trust = needed_file(server.host.files, server.spec.host, files.ca_file, "CA certificate")
        _refuse_leaf(trust, certificate, f"{server.spec.host}:{files.ca_file}")
    elif not signatures.is_self_signed(certificate):
        raise CertificateError(
            "the certificate does not sign itself, and the CA that signed it is not named",
            where=f"{server.spec.host}:{files.cert_file}",
            todo="Name the CA's certificate as ca_file",
        )
    if b"ENCRYPTED" in key:
        raise CertificateError(
            "the key is encrypted, and no server of the Prometheus family can ask for its passphrase",
            where=f"{server.spec.host}:{files.key_file}",
            todo="Store it without one: openssl pkey -in KEY -out NEW, mode 0640",
        )
    problems = issue.problems(certificate, names=names, key_pem=key, ca_pem=trust, purpose="server")
    if problems:
        blamed = {"certificate": files.cert_file, "key": files.key_file, "ca": files.ca_file}[
            problems[0].about
        ]
        raise CertificateError(
            problems[0],
            where=f"{server.spec.host}:{blamed}",
            todo="Replace the certificate, or correct names: in the component's entry",
        )
    for path in (files.cert_file, files.key_file):
        _readable(server, path)
    ours = signatures.signed_by(certificate, trust) and trust == credentials.authority_certificate(facts)
    copied = public(trust)
    source = (files.ca_file or files.cert_file) if copied == trust else ""
    return Pair(files.cert_file, files.key_file, certificate, copied, ours, trust_file=source)


def _refuse_leaf(trust: bytes, certificate: bytes, where: str) -> None:
    if trust.strip() == certificate.strip():
        return  # pinned: clients trust the certificate itself
    if "CA" not in issue.summary(trust).usage:
        raise CertificateError(
            "this is not a CA certificate but one of a server or client",
            where=where,
            todo="Name the certificate of the CA that signed it",
        )


def _readable(server: Server, path: str) -> None:
    """Checks that the service may read a file by its mode, and that its unit does not hide the file from it.

    Raises:
        InputError: it cannot read the file.
    """
    state, service = server.host.files.get(path), server.service
    if server.credentials:
        return  # systemd reads it, as root and outside of the unit's sandbox
    hidden = service.hides(path)
    if hidden:
        raise InputError(
            f"the unit {service.unit} cannot see {hidden}",
            where=f"{server.spec.host}:{path}",
            todo=f"Copy the file below /etc, e.g. to {server.home}: systemd hides that folder from the unit",
        )
    if state is None or service.user == "root":
        return
    as_owner = state.owner == service.user and state.mode & 0o400
    ours = state.group == service.group and state.mode & 0o040
    if not (as_owner or ours or state.mode & 0o004):
        raise InputError(
            f"{service.component} runs as {service.user} and cannot read this file "
            f"(mode {state.mode:04o}, {state.owner}:{state.group})",
            where=f"{server.spec.host}:{path}",
            todo=f"Let its group read the file: chgrp {service.group} {path} && chmod 0640 {path}",
        )


def _kept_server_pair(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    config: web_config.WebConfig | None,
    names: tuple[str, ...],
) -> Pair | None:
    """The existing pair if it is good: it matches, is valid, covers the names, and can be trusted."""
    pairs = []
    if config is not None and config.cert_file and config.key_file:
        pairs.append(tuple(posixpath.join(server.home, name) for name in (config.cert_file, config.key_file)))
    pairs += [server.pair, server.spare_pair]
    for certificate_path, key_path in pairs:
        certificate, key = (server.host.files.get(path) for path in (certificate_path, key_path))
        if certificate is None or key is None:
            continue
        if any(as_go_reads(state.content) != state.content for state in (certificate, key)):
            continue  # a byte order mark hides the first PEM block from Go
        try:
            if issue.problems(certificate.content, names=names, key_pem=key.content, purpose="server"):
                continue
            ours = factory.signed_by_us(certificate.content)
            trust = (
                factory.old_authority() if ours else _foreign_trust(stack, facts, server, certificate.content)
            )
        except CertificateError:
            continue
        if trust:
            copied = public(trust)
            source = certificate_path if copied == certificate.content else ""
            return Pair(certificate_path, key_path, certificate.content, copied, ours, trust_file=source)
    return None


def _foreign_trust(stack: Stack, facts: Facts, server: Server, certificate: bytes) -> bytes:
    """PEM that verifies another CA's certificate: itself if self-signed, or a client's CA file; b'' for none."""
    if signatures.is_self_signed(certificate):
        return certificate
    for scraper in paths.scrapers(stack, facts):
        for place in scraper.places():
            is_client = any(scraper.means(address, server) for address in place.addresses)
            if is_client and place.tls.get("ca_file"):
                state = scraper.host.files.get(scraper.resolve(place, place.tls["ca_file"]))
                if state is not None and signatures.vouches(as_go_reads(state.content), certificate):
                    return state.content
    return b""


class _Made(NamedTuple):
    """A new pair, its CA, and the commands for key and certificate."""

    certificate: bytes
    key: bytes
    trust: bytes
    make: tuple[Typed, ...]
    certify: tuple[Typed, ...]


def _new_server_pair(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    config: web_config.WebConfig | None,
    names: tuple[str, ...],
) -> Pair:
    spec = stack.certificates
    certificate_path, key_path = place = _free_pair(server, config)
    if spec.issued_by == "shared" and server.spec.name != "prometheus":
        made = _copy_of_shared_pair(stack, facts, factory, server, place)
    else:
        made = _own(stack, facts, factory, server, place, names)
    changes = (
        server.write(
            key_path,
            FileState(made.key, server.secret_mode, server.owner, server.group),
            ContentKind.PRIVATE_KEY,
            why="Only root and the service can read the key: whoever has it can impersonate this server.",
            by_hand=made.make,
        ),
        server.write(
            certificate_path,
            FileState(made.certificate, 0o644, server.owner, server.group),
            ContentKind.CERTIFICATE,
            why=f"Valid for {', '.join(names)}, for {spec.days} days.",
            about=issue.describe(made.certificate),
            by_hand=made.certify,
        ),
    )
    pinned = certificate_path if made.trust == made.certificate else ""
    return Pair(
        certificate_path,
        key_path,
        made.certificate,
        made.trust,
        spec.issued_by == "ca",
        changes,
        trust_file=pinned,
    )


def _copy_of_shared_pair(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, server: Server, place: tuple[str, str]
) -> _Made:
    """A copy of the pair that all nodes share."""
    shared, source = shared_pair(stack, facts, factory), paths.shared_pair(facts)
    certify = words.copy(source[0], place[0], FileState(b"", 0o644, server.owner, server.group))
    make = words.copy(source[1], place[1], FileState(b"", server.secret_mode, server.owner, server.group))
    return _Made(shared.certificate, shared.key, shared.trust, make, certify)


def _own(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    server: Server,
    place: tuple[str, str],
    names: tuple[str, ...],
) -> _Made:
    """A pair for this server alone, signed by the CA or self-signed."""
    spec, name, (certificate_path, key_path) = stack.certificates, server.spec.host, place
    key = issue.new_key(spec.key)
    make = words.new_key(key_path, spec.key, mode=server.secret_mode, owner=server.owner, group=server.group)
    if spec.issued_by != "ca":
        certificate = issue.self_signed(key_pem=key, names=names, days=spec.days, common_name=name)
        signed = words.self_signed(
            key=key_path, certificate=certificate_path, names=names, days=spec.days, name=name
        )
        return _Made(certificate, key, certificate, make, signed)
    authority = factory.authority()
    certificate = issue.issue(
        ca_cert=authority.certificate,
        ca_key=authority.key,
        key_pem=key,
        names=names,
        days=spec.days,
        common_name=name,
    )
    certify = words.issue(
        key=key_path,
        certificate=certificate_path,
        names=names,
        days=spec.days,
        name=name,
        ca=paths.ca_pair(facts),
        owner=server.owner,
        group=server.group,
    )
    return _Made(certificate, key, authority.certificate, make, certify)


def _free_pair(server: Server, config: web_config.WebConfig | None) -> tuple[str, str]:
    """The paths for a new pair: neither a person's own files nor files in use."""
    used = posixpath.join(server.home, config.cert_file) if config is not None and config.cert_file else ""
    if used in (server.pair[0], server.spare_pair[0]):
        return server.pair if used == server.spare_pair[0] else server.spare_pair
    is_taken = any(server.host.files.get(path) is not None for path in server.pair)
    return server.spare_pair if is_taken else server.pair


def make_home(server: Server, why: str) -> tuple[Change, ...]:
    """The changes that create the server's folder and its missing parents."""
    folders: Mapping[str, PathInfo | None] = server.host.folders
    return tuple(
        words.make_folder(server.spec.host, path, mode=0o750, owner=server.owner, group=server.group, why=why)
        for path in server.homes
        if folders.get(path) is None
    )

"""Who shows which certificate: the pairs of servers and of their clients, kept where they serve, made where not.

'Serves' is a question put to the certificate (key, names, purpose, dates, who vouches for it), never a comparison
of text. A file that a person made is never written over.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from urllib.parse import urlsplit

from wizard import pki
from wizard.configs import web
from wizard.errors import CertificateError, InputError
from wizard.model import (
    WORKSPACE,
    Change,
    Facts,
    FileState,
    MakeFolder,
    OwnFiles,
    PathInfo,
    PlannedStep,
    Stack,
    WriteFile,
)
from wizard.steps import layout, material, words
from wizard.steps.layout import LOOPBACK, Client, Server
from wizard.trust import relations

PROBE_NAME = "firescreen"
"""The name in the certificate that the probes show."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, where they are or will be."""

    certificate_file: str
    key_file: str
    certificate: bytes
    """PEM, as it will be shown."""
    trust: bytes
    """PEM: what the other end has to trust."""
    own_ca: bool
    """Whether our CA signed it."""
    changes: tuple[Change, ...] = ()
    """What makes it; none if it is there."""
    trust_file: str = ""
    """The file on the server's host that is `trust`; '' where it is the CA's, or only a part of what a file holds."""


def public(pem: bytes) -> bytes:
    """What of a file may be copied to others: the certificates alone, if a private key lies beside them."""
    return bundle([pem]) if b"PRIVATE KEY" in pem else pem


def certificate_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """Names and addresses for the certificate: what the person said, or what the real targets are.

    Every target of a job or other client that means this server, its own names, and where it listens.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    for scraper in layout.scrapers(stack, facts):
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            found |= dict.fromkeys(address.rpartition(":")[0].strip("[]") for address in asked)
            if asked and place.tls.get("server_name"):
                found[place.tls["server_name"]] = None
    address = server.address.rpartition(":")[0].strip("[]")
    practice = server.host.spec.connect == "practice"
    for name in (address, server.host.spec.address, server.spec.host if practice else "", *server.host.names):
        if name and not (practice and name in LOOPBACK):
            found[name] = None
    return tuple(found)


def needed_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """The names without which a certificate does not serve: what the person said, or what clients ask for.

    One that is there already need not be good for every name of its host.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    for scraper in layout.scrapers(stack, facts):
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            name = place.tls.get("server_name")  # checked in place of the address
            found |= dict.fromkeys([name] if asked and name else map(_bare, asked))
            urls = (urlsplit(target.param_target) for target in place.targets)
            found |= {
                url.hostname: None for url in urls if url.hostname and scraper.means(url.netloc, server)
            }
    return tuple(found) or (_bare(server.address),)


def _bare(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


# -- servers ------------------------------------------------------------------------------------------------


def server_pair(
    stack: Stack, facts: Facts, forge: material.Forge, server: Server, config: web.WebConfig | None
) -> Pair:
    """The server's certificate and key: the person's own files, what is there and serves, or new ones.

    Raises:
        CertificateError: the person's own files would not do. InputError: no name is known.
    """
    needed = needed_names(stack, facts, server)
    if server.spec.files.cert_file or stack.certificates.issued_by == "files":
        return _own_pair(facts, server, needed)
    names = certificate_names(stack, facts, server)
    if not forge.renews(server.key):
        kept = _kept_server_pair(stack, facts, forge, server, config, needed)
        if kept is not None:
            return kept
    if not names:
        raise InputError(
            f"no name or address is known for {server.key}", todo="give its names for the certificate"
        )
    return _new_server_pair(stack, facts, forge, server, config, names)


def _own_pair(facts: Facts, server: Server, names: tuple[str, ...]) -> Pair:
    files = server.spec.files
    if not (files.cert_file and files.key_file):
        raise InputError(
            f"certificates come from files, and none are named for {server.key}",
            todo="name files: {cert_file: …, key_file: …} in its entry",
        )
    certificate = _must(server.host.files, server.spec.host, files.cert_file, "certificate")
    key = _must(server.host.files, server.spec.host, files.key_file, "key")
    trust = certificate
    if files.ca_file:
        trust = _must(server.host.files, server.spec.host, files.ca_file, "CA certificate")
        _refuse_leaf(trust, certificate, f"{server.spec.host}:{files.ca_file}")
    elif not relations.is_self_signed(certificate):
        raise CertificateError(
            "the certificate does not sign itself, and the CA that signed it is not named",
            where=f"{server.spec.host}:{files.cert_file}",
            todo="name the CA's certificate as ca_file",
        )
    if b"ENCRYPTED" in key:
        raise CertificateError(
            "the key is encrypted, and no server of the Prometheus family can ask for its passphrase",
            where=f"{server.spec.host}:{files.key_file}",
            todo="store it without one: openssl pkey -in KEY -out NEW, mode 0640",
        )
    problems = pki.problems(certificate, names=names, key_pem=key, ca_pem=trust, purpose="server")
    if problems:
        blamed = next(
            (path for words, path in _blamed(files) if problems[0].startswith(words)), files.cert_file
        )
        raise CertificateError(
            problems[0],
            where=f"{server.spec.host}:{blamed}",
            todo="mend the certificate, or correct names: in the component's entry",
        )
    for path in (files.cert_file, files.key_file):
        _readable(server, path)
    ours = relations.signed_by(certificate, trust) and trust == material.authority_certificate(facts)
    copied = public(trust)
    source = (files.ca_file or files.cert_file) if copied == trust else ""
    return Pair(files.cert_file, files.key_file, certificate, copied, ours, trust_file=source)


def _blamed(files: OwnFiles) -> tuple[tuple[str, str], ...]:
    """How a problem begins, and the file that it is about."""
    return ("The key", files.key_file), ("The CA", files.ca_file)


def _must(files: Mapping[str, FileState | None], host: str, path: str, what: str) -> bytes:
    state = files.get(path)
    if state is None:
        raise InputError(
            f"there is no {what} here", where=f"{host}:{path}", todo="correct the path, or put it there"
        )
    if state.content.startswith(b"\x30"):  # how every certificate and key in DER form begins
        convert = "openssl pkey" if what.endswith("key") else "openssl x509"
        raise CertificateError(
            f"the {what} is in DER form, and Prometheus and its exporters want PEM",
            where=f"{host}:{path}",
            todo=f"convert it: {convert} -inform DER -in {path} -out NEW",
        )
    return state.content


def _refuse_leaf(trust: bytes, certificate: bytes, where: str) -> None:
    if trust.strip() == certificate.strip():
        return  # pinned: the certificate itself is what clients trust
    if "CA" not in pki.summary(trust).usage:
        raise CertificateError(
            "this is not a CA certificate but one of a server or client",
            where=where,
            todo="name the certificate of the CA that signed it",
        )


def _readable(server: Server, path: str) -> None:
    """Whether the service can read a file by its mode, and is not kept from it by its unit.

    Raises:
        InputError: it cannot.
    """
    state, service = server.host.files.get(path), server.service
    hidden = service.hides(path)
    if hidden:
        raise InputError(
            f"the unit {service.unit} cannot see {hidden}",
            where=f"{server.spec.host}:{path}",
            todo=f"copy the file below /etc, e.g. to {server.home}: systemd hides that folder from the unit",
        )
    if state is None or service.user == "root":
        return
    mine = state.owner == service.user and state.mode & 0o400
    ours = state.group == service.group and state.mode & 0o040
    if not (mine or ours or state.mode & 0o004):
        raise InputError(
            f"{service.component} runs as {service.user} and cannot read this file "
            f"(mode {state.mode:04o}, {state.owner}:{state.group})",
            where=f"{server.spec.host}:{path}",
            todo=f"chgrp {service.group} {path} && chmod 0640 {path}",
        )


def _kept_server_pair(
    stack: Stack,
    facts: Facts,
    forge: material.Forge,
    server: Server,
    config: web.WebConfig | None,
    names: tuple[str, ...],
) -> Pair | None:
    """The pair that is there, if it serves: it matches, is valid, covers the names, and can be trusted."""
    pairs = []
    if config is not None and config.cert_file and config.key_file:
        pairs.append(tuple(posixpath.join(server.home, name) for name in (config.cert_file, config.key_file)))
    pairs += [server.pair, server.spare_pair]
    for certificate_path, key_path in pairs:
        certificate, key = (server.host.files.get(path) for path in (certificate_path, key_path))
        if certificate is None or key is None:
            continue
        try:
            if pki.problems(certificate.content, names=names, key_pem=key.content, purpose="server"):
                continue
            ours = forge.signed_by_us(certificate.content)
            trust = forge.old_authority() if ours else _vouched(stack, facts, server, certificate.content)
        except CertificateError:
            continue
        if trust:
            copied = public(trust)
            source = certificate_path if copied == certificate.content else ""
            return Pair(certificate_path, key_path, certificate.content, copied, ours, trust_file=source)
    return None


def _vouched(stack: Stack, facts: Facts, server: Server, certificate: bytes) -> bytes:
    """What vouches for a certificate that is not ours: itself, or the CA file of a client that asks this server."""
    if relations.is_self_signed(certificate):
        return certificate
    for scraper in layout.scrapers(stack, facts):
        for place in scraper.places():
            asked = any(scraper.means(address, server) for address in place.addresses)
            if asked and place.tls.get("ca_file"):
                state = scraper.host.files.get(posixpath.join(scraper.folder, place.tls["ca_file"]))
                if state is not None and relations.vouches(state.content, certificate):
                    return state.content
    return b""


def _new_server_pair(
    stack: Stack,
    facts: Facts,
    forge: material.Forge,
    server: Server,
    config: web.WebConfig | None,
    names: tuple[str, ...],
) -> Pair:
    spec = stack.certificates
    certificate_path, key_path = _free_pair(server, config)
    own_ca = spec.issued_by == "ca"
    source: tuple[str, str] | None = None
    if own_ca:
        key = pki.new_key(spec.key)
        authority = forge.authority()
        certificate = pki.issue(
            ca_cert=authority.certificate,
            ca_key=authority.key,
            key_pem=key,
            names=names,
            days=spec.days,
            common_name=server.spec.host,
        )
        trust = authority.certificate
        certify = words.issue(
            key=key_path,
            certificate=certificate_path,
            names=names,
            days=spec.days,
            name=server.spec.host,
            ca=layout.ca_pair(facts),
        )
    elif spec.issued_by == "shared" and server.spec.name != "prometheus":
        shared = shared_pair(stack, facts, forge)
        certificate, trust, source, certify = shared.certificate, shared.trust, layout.shared_pair(facts), ()
        key = shared.key
    else:
        key = pki.new_key(spec.key)
        certificate = pki.self_signed(key_pem=key, names=names, days=spec.days, common_name=server.spec.host)
        trust = certificate
        certify = words.self_signed(
            key=key_path, certificate=certificate_path, names=names, days=spec.days, name=server.spec.host
        )
    states = (
        FileState(certificate, 0o644, server.owner, server.group),
        FileState(key, 0o640, server.owner, server.group),
    )
    make = words.new_key(key_path, spec.key, mode=0o640, owner=server.owner, group=server.group)
    if source is not None:
        certify, make = (
            words.copy(origin, path, state)
            for origin, path, state in zip(source, (certificate_path, key_path), states, strict=True)
        )
    files = facts.hosts[server.spec.host].files
    changes: tuple[Change, ...] = (
        WriteFile(
            host=server.spec.host,
            path=key_path,
            before=files.get(key_path),
            after=states[1],
            why="Only root and the service itself may read the key: who has it can pose as this server.",
            secret=True,
            by_hand=make,
        ),
        WriteFile(
            host=server.spec.host,
            path=certificate_path,
            before=files.get(certificate_path),
            after=states[0],
            why=f"It speaks for {', '.join(names)}, for {spec.days} days.",
            about=pki.describe(certificate),
            by_hand=certify,
        ),
    )
    pinned = certificate_path if trust == certificate else ""
    return Pair(certificate_path, key_path, certificate, trust, own_ca, changes, trust_file=pinned)


@dataclass(frozen=True, slots=True)
class SharedPair:
    """The one pair of all nodes, kept in the workspace so that a node which comes later gets the same."""

    certificate: bytes
    key: bytes
    changes: tuple[Change, ...]

    @property
    def trust(self) -> bytes:
        """It signs itself."""
        return self.certificate


def shared_pair(stack: Stack, facts: Facts, forge: material.Forge) -> SharedPair:
    """The pair that all servers but Prometheus share, good for every name of theirs."""
    return forge.once("shared", lambda: _shared_pair(stack, facts, forge))


def _shared_pair(stack: Stack, facts: Facts, forge: material.Forge) -> SharedPair:
    certificate_path, key_path = layout.shared_pair(facts)
    nodes = [server for server in layout.servers(stack, facts) if server.spec.name != "prometheus"]
    names = tuple(dict.fromkeys(name for node in nodes for name in certificate_names(stack, facts, node)))
    kept, key = facts.file(WORKSPACE, certificate_path), facts.file(WORKSPACE, key_path)
    if kept is not None and key is not None and not forge.renewing:
        problems = pki.problems(kept.content, names=names, key_pem=key.content, purpose="server")
        if not problems:
            return SharedPair(kept.content, key.content, ())
    spec = stack.certificates
    key_pem = pki.new_key(spec.key)
    certificate = pki.self_signed(
        key_pem=key_pem, names=names, days=spec.days, common_name="node", client=True
    )
    changes = (
        *material.workspace_folder(
            facts, "shared", "The pair that all nodes share is kept for nodes that come later."
        ),
        *material.private(
            facts,
            key_path,
            key_pem,
            why="Every node gets a copy: who takes it from one can pose as all of them.",
            by_hand=words.new_key(key_path, spec.key),
        ),
        *material.private(
            facts,
            certificate_path,
            certificate,
            why="One certificate with the names of all nodes.",
            by_hand=words.self_signed(
                key=key_path,
                certificate=certificate_path,
                names=names,
                days=spec.days,
                name="node",
                usage="serverAuth, clientAuth",
            ),
            secret=False,
            about=pki.describe(certificate),
        ),
    )
    return SharedPair(certificate, key_pem, changes)


def shared_step(stack: Stack, facts: Facts, forge: material.Forge) -> tuple[PlannedStep, ...]:
    """What makes the shared pair, if a server of this plan gets it and it had to be made."""
    changes = shared_pair(stack, facts, forge).changes if forge.has("shared") else ()
    if not changes:
        return ()
    return (
        PlannedStep(
            id="shared",
            title="Make one certificate for all nodes",
            host=WORKSPACE,
            why=(
                "One pair on every node is the least work, and what workshops do. The price: a key that is taken "
                "from one node opens all of them, and all must change when one is lost."
            ),
            changes=changes,
        ),
    )


def _free_pair(server: Server, config: web.WebConfig | None) -> tuple[str, str]:
    """Where a new pair goes: neither over a person's own files nor over those that are in use."""
    used = posixpath.join(server.home, config.cert_file) if config is not None and config.cert_file else ""
    if used in (server.pair[0], server.spare_pair[0]):
        return server.pair if used == server.spare_pair[0] else server.spare_pair
    taken = any(server.host.files.get(path) is not None for path in server.pair)
    return server.spare_pair if taken else server.pair


def make_home(server: Server, why: str) -> tuple[Change, ...]:
    """The changes that make the server's folder and those above it, if they are not there."""
    folders: Mapping[str, PathInfo | None] = server.host.folders
    return tuple(
        MakeFolder(
            host=server.spec.host,
            path=path,
            mode=0o750,
            owner=server.owner,
            group=server.group,
            why=why,
            by_hand=words.folder(path, mode=0o750, owner=server.owner, group=server.group),
        )
        for path in server.homes
        if folders.get(path) is None
    )


# -- clients ------------------------------------------------------------------------------------------------


def client_pair(stack: Stack, facts: Facts, forge: material.Forge, client: Client) -> Pair:
    """What a client shows to servers that ask for a certificate: its own files, what is there, or a new pair.

    Raises:
        CertificateError: the person's own files would not do.
    """
    if client.own.client_cert_file:
        return _own_client_pair(client)
    files = client.host.files
    ours = stack.certificates.issued_by == "ca"
    # The one in use first: after a renewal the old pair still lies there.
    for certificate_path, key_path in sorted(
        (client.pair, client.spare_pair), key=lambda pair: not _in_use(client, pair[0])
    ):
        certificate, key = files.get(certificate_path), files.get(key_path)
        if certificate is None or key is None or forge.renews(f"client:{client.key}"):
            continue
        if pki.problems(certificate.content, names=(), key_pem=key.content, purpose="client"):
            continue
        if forge.signed_by_us(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, forge.old_authority(), True)
        if not ours and relations.is_self_signed(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, certificate.content, False)
    place = client.pair if files.get(client.pair[0]) is None else client.spare_pair
    if forge.renews(f"client:{client.key}") and _in_use(client, client.spare_pair[0]):
        place = client.pair
    certificate_pem, key_pem, trust = forge.signed(client.names, common_name=client.names[0])
    name, group = client.host.spec.name, client.service.group
    by_hand = words.client_pair(
        paths=place,
        kind=stack.certificates.key,
        names=client.names,
        days=stack.certificates.days,
        ca=layout.ca_pair(facts) if ours else None,
        owner=client.owner,
        group=group,
    )
    changes = (
        WriteFile(
            host=name,
            path=place[1],
            before=files.get(place[1]),
            after=FileState(key_pem, 0o640, client.owner, group),
            why=f"Who has this key can pose as this {client.service.component}. It never leaves this host.",
            secret=True,
            by_hand=by_hand[0],
        ),
        WriteFile(
            host=name,
            path=place[0],
            before=files.get(place[0]),
            after=FileState(certificate_pem, 0o644, client.owner, group),
            why=f"{client.service.component} shows it to servers that ask who is calling.",
            about=pki.describe(certificate_pem),
            by_hand=by_hand[1],
        ),
    )
    return Pair(place[0], place[1], certificate_pem, trust, ours, changes)


def _in_use(client: Client, certificate_path: str) -> bool:
    return any(
        posixpath.join(client.folder, place.tls.get("cert_file", "")) == certificate_path
        for place in client.places()
    )


def _own_client_pair(client: Client) -> Pair:
    host, files, own = client.host.spec.name, client.host.files, client.own
    certificate = _must(files, host, own.client_cert_file, "client certificate")
    key = _must(files, host, own.client_key_file, "client key")
    problems = pki.problems(certificate, names=(), key_pem=key, purpose="client")
    if problems:
        raise CertificateError(
            problems[0], where=f"{host}:{own.client_cert_file}", todo="mend it or leave it out"
        )
    trust = certificate
    if own.client_ca_file:
        trust = _must(files, host, own.client_ca_file, "client CA")
        if not relations.vouches(trust, certificate):
            raise CertificateError(
                "this CA did not sign the client certificate",
                where=f"{host}:{own.client_ca_file}",
                todo="name the CA that did",
            )
    return Pair(own.client_cert_file, own.client_key_file, certificate, public(trust), False)


def kept_place_pair(client: Client, tls: Mapping[str, str], bundle: bytes) -> tuple[str, str] | None:
    """The pair that a place of the client names already, if a server that checks against `bundle` takes it."""
    certificate_file, key_file = tls.get("cert_file", ""), tls.get("key_file", "")
    if not (certificate_file and key_file):
        return None
    certificate, key = (
        client.host.files.get(posixpath.join(client.folder, name)) for name in (certificate_file, key_file)
    )
    if certificate is None or key is None:
        return None
    if pki.problems(certificate.content, names=(), key_pem=key.content, purpose="client"):
        return None
    return (certificate_file, key_file) if relations.vouches(bundle, certificate.content) else None


# -- the probes' own ----------------------------------------------------------------------------------------


def probe_step(
    stack: Stack, facts: Facts, forge: material.Forge, *, names_checked: bool
) -> tuple[PlannedStep, ...]:
    """The pairs with which this program proves that only the right certificate gets in.

    Args:
        names_checked: whether a server allows only certain names: a certificate with another must be refused.
    """
    pair = forge.once("probe", lambda: probe_pair(stack, facts, forge))
    changes: list[Change] = [*pair.changes]
    if names_checked and stack.certificates.issued_by == "ca":
        changes += _workspace_pair(
            facts,
            layout.other_pair(facts),
            lambda: forge.signed(("other.invalid",), common_name="other")[:2],
            fits=forge.signed_by_us,
            why="Signed by your CA, with a name that no server allows: it must be refused.",
            by_hand=words.client_pair(
                paths=layout.other_pair(facts),
                kind="ec-p256",
                names=("other.invalid",),
                days=stack.certificates.days,
                ca=layout.ca_pair(facts),
            ),
        )
    changes += _workspace_pair(
        facts,
        layout.stranger_pair(facts),
        lambda: forge.pinned(("stranger.invalid",), common_name="stranger")[:2],
        fits=relations.is_self_signed,
        why="A certificate that nobody you trust has signed: it must be refused.",
        by_hand=words.client_pair(
            paths=layout.stranger_pair(facts),
            kind="ec-p256",
            names=("stranger.invalid",),
            days=stack.certificates.days,
            ca=None,
        ),
    )
    if not changes:
        return ()
    folder = material.workspace_folder(
        facts, "clients", "Certificates that the probes show; keys for you alone."
    )
    return (
        PlannedStep(
            id="clients",
            title="Make certificates to knock with",
            host=WORKSPACE,
            why=(
                "The proof asks with the right certificate, with none and with a stranger's: only the first may get "
                "in. These are for the proof alone; Prometheus gets a pair of its own."
            ),
            changes=(*folder, *changes),
        ),
    )


def probe_pair(stack: Stack, facts: Facts, forge: material.Forge) -> Pair:
    """The pair of the probes, in the workspace."""
    certificate_path, key_path = layout.probe_pair(facts)
    ours = stack.certificates.issued_by == "ca"
    certificate, key = facts.file(WORKSPACE, certificate_path), facts.file(WORKSPACE, key_path)
    if certificate is not None and key is not None and not forge.renews("client:workspace"):
        good = not pki.problems(certificate.content, names=(), key_pem=key.content, purpose="client")
        if good and forge.signed_by_us(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, forge.old_authority(), True)
        if good and not ours and relations.is_self_signed(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, certificate.content, False)
    certificate_pem, key_pem, trust = forge.signed((PROBE_NAME,), common_name=PROBE_NAME)
    by_hand = words.client_pair(
        paths=(certificate_path, key_path),
        kind=stack.certificates.key,
        names=(PROBE_NAME,),
        days=stack.certificates.days,
        ca=layout.ca_pair(facts) if ours else None,
    )
    changes = (
        *material.private(
            facts,
            key_path,
            key_pem,
            why="The probes show the certificate that goes with it.",
            by_hand=by_hand[0],
        ),
        *material.private(
            facts,
            certificate_path,
            certificate_pem,
            why="What the right client shows in the proof.",
            by_hand=by_hand[1],
            secret=False,
            about=pki.describe(certificate_pem),
        ),
    )
    return Pair(certificate_path, key_path, certificate_pem, trust, ours, changes)


def _workspace_pair(
    facts: Facts,
    paths: tuple[str, str],
    make: Callable[[], tuple[bytes, bytes]],
    *,
    fits: Callable[[bytes], bool],
    why: str,
    by_hand: Sequence[tuple[str, ...]],
) -> tuple[Change, ...]:
    there, there_key = (facts.file(WORKSPACE, path) for path in paths)
    if there is not None and there_key is not None:
        problems = pki.problems(there.content, names=(), key_pem=there_key.content, purpose="client")
        if not problems and fits(there.content):
            return ()
    certificate, key = make()
    about = pki.describe(certificate)
    return (
        *material.private(facts, paths[1], key, why=why, by_hand=by_hand[0]),
        *material.private(
            facts, paths[0], certificate, why=why, by_hand=by_hand[1], secret=False, about=about
        ),
    )


def bundle(parts: Sequence[bytes]) -> bytes:
    """One PEM bundle of several, each certificate once."""
    seen: dict[bytes, None] = {}
    for part in chain.from_iterable(material.certificates_in(part) for part in parts):
        seen[part] = None
    return b"".join(seen)

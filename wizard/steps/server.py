"""The server's end: key and certificate, web configuration, and the flag that names it.

What a person already has (a certificate that serves, users, headers) stays; only what is missing is added.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wizard import passwords, pki
from wizard.components import component as find_component
from wizard.configs import prometheus as scrape
from wizard.configs import web
from wizard.errors import CertificateError, ConfigError, InputError
from wizard.model import (
    Change,
    Facts,
    FileState,
    MakeFolder,
    PathInfo,
    PlannedStep,
    Stack,
    WriteFile,
)
from wizard.services import flags
from wizard.steps import layout, material, words
from wizard.steps.layout import LOOPBACK, Server
from wizard.trust import relations

Turn = Literal["none", "reread", "restart"]


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one server needs."""

    server: Server
    certificate_file: str
    certificate: bytes
    """The PEM that it will show."""
    own_ca: bool
    """Whether our CA signs it (else the certificate itself is pinned)."""
    trust: bytes
    """What a client has to trust, PEM."""
    material: PlannedStep | None
    web: PlannedStep | None
    flag: PlannedStep | None
    turn: Turn
    """Whether its scheme or flags change (restart), only what it re-reads (reread), or nothing."""
    was_tls: bool


def certificate_names(facts: Facts, server: Server) -> tuple[str, ...]:
    """Names and addresses for the certificate: what the person said, or what the real targets are.

    Every target of a job that means this server, its own names, and the address that it listens on.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    for scraper in layout.scrapers(facts):
        state = scraper.host.files.get(scraper.service.config_file)
        if state is None:
            continue
        for job in scrape.job_for(state.content, scraper.names_of(server), server.port):
            known = scraper.names_of(server)
            for target in job.targets:
                name = target.rpartition(":")[0].strip("[]")
                if name in known:
                    found[name] = None
            if job.tls.get("server_name"):
                found[job.tls["server_name"]] = None
    address = server.address.rpartition(":")[0].strip("[]")
    practice = server.host.spec.connect == "practice"
    for name in (address, server.host.spec.address, server.spec.host if practice else "", *server.host.names):
        if name and not (practice and name in LOOPBACK):
            found[name] = None
    return tuple(found)


def plan_server(stack: Stack, facts: Facts, forge: material.Forge, server: Server) -> ServerPlan:
    """What the server's own host needs.

    Raises:
        CertificateError, ConfigError, PasswordError, InputError: something there or given cannot be used.
    """
    before = facts.file(server.spec.host, server.web_file)
    config = web.parse(before.content) if before is not None else None
    authority: material.Authority | None = None
    kept = _kept_certificate(facts, server, config)
    changes: tuple[Change, ...] = ()
    if kept is not None:
        certificate_file, key_file, certificate = kept
        own_ca = _signed_by_us(facts, certificate)
    else:
        own_ca = stack.certificates.issued_by == "ca"
        if own_ca:
            authority = forge.authority()
        certificate_file, key_file = _free_pair(server)
        certificate, changes = _new_pair(stack, facts, server, authority, (certificate_file, key_file))
    trust = certificate
    if own_ca:
        ca = forge.ca_certificate()
        assert ca is not None
        trust = ca
    web_step = _web_step(facts, forge, server, before, certificate_file, key_file)
    flag_step = _flag_step(server)
    was_tls = bool(server.service.web_config and config is not None and config.cert_file)
    turn: Turn = "none"
    if flag_step is not None or not was_tls:
        turn = "restart"
    elif web_step is not None:
        turn = "reread"
    step = None
    if changes:
        step = PlannedStep(
            id=f"certificate:{server.key}",
            title=f"Give {server.spec.name} a key and a certificate",
            host=server.spec.host,
            why=(
                "TLS needs a private key, which only the server may read, and a certificate that says for which "
                "names and addresses the key speaks. A client refuses a certificate without the name it asked for."
            ),
            changes=changes,
        )
    return ServerPlan(
        server, certificate_file, certificate, own_ca, trust, step, web_step, flag_step, turn, was_tls
    )


def _kept_certificate(
    facts: Facts, server: Server, config: web.WebConfig | None
) -> tuple[str, str, bytes] | None:
    """The pair that is there, if it serves: it matches, is valid, covers the names, and can be trusted."""
    pairs = []
    if config is not None and config.cert_file and config.key_file:
        pairs.append(tuple(posixpath.join(server.home, name) for name in (config.cert_file, config.key_file)))
    pairs += [server.pair, server.spare_pair]
    names = certificate_names(facts, server)
    for certificate_path, key_path in pairs:
        certificate = server.host.files.get(certificate_path)
        key = server.host.files.get(key_path)
        if certificate is None or key is None:
            continue
        try:
            problems = pki.problems(certificate.content, names=names, key_pem=key.content, purpose="server")
            trusted = _signed_by_us(facts, certificate.content) or relations.is_self_signed(
                certificate.content
            )
        except CertificateError:
            continue
        if not problems and trusted:
            return certificate_path, key_path, certificate.content
    return None


def _signed_by_us(facts: Facts, certificate: bytes) -> bool:
    ca = material.authority_certificate(facts)
    return ca is not None and relations.signed_by(certificate, ca)


def _free_pair(server: Server) -> tuple[str, str]:
    """Where a new pair goes: a person's own files are not written over."""
    taken = any(server.host.files.get(path) is not None for path in server.pair)
    return server.spare_pair if taken else server.pair


def _new_pair(
    stack: Stack,
    facts: Facts,
    server: Server,
    authority: material.Authority | None,
    paths: tuple[str, str],
) -> tuple[bytes, tuple[Change, ...]]:
    certificate_path, key_path = paths
    names = certificate_names(facts, server)
    if not names:
        raise InputError(
            f"no name or address is known for {server.key}", todo="give its names for the certificate"
        )
    spec = stack.certificates
    key = pki.new_key(spec.key)
    common_name = server.spec.host
    if authority is not None:
        certificate = pki.issue(
            ca_cert=authority.certificate,
            ca_key=authority.key,
            key_pem=key,
            names=names,
            days=spec.days,
            common_name=common_name,
        )
        by_hand = words.issue(
            key=key_path,
            certificate=certificate_path,
            names=names,
            days=spec.days,
            name=common_name,
            ca=layout.ca_pair(facts),
        )
    else:
        certificate = pki.self_signed(key_pem=key, names=names, days=spec.days, common_name=common_name)
        by_hand = words.self_signed(
            key=key_path, certificate=certificate_path, names=names, days=spec.days, name=common_name
        )
    host = facts.hosts[server.spec.host]
    changes: list[Change] = [*_make_home(host.folders, server, "One folder holds all that the server needs.")]
    changes.append(
        WriteFile(
            host=server.spec.host,
            path=key_path,
            before=host.files.get(key_path),
            after=FileState(key, 0o640, server.owner, server.group),
            why="Only root and the service itself may read the key: who has it can pose as this server.",
            secret=True,
            by_hand=words.new_key(key_path, spec.key, mode=0o640, owner=server.owner, group=server.group),
        )
    )
    changes.append(
        WriteFile(
            host=server.spec.host,
            path=certificate_path,
            before=host.files.get(certificate_path),
            after=FileState(certificate, 0o644, server.owner, server.group),
            why=f"It speaks for {', '.join(names)}, for {spec.days} days.",
            about=pki.describe(certificate),
            by_hand=by_hand,
        )
    )
    return certificate, tuple(changes)


def _make_home(folders: Mapping[str, PathInfo | None], server: Server, why: str) -> tuple[Change, ...]:
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


def _web_step(
    facts: Facts,
    forge: material.Forge,
    server: Server,
    before: FileState | None,
    certificate_file: str,
    key_file: str,
) -> PlannedStep | None:
    """The web configuration with TLS and the users that are missing; None if it already says so."""
    known = web.parse(before.content).users if before is not None else {}
    hashes: dict[str, str] = {}
    fresh = []
    if "basic_auth" in server.spec.protect:
        for given in forge.credentials():
            user = given.user
            if user.name not in known or not passwords.matches(given.password, known[user.name]):
                hashes[user.name] = passwords.hash_password(given.password, user.cost)
                fresh.append((user, layout.user_files(facts, user)[0]))
    content = web.secure(
        before.content if before is not None else None,
        cert_file=server.named(certificate_file),
        key_file=server.named(key_file),
        users=hashes or None,
    )
    mode = before.mode if before is not None and before.mode & 0o007 == 0 else 0o640
    owner, group = (before.owner, before.group) if before is not None else (server.owner, server.group)
    after = FileState(content, mode, owner, group)
    if before is not None and before.content == content and before.mode == mode:
        return None
    parts = ["the certificate"] + (["a password"] if hashes else [])
    return PlannedStep(
        id=f"web:{server.key}",
        title=f"Write {server.spec.name}'s web configuration",
        host=server.spec.host,
        why=(
            f"This file tells {server.spec.name} to demand {' and '.join(parts)}. It holds a bcrypt hash, from "
            "which the password cannot be read back."
            if hashes
            else f"This file tells {server.spec.name} which key and certificate to speak TLS with."
        ),
        changes=(
            WriteFile(
                host=server.spec.host,
                path=server.web_file,
                before=before,
                after=after,
                why="Written for root and the service alone: even a hash is nobody else's business.",
                check="web-config",
                by_hand=words.web_config(server.web_file, before, after, tuple(fresh)),
            ),
        ),
    )


def _flag_step(server: Server) -> PlannedStep | None:
    """The flag that names the web configuration, where the service's flags are set."""
    if server.service.web_config:
        return None
    component = find_component(server.spec.name)
    flag = component.web_flag(server.service.version)
    if not flag:
        raise ConfigError(
            f"{server.spec.name} {server.service.version} cannot do TLS",
            where=server.key,
            todo=f"upgrade it to {component.first_safe_version} or newer",
        )
    place = server.service.flags
    if place.kind == "manual":
        return None  # the restart's own words name the flag
    before = server.host.files.get(place.path)
    text = server.service.unit_text
    after = flags.plan_flag(server.service, flag=flag, value=server.web_file, current=before, unit_text=text)
    changes: list[Change] = []
    parent = posixpath.dirname(place.path)
    if place.kind == "dropin" and server.host.folders.get(parent) is None:
        changes.append(
            MakeFolder(
                host=server.spec.host,
                path=parent,
                mode=0o755,
                owner="root",
                group="root",
                why="systemd reads additions to a unit from this folder.",
                by_hand=words.folder(parent, mode=0o755, owner="root", group="root"),
            )
        )
    changes.append(
        WriteFile(
            host=server.spec.host,
            path=place.path,
            before=before,
            after=after,
            why=f"Without --{flag} the program never opens the file. All its other flags stay.",
            by_hand=flags.by_hand(
                server.service, flag=flag, value=server.web_file, current=before, unit_text=text
            ),
        )
    )
    return PlannedStep(
        id=f"flag:{server.key}",
        title=f"Start {server.spec.name} with the web configuration",
        host=server.spec.host,
        why=(
            f"{server.spec.name} takes its web configuration from the flag --{flag}. A server that was started "
            "without TLS has to be restarted once; later edits of the file are read by themselves."
        ),
        changes=tuple(changes),
    )

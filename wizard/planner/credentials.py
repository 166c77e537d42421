"""The material of a plan: one's own CA, passwords and certificates, made only where none that serves is there.

'Already there' is a question put to the thing itself (does the hash take this password, does the certificate
cover these names), never a comparison of text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from wizard import passwords
from wizard.certificates import issue, signatures
from wizard.config_files import web_config
from wizard.errors import CertificateError, InputError, NeededError, PasswordError
from wizard.model import (
    WORKSPACE,
    Answers,
    Change,
    ContentKind,
    Facts,
    FileState,
    MakeFolder,
    PlannedStep,
    Stack,
    StepKind,
    Typed,
    UserSpec,
    WriteFile,
)
from wizard.planner import manual_commands
from wizard.planner import paths as layout
from wizard.probes import curl_config
from wizard.redact import Secret

CA_NAME = "Firescreen CA"
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Authority:
    """One's own CA: PEM certificate and (unlocked) PEM key."""

    certificate: bytes
    key: bytes
    step: PlannedStep | None
    """What makes it, or None if it is there."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user with the password that both ends are to have."""

    user: UserSpec
    password: Secret
    step_changes: tuple[Change, ...]


class Forge:
    """Makes each thing of a plan once: a second server gets the same CA and the same passwords."""

    def __init__(self, stack: Stack, facts: Facts, answers: Answers) -> None:
        self._stack = stack
        self._facts = facts
        self._answers = answers
        self._authority: Authority | None = None
        self._credentials: tuple[Credential, ...] | None = None
        self._made: dict[str, object] = {}

    def renews(self, what: str) -> bool:
        """Whether the person asked to replace this certificate although it serves.

        `what` is host/component for a server's, client:host/component for a client's.
        """
        return bool({"ca", "certificates", what} & self._answers.renew)

    @property
    def renewing(self) -> bool:
        """Whether anything that serves is to be replaced."""
        return bool(self._answers.renew - {"passwords"})

    @property
    def renews_authority(self) -> bool:
        """Whether the CA itself is to be replaced."""
        return "ca" in self._answers.renew

    def once(self, key: str, make: Callable[[], _T]) -> _T:
        """What `make` gives, made at the first call for that key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def has(self, key: str) -> bool:
        """Whether `once` was called for that key."""
        return key in self._made

    def authority(self) -> Authority:
        """The CA, ready to sign; see `authority`."""
        if self._authority is None:
            self._authority = authority(self._stack, self._facts, self._answers)
        return self._authority

    def old_authority(self) -> bytes:
        """The CA's certificate as it was found; b'' if there is none."""
        return authority_certificate(self._facts) or b""

    def signed_by_us(self, certificate: bytes) -> bool:
        """Whether the CA as it was found signed a certificate."""
        ca = self.old_authority()
        return bool(ca) and signatures.signed_by(certificate, ca)

    def signed(self, names: tuple[str, ...], *, common_name: str) -> tuple[bytes, bytes, bytes]:
        """A new client certificate, its key, and what vouches for it: the CA, or the certificate itself."""
        if self._stack.certificates.issued_by != "ca":
            return self.pinned(names, common_name=common_name)
        spec, ca = self._stack.certificates, self.authority()
        key = issue.new_key(spec.key)
        certificate = issue.issue(
            ca_cert=ca.certificate,
            ca_key=ca.key,
            key_pem=key,
            names=names,
            days=spec.days,
            common_name=common_name,
            server=False,
            client=True,
        )
        return certificate, key, ca.certificate

    def pinned(self, names: tuple[str, ...], *, common_name: str) -> tuple[bytes, bytes, bytes]:
        """A new client certificate that signs itself, its key, and the certificate again."""
        spec = self._stack.certificates
        key = issue.new_key(spec.key)
        certificate = issue.self_signed(
            key_pem=key, names=names, days=spec.days, common_name=common_name, server=False, client=True
        )
        return certificate, key, certificate

    def credentials(self) -> tuple[Credential, ...]:
        """Every user with the password that both ends get."""
        if self._credentials is None:
            self._credentials = tuple(
                credential(self._stack, self._facts, self._answers, user) for user in self._stack.users
            )
        return self._credentials

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """What makes the CA, if it had to be made."""
        return (self._authority.step,) if self._authority and self._authority.step else ()


_T = TypeVar("_T")


def certificates_in(bundle: bytes) -> tuple[bytes, ...]:
    """Each certificate of a PEM text by itself, with the line break that ends it."""
    return tuple(
        block + b"\n"
        for block in re.findall(
            rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.DOTALL
        )
    )


def workspace_folder(facts: Facts, name: str, why: str) -> tuple[Change, ...]:
    """The change that makes a folder in the workspace, if it is not there."""
    path = layout.workspace_path(facts, name)
    if facts.hosts[WORKSPACE].folders.get(path) is not None:
        return ()
    me = _me(facts)
    return (
        MakeFolder(
            host=WORKSPACE,
            path=path,
            mode=0o700,
            owner=me[0],
            group=me[1],
            why=why,
            by_hand=manual_commands.folder(path, mode=0o700, owner=me[0], group=me[1]),
        ),
    )


def workspace_step(kind: StepKind, *, title: str, why: str, changes: Iterable[Change]) -> PlannedStep:
    """A step that writes nothing but the workspace."""
    return PlannedStep(id=kind, kind=kind, title=title, host=WORKSPACE, why=why, changes=tuple(changes))


def private(
    facts: Facts,
    path: str,
    content: bytes,
    kind: ContentKind,
    *,
    why: str,
    by_hand: tuple[Typed, ...],
    secret: bool = True,
    about: tuple[str, ...] = (),
) -> tuple[Change, ...]:
    """A file in the workspace, 0600; nothing if it is there with that content."""
    before = facts.file(WORKSPACE, path)
    if before is not None and before.content == content:
        return ()
    owner, group = _me(facts)
    after = FileState(content, _PRIVATE, owner, group)
    return (
        WriteFile(
            host=WORKSPACE,
            path=path,
            before=before,
            after=after,
            why=why,
            content_kind=kind,
            secret=secret,
            about=about,
            by_hand=by_hand,
        ),
    )


def _me(facts: Facts) -> tuple[str, str]:
    own = facts.hosts[WORKSPACE]
    return own.user, own.group


def authority_certificate(facts: Facts) -> bytes | None:
    """The CA certificate of the workspace, if there is a CA."""
    state = facts.file(WORKSPACE, layout.ca_pair(facts)[0])
    return state.content if state is not None else None


def authority(stack: Stack, facts: Facts, answers: Answers) -> Authority:
    """The CA of the workspace ready to sign, or a new one.

    Raises:
        CertificateError: the CA that is there cannot be used (expired, key locked and no passphrase given).
    """
    certificate_path, key_path = layout.ca_pair(facts)
    certificate, key = facts.file(WORKSPACE, certificate_path), facts.file(WORKSPACE, key_path)
    if certificate is not None and key is not None and "ca" not in answers.renew:
        if b"ENCRYPTED" in key.content and not answers.passphrase:
            raise NeededError(
                "the CA's key is encrypted, and a certificate has to be signed with it",
                where=key_path,
                todo="give its passphrase",
            )
        unlocked = issue.unlock(key.content, answers.passphrase)
        if not issue.matches(certificate.content, unlocked):
            raise CertificateError(
                "the CA's key does not belong to its certificate",
                where=key_path,
                todo="restore the pair that was made together, or move both away to start a new CA",
            )
        return Authority(certificate.content, unlocked, None)
    if stack.certificates.passphrase and not answers.passphrase:
        raise NeededError(
            "the CA's key is to be encrypted, and no passphrase was given",
            where=key_path,
            todo="give one, or set passphrase: false",
        )
    new_key = issue.new_key(stack.certificates.key)
    days = max(stack.certificates.days, 3650)
    new_certificate = issue.new_ca(name=CA_NAME, key_pem=new_key, days=days)
    stored_key = issue.lock(new_key, answers.passphrase) if answers.passphrase else new_key
    changes = (
        *workspace_folder(facts, "ca", "The CA's key stays in this folder and is open to nobody else."),
        *private(
            facts,
            key_path,
            stored_key,
            ContentKind.PRIVATE_KEY,
            why="Whoever holds this key can make certificates that your Prometheus believes. It never leaves here.",
            by_hand=manual_commands.new_key(
                key_path, stack.certificates.key, locked=stack.certificates.passphrase
            ),
        ),
        *private(
            facts,
            certificate_path,
            new_certificate,
            ContentKind.CERTIFICATE,
            why="This is the public half: whoever has it can check what the CA signed, and no more.",
            by_hand=manual_commands.authority(
                key=key_path, certificate=certificate_path, days=days, name=CA_NAME
            ),
            secret=False,
            about=issue.describe(new_certificate),
        ),
    )
    step = workspace_step(
        StepKind.CA,
        title="Make your own certificate authority",
        why=(
            "A certificate is believed because somebody trusted has signed it. You are that somebody here: "
            "one CA of your own signs every server, and each client needs only this one CA certificate."
        ),
        changes=changes,
    )
    return Authority(new_certificate, new_key, step)


def credential(stack: Stack, facts: Facts, answers: Answers, user: UserSpec) -> Credential:
    """The password of a user: the one given, the one that is kept, or a new one.

    Raises:
        InputError: it has to be asked for and was not given.
        PasswordError: it cannot be used.
    """
    password_path, curl_path = layout.user_files(facts, user)
    kept = facts.file(WORKSPACE, password_path)
    given = answers.passwords.get(user.name)
    if given is not None:
        password = given
    elif user.password == "file":
        path = posixpath.abspath(user.file)
        state = facts.file(WORKSPACE, path)
        if state is None:
            raise InputError(
                f"the password file of user {user.name} does not exist",
                where=path,
                todo="write the password into it, with mode 0600",
            )
        password = passwords.decoded(state.content, where=path)
    elif kept is not None:
        password = passwords.decoded(kept.content, where=password_path)
    elif user.password == "prompt":
        raise NeededError(
            f"the password of user {user.name} is to be asked for, and none was given",
            where=stack.source,
            todo="type it, or give it with --password-file",
            user=user.name,
        )
    else:
        spare = facts.spares.get(user.name)
        password = _known_to_a_client(stack, facts, user) or (
            spare.password if spare is not None else passwords.generate()
        )
    try:
        passwords.check(password)
    except PasswordError as error:
        where = posixpath.abspath(user.file) if user.password == "file" else stack.source
        raise PasswordError(error.what, where=where, todo=error.todo) from error
    folder = workspace_folder(facts, "users", "Passwords lie in files that only you can read.")
    changes = (
        *folder,
        *private(
            facts,
            password_path,
            password.reveal().encode(),
            ContentKind.PASSWORD,
            why="The password itself. The server gets only a hash of it, Prometheus a copy.",
            by_hand=manual_commands.password(password_path, user),
        ),
        *private(
            facts,
            curl_path,
            curl_config(user.name, password.reveal()),
            ContentKind.CURL_CONFIG,
            why="curl reads user and password from here, so that they never stand on a command line.",
            by_hand=manual_commands.curl_config(curl_path, user.name, password_path),
        ),
    )
    return Credential(user, password, changes)


def _sent(stack: Stack, facts: Facts, user: UserSpec) -> list[tuple[str, FileState]]:
    """The files from which clients read the password of that user, each with host:path."""
    paths = [(scraper, scraper.password_file(user)) for scraper in layout.scrapers(stack, facts)]
    paths += [
        (scraper, scraper.resolve(place, place.basic_auth["password_file"]))
        for scraper in layout.scrapers(stack, facts)
        for place in scraper.places()
        if place.basic_auth.get("username") == user.name and place.basic_auth.get("password_file")
    ]
    return [
        (f"{scraper.host.spec.name}:{path}", state)
        for scraper, path in paths
        if (state := scraper.host.files.get(path)) is not None
    ]


def _known_to_a_client(stack: Stack, facts: Facts, user: UserSpec) -> Secret | None:
    """A password that a Prometheus already sends, if every server that knows the user takes it.

    Raises:
        PasswordError: a file holds what is no password for others: a byte order mark, or bytes that are no UTF-8.
    """
    for where, state in _sent(stack, facts, user):
        password = passwords.sent(state.content)
        passwords.decoded(password.reveal().encode("utf-8", "surrogateescape"), where=where)
        hashes = []
        for server in layout.servers(stack, facts):
            web_state = server.host.files.get(server.web_file)
            if web_state is not None:
                hashes.append(web_config.parse(web_state.content).users.get(user.name, ""))
        if any(hashes) and all(passwords.matches(password, known) for known in hashes if known):
            return password
    return None

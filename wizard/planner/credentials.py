"""The credentials of a plan: CA, passwords and certificates, created only if no existing one is good.

Whether an existing one is good is tested on the thing itself (does the hash match this password, does the certificate
cover these names), never by comparing texts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wizard import passwords
from wizard.certificates import issue, signatures
from wizard.config_files import web_config
from wizard.errors import CredentialNeededError, InputError, PasswordError
from wizard.model import (
    WORKSPACE,
    Answers,
    Change,
    ContentKind,
    Facts,
    FileState,
    PlannedStep,
    Stack,
    UserSpec,
)
from wizard.planner import manual_commands, workspace_files
from wizard.planner import paths as layout
from wizard.planner.certificate_authority import Authority, authority
from wizard.probes import curl_config
from wizard.redact import Secret


@dataclass(frozen=True, slots=True)
class Credential:
    """A user with the password for both ends."""

    user: UserSpec
    password: Secret
    step_changes: tuple[Change, ...]


class CredentialFactory:
    """Creates each credential of a plan once: a second server gets the same CA and the same passwords."""

    def __init__(self, stack: Stack, facts: Facts, answers: Answers) -> None:
        self._stack = stack
        self._facts = facts
        self._answers = answers
        self._authority: Authority | None = None
        self._credentials: tuple[Credential, ...] | None = None
        self._made: dict[str, object] = {}

    def renews(self, what: str) -> bool:
        """Whether the person wants this certificate replaced although it is still good.

        `what` is host/component for a server's, client:host/component for a client's.
        """
        return bool({"ca", "certificates", what} & self._answers.renew)

    @property
    def renewing(self) -> bool:
        """Whether anything that is still good will be replaced."""
        return bool(self._answers.renew - {"passwords"})

    @property
    def renews_authority(self) -> bool:
        """Whether the CA itself will be replaced."""
        return "ca" in self._answers.renew

    def once(self, key: str, make: Callable[[], _T]) -> _T:
        """The result of `make`, called once for each key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def has(self, key: str) -> bool:
        """Whether `once` was called for that key."""
        return key in self._made

    def authority(self) -> Authority:
        """The CA, ready to sign; see `certificate_authority.authority`."""
        if self._authority is None:
            self._authority = authority(self._stack, self._facts, self._answers)
        return self._authority

    def old_authority(self) -> bytes:
        """The CA's certificate before the plan; b'' if there is none."""
        return authority_certificate(self._facts) or b""

    def signed_by_us(self, certificate: bytes) -> bool:
        """Whether the CA before the plan signed a certificate."""
        ca = self.old_authority()
        return bool(ca) and signatures.signed_by(certificate, ca)

    def client_certificate(self, names: tuple[str, ...], *, common_name: str) -> tuple[bytes, bytes, bytes]:
        """A new client certificate, its key, and the certificate that verifies it (CA, or itself), all PEM."""
        if self._stack.certificates.issued_by != "ca":
            return self.self_signed_client_certificate(names, common_name=common_name)
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

    def self_signed_client_certificate(
        self, names: tuple[str, ...], *, common_name: str
    ) -> tuple[bytes, bytes, bytes]:
        """A new self-signed client certificate, its key, and the certificate again, all PEM."""
        spec = self._stack.certificates
        key = issue.new_key(spec.key)
        certificate = issue.self_signed(
            key_pem=key, names=names, days=spec.days, common_name=common_name, server=False, client=True
        )
        return certificate, key, certificate

    def credentials(self) -> tuple[Credential, ...]:
        """Every user with the password for both ends."""
        if self._credentials is None:
            self._credentials = tuple(
                credential(self._stack, self._facts, self._answers, user) for user in self._stack.users
            )
        return self._credentials

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """The step that creates the CA, if it is new."""
        return (self._authority.step,) if self._authority and self._authority.step else ()


_T = TypeVar("_T")


def certificates_in(bundle: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM text, each with its final line break."""
    return tuple(
        block + b"\n"
        for block in re.findall(
            rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.DOTALL
        )
    )


def authority_certificate(facts: Facts) -> bytes | None:
    """The CA certificate of the workspace; None if there is no CA."""
    state = facts.file(WORKSPACE, layout.ca_pair(facts)[0])
    return state.content if state is not None else None


def credential(stack: Stack, facts: Facts, answers: Answers, user: UserSpec) -> Credential:
    """The password of a user: the given one, the stored one, or a new one.

    Raises:
        InputError: the person must type it and has not.
        PasswordError: the password cannot be used.
    """
    password_path, curl_path = layout.user_files(facts, user)
    password = _password(stack, facts, answers, user)
    folder = workspace_files.workspace_folder(
        facts, "users", "Passwords lie in files that only you can read."
    )
    changes = (
        *folder,
        *workspace_files.private(
            facts,
            password_path,
            password.reveal().encode(),
            ContentKind.PASSWORD,
            why="The password itself. The server gets only a hash of it, Prometheus a copy.",
            by_hand=manual_commands.password(password_path, user),
        ),
        *workspace_files.private(
            facts,
            curl_path,
            curl_config(user.name, password.reveal()),
            ContentKind.CURL_CONFIG,
            why="curl reads user and password from here, so that they never stand on a command line.",
            by_hand=manual_commands.curl_config(curl_path, user.name, password_path),
        ),
    )
    return Credential(user, password, changes)


def _password(stack: Stack, facts: Facts, answers: Answers, user: UserSpec) -> Secret:
    """The checked password."""
    password_path = layout.user_files(facts, user)[0]
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
                todo="Write the password into it, with mode 0600",
            )
        password = passwords.read(state.content, where=path)
    elif kept is not None:
        password = passwords.read(kept.content, where=password_path)
    elif user.password == "prompt":
        raise CredentialNeededError(
            f"the password of user {user.name} is to be asked for, and none was given",
            where=stack.source,
            todo="Type it, or give it with --password-file",
            user=user.name,
        )
    else:
        spare = facts.spares.get(user.name)
        password = _password_of_client(stack, facts, user) or (
            spare.password if spare is not None else passwords.generate()
        )
    try:
        passwords.check(password)
    except PasswordError as error:
        raise PasswordError(error.what, where=stack.source, todo=error.todo) from error
    return password


def _client_password_files(stack: Stack, facts: Facts, user: UserSpec) -> list[tuple[str, FileState]]:
    """The files from which clients read that user's password, each with host:path."""
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


def _password_of_client(stack: Stack, facts: Facts, user: UserSpec) -> Secret | None:
    """A password that a Prometheus sends already, if every server that knows the user accepts it.

    Raises:
        PasswordError: a file is not a password for other programs: it has a byte order mark, or is not UTF-8.
    """
    for where, state in _client_password_files(stack, facts, user):
        password = passwords.as_sent_by_prometheus(state.content)
        passwords.decode(password.reveal().encode("utf-8", "surrogateescape"), where=where)
        hashes = []
        for server in layout.servers(stack, facts):
            web_state = server.host.files.get(server.web_file)
            if web_state is not None:
                hashes.append(web_config.parse(web_state.content).users.get(user.name, ""))
        if any(hashes) and all(passwords.matches(password, known) for known in hashes if known):
            return password
    return None

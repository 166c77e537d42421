"""The person's own CA: the one in the workspace, or a new one. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.certificates import issue
from wizard.errors import CertificateError, CredentialNeededError
from wizard.model import WORKSPACE, Answers, ContentKind, Facts, FileState, PlannedStep, Stack, StepKind
from wizard.planner import manual_commands, workspace_files
from wizard.planner import paths as layout

CA_NAME = "Firescreen CA"


@dataclass(frozen=True, slots=True)
class Authority:
    """The person's own CA: PEM certificate and (unlocked) PEM key."""

    certificate: bytes
    key: bytes
    step: PlannedStep | None
    """The step that creates it; None if it exists already."""


def authority(stack: Stack, facts: Facts, answers: Answers) -> Authority:
    """The CA of the workspace, ready to sign, or a new one.

    Raises:
        CertificateError: the existing CA cannot be used (expired, or its key is locked and no passphrase was given).
    """
    certificate, key = (facts.file(WORKSPACE, path) for path in layout.ca_pair(facts))
    if certificate is not None and key is not None and "ca" not in answers.renew:
        return _kept_authority(facts, answers, certificate, key)
    return _new_authority(stack, facts, answers)


def _kept_authority(facts: Facts, answers: Answers, certificate: FileState, key: FileState) -> Authority:
    key_path = layout.ca_pair(facts)[1]
    if b"ENCRYPTED" in key.content and not answers.passphrase:
        raise CredentialNeededError(
            "the CA's key is encrypted, and a certificate has to be signed with it",
            where=key_path,
            todo="Give its passphrase",
        )
    unlocked = issue.unlock(key.content, answers.passphrase)
    if not issue.matches(certificate.content, unlocked):
        raise CertificateError(
            "the CA's key does not belong to its certificate",
            where=key_path,
            todo="Restore the pair that was made together, or move both away to start a new CA",
        )
    return Authority(certificate.content, unlocked, None)


def _new_authority(stack: Stack, facts: Facts, answers: Answers) -> Authority:
    certificate_path, key_path = layout.ca_pair(facts)
    kept = facts.file(WORKSPACE, key_path)
    if kept is not None and b"ENCRYPTED" in kept.content and not answers.passphrase:
        raise CredentialNeededError(
            "the CA's key is encrypted, and so the key of its successor has to be",
            where=key_path,
            todo="Give a passphrase",
        )
    if stack.certificates.passphrase and not answers.passphrase:
        raise CredentialNeededError(
            "the CA's key is to be encrypted, and no passphrase was given",
            where=key_path,
            todo="Give one, or set passphrase: false",
        )
    new_key = issue.new_key(stack.certificates.key)
    days = max(stack.certificates.days, 3650)
    new_certificate = issue.new_ca(name=CA_NAME, key_pem=new_key, days=days)
    stored_key = issue.lock(new_key, answers.passphrase) if answers.passphrase else new_key
    changes = (
        *workspace_files.workspace_folder(
            facts, "ca", "The CA's key stays in this folder and is open to nobody else."
        ),
        *workspace_files.private(
            facts,
            key_path,
            stored_key,
            ContentKind.PRIVATE_KEY,
            why="Whoever has this key can issue certificates that your Prometheus trusts. It never leaves the workspace.",
            by_hand=manual_commands.new_key(
                key_path, stack.certificates.key, locked=stack.certificates.passphrase
            ),
        ),
        *workspace_files.private(
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
    step = workspace_files.workspace_step(
        StepKind.CA,
        title="Create your certificate authority (CA)",
        why=(
            "A client trusts a certificate if a CA that it trusts has signed it. Your CA signs the certificate of "
            "every server, so that each client needs one CA certificate only."
        ),
        changes=changes,
    )
    return Authority(new_certificate, new_key, step)

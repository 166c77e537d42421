"""The client certificates of the probes: the right one, one with another name, and one of an unknown CA."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wizard.certificates import issue, signatures
from wizard.model import WORKSPACE, Change, ContentKind, Facts, PlannedStep, Stack, StepKind, Typed
from wizard.planner import credentials, manual_commands, workspace_files
from wizard.planner import paths as layout
from wizard.planner.certificates import Pair

PROBE_NAME = "firescreen"
"""The name in the probes' certificate."""


def probe_step(
    stack: Stack, facts: Facts, factory: credentials.CredentialFactory, *, names_checked: bool
) -> tuple[PlannedStep, ...]:
    """Plans the certificates with which the probes verify that a server accepts only the right one.

    Args:
        names_checked: whether a server allows certain names only, and so rejects a certificate with another name.
    """
    pair = factory.once("probe", lambda: probe_pair(stack, facts, factory))
    changes: list[Change] = [*pair.changes]
    if names_checked and stack.certificates.issued_by == "ca":
        changes += _workspace_pair(
            facts,
            layout.other_pair(facts),
            lambda: factory.client_certificate(("other.invalid",), common_name="other")[:2],
            fits=factory.signed_by_us,
            why="Signed by your CA, with a name that no server allows: servers must reject it.",
            by_hand=manual_commands.client_pair(
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
        lambda: factory.self_signed_client_certificate(("stranger.invalid",), common_name="stranger")[:2],
        fits=signatures.is_self_signed,
        why="No CA of yours has signed this certificate: servers must reject it.",
        by_hand=manual_commands.client_pair(
            paths=layout.stranger_pair(facts),
            kind="ec-p256",
            names=("stranger.invalid",),
            days=stack.certificates.days,
            ca=None,
        ),
    )
    if not changes:
        return ()
    folder = workspace_files.workspace_folder(
        facts, "clients", "Certificates that the probes show; only you can read their keys."
    )
    return (
        workspace_files.workspace_step(
            StepKind.PROBE_CERTIFICATES,
            title="Create client certificates for the probes",
            why=(
                "Probes connect with the right certificate, with none, and with one of an unknown CA: servers must "
                "accept the first only. These certificates are for the probes; Prometheus has its own."
            ),
            changes=(*folder, *changes),
        ),
    )


def probe_pair(stack: Stack, facts: Facts, factory: credentials.CredentialFactory) -> Pair:
    """The certificate and key of the probes, in the workspace."""
    certificate_path, key_path = layout.probe_pair(facts)
    ours = stack.certificates.issued_by == "ca"
    certificate, key = facts.file(WORKSPACE, certificate_path), facts.file(WORKSPACE, key_path)
    if certificate is not None and key is not None and not factory.renews("client:workspace"):
        good = not issue.problems(certificate.content, names=(), key_pem=key.content, purpose="client")
        if good and factory.signed_by_us(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, factory.old_authority(), True)
        if good and not ours and signatures.is_self_signed(certificate.content):
            return Pair(certificate_path, key_path, certificate.content, certificate.content, False)
    certificate_pem, key_pem, trust = factory.client_certificate((PROBE_NAME,), common_name=PROBE_NAME)
    by_hand = manual_commands.client_pair(
        paths=(certificate_path, key_path),
        kind=stack.certificates.key,
        names=(PROBE_NAME,),
        days=stack.certificates.days,
        ca=layout.ca_pair(facts) if ours else None,
    )
    changes = (
        *workspace_files.private(
            facts,
            key_path,
            key_pem,
            ContentKind.PRIVATE_KEY,
            why="The probes show the certificate that goes with it.",
            by_hand=by_hand[0],
        ),
        *workspace_files.private(
            facts,
            certificate_path,
            certificate_pem,
            ContentKind.CERTIFICATE,
            why="The right client of the probes shows it.",
            by_hand=by_hand[1],
            secret=False,
            about=issue.describe(certificate_pem),
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
    by_hand: Sequence[tuple[Typed, ...]],
) -> tuple[Change, ...]:
    old_certificate, old_key = (facts.file(WORKSPACE, path) for path in paths)
    if old_certificate is not None and old_key is not None:
        problems = issue.problems(
            old_certificate.content, names=(), key_pem=old_key.content, purpose="client"
        )
        if not problems and fits(old_certificate.content):
            return ()
    certificate, key = make()
    about = issue.describe(certificate)
    return (
        *workspace_files.private(facts, paths[1], key, ContentKind.PRIVATE_KEY, why=why, by_hand=by_hand[0]),
        *workspace_files.private(
            facts,
            paths[0],
            certificate,
            ContentKind.CERTIFICATE,
            why=why,
            by_hand=by_hand[1],
            secret=False,
            about=about,
        ),
    )

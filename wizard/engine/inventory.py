"""The inventory of a stack's certificates and users: where they are stored, and when they expire."""

from __future__ import annotations

from wizard.certificates import issue
from wizard.engine.outcome import InventoryItem
from wizard.errors import CertificateError
from wizard.model import WORKSPACE, Facts, Stack
from wizard.planner import paths
from wizard.redact import plain


def inventory(stack: Stack, facts: Facts) -> tuple[InventoryItem, ...]:
    """Lists the certificates and users that exist on the hosts and in the workspace."""
    found: list[InventoryItem] = []
    for host, known in facts.hosts.items():
        for path, state in known.files.items():
            if state is None or b"BEGIN CERTIFICATE" not in state.content or "/trust/" in path:
                continue
            try:
                certificate = issue.summary(state.content)
            except CertificateError as error:
                found.append(_item("certificate", host, path, state.mode, "unreadable", 0.0, error.what))
                continue
            authority = "CA" in certificate.usage
            names = ", ".join(certificate.names) or certificate.subject
            found.append(
                _item(
                    "authority" if authority else "certificate",
                    host,
                    path,
                    state.mode,
                    names,
                    certificate.not_after,
                    f"{certificate.key}, signed by {certificate.issuer}",
                    certificate.not_before,
                )
            )
    for user in stack.users:
        path = paths.user_files(facts, user)[0]
        password_file = facts.hosts[WORKSPACE].files.get(path)
        if password_file is not None:
            found.append(_item("user", WORKSPACE, path, password_file.mode, user.name, 0.0, "password file"))
        for scraper in paths.scrapers(stack, facts):
            copy = scraper.password_file(user)
            copied_file = scraper.host.files.get(copy)
            if copied_file is not None:
                note = "the copy that Prometheus sends"
                found.append(
                    _item("user", scraper.host.spec.name, copy, copied_file.mode, user.name, 0.0, note)
                )
    return tuple(found)


def _item(
    kind: str,
    host: str,
    path: str,
    mode: int,
    whom: str,
    not_after: float,
    note: str,
    not_before: float = 0.0,
) -> InventoryItem:
    return InventoryItem(
        kind=kind,  # type: ignore[arg-type]
        name=path.rpartition("/")[2],
        for_whom=plain(whom, 200),
        host=host,
        path=path,
        mode=mode,
        not_after=not_after,
        note=plain(note, 200),
        not_before=not_before,
    )

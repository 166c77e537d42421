"""The client side: what the configurations of Prometheus and blackbox_exporter say of the servers that they ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wizard.audit.config_settings import Setting, settings
from wizard.audit.report import Check
from wizard.audit.subjects import ClientView, Found, Unseen
from wizard.config_files.yaml_edit import fields


def said(client: ClientView) -> Iterator[tuple[str, Setting]]:
    """Every setting of a client's configuration, with its file."""
    for path, content in client.texts.items():
        for setting in settings(content):
            yield path, setting


def _skip_verify(client: ClientView) -> Iterator[Found | Unseen]:
    if client.problem:
        yield Unseen(client.problem)
    for path, setting in said(client):
        if setting.key == "insecure_skip_verify" and fields.truth(setting.text):
            yield Found(evidence="insecure_skip_verify: true", file=path, line=setting.line)


CHECKS: Final = (
    Check(
        id="CFG-01",
        severity="high",
        title="A client does not verify the server's certificate",
        means=("configuration",),
        looks_at="Looks for insecure_skip_verify: true in the configurations of Prometheus and blackbox_exporter.",
        why="Whoever answers in the server's place gets the password, and can make up the metrics.",
        remediation="Remove insecure_skip_verify, and name the CA in ca_file",
        scope="client",
        step="secure",
        look=_skip_verify,
    ),
)

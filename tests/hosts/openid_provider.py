"""A real OpenID provider: the certified `oidc-provider` from npm, behind TLS with a CA of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bases

from tests.processes import run_program
from wizard.certificates import issue

NAME = "id.example.net"
PORT = 9443
CLIENT = "firescreen"
SECRET = "a-client-secret-that-must-stay-secret"
ACCOUNTS: Mapping[str, Mapping[str, Any]] = {
    "ada": {"email": "ada@example.net", "email_verified": True, "groups": ["staff", "net ops"]},
    "bob": {"email": "bob@example.net", "email_verified": True, "groups": ["guests"]},
    "eve": {"email": "eve@example.net.evil.example", "email_verified": True, "groups": ["net ops"]},
    "mal": {"email": "mal@example.net", "email_verified": False, "groups": ["net ops"]},
}
"""Who may sign in: ada alone is in the group and has a verified address of the domain."""
_SOURCE = Path(__file__).parent / "openid"


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A running provider."""

    ca_file: Path
    log: Path

    @property
    def issuer(self) -> str:
        """Returns its URL."""
        return f"https://{NAME}:{PORT}"


def installed() -> Path:
    """Returns the folder with the provider and its dependencies, installed by npm from the lock file: once
    for each lock.
    """
    texts = [(_SOURCE / name).read_bytes() for name in ("package-lock.json", "package.json", "provider.mjs")]
    name = f"openid-{bases.short(b''.join(texts).decode())}"
    with bases.locked(name):
        folder = bases.cache() / name
        if not folder.exists():
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=bases.cache()))
            try:
                shutil.copytree(
                    _SOURCE, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules")
                )
                words = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
                ended = run_program(words, cwd=work, timeout=300)
                assert ended.returncode == 0, ended.stderr[-3000:]
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return folder


@contextmanager
def provider(
    home: Path,
    folder: Path,
    address: str,
    *,
    redirects: list[str],
    goodbyes: list[str],
    programs: Sequence[Mapping[str, Any]] = (),
) -> Iterator[OpenIdProvider]:
    """Runs the provider at that address in this thread's network, with one client.

    Args:
        home: its installation, see `installed`.
        folder: for its certificate, its settings and its log.
        address: on which it listens.
        redirects: the redirect URIs of the client.
        goodbyes: the permitted URIs after signing out.
        programs: further clients, which log in for themselves (client_credentials) with the scope metrics.
    """
    ca_key, key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Company", key_pem=ca_key, days=30)
    leaf = issue.issue(ca_cert=ca, ca_key=ca_key, key_pem=key, names=(NAME,), days=30, common_name=NAME)
    files = {name: folder / name for name in ("company-ca.crt", "id.crt", "id.key", "id.json", "id.log")}
    for name, content in (("company-ca.crt", ca), ("id.crt", leaf), ("id.key", key)):
        files[name].write_bytes(content)
    client = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": redirects,
        "post_logout_redirect_uris": goodbyes,
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
    }
    found = OpenIdProvider(files["company-ca.crt"], files["id.log"])
    settings = {
        "issuer": found.issuer,
        "clients": [client, *programs],
        "features": {"clientCredentials": {"enabled": True}, "introspection": {"enabled": True}},
        "scopes": ["openid", "offline_access", "metrics"],
        "accounts": ACCOUNTS,
        "cert_file": str(files["id.crt"]),
        "key_file": str(files["id.key"]),
        "address": address,
        "port": PORT,
    }
    files["id.json"].write_text(json.dumps(settings))
    with found.log.open("wb") as log:
        child = subprocess.Popen(
            ["node", home / "provider.mjs", files["id.json"]],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, b"")
        assert any(line == b"listening\n" for line in lines), found.log.read_text()
        yield found
    finally:
        child.terminate()
        child.communicate(timeout=10)

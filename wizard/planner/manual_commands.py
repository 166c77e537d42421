"""What a person would type for each change: plain shell, run as printed, without a question asked.

The tests run these commands, so they cannot rot. No secret stands in them: a password is read from its file.
"""

from __future__ import annotations

import difflib
import ipaddress
import posixpath
import shlex

from wizard.model import FileState, UserSpec
from wizard.redact import redact

_KEY_OPTIONS = {
    "ec-p256": "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "rsa-2048": "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    "rsa-4096": "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
    "ed25519": "-algorithm ED25519",
}


def _q(text: str) -> str:
    return shlex.quote(text)


def folder(path: str, *, mode: int, owner: str, group: str) -> tuple[str, ...]:
    """A folder with its rights from the start."""
    return (f"install -d -m {mode:04o} -o {_q(owner)} -g {_q(group)} {_q(path)}",)


def new_key(
    path: str, kind: str, *, mode: int = 0o600, owner: str = "", group: str = "", locked: bool = False
) -> tuple[str, ...]:
    """A private key, closed to others from its first byte; `locked`: with a passphrase that openssl asks for."""
    cipher = "-aes-256-cbc " if locked else ""
    rights = f"install -m {mode:04o} {_owned(owner, group)}/dev/null {_q(path)}"
    return (rights, f"openssl genpkey -quiet {cipher}{_KEY_OPTIONS[kind]} >> {_q(path)}")


def authority(*, key: str, certificate: str, days: int, name: str) -> tuple[str, ...]:
    """A CA certificate with the extensions that Go, OpenSSL and strict Python accept."""
    return (
        (
            f"openssl req -x509 -new -key {_q(key)} -days {days} -sha256 -out {_q(certificate)} \\\n"
            f"  -config /dev/stdin <<'END'\n{_request(name, extended=True)}"
            "[ext]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
            "subjectKeyIdentifier = hash\nEND"
        ),
    )


def issue(
    *,
    key: str,
    certificate: str,
    names: tuple[str, ...],
    days: int,
    name: str,
    ca: tuple[str, str],
    usage: str = "serverAuth",
) -> tuple[str, ...]:
    """A certificate signed by the CA (certificate and key in `ca`); `usage` as openssl writes it."""
    ca_certificate, ca_key = ca
    return (
        (
            f"openssl req -new -key {_q(key)} -config /dev/stdin -out {_q(certificate + '.csr')} <<'END'\n"
            f"{_request(name)}END"
        ),
        (
            f"openssl x509 -req -in {_q(certificate + '.csr')} -CA {_q(ca_certificate)} -CAkey {_q(ca_key)} \\\n"
            f'  -set_serial "0x$(openssl rand -hex 16)" -days {days} -sha256 -out {_q(certificate)} \\\n'
            f"  -extfile /dev/stdin <<'END'\n{_leaf_extensions(names, usage)}authorityKeyIdentifier = keyid\nEND"
        ),
        f"rm {_q(certificate + '.csr')}",
    )


def client_pair(
    *,
    paths: tuple[str, str],
    kind: str,
    names: tuple[str, ...],
    days: int,
    ca: tuple[str, str] | None,
    owner: str = "",
    group: str = "",
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A client's key, and its certificate: signed by the CA (certificate and key in `ca`) or by itself.

    Args:
        paths: certificate and key.
    """
    certificate, key = paths
    rights = {"mode": 0o640, "owner": owner, "group": group} if owner else {"mode": 0o600}
    made = new_key(key, kind, **rights)
    if ca is None:
        return made, self_signed(
            key=key, certificate=certificate, names=names, days=days, name=names[0], usage="clientAuth"
        )
    signed = issue(
        key=key, certificate=certificate, names=names, days=days, name=names[0], ca=ca, usage="clientAuth"
    )
    return made, signed


def self_signed(
    *, key: str, certificate: str, names: tuple[str, ...], days: int, name: str, usage: str = "serverAuth"
) -> tuple[str, ...]:
    """A certificate that signs itself; the other end pins it."""
    return (
        (
            f"openssl req -x509 -new -key {_q(key)} -days {days} -sha256 -out {_q(certificate)} \\\n"
            f"  -config /dev/stdin <<'END'\n{_request(name, extended=True)}[ext]\n{_leaf_extensions(names, usage)}END"
        ),
    )


def copy(source: str, target: str, state: FileState) -> tuple[str, ...]:
    """A file copied to where it belongs, with its rights."""
    return (f"install -m {state.mode:04o} {_owned(state.owner, state.group)}{_q(source)} {_q(target)}",)


def text(path: str, state: FileState) -> tuple[str, ...]:
    """A text file written as it is, with its rights; for texts that hold no secret."""
    rights = f"install -m {state.mode:04o} {_owned(state.owner, state.group)}/dev/stdin {_q(path)}"
    return (f"{rights} <<'END'\n{state.content.decode('utf-8', 'replace')}END",)


def removed(path: str) -> tuple[str, ...]:
    """A file that goes."""
    return (f"rm {_q(path)}",)


def password(path: str, user: UserSpec) -> tuple[str, ...]:
    """A password in a file that nobody else can read: one that nobody has seen, or the person's own."""
    if user.password == "file":
        return (f"install -m 0600 /dev/null {_q(path)}", f"tr -d '\\r\\n' < {_q(user.file)} > {_q(path)}")
    if user.password == "prompt":
        return (
            f"install -m 0600 /dev/null {_q(path)}",
            f'read -rs p && printf %s "$p" > {_q(path)}; unset p   # type it, then Enter',
        )
    return (
        f"install -m 0600 /dev/null {_q(path)}",
        f"openssl rand -base64 18 | tr '+/' '-_' | tr -d '\\n' > {_q(path)}",
    )


def curl_config(path: str, user: str, password_path: str) -> tuple[str, ...]:
    """A curl config, so that a password never stands on a command line."""
    return (
        f"install -m 0600 /dev/null {_q(path)}",
        f'printf \'user = "%s:%s"\\n\' {_q(user)} "$(sed \'s/[\\\\"]/\\\\&/g\' {_q(password_path)})" > {_q(path)}',
    )


def wrong_login(path: str, user: str, password: str) -> tuple[str, ...]:
    """A curl config with a password that is known to be wrong, and no secret."""
    return (
        f"install -m 0600 /dev/null {_q(path)}",
        f"printf 'user = \"%s:%s\"\\n' {_q(user)} {_q(password)} > {_q(path)}",
    )


def private_copy(source: str, path: str) -> tuple[str, ...]:
    """A copy for one's own eyes."""
    return (f"install -m 0600 {_q(source)} {_q(path)}",)


def web_config(
    path: str, before: FileState | None, after: FileState, users: tuple[tuple[UserSpec, str], ...]
) -> tuple[str, ...]:
    """A web configuration: written anew, or the edit as a patch. Hashes come from htpasswd.

    Args:
        users: each user whose hash is new, with the file that holds the password.
    """
    if before is not None:
        return patch(path, before, after)
    text = after.content.decode("utf-8", "replace")
    head = text.partition("basic_auth_users:")[0].rstrip("\n")
    rights = f"install -m {after.mode:04o} {_owned(after.owner, after.group)}/dev/stdin {_q(path)}"
    if not users:
        return (f"{rights} <<'END'\n{head}\nEND",)
    lines = [f"{{ cat <<'END'\n{head}\nbasic_auth_users:\nEND"]
    for user, password_path in users:
        lines.append(
            f"printf '  %s\\n' \"$(htpasswd -niBC {user.cost} {_q(user.name)} < {_q(password_path)} "
            "| head -n 1 | sed 's/:/: /')\""
        )
    lines.append(f"}} | {rights}")
    return ("\n".join(lines),)


def patch(path: str, before: FileState, after: FileState) -> tuple[str, ...]:
    """An edit as a patch; the rights of the file stay. Nothing for an edit that holds a secret."""
    name = posixpath.basename(path)
    old, new = (
        state.content.decode("utf-8", "surrogateescape").splitlines(keepends=True)
        for state in (before, after)
    )
    lines = [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, name, name, n=2)
    ]
    text = "".join(lines)
    if redact(text) != text or "\r" in text or not _typable(text):
        return (f"# Edit {path} as the diff shows: what stands there is not fit for typing here.",)
    return (f"patch --quiet --no-backup-if-mismatch {_q(path)} <<'END'\n{text}END",)


def _typable(text: str) -> bool:
    """Whether a terminal would show every character as it is."""
    return all(character in "\n\t" or character.isprintable() for character in text)


def _owned(owner: str, group: str) -> str:
    return f"-o {_q(owner)} -g {_q(group)} " if owner and group else ""


def _request(name: str, *, extended: bool = False) -> str:
    extensions = "x509_extensions = ext\n" if extended else ""
    return f"[req]\nprompt = no\ndistinguished_name = dn\n{extensions}[dn]\nCN = {name}\n"


def _leaf_extensions(names: tuple[str, ...], usage: str) -> str:
    entries = []
    for name in names:
        try:
            entries.append(f"IP:{ipaddress.ip_address(name)}")
        except ValueError:
            entries.append(f"DNS:{name}")
    return (
        "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n"
        f"extendedKeyUsage = {usage}\nsubjectKeyIdentifier = hash\nsubjectAltName = {', '.join(entries)}\n"
    )

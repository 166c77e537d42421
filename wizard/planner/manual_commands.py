"""The commands that a person would type for each change: plain shell that runs as printed and asks no question.

The tests run these commands, so they stay correct. They contain no secret: a password is read from its file.
"""

from __future__ import annotations

import difflib
import ipaddress
import posixpath
import shlex
from collections.abc import Sequence

from wizard.model import FileState, MakeFolder, ManualCommand, SignedCertificate, Typed, UserSpec
from wizard.model.manual_commands import STDIN
from wizard.redact import redact

_KEY_OPTIONS = {
    "ec-p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "rsa-2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "rsa-4096": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"),
    "ed25519": ("-algorithm", "ED25519"),
}

_PRIVATE = FileState(b"", 0o600, "", "")


def _q(text: str) -> str:
    return shlex.quote(text)


def _install(rights: FileState, *words: str) -> tuple[str, ...]:
    owned = ("-o", rights.owner, "-g", rights.group) if rights.owner and rights.group else ()
    return ("install", "-m", f"{rights.mode:04o}", *owned, *words)


def _empty(path: str, rights: FileState = _PRIVATE) -> ManualCommand:
    """An empty file, closed to others before it has any content."""
    return ManualCommand(argv=_install(rights, "/dev/null", path))


def make_folder(host: str, path: str, *, mode: int, owner: str, group: str, why: str) -> MakeFolder:
    """A folder to create with its final permissions, and the command for it."""
    typed = ManualCommand(argv=("install", "-d", "-m", f"{mode:04o}", "-o", owner, "-g", group, path))
    return MakeFolder(host=host, path=path, mode=mode, owner=owner, group=group, why=why, by_hand=(typed,))


def new_key(
    path: str, kind: str, *, mode: int = 0o600, owner: str = "", group: str = "", locked: bool = False
) -> tuple[ManualCommand, ...]:
    """A private key, closed to others from its first byte; `locked`: with a passphrase for which openssl asks."""
    cipher = ("-aes-256-cbc",) if locked else ()
    made = ("openssl", "genpkey", "-quiet", *cipher, *_KEY_OPTIONS[kind])
    return _empty(path, FileState(b"", mode, owner, group)), ManualCommand(argv=made, output=path)


def authority(*, key: str, certificate: str, days: int, name: str) -> tuple[ManualCommand, ...]:
    """A CA certificate with the extensions that Go, OpenSSL and strict Python require."""
    extensions = (
        "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
        "subjectKeyIdentifier = hash\n"
    )
    return _self_signed(key, certificate, days=days, name=name, extensions=extensions)


def issue(
    *,
    key: str,
    certificate: str,
    names: tuple[str, ...],
    days: int,
    name: str,
    ca: tuple[str, str],
    usage: str = "serverAuth",
    owner: str = "",
    group: str = "",
) -> tuple[SignedCertificate, ...]:
    """A certificate signed by the CA (certificate and key in `ca`); `usage` in openssl's spelling."""
    return (
        SignedCertificate(
            key=key,
            certificate=certificate,
            request=_request(name),
            ca=ca,
            extensions=f"{_leaf_extensions(names, usage)}authorityKeyIdentifier = keyid\n",
            days=days,
            owner=owner,
            group=group,
        ),
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
) -> tuple[tuple[Typed, ...], tuple[Typed, ...]]:
    """A client's key, and its certificate: signed by the CA (certificate and key in `ca`) or self-signed.

    Args:
        paths: certificate and key.
    """
    certificate, key = paths
    made = new_key(key, kind, mode=0o640 if owner else 0o600, owner=owner, group=group)
    if ca is None:
        return made, self_signed(
            key=key, certificate=certificate, names=names, days=days, name=names[0], usage="clientAuth"
        )
    return made, issue(
        key=key,
        certificate=certificate,
        names=names,
        days=days,
        name=names[0],
        ca=ca,
        usage="clientAuth",
        owner=owner,
        group=group,
    )


def self_signed(
    *, key: str, certificate: str, names: tuple[str, ...], days: int, name: str, usage: str = "serverAuth"
) -> tuple[ManualCommand, ...]:
    """A self-signed certificate, which the other end pins."""
    return _self_signed(key, certificate, days=days, name=name, extensions=_leaf_extensions(names, usage))


def _self_signed(
    key: str, certificate: str, *, days: int, name: str, extensions: str
) -> tuple[ManualCommand, ...]:
    made = ("openssl", "req", "-x509", "-new", "-key", key, "-days", str(days), "-sha256")
    return (
        ManualCommand(
            argv=(*made, "-out", certificate, "-config", STDIN),
            stdin=f"{_request(name, extended=True)}[ext]\n{extensions}",
        ),
    )


def copy(source: str, target: str, state: FileState) -> tuple[ManualCommand, ...]:
    """Copies a file of the workspace to its target, with its permissions."""
    return (ManualCommand(argv=_install(state, STDIN, target), source=source),)


def copy_there(source: str, target: str, state: FileState) -> tuple[ManualCommand, ...]:
    """Copies a file on one host, with its permissions."""
    return (ManualCommand(argv=_install(state, source, target)),)


def text(path: str, state: FileState) -> tuple[ManualCommand, ...]:
    """Writes a text file as it is, with its permissions; only for texts without a secret."""
    content = state.content.decode("utf-8", "replace")
    return (ManualCommand(argv=_install(state, STDIN, path), stdin=content),)


def rights(path: str, state: FileState) -> tuple[ManualCommand, ...]:
    """Sets owner, group and mode of a file, and leaves its content."""
    return (
        ManualCommand(argv=("chown", f"{state.owner}:{state.group}", path)),
        ManualCommand(argv=("chmod", f"{state.mode:04o}", path)),
    )


def remove_file(path: str) -> tuple[ManualCommand, ...]:
    """Removes a file."""
    return (ManualCommand(argv=("rm", path)),)


def password(path: str, user: UserSpec) -> tuple[ManualCommand, ...]:
    """A password in a file that nobody else can read: a random one that is never displayed, or the person's own."""
    script = f"openssl rand -base64 18 | tr '+/' '-_' | tr -d '\\n' > {_q(path)}"
    if user.password == "file":
        script = f"tr -d '\\r\\n' < {_q(user.file)} > {_q(path)}"
    elif user.password == "prompt":
        script = f'read -rs p && printf %s "$p" > {_q(path)}; unset p   # type it, then Enter'
    return _empty(path), ManualCommand(script=script)


def typed_secret(path: str, state: FileState) -> tuple[ManualCommand, ...]:
    """A secret of another program that the person types into a file with its permissions."""
    script = f'read -rs p && printf %s "$p" > {_q(path)}; unset p   # type it, then Enter'
    return _empty(path, state), ManualCommand(script=script)


def curl_config(path: str, user: str, password_path: str) -> tuple[ManualCommand, ...]:
    """A curl config, so that a password is never on a command line."""
    script = f'printf \'user = "%s:%s"\\n\' {_q(user)} "$(sed \'s/[\\\\"]/\\\\&/g\' {_q(password_path)})" > {_q(path)}'
    return _empty(path), ManualCommand(script=script)


def wrong_login(path: str, user: str, password: str) -> tuple[ManualCommand, ...]:
    """A curl config with a password that is known to be wrong, so it is not a secret."""
    script = f"printf 'user = \"%s:%s\"\\n' {_q(user)} {_q(password)} > {_q(path)}"
    return _empty(path), ManualCommand(script=script)


def web_config(
    path: str, before: FileState | None, after: FileState, users: tuple[tuple[UserSpec, str], ...]
) -> tuple[ManualCommand, ...]:
    """A web configuration: the new file, or the edit as a patch. Hashes come from htpasswd.

    Args:
        users: each user with a new hash, and the file with the password.
    """
    if before is not None:
        return patch(path, before, after)
    head = after.content.decode("utf-8", "replace").partition("basic_auth_users:")[0].rstrip("\n")
    if not users:
        return (ManualCommand(argv=_install(after, STDIN, path), stdin=f"{head}\n"),)
    lines = [f"cat <<'END'\n{head}\nbasic_auth_users:\nEND"]
    for user, password_path in users:
        lines.append(
            f"printf '  %s\\n' \"$(htpasswd -niBC {user.cost} {_q(user.name)} < {_q(password_path)} "
            "| head -n 1 | sed 's/:/: /')\""
        )
    return (ManualCommand(argv=_install(after, STDIN, path), script="\n".join(lines)),)


def patch(path: str, before: FileState, after: FileState) -> tuple[ManualCommand, ...]:
    """An edit as a patch; the file keeps its permissions. Nothing for an edit with a secret."""
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
        return (
            ManualCommand(
                note=f"Edit {path} as the diff shows: what stands there is not fit for typing here."
            ),
        )
    return (ManualCommand(argv=("patch", "--quiet", "--no-backup-if-mismatch", path), stdin=text),)


def _typable(text: str) -> bool:
    """Whether a terminal would display every character unchanged."""
    return all(character in "\n\t" or character.isprintable() for character in text)


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


def join_files(path: str, parts: Sequence[str], state: FileState) -> tuple[ManualCommand, ...]:
    """Concatenates files into one, and sets its mode and owner."""
    words = " ".join(_q(each) for each in parts)
    return (ManualCommand(argv=_install(state, STDIN, path), script=f"cat {words}"),)


def joined_pair(path: str, pair: tuple[str, str], state: FileState) -> tuple[ManualCommand, ...]:
    """A file with a certificate and its key in the traditional form, and its permissions."""
    certificate, key = map(_q, pair)
    script = f"{{ cat {certificate}; openssl pkey -traditional -in {key}; }}"
    return (ManualCommand(argv=_install(state, STDIN, path), script=script),)


def htpasswd(
    path: str, state: FileState, users: tuple[tuple[str, int, str], ...]
) -> tuple[ManualCommand, ...]:
    """A file with users and bcrypt hashes; `users` has name, cost, and the file with the password."""
    lines = (f"htpasswd -niBC {cost} {_q(name)} < {_q(source)} | head -n 1" for name, cost, source in users)
    return (ManualCommand(argv=_install(state, STDIN, path), script="\n".join(lines)),)


def write_text(path: str, state: FileState) -> tuple[ManualCommand, ...]:
    """Writes a text file like `text`; for a file with a secret, a note that says what to write."""
    content = state.content.decode("utf-8", "replace")
    if redact(content) == content:
        return text(path, state)
    note = f"Write {path} as the diff shows ({state.rights}), with a bcrypt hash for each user: htpasswd -nBC 8 USER"
    return (ManualCommand(note=note),)

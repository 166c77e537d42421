"""Places files, certificates, modes and flags of a lab on the practice stack, for its beginning and for faults.

A lab describes them as data, never as commands. Only practice hosts are changed, and nothing outside the folder of the
component's configuration; a mistake in the lab's file is a `LabError`.
"""

from __future__ import annotations

import ipaddress
import posixpath
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wizard import ownfiles, passwords, practice
from wizard.account import account
from wizard.errors import LabError, ServiceError
from wizard.labs import sandbox_policy
from wizard.labs.content import Fixture, fill
from wizard.model import FileState
from wizard.practice import PracticeHost, PracticeStack
from wizard.redact import Secret
from wizard.service_managers import supervised
from wizard.workspace import Workspace

_USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def place(
    placed: Sequence[Fixture],
    workspace: Workspace,
    values: Mapping[str, str],
    *,
    strict: bool,
    foreign: bool = False,
) -> None:
    """Places fixtures in their order.

    Args:
        placed: the fixtures.
        values: for the placeholders; `lab.password` and `lab.hash` (this stack's own password) are added.
        strict: whether a program that does not start again is an error; a fault may well stop one.
        foreign: whether somebody else wrote them: then they name no file outside the practice stack.

    Raises:
        LabError: one cannot be placed. ServiceError: see `strict`. HostError: a file cannot be written.
    """
    if not placed:
        return
    practice_stack = practice.status(workspace.root)
    if practice_stack is None:
        raise LabError("there is no practice stack", todo="Run: firescreen practice up")
    password = _password(workspace.practice / "lab.password")
    all_values = {
        **values,
        "lab.password": password.reveal(),
        "lab.hash": passwords.hash_password(password),
    }
    stage = _Stage(practice_stack, all_values, strict=strict, foreign=foreign)
    for fixture in placed:
        stage.do(fixture)


def _password(path: Path) -> Secret:
    """Returns the password that labs place on this practice stack; created at first use, removed with the stack."""
    if not path.exists():
        ownfiles.create(path, secrets.token_urlsafe(18))
    return Secret(path.read_text(encoding="utf-8"))


class _Stage:
    """The practice stack while fixtures are placed on it."""

    def __init__(
        self, known: PracticeStack, values: Mapping[str, str], *, strict: bool, foreign: bool
    ) -> None:
        self._known = known
        self._values = values
        self._strict, self._foreign = strict, foreign
        self._acts: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "file": self._file,
            "edit": self._edit,
            "copy": self._copy,
            "remove": self._remove,
            "mode": self._mode,
            "ca": self._ca,
            "pair": self._pair,
            "flag": self._flag,
            "restart": self._restart,
            "reload": self._reload,
        }

    def do(self, fixture: Fixture) -> None:
        """Places one fixture."""
        self._acts[fixture.kind](fixture.options)

    # -- files ---------------------------------------------------------------------------------------------

    def _host(self, name: str) -> PracticeHost:
        try:
            return self._known.host(name)
        except KeyError:
            raise LabError(f"the practice stack has no host '{name}'") from None

    def _path(self, host: PracticeHost, name: str) -> str:
        home = f"{host.folder}/etc/{host.component}"
        path = posixpath.normpath(posixpath.join(home, name))
        if not path.startswith(f"{home}/"):
            raise LabError(f"'{name}' is outside the folder of {host.name}")
        return path

    def _write(self, on: str, name: str, content: bytes, mode: int) -> None:
        host = self._host(on)
        if self._foreign and host.name in practice.BESIDE and not content.startswith(b"-----BEGIN "):
            sandbox_policy.proxy_configuration(content.decode(errors="replace"), root=self._known.folder)
        path, connection = self._path(host, name), host.connection()
        owner, group = account()
        inner = posixpath.dirname(path)
        if connection.stat(inner) is None:
            connection.make_folder(inner, mode=0o750, owner=owner, group=group)
        staged = connection.stage(path, FileState(content, mode, owner, group), tag="lab")
        connection.commit(staged, path)

    def _read(self, on: str, name: str) -> FileState:
        host = self._host(on)
        state = host.connection().read(self._path(host, name))
        if state is None:
            raise LabError(
                f"there is no file '{name}' on {on}", todo="Start again with: firescreen lab reset"
            )
        return state

    def _file(self, options: Mapping[str, Any]) -> None:
        text = fill(options["text"], self._values)
        self._refuse_outside_paths(text)
        self._write(options["on"], options["path"], text.encode(), int(options.get("mode", "0640"), 8))

    def _refuse_outside_paths(self, text: str) -> None:
        if self._foreign:
            sandbox_policy.configuration(text, root=self._known.folder)

    def _edit(self, options: Mapping[str, Any]) -> None:
        state = self._read(options["on"], options["path"])
        old, new = (fill(options[key], self._values) for key in ("old", "new"))
        text = state.content.decode("utf-8", "surrogateescape")
        if text.count(old) != 1:
            raise LabError(
                f"'{old.strip()}' does not occur exactly once in {options['path']} on {options['on']}",
                todo="Start again with: firescreen lab reset",
            )
        self._refuse_outside_paths(text.replace(old, new))
        self._write(
            options["on"],
            options["path"],
            text.replace(old, new).encode("utf-8", "surrogateescape"),
            state.mode,
        )

    def _copy(self, options: Mapping[str, Any]) -> None:
        state = self._read(options["on"], options["path"])
        self._write(options["to"], options.get("as", options["path"]), state.content, state.mode)

    def _remove(self, options: Mapping[str, Any]) -> None:
        host = self._host(options["on"])
        host.connection().remove(self._path(host, options["path"]))

    def _mode(self, options: Mapping[str, Any]) -> None:
        state = self._read(options["on"], options["path"])
        self._write(options["on"], options["path"], state.content, int(options["mode"], 8))

    # -- certificates --------------------------------------------------------------------------------------

    def _ca(self, options: Mapping[str, Any]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, options.get("common_name", "Practice CA"))])
        builder = (
            _base(key, subject=name, issuer=name, days=(0, 365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        self._keep(options, builder.sign(key, hashes.SHA256()), key)

    def _pair(self, options: Mapping[str, Any]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [fill(name, self._values) for name in options.get("names", ())]
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, fill(options["common_name"], self._values))]
        )
        signer, issuer = key, subject
        if "signed_by" in options:
            on, _, name = options["signed_by"].partition("/")
            authority = x509.load_pem_x509_certificate(self._read(on, f"{name}.crt").content)
            loaded = serialization.load_pem_private_key(self._read(on, f"{name}.key").content, None)
            if not isinstance(loaded, ec.EllipticCurvePrivateKey):
                raise LabError(f"the key of '{options['signed_by']}' cannot sign")
            signer, issuer = loaded, authority.subject
        begin, end = options.get("days", (0, 365))
        builder = (
            _base(key, subject=subject, issuer=issuer, days=(begin, end))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage([_USES[use] for use in options.get("use", ["server"])]), critical=False
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_names(names)), critical=False)
        self._keep(options, builder.sign(signer, hashes.SHA256()), key)

    def _keep(
        self, options: Mapping[str, Any], certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        public = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._write(options["on"], f"{options['name']}.key", private, 0o640)
        self._write(options["on"], f"{options['name']}.crt", public, 0o644)

    # -- programs ------------------------------------------------------------------------------------------

    def _flag(self, options: Mapping[str, Any]) -> None:
        host = self._host(options["of"].partition("/")[0])
        connection, path = host.connection(), f"{host.service_folder}/arguments"
        state = connection.read(path)
        if state is None:
            raise LabError(f"{host.name} has no file with flags")
        flag = fill(options["flag"], self._values)
        if self._foreign:
            sandbox_policy.flag(flag, root=self._known.folder)
        lines = [
            line
            for line in state.content.decode().splitlines()
            if line.partition("=")[0] != flag.partition("=")[0]
        ]
        content = "\n".join([*lines, flag]) + "\n"
        staged = connection.stage(
            path, FileState(content.encode(), state.mode, state.owner, state.group), tag="lab"
        )
        connection.commit(staged, path)

    def _restart(self, options: Mapping[str, Any]) -> None:
        self._tell(options["of"], supervised.restart)

    def _reload(self, options: Mapping[str, Any]) -> None:
        self._tell(options["of"], supervised.reload)

    def _tell(self, component_key: str, act: Callable[..., None]) -> None:
        host = self._host(component_key.partition("/")[0])
        connection = host.connection()
        for service in supervised.discover(connection, host.folder):
            try:
                act(connection, service)
            except ServiceError:
                if self._strict:
                    raise


def _base(
    key: ec.EllipticCurvePrivateKey, *, subject: x509.Name, issuer: x509.Name, days: Sequence[int]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    begin, end = days
    # Begins an hour ago, because clocks differ.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begin) - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=end))
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found

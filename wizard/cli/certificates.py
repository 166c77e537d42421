"""The command `cert`: certificates and private keys as files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wizard import ownfiles
from wizard.cli import output
from wizard.cli.options import as_json, ask
from wizard.errors import FirescreenError, InputError

existing = click.Path(path_type=Path)


@click.group()
def cert() -> None:
    """Create and inspect certificates and private keys."""


key_kind = click.option(
    "--key",
    "kind",
    default="ec-p256",
    show_default=True,
    type=click.Choice(["ec-p256", "rsa-2048", "rsa-4096", "ed25519"]),
    help="Type of private key",
)
days_option = click.option(
    "--days", default=365, show_default=True, type=click.IntRange(1, 36500), help="Days of validity"
)


@cert.command()
@click.argument("folder", type=existing)
@click.option("--name", default="Firescreen CA", show_default=True, help="Common name of the CA")
@click.option(
    "--days", default=3650, show_default=True, type=click.IntRange(1, 36500), help="Days of validity"
)
@key_kind
@click.option(
    "--passphrase-file",
    type=existing,
    help="File with a passphrase that encrypts the private key; - for standard input",
)
def ca(folder: Path, name: str, days: int, kind: str, passphrase_file: Path | None) -> None:
    """Create a CA: FOLDER/ca.key and FOLDER/ca.crt.

    \b
    Examples:
      firescreen cert ca ca
      firescreen cert ca ca --name "Example CA" --days 1825 --passphrase-file FILE
    """
    from wizard.certificates import issue as pki

    with output.print_errors():
        key = pki.new_key(kind)  # type: ignore[arg-type]
        certificate = pki.new_ca(name=name, key_pem=key, days=days)
        if passphrase_file is not None:
            key = pki.lock(key, ask("Passphrase", passphrase_file))
        _write_pair(folder, "ca", key, certificate)


@cert.command()
@click.argument("folder", type=existing)
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--ca",
    "authority",
    type=existing,
    help="Folder of the CA (ca.key, ca.crt); without it, the certificate is self-signed",
)
@click.option("--passphrase-file", type=existing, help="File with the passphrase of the CA's private key")
@click.option("--client", is_flag=True, help="Also usable as a client certificate")
@days_option
@key_kind
def issue(
    folder: Path,
    names: tuple[str, ...],
    authority: Path | None,
    passphrase_file: Path | None,
    client: bool,
    days: int,
    kind: str,
) -> None:
    """Create a private key and a certificate for NAMES.

    Writes FOLDER/<first name>.key and FOLDER/<first name>.crt.

    \b
    Example:
      firescreen cert issue certs srv1 192.0.2.4 --ca ca
    """
    from wizard.certificates import issue as pki

    with output.print_errors():
        key = pki.new_key(kind)  # type: ignore[arg-type]
        if authority is None:
            certificate = pki.self_signed(
                key_pem=key, names=names, days=days, common_name=names[0], client=client
            )
        else:
            ca_key = _read(authority / "ca.key")
            passphrase = ask("Passphrase", passphrase_file) if b"ENCRYPTED" in ca_key else None
            certificate = pki.issue(
                ca_cert=_read(authority / "ca.crt"),
                ca_key=pki.unlock(ca_key, passphrase),
                key_pem=key,
                names=names,
                days=days,
                common_name=names[0],
                client=client,
            )
        _write_pair(folder, names[0].replace("/", "_"), key, certificate)


@cert.command()
@click.argument("file", type=existing)
@as_json
def inspect(file: Path, as_json: bool) -> None:
    """Show a certificate.

    Exit 1: Go, and so Prometheus, cannot read the file; the reasons are printed.

    \b
    Example:
      firescreen cert inspect /etc/node_exporter/node_exporter.crt
    """
    from wizard.certificates import issue as pki
    from wizard.certificates import pem_form

    with output.print_errors():
        content = _read(file)
        if pem_form.is_key(content):
            raise InputError(
                "this is a private key, not a certificate",
                where=str(file),
                todo="Name the file of the certificate, often the .crt or .pem in the same folder",
            )
        unread = pem_form.faults(content)
        content = pem_form.repair(content) if unread else content
        if as_json:
            found = pki.summary(content)
            shown = {name: getattr(found, name) for name in found.__slots__}
            output.data({**shown, "unreadable": list(unread)})
        else:
            for line in pki.describe(content):
                click.echo(line)
            for why in unread:
                output.say(f"✗ Go cannot read this file: {why}", colour="red")
        if unread:
            sys.exit(1)


def _read(path: Path) -> bytes:
    """Reads the file; raises InputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", where=str(path)) from error


def _write_pair(folder: Path, name: str, key: bytes, certificate: bytes) -> None:
    """Writes two new files, the private key with mode 0600; overwrites nothing.

    Raises:
        FirescreenError: they cannot be written, or one exists already.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content, mode in (
            (folder / f"{name}.key", key, 0o600),
            (folder / f"{name}.crt", certificate, 0o644),
        ):
            ownfiles.create(path, content, mode)
            output.say(f"Wrote {path}")
    except OSError as error:
        raise FirescreenError(
            f"the file cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            todo="Choose another folder, or move the existing file: it is never overwritten",
        ) from error

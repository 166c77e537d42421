"""Certificates and password hashes made with openssl and htpasswd, as users have them before they use Firescreen."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def openssl(*words: str, stdin: str = "") -> str:
    """Runs openssl; fails with the end of its output."""
    result = subprocess.run(["openssl", *words], input=stdin, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


def authority(folder: Path, name: str = "Our own CA") -> Pair:
    """Makes a CA as tutorials do: RSA, one command, openssl's default extensions."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / "rootCA.pem", folder / "rootCA-key.pem")
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", f"/O=Lab/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(pair.key), "-out", str(pair.certificate)),
    )
    return pair


def leaf(
    ca: Pair,
    folder: Path,
    name: str,
    sans: Sequence[str],
    *,
    usage: str = "serverAuth",
    begin: str = "",
    end: str = "",
    curve: str = "",
) -> Pair:
    """Makes a certificate that the CA signs.

    Args:
        sans: in openssl's form: DNS:a, IP:192.0.2.1.
        begin: YYYYMMDDHHMMSSZ; '' for now. Requires `end` too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / f"{name}.pem", folder / f"{name}-key.pem")
    algorithm = (
        ("-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}") if curve else ("-newkey", "rsa:2048")
    )
    request = folder / f"{name}.csr"
    openssl(
        *("req", "-new", *algorithm, "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", str(pair.key), "-out", str(request)),
    )
    extensions = f"extendedKeyUsage={usage}\n" + (f"subjectAltName={','.join(sans)}\n" if sans else "")
    (folder / f"{name}.ext").write_text(extensions)
    if begin:
        # `x509 -req` of openssl 3.0 has no options for dates; `ca` has, and needs its small database.
        database = folder / f"{name}.db"
        database.mkdir()
        (database / "index").touch()
        (database / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}/index\nnew_certs_dir={database}\n"
            f"rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        openssl(
            *("ca", "-batch", "-notext", "-config", str(database / "ca.cnf"), "-in", str(request)),
            *("-cert", str(ca.certificate), "-keyfile", str(ca.key), "-out", str(pair.certificate)),
            *("-extfile", str(folder / f"{name}.ext"), "-startdate", begin, "-enddate", end),
        )
    else:
        openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(ca.certificate), "-CAkey", str(ca.key)),
            *("-CAcreateserial", "-days", "825", "-sha256", "-out", str(pair.certificate)),
            *("-extfile", str(folder / f"{name}.ext")),
        )
    pair.key.chmod(0o640)
    return pair


def htpasswd(program: str, user: str, password: str, *, cost: int = 12) -> str:
    """Returns the hash of a password as htpasswd makes it ($2y$)."""
    result = subprocess.run(
        [program, "-niBC", str(cost), user], input=password, capture_output=True, text=True, check=True
    )
    return result.stdout.strip().partition(":")[2]

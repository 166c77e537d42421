"""A CA file with an intermediate CA but without its root works only until another intermediate issues the leaf."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tests.unit.planner.test_identity import Files, make_plan, site, with_config
from wizard.certificates import issue, signatures
from wizard.model import CertificateSpec, FileState, Finding, OwnFiles


def authority(name: str, parent: tuple[bytes, bytes] | None = None, *, days: int = 90) -> tuple[bytes, bytes]:
    """Makes a CA's certificate and key; without a parent, a root CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = subject, key
    if parent is not None:
        issuer = x509.load_pem_x509_certificate(parent[0]).subject
        loaded = load_pem_private_key(parent[1], None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), private


ROOT = authority("Example Root CA")
MIDDLE = authority("Example Issuing CA 3", ROOT, days=42)
KEY = issue.new_key("ec-p256")
LEAF = issue.issue(
    ca_cert=MIDDLE[0], ca_key=MIDDLE[1], key_pem=KEY, names=("node1",), days=20, common_name="node1"
)
PATHS = OwnFiles(cert_file="/etc/ssl/node.crt", key_file="/etc/ssl/node.key", ca_file="/etc/ssl/ca.crt")


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        (MIDDLE[0], MIDDLE[0]),
        (MIDDLE[0] + ROOT[0], b""),
        (ROOT[0] + MIDDLE[0], b""),
        (ROOT[0], b""),  # the server has to send the chain
        (LEAF, b""),
        (LEAF + MIDDLE[0], b""),
        (authority("Another CA")[0] + MIDDLE[0], MIDDLE[0]),
        (b"no PEM", b""),
    ],
)
def test_missing_roots_of_a_bundle_are_found(bundle: bytes, expected: bytes) -> None:
    assert signatures.intermediate_issuer(bundle, LEAF) == expected


def findings_of(certificate: bytes, ca: bytes) -> tuple[Finding, ...]:
    """Returns the findings about these files, for a certificate that the user provides."""
    stack, facts = site("node1:9100", on="node1")
    node = facts.hosts["node1"]
    files = {PATHS.cert_file: certificate, PATHS.key_file: KEY, PATHS.ca_file: ca}
    states = {path: FileState(text, 0o644, "root", "prometheus") for path, text in files.items()}
    node = replace(node, files=Files({**node.files, **states}))
    facts = replace(facts, hosts={**facts.hosts, "node1": node})
    (component,) = stack.components
    stack = replace(
        stack,
        components=(replace(component, files=PATHS),),
        certificates=CertificateSpec(issued_by="files"),
    )
    return tuple(each for each in make_plan(stack, facts).warnings if each.id == "ca-is-intermediate")


def test_a_ca_file_without_its_root_is_reported_with_names_and_days() -> None:
    (finding,) = findings_of(LEAF + MIDDLE[0], MIDDLE[0])
    assert finding.host == "node1" and PATHS.ca_file in finding.what
    assert "Example Issuing CA 3" in finding.what and "42 more days" in finding.what
    assert finding.remediation == "use the certificate of the root (CN=Example Root CA) as ca_file"


def test_a_server_that_does_not_send_its_intermediate_is_reported() -> None:
    (finding,) = findings_of(LEAF, MIDDLE[0])
    assert finding.remediation.startswith(
        "append the certificate of CN=Example Issuing CA 3 to the server's certificate"
    )


def test_a_ca_file_with_the_root_is_not_reported() -> None:
    assert findings_of(LEAF + MIDDLE[0], MIDDLE[0] + ROOT[0]) == ()
    assert findings_of(LEAF + MIDDLE[0], ROOT[0]) == ()


def test_the_ca_file_of_an_existing_job_is_reported_too() -> None:
    stack, facts = site(on="node1")
    node, monitor = facts.hosts["node1"], facts.hosts["monitor"]
    web = b"tls_server_config: {cert_file: node.crt, key_file: node.key}\n"
    home = "/etc/node_exporter"
    files = {f"{home}/web.yml": web, f"{home}/node.crt": LEAF + MIDDLE[0], f"{home}/node.key": KEY}
    states = {path: FileState(text, 0o644, "root", "prometheus") for path, text in files.items()}
    running = replace(node.services[0], web_config=f"{home}/web.yml")
    node = replace(node, services=(running,), files=Files({**node.files, **states}))
    text = (
        "scrape_configs:\n- job_name: site\n  scheme: https\n  tls_config: {ca_file: ca.crt}\n"
        "  static_configs: [{targets: ['node1:9100']}]\n"
    )
    monitor = with_config(monitor, text=text, more={"/etc/prometheus/ca.crt": MIDDLE[0].decode()})
    facts = replace(facts, hosts={**facts.hosts, "node1": node, "monitor": monitor})
    plan = make_plan(stack, facts)
    (finding,) = (each for each in plan.warnings if each.id == "ca-is-intermediate")
    assert (finding.host, finding.component) == ("monitor", "prometheus")
    assert finding.what.startswith("/etc/prometheus/ca.crt holds CN=Example Issuing CA 3")

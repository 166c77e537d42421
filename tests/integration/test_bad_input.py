"""Bad input: the command line says what is wrong, where and what to do, and changes nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration import openssl_certificates
from tests.integration.command_line import firescreen
from tests.integration.snapshot import differences, snapshot
from wizard import practice as practice_stack
from wizard.inventory import stack_file
from wizard.model import CertificateSpec, OwnFiles, Protection, RateLimit, Stack, UserSpec
from wizard.practice import PracticeStack

LATER = "20990101000000Z"
LONG_AGO = ("20200101000000Z", "20210101000000Z")
TO_COME = ("20980101000000Z", LATER)


@dataclass
class SharedPractice:
    """One practice stack for all of these tests: none of them may change it."""

    practice: PracticeStack
    workspace: Path
    files: Path
    ca: openssl_certificates.Pair
    good: openssl_certificates.Pair
    """What would do: covers the node_exporter's address, signed by `ca`."""

    @property
    def address(self) -> str:
        """Returns the address of the node_exporter."""
        return self.practice.host("srv1").address

    @property
    def config(self) -> Path:
        """Returns Prometheus' configuration."""
        return Path(self.practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"

    def leaf(self, name: str, **settings: Any) -> openssl_certificates.Pair:
        """Returns a certificate for the node_exporter, made once."""
        folder = self.files / name
        sans = settings.pop("sans", [f"IP:{self.address}"])
        return openssl_certificates.leaf(self.ca, folder, name, sans, curve="P-256", **settings)

    def own(self, **files: Path) -> Stack:
        """Returns a stack whose node_exporter gets these files of the user; files that are not given are valid ones."""
        given = {
            "cert_file": self.good.certificate,
            "key_file": self.good.key,
            "ca_file": self.ca.certificate,
        }
        named = {key: str(path) for key, path in {**given, **files}.items()}
        return self.stack("tls", files=OwnFiles(**named), issued_by="files")

    def stack(
        self,
        *protect: Protection,
        issued_by: str = "ca",
        user: UserSpec | None = None,
        **settings: Any,
    ) -> Stack:
        """Returns a stack in which only the node_exporter is protected."""
        plain = practice_stack.stack(self.workspace)
        node = replace(plain.components[0], protect=protect, **settings)
        return replace(
            plain,
            components=(node,),
            certificates=CertificateSpec(issued_by=issued_by),  # type: ignore[arg-type]
            users=(user,) if user else plain.users,
        )

    def plan(self, text: str) -> subprocess.CompletedProcess[str]:
        """Runs `firescreen plan FILE`."""
        path = self.files / "firescreen.yaml"
        path.write_text(text)
        return firescreen("--workspace", str(self.workspace), "plan", str(path))

    def assert_rejected(self, given: Stack | str, what: str, where: str, todo: str) -> None:
        """Checks that the plan exits with 2 and these texts at their places, and that no file has changed and
        no journal exists.
        """
        before = snapshot(self.workspace)
        ended = self.plan(given if isinstance(given, str) else stack_file.dump(given))
        assert ended.returncode == 2, (ended.returncode, ended.stdout, ended.stderr)
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        _, first_line, *rest = ended.stderr.splitlines()
        parts = {key.strip(): text for key, _, text in (line.partition(": ") for line in rest)}
        assert what in first_line, ended.stderr
        assert where in parts.get("where", ""), ended.stderr
        assert todo in parts.get("what to do", ""), ended.stderr
        assert differences(before, snapshot(self.workspace)) == []
        assert not list((self.workspace / "runs").glob("*")), "the journal is empty"


@pytest.fixture(scope="module")
def shared_practice(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[SharedPractice]:
    """Starts the practice stack that all of these tests share."""
    root = tmp_path_factory.mktemp("bad")
    files = root / "files"
    workspace = root / "workspace"
    try:
        practice = practice_stack.up(workspace, cache)
        ca = openssl_certificates.authority(files / "pki")
        sans = [f"IP:{practice.host('srv1').address}"]
        good = openssl_certificates.leaf(ca, files / "good", "good", sans, curve="P-256")
        yield SharedPractice(practice, workspace, files, ca, good)
    finally:
        practice_stack.down(workspace, remove=True)


@pytest.fixture
def config(shared_practice: SharedPractice) -> Iterator[Path]:
    """Returns Prometheus' configuration to be edited; restores it afterwards."""
    before = shared_practice.config.read_bytes()
    yield shared_practice.config
    shared_practice.config.write_bytes(before)


def test_valid_input_is_planned(shared_practice: SharedPractice) -> None:
    """Without this test, the errors below could have any reason."""
    ended = shared_practice.plan(stack_file.dump(shared_practice.own()))
    assert ended.returncode == 3, ended.stderr


# -- a person's own files -----------------------------------------------------------------------------------


def mismatched(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    other = shared_practice.leaf("other")
    return shared_practice.own(key_file=other.key), "does not belong to", str(other.key), "Replace"


def leaf_as_ca(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    other = shared_practice.leaf("leaf-as-ca")
    return (
        shared_practice.own(ca_file=other.certificate),
        "not a CA certificate",
        str(other.certificate),
        "the CA",
    )


def another_ca(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    other = openssl_certificates.authority(shared_practice.files / "another", "Another CA")
    return (
        shared_practice.own(ca_file=other.certificate),
        "signed",
        str(shared_practice.good.certificate),
        "Replace",
    )


def expired(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    pair = shared_practice.leaf("expired", begin=LONG_AGO[0], end=LONG_AGO[1])
    return (
        shared_practice.own(cert_file=pair.certificate, key_file=pair.key),
        "expired",
        str(pair.certificate),
        "Replace",
    )


def not_yet_valid(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    pair = shared_practice.leaf("future", begin=TO_COME[0], end=TO_COME[1])
    return (
        shared_practice.own(cert_file=pair.certificate, key_file=pair.key),
        "valid only from",
        str(pair.certificate),
        "Replace",
    )


def missing_name(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    pair = shared_practice.leaf("san", sans=["DNS:elsewhere.lab"])
    return (
        shared_practice.own(cert_file=pair.certificate, key_file=pair.key),
        shared_practice.address,
        str(pair.certificate),
        "names",
    )


def for_clients(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    pair = shared_practice.leaf("purpose", usage="clientAuth")
    return (
        shared_practice.own(cert_file=pair.certificate, key_file=pair.key),
        "server",
        str(pair.certificate),
        "Replace",
    )


def encrypted(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    locked = shared_practice.files / "locked.key"
    words = (
        "pkcs8",
        "-topk8",
        "-in",
        str(shared_practice.good.key),
        "-out",
        str(locked),
        "-passout",
        "pass:sesame",
    )
    openssl_certificates.openssl(*words)
    return shared_practice.own(key_file=locked), "encrypted", str(locked), "openssl pkey"


def encrypted_in_the_old_form(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    locked = shared_practice.files / "locked-old.key"
    words = (
        "ec",
        "-aes256",
        "-in",
        str(shared_practice.good.key),
        "-out",
        str(locked),
        "-passout",
        "pass:sesame",
    )
    openssl_certificates.openssl(*words)
    return shared_practice.own(key_file=locked), "encrypted", str(locked), "openssl pkey"


def der_certificate(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "good.der"
    openssl_certificates.openssl(
        "x509", "-in", str(shared_practice.good.certificate), "-outform", "DER", "-out", str(path)
    )
    return shared_practice.own(cert_file=path), "PEM", str(path), "openssl x509"


def der_key(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "good-key.der"
    openssl_certificates.openssl(
        "pkey", "-in", str(shared_practice.good.key), "-outform", "DER", "-out", str(path)
    )
    return shared_practice.own(key_file=path), "PEM", str(path), "openssl pkey"


def der_authority(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "ca.der"
    openssl_certificates.openssl(
        "x509", "-in", str(shared_practice.ca.certificate), "-outform", "DER", "-out", str(path)
    )
    return shared_practice.own(ca_file=path), "PEM", str(path), "openssl x509"


def swapped(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    return (
        shared_practice.own(cert_file=shared_practice.good.key, key_file=shared_practice.good.certificate),
        "private key",
        str(shared_practice.good.key),
        "",
    )


def missing_certificate(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "none.pem"
    return shared_practice.own(cert_file=path), "there is no certificate", str(path), "path"


def missing_key(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "none.key"
    return shared_practice.own(key_file=path), "there is no key", str(path), "path"


def missing_authority(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "no-ca.pem"
    return shared_practice.own(ca_file=path), "there is no CA", str(path), "path"


def missing_client_authority(shared_practice: SharedPractice) -> tuple[Stack, str, str, str]:
    path = shared_practice.files / "no-clients.pem"
    stack = shared_practice.stack("tls", "client_cert", files=OwnFiles(client_ca_file=str(path)))
    return stack, "there is no client CA", str(path), "Copy it there"


@pytest.mark.parametrize(
    "case",
    [
        mismatched,
        leaf_as_ca,
        another_ca,
        expired,
        not_yet_valid,
        missing_name,
        for_clients,
        encrypted,
        encrypted_in_the_old_form,
        der_certificate,
        der_key,
        der_authority,
        swapped,
        missing_certificate,
        missing_key,
        missing_authority,
        missing_client_authority,
    ],
)
def test_invalid_files_of_the_user(
    shared_practice: SharedPractice, case: Callable[[SharedPractice], tuple[Stack, str, str, str]]
) -> None:
    shared_practice.assert_rejected(*case(shared_practice))


def test_a_key_that_the_service_cannot_read(shared_practice: SharedPractice) -> None:
    # The practice services run as the user of this test; another user of a service is only in its facts.
    from wizard.engine import Engine
    from wizard.errors import InputError
    from wizard.workspace import Workspace

    engine = Engine(Workspace(shared_practice.workspace))
    stack = shared_practice.own()
    facts = engine.inspect(stack)
    host = facts.hosts["srv1"]
    services = tuple(replace(each, user="node-exp", group="node-exp") for each in host.services)
    other = replace(facts, hosts={**facts.hosts, "srv1": replace(host, services=services)})
    before = snapshot(shared_practice.workspace)
    with pytest.raises(InputError) as caught:
        engine.plan(stack, facts=other)
    assert "runs as node-exp and cannot read this file" in caught.value.what
    assert str(shared_practice.good.key) in caught.value.where
    assert f"chgrp node-exp {shared_practice.good.key}" in caught.value.todo
    assert differences(before, snapshot(shared_practice.workspace)) == []


# -- users and passwords ------------------------------------------------------------------------------------


def test_a_user_name_with_a_colon(shared_practice: SharedPractice) -> None:
    text = stack_file.dump(shared_practice.stack("tls", "basic_auth")).replace(
        "  prometheus:\n    password", '  "a:b":\n    password'
    )
    assert "a:b" in text
    shared_practice.assert_rejected(text, "a:b", "firescreen.yaml:", "letters")


def test_a_password_over_72_bytes(shared_practice: SharedPractice) -> None:
    secret = shared_practice.files / "long"
    secret.write_text("ä" * 37)
    user = UserSpec(name="prometheus", password="file", file=str(secret))
    shared_practice.assert_rejected(
        shared_practice.stack("tls", "basic_auth", user=user),
        "bcrypt looks at 72 only",
        str(secret),
        "shorter",
    )


def test_an_empty_map_of_users(shared_practice: SharedPractice) -> None:
    text = stack_file.dump(shared_practice.stack("tls", "basic_auth"))
    head, found, _ = text.partition("users:")
    assert found
    shared_practice.assert_rejected(
        f"{head}users: {{}}\n", "'users' is empty", "firescreen.yaml:", "Name at least one"
    )


def test_a_missing_or_empty_password_file(shared_practice: SharedPractice) -> None:
    secret = shared_practice.files / "empty"
    secret.write_text("\n")
    user = UserSpec(name="prometheus", password="file", file=str(secret))
    shared_practice.assert_rejected(
        shared_practice.stack("tls", "basic_auth", user=user), "empty", str(secret), ""
    )
    gone = replace(user, file=str(shared_practice.files / "gone"))
    shared_practice.assert_rejected(
        shared_practice.stack("tls", "basic_auth", user=gone),
        "does not exist",
        str(shared_practice.files / "gone"),
        "0600",
    )


def test_two_jobs_for_one_target_with_different_credentials(
    shared_practice: SharedPractice, config: Path
) -> None:
    for name in ("alice", "bob"):
        (config.parent / f"{name}.txt").write_text(f"{name}'s password")
    listen = shared_practice.practice.host("srv1").listen
    head, _, _ = config.read_text().partition("  # The components on srv1.")
    config.write_text(
        head
        + "".join(
            f"  - job_name: {name}s\n    basic_auth: {{username: {name}, password_file: {name}.txt}}\n"
            f"    static_configs: [targets: ['{listen}']]\n"
            for name in ("alice", "bob")
        )
    )
    shared_practice.assert_rejected(
        shared_practice.stack("tls", "basic_auth"), "job bobs as bob", str(config), "one login"
    )


# -- what a version cannot do, and what does not go together ------------------------------------------------


@pytest.fixture
def version(shared_practice: SharedPractice, request: pytest.FixtureRequest) -> Iterator[None]:
    """Makes a node_exporter report another version."""
    path = Path(shared_practice.practice.host("srv1").service_folder) / "service.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "version": request.param}))
    yield
    path.write_text(before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"client_allowed_sans": ("prometheus",), "protect": ("tls", "client_cert")}, "client_allowed_sans"),
        ({"rate_limit": RateLimit("1s", 5), "protect": ("tls",)}, "rate_limit"),
    ],
)
def test_a_setting_that_this_version_does_not_support(
    shared_practice: SharedPractice, settings: dict[str, Any], message: str
) -> None:
    protect = settings["protect"]
    rest = {key: value for key, value in settings.items() if key != "protect"}
    shared_practice.assert_rejected(
        shared_practice.stack(*protect, **rest), message, "srv1/node_exporter", "Upgrade node_exporter"
    )


@pytest.mark.parametrize("version", ["1.1.0"], indirect=True)
def test_headers_on_a_version_without_them(shared_practice: SharedPractice, version: None) -> None:
    stack = shared_practice.stack("tls", headers={"X-Frame-Options": "deny"})
    shared_practice.assert_rejected(stack, "headers", "srv1/node_exporter", "Upgrade node_exporter")


@pytest.mark.parametrize("version", ["1.9.1"], indirect=True)
def test_client_names_where_client_certificates_are_optional(
    shared_practice: SharedPractice, version: None
) -> None:
    stack = shared_practice.stack(
        "tls", "client_cert", client_allowed_sans=("a",), client_auth_type="VerifyClientCertIfGiven"
    )
    shared_practice.assert_rejected(
        stack, "VerifyClientCertIfGiven", "srv1/node_exporter", "RequireAndVerifyClientCert"
    )


def test_a_web_configuration_whose_users_are_a_list(shared_practice: SharedPractice) -> None:
    # Its users would be a guess.
    host = shared_practice.practice.host("srv1")
    web = Path(host.folder) / "etc" / "node_exporter" / "web.yml"
    web.write_text("basic_auth_users:\n  - kim: $2y$10$abc\n")
    try:
        shared_practice.assert_rejected(
            shared_practice.stack("tls"), "basic_auth_users is not a mapping", str(web), "user: hash"
        )
    finally:
        web.unlink()

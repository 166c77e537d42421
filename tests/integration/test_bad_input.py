"""Bad input: a message with what, where and what to do, through the real command line, before anything is touched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration import by_openssl
from tests.integration.in_process import firescreen
from tests.integration.snapshot import differences, snapshot
from wizard import practice as practice_stack
from wizard.inventory import stack_file
from wizard.model import CertificateSpec, OwnFiles, Protection, RateLimit, Stack, UserSpec
from wizard.practice import PracticeStack

LATER = "20990101000000Z"
LONG_AGO = ("20200101000000Z", "20210101000000Z")
TO_COME = ("20980101000000Z", LATER)


@dataclass
class Bench:
    """One practice stack for all of these tests: none of them may touch it."""

    practice: PracticeStack
    workspace: Path
    files: Path
    ca: by_openssl.Pair
    good: by_openssl.Pair
    """What would do: covers the node_exporter's address, signed by `ca`."""

    @property
    def address(self) -> str:
        """Of the node_exporter."""
        return self.practice.host("srv1").address

    @property
    def config(self) -> Path:
        """Prometheus' configuration."""
        return Path(self.practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"

    def leaf(self, name: str, **settings: Any) -> by_openssl.Pair:
        """A certificate for the node_exporter, made once."""
        folder = self.files / name
        sans = settings.pop("sans", [f"IP:{self.address}"])
        return by_openssl.leaf(self.ca, folder, name, sans, curve="P-256", **settings)

    def own(self, **files: Path) -> Stack:
        """A stack whose node_exporter gets these files of the person; what is not named would do."""
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
        """Only the node_exporter protected."""
        plain = practice_stack.stack(self.workspace)
        node = replace(plain.components[0], protect=protect, **settings)
        return replace(
            plain,
            components=(node,),
            certificates=CertificateSpec(issued_by=issued_by),  # type: ignore[arg-type]
            users=(user,) if user else plain.users,
        )

    def plan(self, text: str) -> subprocess.CompletedProcess[str]:
        """`firescreen plan FILE`."""
        path = self.files / "firescreen.yaml"
        path.write_text(text)
        return firescreen("--workspace", str(self.workspace), "plan", str(path))

    def refused(self, given: Stack | str, what: str, where: str, todo: str) -> None:
        """The plan ends with exit code 2 and these words at their places; every file is as it was, no journal."""
        before = snapshot(self.workspace)
        ended = self.plan(given if isinstance(given, str) else stack_file.dump(given))
        assert ended.returncode == 2, (ended.returncode, ended.stdout, ended.stderr)
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        _, said, *rest = ended.stderr.splitlines()
        told = {key.strip(): text for key, _, text in (line.partition(": ") for line in rest)}
        assert what in said, ended.stderr
        assert where in told.get("where", ""), ended.stderr
        assert todo in told.get("what to do", ""), ended.stderr
        assert differences(before, snapshot(self.workspace)) == []
        assert not list((self.workspace / "runs").glob("*")), "the journal is empty"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Bench]:
    """The practice stack that all of these tests share."""
    root = tmp_path_factory.mktemp("bad")
    files = root / "files"
    workspace = root / "workspace"
    try:
        practice = practice_stack.up(workspace, cache)
        ca = by_openssl.authority(files / "pki")
        sans = [f"IP:{practice.host('srv1').address}"]
        good = by_openssl.leaf(ca, files / "good", "good", sans, curve="P-256")
        yield Bench(practice, workspace, files, ca, good)
    finally:
        practice_stack.down(workspace, remove=True)


@pytest.fixture
def config(bench: Bench) -> Iterator[Path]:
    """Prometheus' configuration, to be edited; as it was afterwards."""
    before = bench.config.read_bytes()
    yield bench.config
    bench.config.write_bytes(before)


def test_what_would_do_is_planned(bench: Bench) -> None:
    """Without this, the refusals below could have any reason."""
    ended = bench.plan(stack_file.dump(bench.own()))
    assert ended.returncode == 3, ended.stderr


# -- a person's own files -----------------------------------------------------------------------------------


def mismatched(bench: Bench) -> tuple[Stack, str, str, str]:
    other = bench.leaf("other")
    return bench.own(key_file=other.key), "does not belong to", str(other.key), "Replace"


def leaf_as_ca(bench: Bench) -> tuple[Stack, str, str, str]:
    other = bench.leaf("leaf-as-ca")
    return bench.own(ca_file=other.certificate), "not a CA certificate", str(other.certificate), "the CA"


def another_ca(bench: Bench) -> tuple[Stack, str, str, str]:
    other = by_openssl.authority(bench.files / "another", "Another CA")
    return bench.own(ca_file=other.certificate), "signed", str(bench.good.certificate), "Replace"


def expired(bench: Bench) -> tuple[Stack, str, str, str]:
    pair = bench.leaf("expired", begin=LONG_AGO[0], end=LONG_AGO[1])
    return (
        bench.own(cert_file=pair.certificate, key_file=pair.key),
        "expired",
        str(pair.certificate),
        "Replace",
    )


def not_yet_valid(bench: Bench) -> tuple[Stack, str, str, str]:
    pair = bench.leaf("future", begin=TO_COME[0], end=TO_COME[1])
    return (
        bench.own(cert_file=pair.certificate, key_file=pair.key),
        "valid only from",
        str(pair.certificate),
        "Replace",
    )


def missing_name(bench: Bench) -> tuple[Stack, str, str, str]:
    pair = bench.leaf("san", sans=["DNS:elsewhere.lab"])
    return (
        bench.own(cert_file=pair.certificate, key_file=pair.key),
        bench.address,
        str(pair.certificate),
        "names",
    )


def for_clients(bench: Bench) -> tuple[Stack, str, str, str]:
    pair = bench.leaf("purpose", usage="clientAuth")
    return (
        bench.own(cert_file=pair.certificate, key_file=pair.key),
        "server",
        str(pair.certificate),
        "Replace",
    )


def encrypted(bench: Bench) -> tuple[Stack, str, str, str]:
    locked = bench.files / "locked.key"
    words = ("pkcs8", "-topk8", "-in", str(bench.good.key), "-out", str(locked), "-passout", "pass:sesame")
    by_openssl.openssl(*words)
    return bench.own(key_file=locked), "encrypted", str(locked), "openssl pkey"


def encrypted_in_the_old_form(bench: Bench) -> tuple[Stack, str, str, str]:
    locked = bench.files / "locked-old.key"
    words = ("ec", "-aes256", "-in", str(bench.good.key), "-out", str(locked), "-passout", "pass:sesame")
    by_openssl.openssl(*words)
    return bench.own(key_file=locked), "encrypted", str(locked), "openssl pkey"


def der_certificate(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "good.der"
    by_openssl.openssl("x509", "-in", str(bench.good.certificate), "-outform", "DER", "-out", str(path))
    return bench.own(cert_file=path), "PEM", str(path), "openssl x509"


def der_key(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "good-key.der"
    by_openssl.openssl("pkey", "-in", str(bench.good.key), "-outform", "DER", "-out", str(path))
    return bench.own(key_file=path), "PEM", str(path), "openssl pkey"


def der_authority(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "ca.der"
    by_openssl.openssl("x509", "-in", str(bench.ca.certificate), "-outform", "DER", "-out", str(path))
    return bench.own(ca_file=path), "PEM", str(path), "openssl x509"


def swapped(bench: Bench) -> tuple[Stack, str, str, str]:
    return (
        bench.own(cert_file=bench.good.key, key_file=bench.good.certificate),
        "private key",
        str(bench.good.key),
        "",
    )


def missing_certificate(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "none.pem"
    return bench.own(cert_file=path), "there is no certificate", str(path), "path"


def missing_key(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "none.key"
    return bench.own(key_file=path), "there is no key", str(path), "path"


def missing_authority(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "no-ca.pem"
    return bench.own(ca_file=path), "there is no CA", str(path), "path"


def missing_client_authority(bench: Bench) -> tuple[Stack, str, str, str]:
    path = bench.files / "no-clients.pem"
    stack = bench.stack("tls", "client_cert", files=OwnFiles(client_ca_file=str(path)))
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
def test_a_persons_own_files(bench: Bench, case: Callable[[Bench], tuple[Stack, str, str, str]]) -> None:
    bench.refused(*case(bench))


def test_a_key_that_the_service_cannot_read(bench: Bench) -> None:
    # The practice services run as whoever runs this; one that runs as another is stood in for by its facts.
    from wizard.engine import Engine
    from wizard.errors import InputError
    from wizard.workspace import Workspace

    engine = Engine(Workspace(bench.workspace))
    stack = bench.own()
    facts = engine.inspect(stack)
    host = facts.hosts["srv1"]
    services = tuple(replace(each, user="node-exp", group="node-exp") for each in host.services)
    other = replace(facts, hosts={**facts.hosts, "srv1": replace(host, services=services)})
    before = snapshot(bench.workspace)
    with pytest.raises(InputError) as caught:
        engine.plan(stack, facts=other)
    assert "runs as node-exp and cannot read this file" in caught.value.what
    assert str(bench.good.key) in caught.value.where
    assert f"chgrp node-exp {bench.good.key}" in caught.value.todo
    assert differences(before, snapshot(bench.workspace)) == []


# -- users and passwords ------------------------------------------------------------------------------------


def test_a_user_name_with_a_colon(bench: Bench) -> None:
    text = stack_file.dump(bench.stack("tls", "basic_auth")).replace(
        "  prometheus:\n    password", '  "a:b":\n    password'
    )
    assert "a:b" in text
    bench.refused(text, "a:b", "firescreen.yaml:", "letters")


def test_a_password_over_72_bytes(bench: Bench) -> None:
    secret = bench.files / "long"
    secret.write_text("ä" * 37)
    user = UserSpec(name="prometheus", password="file", file=str(secret))
    bench.refused(
        bench.stack("tls", "basic_auth", user=user), "bcrypt looks at 72 only", str(secret), "shorter"
    )


def test_an_empty_map_of_users(bench: Bench) -> None:
    text = stack_file.dump(bench.stack("tls", "basic_auth"))
    head, found, _ = text.partition("users:")
    assert found
    bench.refused(f"{head}users: {{}}\n", "'users' is empty", "firescreen.yaml:", "Name at least one")


def test_a_password_file_that_is_not_there_or_empty(bench: Bench) -> None:
    secret = bench.files / "empty"
    secret.write_text("\n")
    user = UserSpec(name="prometheus", password="file", file=str(secret))
    bench.refused(bench.stack("tls", "basic_auth", user=user), "empty", str(secret), "")
    gone = replace(user, file=str(bench.files / "gone"))
    bench.refused(
        bench.stack("tls", "basic_auth", user=gone), "does not exist", str(bench.files / "gone"), "0600"
    )


def test_two_jobs_for_one_target_with_different_credentials(bench: Bench, config: Path) -> None:
    for name in ("alice", "bob"):
        (config.parent / f"{name}.txt").write_text(f"{name}'s password")
    listen = bench.practice.host("srv1").listen
    head, _, _ = config.read_text().partition("  # The components on srv1.")
    config.write_text(
        head
        + "".join(
            f"  - job_name: {name}s\n    basic_auth: {{username: {name}, password_file: {name}.txt}}\n"
            f"    static_configs: [targets: ['{listen}']]\n"
            for name in ("alice", "bob")
        )
    )
    bench.refused(bench.stack("tls", "basic_auth"), "job bobs as bob", str(config), "one login")


# -- what a version cannot do, and what does not go together ------------------------------------------------


@pytest.fixture
def version(bench: Bench, request: pytest.FixtureRequest) -> Iterator[None]:
    """A node_exporter that says it is of another version."""
    path = Path(bench.practice.host("srv1").service_folder) / "service.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "version": request.param}))
    yield
    path.write_text(before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"client_allowed_sans": ("prometheus",), "protect": ("tls", "client_cert")}, "client_allowed_sans"),
        ({"rate_limit": RateLimit("1s", 5), "protect": ("tls",)}, "rate_limit"),
    ],
)
def test_a_setting_that_this_version_lacks(bench: Bench, settings: dict[str, Any], said: str) -> None:
    protect = settings["protect"]
    rest = {key: value for key, value in settings.items() if key != "protect"}
    bench.refused(bench.stack(*protect, **rest), said, "srv1/node_exporter", "Upgrade node_exporter")


@pytest.mark.parametrize("version", ["1.1.0"], indirect=True)
def test_headers_on_a_version_that_lacks_them(bench: Bench, version: None) -> None:
    stack = bench.stack("tls", headers={"X-Frame-Options": "deny"})
    bench.refused(stack, "headers", "srv1/node_exporter", "Upgrade node_exporter")


@pytest.mark.parametrize("version", ["1.9.1"], indirect=True)
def test_names_of_clients_where_a_client_may_show_none(bench: Bench, version: None) -> None:
    stack = bench.stack(
        "tls", "client_cert", client_allowed_sans=("a",), client_auth_type="VerifyClientCertIfGiven"
    )
    bench.refused(stack, "VerifyClientCertIfGiven", "srv1/node_exporter", "RequireAndVerifyClientCert")


def test_a_web_configuration_whose_users_are_a_list(bench: Bench) -> None:
    # What it would read is not guessed at.
    host = bench.practice.host("srv1")
    web = Path(host.folder) / "etc" / "node_exporter" / "web.yml"
    web.write_text("basic_auth_users:\n  - kim: $2y$10$abc\n")
    try:
        bench.refused(bench.stack("tls"), "basic_auth_users is not a mapping", str(web), "user: hash")
    finally:
        web.unlink()

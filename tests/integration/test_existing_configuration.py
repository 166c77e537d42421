"""Existing configuration is kept and extended, never replaced: a plan has no steps, or only those that are missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.integration import openssl_certificates
from tests.integration.full_stack import LEVELS, full_stack
from tests.integration.snapshot import differences, snapshot
from wizard import binaries
from wizard import practice as practice_stack
from wizard.config_files import prometheus as scrape
from wizard.config_files import web_config as web
from wizard.engine import Engine
from wizard.errors import ConfigError, InputError
from wizard.model import (
    WORKSPACE,
    CertificateSpec,
    ComponentSpec,
    OwnFiles,
    Plan,
    Protection,
    RunService,
    Stack,
    UserSpec,
    WriteFile,
)
from wizard.practice import PracticeStack
from wizard.service_managers import supervised
from wizard.workspace import Workspace

PASSWORD = "correct horse battery"


@dataclass
class Admin:
    """An administrator of the practice stack, with an editor, openssl and htpasswd."""

    practice: PracticeStack
    engine: Engine
    cache: Path

    @property
    def config(self) -> Path:
        """Returns Prometheus' configuration."""
        return Path(self.practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"

    @property
    def node(self) -> str:
        """Returns address:port of the node_exporter."""
        return self.practice.host("srv1").listen

    @property
    def address(self) -> str:
        """Returns the address of the node_exporter."""
        return self.practice.host("srv1").address

    def place(self, host: str, *parts: str) -> Path:
        """Returns a path in a host's etc folder."""
        return Path(self.practice.folder) / host / "etc" / Path(*parts)

    def write(self, path: Path, text: str | bytes, mode: int = 0o640) -> Path:
        """Writes a file with the mode that an editor gives it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def hashed(self, user: str) -> str:
        """Returns the hash of `PASSWORD` in htpasswd's style."""
        return openssl_certificates.htpasswd(binaries.find("htpasswd", cache=self.cache).path, user, PASSWORD)

    def serve(self, web_config: Path) -> None:
        """Restarts the node_exporter with a web configuration."""
        self.flags("srv1", f"--web.config.file={web_config}")

    def arguments(self, host: str) -> list[str]:
        """Returns the file with the arguments of a host's service."""
        return (Path(self.practice.host(host).service_folder) / "arguments").read_text().splitlines()

    def flags(self, name: str, *more: str) -> None:
        """Restarts a host's service with further flags."""
        host = self.practice.host(name)
        arguments = Path(host.service_folder) / "arguments"
        arguments.write_text("\n".join([*self.arguments(name), *more, ""]))
        (service,) = supervised.discover(host.connection(), host.folder)
        supervised.restart(host.connection(), service)

    def job(self, added: str) -> None:
        """Inserts lines into the job 'node' and reloads Prometheus."""
        text = self.config.read_text()
        assert text.count("  - job_name: node\n") == 1
        self.config.write_text(text.replace("  - job_name: node\n", f"  - job_name: node\n{added}"))
        self.reload()

    def replace_job(self, text: str) -> None:
        """Replaces the job 'node' by another one."""
        head, _, _ = self.config.read_text().partition("  # The components on srv1.")
        self.config.write_text(head + text)
        self.reload()

    def reload(self) -> None:
        """Reloads Prometheus."""
        host = self.practice.host("prometheus")
        (service,) = supervised.discover(host.connection(), host.folder)
        supervised.reload(host.connection(), service)

    def stack(self, *protect: Protection, user: UserSpec | None = None, **settings: object) -> Stack:
        """Returns a stack in which only the node_exporter is protected."""
        plain = practice_stack.stack(self.engine.workspace.root)
        node, prometheus = plain.components
        return replace(
            plain,
            components=(replace(node, protect=protect, **settings), replace(prometheus, protect=())),  # type: ignore[arg-type]
            users=(user,) if user else plain.users,
        )

    def proven(self, plan: Plan) -> None:
        """Applies the plan; every probe must be as expected, and a second plan must have no steps."""
        outcome = self.engine.apply(plan)
        assert (outcome.state, outcome.error) == ("proven", None), [
            (each.probe.id, each.outcome, each.reason) for each in outcome.attempts if not each.ok
        ]
        assert [step.id for step in self.engine.plan(plan.stack).steps] == []

    def refused(self, stack: Stack, kind: type[InputError], *words: str) -> InputError:
        """Checks that planning fails with this kind of error, and that nothing has changed."""
        before = snapshot(self.engine.workspace.root)
        with pytest.raises(kind) as caught:
            self.engine.plan(stack)
        error = caught.value
        assert error.where
        assert error.todo
        for word in words:
            assert word in f"{error.what} | {error.where} | {error.todo}"
        assert differences(before, snapshot(self.engine.workspace.root)) == []
        assert self.engine.history() == ()
        return error


@pytest.fixture
def admin(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Admin:
    """Returns the administrator of a new practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Admin(practice, Engine(Workspace(Path(practice.folder).parent)), cache)


def changes_on_hosts(plan: Plan) -> list[str]:
    """Returns what a plan changes outside Firescreen's own folder: file names, and actions on services."""
    return [
        f"{change.action} {change.service.unit}" if isinstance(change, RunService) else Path(change.path).name
        for change in plan.changes
        if change.host != WORKSPACE
    ]


def file_after_plan(plan: Plan, path: Path) -> bytes:
    """Returns the file as a plan changes it."""
    written = [each for each in plan.changes if isinstance(each, WriteFile) and each.path == str(path)]
    assert written
    state = written[-1].after
    assert state is not None
    return state.content


# -- (a) everything made by hand, in another style


def set_up_by_hand(admin: Admin, tmp_path: Path, *, certificates: bool) -> Path:
    """Sets up TLS, a password and, optionally, client certificates, with other file names and styles than ours."""
    ca = openssl_certificates.authority(tmp_path / "pki")
    tls, mine = admin.place("srv1", "our-tls"), admin.place("prometheus", "prometheus", "tls")
    openssl_certificates.leaf(ca, tls, "node", [f"IP:{admin.address}", "DNS:srv1"])
    openssl_certificates.leaf(ca, mine, "scraper", ["DNS:scraper.lab"], usage="clientAuth", curve="P-384")
    admin.write(mine / "our-root.pem", ca.certificate.read_bytes())
    admin.write(tls / "clients.pem", ca.certificate.read_bytes())
    admin.write(mine / "scraper.txt", f"{PASSWORD}\n")
    clients = ", client_auth_type: \"RequireAndVerifyClientCert\", 'client_ca_file': clients.pem"
    web_config = admin.write(
        tls / "web-config.yaml",
        "---\n# ours since 2021\n"
        f'"tls_server_config" : {{ cert_file: node.pem , \'key_file\': "node-key.pem"{clients if certificates else ""} }}\n'
        "basic_auth_users:\n"
        f"    'scraper': \"{admin.hashed('scraper')}\"   # htpasswd -nBC 12 scraper\n",
    )
    admin.serve(web_config)
    pair = "        key_file: tls/scraper-key.pem\n        cert_file: tls/scraper.pem\n"
    admin.job(
        '    scheme: "https"\n'
        "    basic_auth: {password_file: tls/scraper.txt, username: scraper}\n"
        "    tls_config:\n        ca_file: tls/our-root.pem\n" + (pair if certificates else "")
    )
    return web_config


@pytest.mark.parametrize("known", ["its user's name", "its password file"])
@pytest.mark.matrix
def test_a_password_set_up_by_hand_in_another_style_is_unchanged(
    admin: Admin, tmp_path: Path, known: str
) -> None:
    set_up_by_hand(admin, tmp_path, certificates=False)
    secret = admin.place("prometheus", "prometheus", "tls", "scraper.txt")
    file = UserSpec(name="scraper", password="file", file=str(secret))
    user = file if known == "its password file" else UserSpec(name="scraper")
    before = snapshot(Path(admin.practice.folder))
    plan = admin.engine.plan(admin.stack("tls", "basic_auth", user=user))
    assert changes_on_hosts(plan) == [], "the proof needs its own copies, and nothing else is missing"
    admin.proven(plan)
    assert differences(before, snapshot(Path(admin.practice.folder))) == []


def test_a_user_with_another_name_is_added_to_the_existing_one(admin: Admin, tmp_path: Path) -> None:
    web_config = set_up_by_hand(admin, tmp_path, certificates=False)
    old = web_config.read_text()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    assert changes_on_hosts(plan) == ["web-config.yaml"]
    new = file_after_plan(plan, web_config).decode()
    assert new.startswith(old)
    assert new.removeprefix(old).startswith("    prometheus: $2")
    admin.proven(plan)


@pytest.mark.matrix
def test_client_certificates_set_up_by_hand_are_kept_and_ours_is_accepted_too(
    admin: Admin, tmp_path: Path
) -> None:
    web_config = set_up_by_hand(admin, tmp_path, certificates=True)
    secret = admin.place("prometheus", "prometheus", "tls", "scraper.txt")
    user = UserSpec(name="scraper", password="file", file=str(secret))
    config = admin.config.read_bytes()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth", "client_cert", user=user))
    # Verification needs a certificate that the server accepts: ours is added to the accepted ones.
    assert changes_on_hosts(plan) == ["client-ca.crt", "web-config.yaml"]
    bundle = file_after_plan(plan, web_config.parent / "client-ca.crt")
    assert bundle.count(b"BEGIN CERTIFICATE") == 2
    assert (web_config.parent / "clients.pem").read_bytes().strip() in bundle
    extended = str(web_config.parent / "client-ca.crt")
    assert file_after_plan(plan, web_config).decode() == web_config.read_text().replace(
        "clients.pem", extended
    )
    admin.proven(plan)
    assert admin.config.read_bytes() == config


# -- (b) a web configuration with further settings


def test_users_headers_and_comments_of_a_web_configuration_are_kept(admin: Admin, tmp_path: Path) -> None:
    text = (
        "# do not touch without asking Kim\n"
        "basic_auth_users:\n"
        f"  kim: {admin.hashed('kim')}  # until March\n\n"
        "http_server_config:\n"
        "   headers:\n"
        "     X-Frame-Options:   deny\n"
    )
    web_config = admin.write(admin.place("srv1", "node_exporter", "kims.yml"), text, 0o644)
    admin.serve(web_config)
    plan = admin.engine.plan(admin.stack("tls", "basic_auth", headers={"X-Content-Type-Options": "nosniff"}))
    new = file_after_plan(plan, web_config)
    kept = [line for line in text.splitlines() if line]
    assert [line for line in new.decode().splitlines() if line in kept] == kept
    config = web.parse(new)
    assert set(config.users) == {"kim", "prometheus"}
    assert config.headers == {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff"}
    admin.proven(plan)
    assert web_config.stat().st_mode & 0o007 == 0, "what holds a hash is closed to others when it is written"


# -- (c) a job with further settings


@pytest.mark.matrix
def test_other_settings_of_a_job_are_kept(admin: Admin) -> None:
    admin.replace_job(
        "  - job_name: 'node'   # racks 1-3\n"
        "    scrape_interval: 2s\n"
        "    params: {'collect[]': [cpu, meminfo]}\n"
        "    honor_timestamps: false\n"
        f"    static_configs: [ {{targets: [ '{admin.node}' ], labels: {{rack: r1}}}} ]\n"
        "    metric_relabel_configs:\n"
        "      - {source_labels: [__name__], regex: 'node_scrape.*', action: drop}  # noise\n"
    )
    old = admin.config.read_text()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    new = file_after_plan(plan, admin.config).decode()
    for line in old.splitlines():
        assert line in new.splitlines()
    added = [line.strip() for line in new.splitlines() if line not in old.splitlines()]
    assert {line.partition(":")[0] for line in added} == {
        "scheme", "tls_config", "ca_file", "basic_auth", "username", "password_file",
    }  # fmt: skip
    admin.proven(plan)


# -- (e) targets from service discovery


def file_sd(admin: Admin, targets: Sequence[str]) -> Path:
    """Changes the job 'node' to read its targets from a file."""
    listing = admin.write(
        admin.place("prometheus", "prometheus", "targets", "nodes.yml"),
        "- targets:\n" + "".join(f"    - '{each}'\n" for each in targets) + "  labels: {from: file}\n",
    )
    admin.replace_job("  - job_name: node\n    file_sd_configs:\n      - files: ['targets/*.yml']\n")
    return listing


def test_a_job_whose_target_list_has_only_our_targets_is_secured(admin: Admin) -> None:
    listing = file_sd(admin, [admin.node])
    before = listing.read_bytes()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    assert [job.name for job in scrape.jobs(file_after_plan(plan, admin.config))] == ["prometheus", "node"]
    admin.proven(plan)
    assert listing.read_bytes() == before


def test_a_target_list_with_foreign_targets_is_refused_before_any_change(admin: Admin) -> None:
    file_sd(admin, [admin.node, "other.invalid:9100"])
    admin.refused(admin.stack("tls"), InputError, "other.invalid:9100", "job node", "prometheus.yml")


@pytest.mark.matrix
def test_addresses_made_by_relabelling(admin: Admin) -> None:
    name, _, port = admin.node.rpartition(":")
    admin.replace_job(
        "  - job_name: node\n"
        f"    static_configs: [targets: ['{name}']]\n"
        "    relabel_configs:\n"
        f"      - {{source_labels: [__address__], target_label: __address__, replacement: '$1:{port}'}}\n"
        "      - {source_labels: [__address__], target_label: instance, replacement: rack-one}\n"
    )
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    assert [job.name for job in scrape.jobs(file_after_plan(plan, admin.config))] == ["prometheus", "node"]
    admin.proven(plan)


@pytest.mark.matrix
def test_the_server_name_of_a_job_is_in_the_certificate(admin: Admin) -> None:
    admin.job("    tls_config: {server_name: node.rack-one.lab}\n")
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    (job,) = (each for each in scrape.jobs(file_after_plan(plan, admin.config)) if each.name == "node")
    assert job.tls["server_name"] == "node.rack-one.lab"
    admin.proven(plan)


@pytest.mark.matrix
def test_a_certificate_needs_only_the_requested_server_name(admin: Admin, tmp_path: Path) -> None:
    ca = openssl_certificates.authority(tmp_path / "pki")
    home = admin.place("srv1", "node_exporter")
    openssl_certificates.leaf(ca, home, "node", ["DNS:node.rack-one.lab"])
    admin.serve(
        admin.write(home / "w.yml", "tls_server_config: {cert_file: node.pem, key_file: node-key.pem}\n")
    )
    admin.write(admin.config.parent / "root.pem", ca.certificate.read_bytes())
    admin.job("    scheme: https\n    tls_config: {server_name: node.rack-one.lab, ca_file: root.pem}\n")
    plan = admin.engine.plan(admin.stack("tls"))
    assert changes_on_hosts(plan) == []
    admin.proven(plan)


def federation(admin: Admin) -> str:
    """Adds a job that federates from a Prometheus: from itself here, the practice stack has one."""
    return (
        "  - job_name: federate\n    honor_labels: true\n    metrics_path: /federate\n"
        "    params: {'match[]': ['up']}\n"
        f"    static_configs: [targets: ['{admin.practice.host('prometheus').listen}']]\n"
    )


@pytest.mark.matrix
def test_federation_and_remote_write_to_a_secured_prometheus(admin: Admin) -> None:
    listen = admin.practice.host("prometheus").listen
    host = admin.practice.host("prometheus")
    arguments = Path(host.service_folder) / "arguments"
    arguments.write_text(arguments.read_text() + "--web.enable-remote-write-receiver\n")
    (service,) = supervised.discover(host.connection(), host.folder)
    supervised.restart(host.connection(), service)
    admin.config.write_text(
        admin.config.read_text()
        + federation(admin)
        + f"remote_write:\n  - url: http://{listen}/api/v1/write\n    name: back\n"
        + "    write_relabel_configs: [{source_labels: [__name__], regex: none, action: keep}]\n"
        + f"remote_read:\n  - url: http://{listen}/api/v1/read\n"
    )
    admin.reload()
    plain = admin.stack()
    both: tuple[Protection, ...] = ("tls", "basic_auth", "client_cert")
    stack = replace(plain, components=(plain.components[0], replace(plain.components[1], protect=both)))
    plan = admin.engine.plan(stack)
    new = file_after_plan(plan, admin.config)
    for block in scrape.clients(new):
        assert block.url.startswith("https://")
        assert block.tls["cert_file"]
        assert block.basic_auth["username"] == "prometheus"
    jobs = {job.name: job for job in scrape.jobs(new)}
    assert jobs["federate"].scheme == jobs["prometheus"].scheme == "https"
    assert jobs["node"].scheme == "http"
    assert any(warning.id == "remote-write-drops" for warning in plan.warnings)
    admin.proven(plan)


@pytest.mark.matrix
def test_alertmanagers_of_which_one_is_foreign_are_refused(tmp_path: Path, cache: Path) -> None:
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        config = running_stack.file("prometheus", "prometheus.yml")
        ours = running_stack.listen("alertmanager")
        text = config.read_text()
        block = f"        - targets: ['{ours}']\n\nscrape_configs"
        assert block in text
        config.write_text(text.replace(block, block.replace("']", "', 'other.invalid:9093']")))
        before = snapshot(running_stack.root)
        with pytest.raises(InputError) as caught:
            running_stack.engine.plan(running_stack.stack({"alertmanager": LEVELS["password"]}))
        assert "other.invalid:9093" in caught.value.what
        assert "alertmanagers" in caught.value.what
        assert "prometheus.yml" in caught.value.where
        assert caught.value.todo
        assert differences(before, snapshot(running_stack.root)) == []
        assert running_stack.engine.history() == ()


# -- (f) a job with another kind of authentication


def test_another_kind_of_authentication_excludes_a_password_but_not_a_certificate(admin: Admin) -> None:
    admin.write(admin.config.parent / "token", "secret-of-a-proxy")
    admin.job("    authorization: {type: Bearer, credentials_file: token}\n")
    admin.refused(
        admin.stack("tls", "basic_auth"), ConfigError, "authorization", "job node", "prometheus.yml"
    )
    plan = admin.engine.plan(admin.stack("tls", "client_cert"))
    (job,) = (each for each in scrape.jobs(file_after_plan(plan, admin.config)) if each.name == "node")
    assert job.other_auth == "authorization"
    assert job.tls["cert_file"]
    admin.proven(plan)


@pytest.mark.matrix
def test_different_logins_that_the_server_accepts_are_kept(admin: Admin, tmp_path: Path) -> None:
    web_config = set_up_by_hand(admin, tmp_path, certificates=False)
    web_config.write_text(web_config.read_text() + f"    kim: {admin.hashed('kim')}\n")
    admin.config.write_text(
        admin.config.read_text()
        + "  - job_name: kims\n    scheme: https\n    tls_config: {ca_file: tls/our-root.pem}\n"
        + "    basic_auth: {username: kim, password_file: tls/scraper.txt}\n"
        + f"    static_configs: [targets: ['{admin.node}']]\n"
    )
    admin.reload()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth", user=UserSpec(name="scraper")))
    assert changes_on_hosts(plan) == []
    admin.proven(plan)


# -- (g) certificates from elsewhere


@pytest.mark.matrix
def test_one_shared_certificate_for_all_nodes(tmp_path: Path, cache: Path) -> None:
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        before = snapshot(running_stack.root)
        levels = dict.fromkeys(practice_stack.WHOLE, LEVELS["both"])
        stack = running_stack.stack(levels, CertificateSpec(issued_by="shared"))
        running_stack.apply(stack)
        pairs = {
            component: (running_stack.file(component, f"{component}.crt").read_bytes())
            for component in practice_stack.WHOLE
        }
        assert len({pairs[name] for name in practice_stack.WHOLE if name != "prometheus"}) == 1
        assert pairs["prometheus"] != pairs["node_exporter"]
        running_stack.wait_until_all_up(time.time())
        assert running_stack.engine.plan(stack).changes == ()
        running_stack.undo()
        assert differences(before, snapshot(running_stack.root)) == []


@pytest.mark.matrix
def test_certificates_from_existing_files(tmp_path: Path, cache: Path) -> None:
    with full_stack(tmp_path / "workspace", cache) as running_stack:
        ca = openssl_certificates.authority(tmp_path / "pki")
        own: dict[str, OwnFiles] = {}
        for name in practice_stack.WHOLE:
            address = running_stack.listen(name).rpartition(":")[0]
            pair = openssl_certificates.leaf(
                ca, running_stack.etc(name) / "pki", name, [f"IP:{address}"], curve="P-256"
            )
            shown = openssl_certificates.leaf(
                ca, running_stack.etc(name) / "pki", f"{name}-client", [f"DNS:{name}.lab"], usage="clientAuth"
            )
            own[name] = OwnFiles(
                cert_file=str(pair.certificate),
                key_file=str(pair.key),
                ca_file=str(ca.certificate),
                client_cert_file=str(shown.certificate),
                client_key_file=str(shown.key),
                client_ca_file=str(ca.certificate),
            )
        before = snapshot(running_stack.root)
        plain = running_stack.stack(
            dict.fromkeys(practice_stack.WHOLE, LEVELS["both"]), CertificateSpec(issued_by="files")
        )

        def with_files(component: ComponentSpec) -> ComponentSpec:
            return replace(component, files=own[component.name])

        stack = replace(plain, components=tuple(map(with_files, plain.components)))
        running_stack.apply(stack)
        assert not (running_stack.root / "ca").exists(), "no CA is made where none is needed"
        config = running_stack.file("prometheus", "prometheus.yml").read_text()
        assert own["prometheus"].client_cert_file in config
        running_stack.wait_until_all_up(time.time())
        assert running_stack.engine.plan(stack).changes == ()
        running_stack.undo()
        assert differences(before, snapshot(running_stack.root)) == []


# -- (h) behind a reverse proxy, below a path ---------------------------------------------------------------


def test_a_component_below_a_path_is_probed_there(admin: Admin) -> None:
    admin.flags("srv1", "--web.telemetry-path=/node/metrics")
    admin.flags("prometheus", "--web.external-url=http://graphs.example.org/prom/")
    text = admin.config.read_text()
    for job, path in (("node", "/node/metrics"), ("prometheus", "/prom/metrics")):
        head = f"  - job_name: {job}\n"
        assert text.count(head) == 1
        text = text.replace(head, f"{head}    metrics_path: {path}\n")
    admin.config.write_text(text)
    admin.reload()
    before = snapshot(admin.engine.workspace.practice)
    plain = practice_stack.stack(admin.engine.workspace.root)
    both = tuple(replace(one, protect=("tls", "basic_auth")) for one in plain.components)
    stack = replace(plain, components=both)
    plan = admin.engine.plan(stack)
    urls = {probe.url.partition("://")[2].partition("/")[2] for probe in plan.probes}
    assert urls == {"node/metrics", "prom/metrics", "prom"}
    assert any("/prom up" in warning.remediation for warning in plan.warnings)
    admin.proven(plan)
    # Another program has that address (nothing of Prometheus listens on port 80): it stays.
    assert "--web.external-url=http://graphs.example.org/prom/" in admin.arguments("prometheus")
    assert all(one.state == "secured" for one in admin.engine.scan(stack).exposures)
    assert admin.engine.undo().state == "undone"
    assert differences(before, snapshot(admin.engine.workspace.practice)) == []

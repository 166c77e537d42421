"""What a person has already is kept and extended, never replaced: a plan on it has nothing to do, or just what is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.integration import by_openssl
from tests.integration.snapshot import differences, snapshot
from tests.integration.whole_stand import LEVELS, whole
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
class Hand:
    """A person at the practice stack, with an editor, openssl and htpasswd."""

    practice: PracticeStack
    engine: Engine
    cache: Path

    @property
    def config(self) -> Path:
        """Prometheus' configuration."""
        return Path(self.practice.folder) / "prometheus" / "etc" / "prometheus" / "prometheus.yml"

    @property
    def node(self) -> str:
        """address:port of the node_exporter."""
        return self.practice.host("srv1").listen

    @property
    def address(self) -> str:
        """Its address."""
        return self.practice.host("srv1").address

    def place(self, host: str, *parts: str) -> Path:
        """A path in a host's etc folder."""
        return Path(self.practice.folder) / host / "etc" / Path(*parts)

    def write(self, path: Path, text: str | bytes, mode: int = 0o640) -> Path:
        """A file as an editor leaves it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def hashed(self, user: str) -> str:
        """The hash of `PASSWORD` in another style than ours."""
        return by_openssl.htpasswd(binaries.find("htpasswd", cache=self.cache).path, user, PASSWORD)

    def serve(self, web_config: Path) -> None:
        """Restarts the node_exporter with a web configuration."""
        self.flags("srv1", f"--web.config.file={web_config}")

    def arguments(self, host: str) -> list[str]:
        """What a host's service is started with."""
        return (Path(self.practice.host(host).service_folder) / "arguments").read_text().splitlines()

    def flags(self, name: str, *more: str) -> None:
        """Restarts a host's service with further flags."""
        host = self.practice.host(name)
        arguments = Path(host.service_folder) / "arguments"
        arguments.write_text("\n".join([*self.arguments(name), *more, ""]))
        (service,) = supervised.discover(host.connection(), host.folder)
        supervised.restart(host.connection(), service)

    def job(self, added: str) -> None:
        """Puts lines into the job 'node' and has Prometheus read them."""
        text = self.config.read_text()
        assert text.count("  - job_name: node\n") == 1
        self.config.write_text(text.replace("  - job_name: node\n", f"  - job_name: node\n{added}"))
        self.reload()

    def replace_job(self, text: str) -> None:
        """Another job in place of 'node'."""
        head, _, _ = self.config.read_text().partition("  # The components on srv1.")
        self.config.write_text(head + text)
        self.reload()

    def reload(self) -> None:
        """Prometheus reads its configuration."""
        host = self.practice.host("prometheus")
        (service,) = supervised.discover(host.connection(), host.folder)
        supervised.reload(host.connection(), service)

    def stack(self, *protect: Protection, user: UserSpec | None = None, **settings: object) -> Stack:
        """Only the node_exporter protected."""
        plain = practice_stack.stack(self.engine.workspace.root)
        node, prometheus = plain.components
        return replace(
            plain,
            components=(replace(node, protect=protect, **settings), replace(prometheus, protect=())),  # type: ignore[arg-type]
            users=(user,) if user else plain.users,
        )

    def proven(self, plan: Plan) -> None:
        """Applies; every probe must end as it must, and a second plan has nothing to do."""
        outcome = self.engine.apply(plan)
        assert (outcome.state, outcome.error) == ("proven", None), [
            (each.probe.id, each.outcome, each.reason) for each in outcome.attempts if not each.ok
        ]
        assert [step.id for step in self.engine.plan(plan.stack).steps] == []

    def refused(self, stack: Stack, kind: type[InputError], *words: str) -> InputError:
        """A plan that is refused with these words, and nothing is touched."""
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
def hand(practice: PracticeStack, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """A person at a fresh practice stack."""
    monkeypatch.setenv("FIRESCREEN_CACHE", str(cache))
    return Hand(practice, Engine(Workspace(Path(practice.folder).parent)), cache)


def on_hosts(plan: Plan) -> list[str]:
    """What a plan would do outside Firescreen's own folder: file names, and what is told to services."""
    return [
        f"{change.action} {change.service.unit}" if isinstance(change, RunService) else Path(change.path).name
        for change in plan.changes
        if change.host != WORKSPACE
    ]


def edited(plan: Plan, path: Path) -> bytes:
    """What a plan makes of a file."""
    written = [each for each in plan.changes if isinstance(each, WriteFile) and each.path == str(path)]
    assert written
    state = written[-1].after
    assert state is not None
    return state.content


# -- (a) everything done by hand, in another style ----------------------------------------------------------


def by_hand(hand: Hand, tmp_path: Path, *, certificates: bool) -> Path:
    """TLS, a password and, if asked for, client certificates, all of it made and named otherwise than by us."""
    ca = by_openssl.authority(tmp_path / "pki")
    tls, mine = hand.place("srv1", "our-tls"), hand.place("prometheus", "prometheus", "tls")
    by_openssl.leaf(ca, tls, "node", [f"IP:{hand.address}", "DNS:srv1"])
    by_openssl.leaf(ca, mine, "scraper", ["DNS:scraper.lab"], usage="clientAuth", curve="P-384")
    hand.write(mine / "our-root.pem", ca.certificate.read_bytes())
    hand.write(tls / "clients.pem", ca.certificate.read_bytes())
    hand.write(mine / "scraper.txt", f"{PASSWORD}\n")
    clients = ", client_auth_type: \"RequireAndVerifyClientCert\", 'client_ca_file': clients.pem"
    web_config = hand.write(
        tls / "web-config.yaml",
        "---\n# ours since 2021\n"
        f'"tls_server_config" : {{ cert_file: node.pem , \'key_file\': "node-key.pem"{clients if certificates else ""} }}\n'
        "basic_auth_users:\n"
        f"    'scraper': \"{hand.hashed('scraper')}\"   # htpasswd -nBC 12 scraper\n",
    )
    hand.serve(web_config)
    pair = "        key_file: tls/scraper-key.pem\n        cert_file: tls/scraper.pem\n"
    hand.job(
        '    scheme: "https"\n'
        "    basic_auth: {password_file: tls/scraper.txt, username: scraper}\n"
        "    tls_config:\n        ca_file: tls/our-root.pem\n" + (pair if certificates else "")
    )
    return web_config


@pytest.mark.parametrize("known", ["its user's name", "its password file"])
@pytest.mark.matrix
def test_a_password_set_up_by_hand_in_another_style_is_left_as_it_is(
    hand: Hand, tmp_path: Path, known: str
) -> None:
    by_hand(hand, tmp_path, certificates=False)
    secret = hand.place("prometheus", "prometheus", "tls", "scraper.txt")
    file = UserSpec(name="scraper", password="file", file=str(secret))
    user = file if known == "its password file" else UserSpec(name="scraper")
    before = snapshot(Path(hand.practice.folder))
    plan = hand.engine.plan(hand.stack("tls", "basic_auth", user=user))
    assert on_hosts(plan) == [], "the proof needs its own copies, and nothing else is missing"
    hand.proven(plan)
    assert differences(before, snapshot(Path(hand.practice.folder))) == []


def test_a_user_of_another_name_is_added_and_the_one_that_is_there_stays(hand: Hand, tmp_path: Path) -> None:
    web_config = by_hand(hand, tmp_path, certificates=False)
    old = web_config.read_text()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    assert on_hosts(plan) == ["web-config.yaml"]
    new = edited(plan, web_config).decode()
    assert new.startswith(old)
    assert new.removeprefix(old).startswith("    prometheus: $2")
    hand.proven(plan)


@pytest.mark.matrix
def test_client_certificates_set_up_by_hand_are_kept_and_the_proofs_own_is_let_in_too(
    hand: Hand, tmp_path: Path
) -> None:
    web_config = by_hand(hand, tmp_path, certificates=True)
    secret = hand.place("prometheus", "prometheus", "tls", "scraper.txt")
    user = UserSpec(name="scraper", password="file", file=str(secret))
    config = hand.config.read_bytes()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth", "client_cert", user=user))
    # Without a certificate that the server takes, nothing could be proven: this one is added to those let in.
    assert on_hosts(plan) == ["client-ca.crt", "web-config.yaml"]
    bundle = edited(plan, web_config.parent / "client-ca.crt")
    assert bundle.count(b"BEGIN CERTIFICATE") == 2
    assert (web_config.parent / "clients.pem").read_bytes().strip() in bundle
    extended = str(web_config.parent / "client-ca.crt")
    assert edited(plan, web_config).decode() == web_config.read_text().replace("clients.pem", extended)
    hand.proven(plan)
    assert hand.config.read_bytes() == config


# -- (b) a web configuration with settings of its own -------------------------------------------------------


def test_users_headers_and_comments_of_a_web_configuration_stay(hand: Hand, tmp_path: Path) -> None:
    text = (
        "# do not touch without asking Kim\n"
        "basic_auth_users:\n"
        f"  kim: {hand.hashed('kim')}  # until March\n\n"
        "http_server_config:\n"
        "   headers:\n"
        "     X-Frame-Options:   deny\n"
    )
    web_config = hand.write(hand.place("srv1", "node_exporter", "kims.yml"), text, 0o644)
    hand.serve(web_config)
    plan = hand.engine.plan(hand.stack("tls", "basic_auth", headers={"X-Content-Type-Options": "nosniff"}))
    new = edited(plan, web_config)
    kept = [line for line in text.splitlines() if line]
    assert [line for line in new.decode().splitlines() if line in kept] == kept
    config = web.parse(new)
    assert set(config.users) == {"kim", "prometheus"}
    assert config.headers == {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff"}
    hand.proven(plan)
    assert web_config.stat().st_mode & 0o007 == 0, "what holds a hash is closed to others when it is written"


# -- (c) a job with settings of its own ---------------------------------------------------------------------


@pytest.mark.matrix
def test_a_jobs_other_settings_stay(hand: Hand) -> None:
    hand.replace_job(
        "  - job_name: 'node'   # racks 1-3\n"
        "    scrape_interval: 2s\n"
        "    params: {'collect[]': [cpu, meminfo]}\n"
        "    honor_timestamps: false\n"
        f"    static_configs: [ {{targets: [ '{hand.node}' ], labels: {{rack: r1}}}} ]\n"
        "    metric_relabel_configs:\n"
        "      - {source_labels: [__name__], regex: 'node_scrape.*', action: drop}  # noise\n"
    )
    old = hand.config.read_text()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    new = edited(plan, hand.config).decode()
    for line in old.splitlines():
        assert line in new.splitlines()
    added = [line.strip() for line in new.splitlines() if line not in old.splitlines()]
    assert {line.partition(":")[0] for line in added} == {
        "scheme", "tls_config", "ca_file", "basic_auth", "username", "password_file",
    }  # fmt: skip
    hand.proven(plan)


# -- (e) targets that are found in other ways ---------------------------------------------------------------


def file_sd(hand: Hand, targets: Sequence[str]) -> Path:
    """The job 'node' with its targets in a list of their own."""
    listing = hand.write(
        hand.place("prometheus", "prometheus", "targets", "nodes.yml"),
        "- targets:\n" + "".join(f"    - '{each}'\n" for each in targets) + "  labels: {from: file}\n",
    )
    hand.replace_job("  - job_name: node\n    file_sd_configs:\n      - files: ['targets/*.yml']\n")
    return listing


def test_a_job_whose_list_of_targets_is_all_ours_is_secured(hand: Hand) -> None:
    listing = file_sd(hand, [hand.node])
    before = listing.read_bytes()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    assert [job.name for job in scrape.jobs(edited(plan, hand.config))] == ["prometheus", "node"]
    hand.proven(plan)
    assert listing.read_bytes() == before


def test_a_list_that_names_others_too_is_refused_before_anything_is_touched(hand: Hand) -> None:
    file_sd(hand, [hand.node, "other.invalid:9100"])
    hand.refused(hand.stack("tls"), InputError, "other.invalid:9100", "job node", "prometheus.yml")


@pytest.mark.matrix
def test_addresses_that_relabelling_makes(hand: Hand) -> None:
    name, _, port = hand.node.rpartition(":")
    hand.replace_job(
        "  - job_name: node\n"
        f"    static_configs: [targets: ['{name}']]\n"
        "    relabel_configs:\n"
        f"      - {{source_labels: [__address__], target_label: __address__, replacement: '$1:{port}'}}\n"
        "      - {source_labels: [__address__], target_label: instance, replacement: rack-one}\n"
    )
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    assert [job.name for job in scrape.jobs(edited(plan, hand.config))] == ["prometheus", "node"]
    hand.proven(plan)


@pytest.mark.matrix
def test_the_name_that_a_job_asks_for_stands_in_the_certificate(hand: Hand) -> None:
    hand.job("    tls_config: {server_name: node.rack-one.lab}\n")
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    (job,) = (each for each in scrape.jobs(edited(plan, hand.config)) if each.name == "node")
    assert job.tls["server_name"] == "node.rack-one.lab"
    hand.proven(plan)


@pytest.mark.matrix
def test_a_certificate_need_only_hold_the_name_that_is_asked_for(hand: Hand, tmp_path: Path) -> None:
    ca = by_openssl.authority(tmp_path / "pki")
    home = hand.place("srv1", "node_exporter")
    by_openssl.leaf(ca, home, "node", ["DNS:node.rack-one.lab"])
    hand.serve(
        hand.write(home / "w.yml", "tls_server_config: {cert_file: node.pem, key_file: node-key.pem}\n")
    )
    hand.write(hand.config.parent / "root.pem", ca.certificate.read_bytes())
    hand.job("    scheme: https\n    tls_config: {server_name: node.rack-one.lab, ca_file: root.pem}\n")
    plan = hand.engine.plan(hand.stack("tls"))
    assert on_hosts(plan) == []
    hand.proven(plan)


def federation(hand: Hand) -> str:
    """A job that takes series of a Prometheus: of itself here, the practice stack has one."""
    return (
        "  - job_name: federate\n    honor_labels: true\n    metrics_path: /federate\n"
        "    params: {'match[]': ['up']}\n"
        f"    static_configs: [targets: ['{hand.practice.host('prometheus').listen}']]\n"
    )


@pytest.mark.matrix
def test_federation_and_remote_write_to_a_prometheus_that_is_secured(hand: Hand) -> None:
    listen = hand.practice.host("prometheus").listen
    host = hand.practice.host("prometheus")
    arguments = Path(host.service_folder) / "arguments"
    arguments.write_text(arguments.read_text() + "--web.enable-remote-write-receiver\n")
    (service,) = supervised.discover(host.connection(), host.folder)
    supervised.restart(host.connection(), service)
    hand.config.write_text(
        hand.config.read_text()
        + federation(hand)
        + f"remote_write:\n  - url: http://{listen}/api/v1/write\n    name: back\n"
        + "    write_relabel_configs: [{source_labels: [__name__], regex: none, action: keep}]\n"
        + f"remote_read:\n  - url: http://{listen}/api/v1/read\n"
    )
    hand.reload()
    plain = hand.stack()
    both: tuple[Protection, ...] = ("tls", "basic_auth", "client_cert")
    stack = replace(plain, components=(plain.components[0], replace(plain.components[1], protect=both)))
    plan = hand.engine.plan(stack)
    new = edited(plan, hand.config)
    for block in scrape.clients(new):
        assert block.url.startswith("https://")
        assert block.tls["cert_file"]
        assert block.basic_auth["username"] == "prometheus"
    jobs = {job.name: job for job in scrape.jobs(new)}
    assert jobs["federate"].scheme == jobs["prometheus"].scheme == "https"
    assert jobs["node"].scheme == "http"
    assert any(warning.id == "remote-write-drops" for warning in plan.warnings)
    hand.proven(plan)


@pytest.mark.matrix
def test_two_alertmanagers_of_which_one_is_not_ours_are_refused(tmp_path: Path, cache: Path) -> None:
    with whole(tmp_path / "workspace", cache) as stand:
        config = stand.file("prometheus", "prometheus.yml")
        ours = stand.listen("alertmanager")
        text = config.read_text()
        block = f"        - targets: ['{ours}']\n\nscrape_configs"
        assert block in text
        config.write_text(text.replace(block, block.replace("']", "', 'other.invalid:9093']")))
        before = snapshot(stand.root)
        with pytest.raises(InputError) as caught:
            stand.engine.plan(stand.stack({"alertmanager": LEVELS["password"]}))
        assert "other.invalid:9093" in caught.value.what
        assert "alertmanagers" in caught.value.what
        assert "prometheus.yml" in caught.value.where
        assert caught.value.todo
        assert differences(before, snapshot(stand.root)) == []
        assert stand.engine.history() == ()


# -- (f) a job that authenticates otherwise -----------------------------------------------------------------


def test_another_way_to_authenticate_is_refused_for_a_password_and_fine_for_a_certificate(hand: Hand) -> None:
    hand.write(hand.config.parent / "token", "secret-of-a-proxy")
    hand.job("    authorization: {type: Bearer, credentials_file: token}\n")
    hand.refused(hand.stack("tls", "basic_auth"), ConfigError, "authorization", "job node", "prometheus.yml")
    plan = hand.engine.plan(hand.stack("tls", "client_cert"))
    (job,) = (each for each in scrape.jobs(edited(plan, hand.config)) if each.name == "node")
    assert job.other_auth == "authorization"
    assert job.tls["cert_file"]
    hand.proven(plan)


@pytest.mark.matrix
def test_two_logins_that_the_server_knows_may_differ(hand: Hand, tmp_path: Path) -> None:
    web_config = by_hand(hand, tmp_path, certificates=False)
    web_config.write_text(web_config.read_text() + f"    kim: {hand.hashed('kim')}\n")
    hand.config.write_text(
        hand.config.read_text()
        + "  - job_name: kims\n    scheme: https\n    tls_config: {ca_file: tls/our-root.pem}\n"
        + "    basic_auth: {username: kim, password_file: tls/scraper.txt}\n"
        + f"    static_configs: [targets: ['{hand.node}']]\n"
    )
    hand.reload()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth", user=UserSpec(name="scraper")))
    assert on_hosts(plan) == []
    hand.proven(plan)


# -- (g) certificates that come from elsewhere --------------------------------------------------------------


@pytest.mark.matrix
def test_one_shared_pair_for_all_nodes(tmp_path: Path, cache: Path) -> None:
    with whole(tmp_path / "workspace", cache) as stand:
        before = snapshot(stand.root)
        levels = dict.fromkeys(practice_stack.WHOLE, LEVELS["both"])
        stack = stand.stack(levels, CertificateSpec(issued_by="shared"))
        stand.apply(stack)
        pairs = {
            component: (stand.file(component, f"{component}.crt").read_bytes())
            for component in practice_stack.WHOLE
        }
        assert len({pairs[name] for name in practice_stack.WHOLE if name != "prometheus"}) == 1
        assert pairs["prometheus"] != pairs["node_exporter"]
        stand.all_up(time.time())
        assert stand.engine.plan(stack).changes == ()
        stand.undo()
        assert differences(before, snapshot(stand.root)) == []


@pytest.mark.matrix
def test_certificates_from_files_that_the_person_has(tmp_path: Path, cache: Path) -> None:
    with whole(tmp_path / "workspace", cache) as stand:
        ca = by_openssl.authority(tmp_path / "pki")
        own: dict[str, OwnFiles] = {}
        for name in practice_stack.WHOLE:
            address = stand.listen(name).rpartition(":")[0]
            pair = by_openssl.leaf(ca, stand.etc(name) / "pki", name, [f"IP:{address}"], curve="P-256")
            shown = by_openssl.leaf(
                ca, stand.etc(name) / "pki", f"{name}-client", [f"DNS:{name}.lab"], usage="clientAuth"
            )
            own[name] = OwnFiles(
                cert_file=str(pair.certificate),
                key_file=str(pair.key),
                ca_file=str(ca.certificate),
                client_cert_file=str(shown.certificate),
                client_key_file=str(shown.key),
                client_ca_file=str(ca.certificate),
            )
        before = snapshot(stand.root)
        plain = stand.stack(
            dict.fromkeys(practice_stack.WHOLE, LEVELS["both"]), CertificateSpec(issued_by="files")
        )

        def with_files(component: ComponentSpec) -> ComponentSpec:
            return replace(component, files=own[component.name])

        stack = replace(plain, components=tuple(map(with_files, plain.components)))
        stand.apply(stack)
        assert not (stand.root / "ca").exists(), "no CA is made where none is needed"
        config = stand.file("prometheus", "prometheus.yml").read_text()
        assert own["prometheus"].client_cert_file in config
        stand.all_up(time.time())
        assert stand.engine.plan(stack).changes == ()
        stand.undo()
        assert differences(before, snapshot(stand.root)) == []


# -- (h) behind a reverse proxy, below a path ---------------------------------------------------------------


def test_what_is_served_below_a_path_is_asked_there(hand: Hand) -> None:
    hand.flags("srv1", "--web.telemetry-path=/node/metrics")
    hand.flags("prometheus", "--web.external-url=http://graphs.example.org/prom/")
    text = hand.config.read_text()
    for job, path in (("node", "/node/metrics"), ("prometheus", "/prom/metrics")):
        head = f"  - job_name: {job}\n"
        assert text.count(head) == 1
        text = text.replace(head, f"{head}    metrics_path: {path}\n")
    hand.config.write_text(text)
    hand.reload()
    before = snapshot(hand.engine.workspace.practice)
    plain = practice_stack.stack(hand.engine.workspace.root)
    both = tuple(replace(one, protect=("tls", "basic_auth")) for one in plain.components)
    stack = replace(plain, components=both)
    plan = hand.engine.plan(stack)
    urls = {probe.url.partition("://")[2].partition("/")[2] for probe in plan.probes}
    assert urls == {"node/metrics", "prom/metrics", "prom"}
    assert any("/prom up" in warning.remediation for warning in plan.warnings)
    hand.proven(plan)
    # That address is another program's (nothing of Prometheus listens on port 80): it stays.
    assert "--web.external-url=http://graphs.example.org/prom/" in hand.arguments("prometheus")
    assert all(one.state == "secured" for one in hand.engine.scan(stack).exposures)
    assert hand.engine.undo().state == "undone"
    assert differences(before, snapshot(hand.engine.workspace.practice)) == []

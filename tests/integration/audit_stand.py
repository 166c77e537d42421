"""A whole practice stack that is audited open, secured, with faults put in behind Firescreen's back, and mended."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wizard import audit
from wizard import practice as practice_stack
from wizard.audit import AuditFinding, AuditReport
from wizard.certificates import issue
from wizard.engine import Engine
from wizard.practice import WHOLE, PracticeStack
from wizard.workspace import Workspace

PUBLISHED = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
RULES = """
groups:
  - name: certificates
    rules:
      - alert: CertificateExpires
        expr: probe_ssl_earliest_cert_expiry - time() < 28 * 86400
"""
POWERS = ("--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-remote-write-receiver")


@dataclass
class Seen:
    """A report, and the text of every file that a finding named then."""

    report: AuditReport
    texts: Mapping[str, str]

    def findings(self, check: str, host: str = "") -> list[AuditFinding]:
        return [each for each in self.report.findings if each.id == check and host in ("", each.host)]

    def line(self, finding: AuditFinding) -> str:
        return self.texts[finding.file].splitlines()[finding.line - 1] if finding.line else ""

    @property
    def found(self) -> set[str]:
        return {f"{each.id} {each.where}" for each in self.report.findings}


@dataclass
class AuditStand:
    """A running whole practice stack with an engine on it."""

    practice: PracticeStack
    engine: Engine
    kept: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    modes: dict[Path, int] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return Path(self.practice.folder).parent

    def etc(self, host: str, name: str = "") -> Path:
        of = self.practice.host(host)
        return Path(of.folder) / "etc" / of.component / name

    def audited(self) -> Seen:
        report = audit.run(self.engine, practice_stack.stack(self.root))
        files = {each.file for each in report.findings if each.file}
        return Seen(report, {name: Path(name).read_text("utf-8", "replace") for name in files})

    def secure(self) -> None:
        """All five with TLS and a password."""
        stack = practice_stack.stack(self.root)
        protected = tuple(replace(each, protect=("tls", "basic_auth")) for each in stack.components)
        outcome = self.engine.apply(self.engine.plan(replace(stack, components=protected)))
        assert outcome.ok, outcome.error

    def edit(self, path: Path, change: Callable[[str], str], mode: int | None = None) -> None:
        """Changes a file, which `mend` puts back."""
        before = path.read_bytes() if path.exists() else b""
        self.kept.setdefault(path, (before, path.stat().st_mode & 0o777 if path.exists() else 0o640))
        path.write_text(change(before.decode()), encoding="utf-8")
        if mode is not None:
            path.chmod(mode)

    def put(self, path: Path, text: str) -> None:
        self.edit(path, lambda _: text)

    def open_folders(self, host: str) -> None:
        """Lets other users into the folders of a configuration, as those of a package are; `mend` takes it back."""
        for folder in (self.etc(host), self.etc(host).parent):
            self.modes[folder] = folder.stat().st_mode & 0o777
            folder.chmod(0o755)

    def mend(self) -> None:
        for folder, mode in self.modes.items():
            folder.chmod(mode)
        self.modes.clear()
        for path, (content, mode) in self.kept.items():
            if content:
                path.write_bytes(content)
                path.chmod(mode)
            else:
                path.unlink()
        self.kept.clear()

    def flags(self, host: str, *flags: str) -> Callable[[], None]:
        """Restarts a service with more flags; gives what takes them away."""
        of = self.practice.host(host)
        arguments = Path(of.service_folder) / "arguments"
        before = arguments.read_text()
        arguments.write_text(before.rstrip("\n") + "\n" + "\n".join(flags) + "\n")
        practice_stack.control_service(self.root, of.component, "restart")

        def away() -> None:
            arguments.write_text(before)
            practice_stack.control_service(self.root, of.component, "restart")

        return away

    def pair(self, host: str) -> tuple[Path, Path]:
        """Certificate and key of a secured component."""
        web = self.etc(host, "web.yml").read_text()
        named = dict(re.findall(r"^\s+(cert_file|key_file):\s*\"?([^\"\n]+)\"?", web, re.MULTILINE))
        return Path(named["cert_file"]), Path(named["key_file"])


@contextlib.contextmanager
def stand(folder: Path, cache: Path, suite: str) -> Iterator[AuditStand]:
    root = folder / "workspace"
    try:
        up = practice_stack.up(root, cache, suite=suite, components=WHOLE)
        yield AuditStand(up, Engine(Workspace(root)))
    finally:
        practice_stack.down(root, remove=True)


def put_shared_ca_in(it: AuditStand) -> None:
    """Two servers whose client CA has issued for others too: one shares it with a server, the other has two in its file."""
    ca, key = ((it.root / "ca" / name).read_bytes() for name in ("ca.crt", "ca.key"))
    cert, own_key = it.pair("alertmanager")
    both_uses = issue.issue(
        ca_cert=ca,
        ca_key=key,
        key_pem=own_key.read_bytes(),
        names=issue.summary(cert.read_bytes()).names,
        days=30,
        common_name="alertmanager",
        client=True,
    )
    it.put(cert, both_uses.decode())
    another = issue.new_ca(name="Another CA", key_pem=issue.new_key("ec-p256"), days=30)
    for host, anchors in (("blackbox", ca), ("alertmanager", ca + another)):
        clients = it.etc(host, "client-ca.crt")
        it.put(clients, anchors.decode())
        web = it.etc(host, "web.yml")
        head = (
            "tls_server_config:\n"
            "  client_auth_type: RequireAndVerifyClientCert\n"
            f"  client_ca_file: {clients}\n"
        )
        it.put(web, web.read_text().replace("tls_server_config:\n", head))


def put_grafana_in(it: AuditStand) -> None:
    """The files of a Grafana that verifies nothing and accepts anyone."""
    folder = Path(it.practice.host("prometheus").folder) / "etc/grafana"
    sources = folder / "provisioning/datasources"
    sources.mkdir(parents=True, exist_ok=True)
    it.put(folder / "grafana.ini", "[auth.anonymous]\nenabled = true\n[security]\nadmin_password = admin\n")
    it.put(
        sources / "p.yml",
        "apiVersion: 1\ndatasources:\n- name: P\n  type: prometheus\n  url: https://127.0.0.1:1\n"
        "  jsonData: {tlsSkipVerify: true}\n",
    )


def is_let_through(it: AuditStand, host: str, pair: tuple[Path, Path] | None) -> bool:
    """Whether a server takes a TLS client with this certificate; OpenSSL and Go's server decide, and none of our code."""
    shown = ("--cert", str(pair[0]), "--key", str(pair[1])) if pair else ()
    ended = subprocess.run(
        ["curl", "-sk", "-o", "/dev/null", *shown, f"https://{it.practice.host(host).listen}/metrics"],
        check=False,
        timeout=30,
    )
    return ended.returncode == 0


def weak_pair(folder: Path) -> tuple[Path, Path]:
    """A certificate with every fault that one can have: near its end, no name, a CA's, RSA 1024, SHA-1."""
    cert, key = folder / "weak.crt", folder / "weak.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:1024", "-sha1", "-nodes", "-days", "10"),
            *("-subj", "/CN=old", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "extendedKeyUsage=clientAuth", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def put_faults_in(it: AuditStand, folder: Path) -> None:
    """Every fault of a secured stack that a file can hold, at once."""
    cert, key = weak_pair(folder)
    for host in ("srv1", "pushgateway"):
        for there, weak in zip(it.pair(host), (cert, key), strict=True):
            it.put(there, weak.read_text())
    it.put(it.etc("srv1", "client-ca.crt"), (it.root / "ca" / "ca.crt").read_text())
    it.put(it.etc("srv1", "spare.key"), (it.root / "ca" / "ca.key").read_text())

    def web(text: str) -> str:
        head = (
            "tls_server_config:\n"
            "  min_version: TLS10\n"
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"
            "  client_auth_type: VerifyClientCertIfGiven\n"
            f"  client_ca_file: {it.etc('srv1', 'client-ca.crt')}\n"
        )
        return re.sub(r"\$2y\$[^\s\"']+", PUBLISHED, text.replace("tls_server_config:\n", head))

    it.edit(it.etc("srv1", "web.yml"), web, 0o644)
    it.open_folders("srv1")

    def config(text: str) -> str:
        skip = "    tls_config:\n      insecure_skip_verify: true\n"
        text = re.sub(r"^    tls_config:\n", skip, text, count=1, flags=re.MULTILINE)
        text = re.sub(
            r"^      password_file: .*", "      password: hunter2", text, count=1, flags=re.MULTILINE
        )
        text = text.replace(
            "  - job_name: node\n",
            "  - job_name: plain\n    honor_labels: true\n    basic_auth: {username: prometheus, "
            f"password_file: /etc/none}}\n    static_configs:\n      - targets: ['{it.practice.host('srv1').listen}']\n"
            "  - job_name: node\n",
        )
        return text + "\nremote_write:\n  - url: https://me:hunter2@127.0.0.1:9/write\n"

    it.edit(it.etc("prometheus", "prometheus.yml"), config)
    put_shared_ca_in(it)
    put_grafana_in(it)
    it.edit(
        it.etc("alertmanager", "alertmanager.yml"),
        lambda text: f"global:\n  slack_api_url: https://x\n{text}",
    )


def mended_of_the_rest(it: AuditStand) -> None:
    """What Firescreen itself leaves: no rule of an expiry, redirects followed, one password for all."""
    it.edit(it.etc("prometheus", "rules.yml"), lambda text: text + RULES.replace("groups:\n", ""))
    it.edit(
        it.etc("prometheus", "prometheus.yml"),
        lambda text: re.sub(r"(  - job_name: .*\n)", r"\1    follow_redirects: false\n", text),
    )

"""A practice stack of all components that is audited unprotected, secured, with faults made by hand, and repaired."""

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
class AuditSnapshot:
    """An audit report, and the text of every file that its findings name, read at the same time."""

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
class AuditedStack:
    """A running practice stack of all components and its engine."""

    practice: PracticeStack
    engine: Engine
    kept: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    modes: dict[Path, int] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return Path(self.practice.folder).parent

    def etc(self, host: str, name: str = "") -> Path:
        host_of_component = self.practice.host(host)
        return Path(host_of_component.folder) / "etc" / host_of_component.component / name

    def take_snapshot(self) -> AuditSnapshot:
        report = audit.run(self.engine, practice_stack.stack(self.root))
        files = {each.file for each in report.findings if each.file}
        return AuditSnapshot(report, {name: Path(name).read_text("utf-8", "replace") for name in files})

    def secure(self) -> None:
        """Secures all five components with TLS and a password."""
        stack = practice_stack.stack(self.root)
        protected = tuple(replace(each, protect=("tls", "basic_auth")) for each in stack.components)
        outcome = self.engine.apply(self.engine.plan(replace(stack, components=protected)))
        assert outcome.ok, outcome.error

    def edit(self, path: Path, change: Callable[[str], str], mode: int | None = None) -> None:
        """Changes a file; `mend` restores it."""
        before = path.read_bytes() if path.exists() else b""
        self.kept.setdefault(path, (before, path.stat().st_mode & 0o777 if path.exists() else 0o640))
        path.write_text(change(before.decode()), encoding="utf-8")
        if mode is not None:
            path.chmod(mode)

    def put(self, path: Path, text: str) -> None:
        self.edit(path, lambda _: text)

    def open_folders(self, host: str) -> None:
        """Makes the folders of a configuration readable to others, as packages do; `mend` restores their modes."""
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
        """Restarts a service with more flags; returns a function that removes them again."""
        host_of_component = self.practice.host(host)
        arguments = Path(host_of_component.service_folder) / "arguments"
        before = arguments.read_text()
        arguments.write_text(before.rstrip("\n") + "\n" + "\n".join(flags) + "\n")
        practice_stack.control_service(self.root, host_of_component.component, "restart")

        def remove_flags() -> None:
            arguments.write_text(before)
            practice_stack.control_service(self.root, host_of_component.component, "restart")

        return remove_flags

    def pair(self, host: str) -> tuple[Path, Path]:
        """Returns certificate and key of a secured component."""
        web = self.etc(host, "web.yml").read_text()
        named = dict(re.findall(r"^\s+(cert_file|key_file):\s*\"?([^\"\n]+)\"?", web, re.MULTILINE))
        return Path(named["cert_file"]), Path(named["key_file"])


@contextlib.contextmanager
def start_stack(folder: Path, cache: Path, suite: str) -> Iterator[AuditedStack]:
    root = folder / "workspace"
    try:
        up = practice_stack.up(root, cache, suite=suite, components=WHOLE)
        yield AuditedStack(up, Engine(Workspace(root)))
    finally:
        practice_stack.down(root, remove=True)


def share_client_cas(audited_stack: AuditedStack) -> None:
    """Shares client CAs in two ways: one signed a server's certificate too, the other is in a file with a second CA."""
    ca, key = ((audited_stack.root / "ca" / name).read_bytes() for name in ("ca.crt", "ca.key"))
    cert, own_key = audited_stack.pair("alertmanager")
    both_uses = issue.issue(
        ca_cert=ca,
        ca_key=key,
        key_pem=own_key.read_bytes(),
        names=issue.summary(cert.read_bytes()).names,
        days=30,
        common_name="alertmanager",
        client=True,
    )
    audited_stack.put(cert, both_uses.decode())
    another = issue.new_ca(name="Another CA", key_pem=issue.new_key("ec-p256"), days=30)
    for host, anchors in (("blackbox", ca), ("alertmanager", ca + another)):
        clients = audited_stack.etc(host, "client-ca.crt")
        audited_stack.put(clients, anchors.decode())
        web = audited_stack.etc(host, "web.yml")
        head = (
            "tls_server_config:\n"
            "  client_auth_type: RequireAndVerifyClientCert\n"
            f"  client_ca_file: {clients}\n"
        )
        audited_stack.put(web, web.read_text().replace("tls_server_config:\n", head))


def add_insecure_grafana(audited_stack: AuditedStack) -> None:
    """Writes the files of a Grafana that does not verify certificates and allows anonymous access."""
    folder = Path(audited_stack.practice.host("prometheus").folder) / "etc/grafana"
    sources = folder / "provisioning/datasources"
    sources.mkdir(parents=True, exist_ok=True)
    audited_stack.put(
        folder / "grafana.ini", "[auth.anonymous]\nenabled = true\n[security]\nadmin_password = admin\n"
    )
    audited_stack.put(
        sources / "p.yml",
        "apiVersion: 1\ndatasources:\n- name: P\n  type: prometheus\n  url: https://127.0.0.1:1\n"
        "  jsonData: {tlsSkipVerify: true}\n",
    )


def accepts_client(audited_stack: AuditedStack, host: str, pair: tuple[Path, Path] | None) -> bool:
    """Returns whether a server accepts a TLS client with this certificate, judged by curl and Go's server only."""
    shown = ("--cert", str(pair[0]), "--key", str(pair[1])) if pair else ()
    ended = subprocess.run(
        [
            "curl",
            "-sk",
            "-o",
            "/dev/null",
            *shown,
            f"https://{audited_stack.practice.host(host).listen}/metrics",
        ],
        check=False,
        timeout=30,
    )
    return ended.returncode == 0


def weak_pair(folder: Path) -> tuple[Path, Path]:
    """Makes a certificate with every fault: expires soon, no name, a CA, RSA 1024, SHA-1."""
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


def make_faults(audited_stack: AuditedStack, folder: Path) -> None:
    """Makes every fault of a secured stack that a file can contain, all at once."""
    cert, key = weak_pair(folder)
    for host in ("srv1", "pushgateway"):
        for there, weak in zip(audited_stack.pair(host), (cert, key), strict=True):
            audited_stack.put(there, weak.read_text())
    audited_stack.put(
        audited_stack.etc("srv1", "client-ca.crt"), (audited_stack.root / "ca" / "ca.crt").read_text()
    )
    audited_stack.put(
        audited_stack.etc("srv1", "spare.key"), (audited_stack.root / "ca" / "ca.key").read_text()
    )

    def web(text: str) -> str:
        head = (
            "tls_server_config:\n"
            "  min_version: TLS10\n"
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"
            "  client_auth_type: VerifyClientCertIfGiven\n"
            f"  client_ca_file: {audited_stack.etc('srv1', 'client-ca.crt')}\n"
        )
        return re.sub(r"\$2y\$[^\s\"']+", PUBLISHED, text.replace("tls_server_config:\n", head))

    audited_stack.edit(audited_stack.etc("srv1", "web.yml"), web, 0o644)
    audited_stack.open_folders("srv1")

    def config(text: str) -> str:
        skip = "    tls_config:\n      insecure_skip_verify: true\n"
        text = re.sub(r"^    tls_config:\n", skip, text, count=1, flags=re.MULTILINE)
        text = re.sub(
            r"^      password_file: .*", "      password: hunter2", text, count=1, flags=re.MULTILINE
        )
        text = text.replace(
            "  - job_name: node\n",
            "  - job_name: plain\n    honor_labels: true\n    basic_auth: {username: prometheus, "
            f"password_file: /etc/none}}\n    static_configs:\n      - targets: ['{audited_stack.practice.host('srv1').listen}']\n"
            "  - job_name: node\n",
        )
        return text + "\nremote_write:\n  - url: https://me:hunter2@127.0.0.1:9/write\n"

    audited_stack.edit(audited_stack.etc("prometheus", "prometheus.yml"), config)
    share_client_cas(audited_stack)
    add_insecure_grafana(audited_stack)
    audited_stack.edit(
        audited_stack.etc("alertmanager", "alertmanager.yml"),
        lambda text: f"global:\n  slack_api_url: https://x\n{text}",
    )


def correct_settings_left_by_firescreen(audited_stack: AuditedStack) -> None:
    """Corrects what Firescreen leaves as it is: adds an alert on expiry, and follows no redirects."""
    audited_stack.edit(
        audited_stack.etc("prometheus", "rules.yml"), lambda text: text + RULES.replace("groups:\n", "")
    )
    audited_stack.edit(
        audited_stack.etc("prometheus", "prometheus.yml"),
        lambda text: re.sub(r"(  - job_name: .*\n)", r"\1    follow_redirects: false\n", text),
    )

"""Checks of Grafana: whether it verifies Prometheus' certificate, requires a login, and has known vulnerabilities."""

from __future__ import annotations

from typing import Final

from wizard.audit.grafana_view import GrafanaView, Running
from wizard.audit.report import Check
from wizard.audit.subjects import Found, HostView, Seen, Skipped, Unseen
from wizard.audit.version_checks import is_marked_by_distribution, vulnerability_finding
from wizard.audit.vulnerabilities import VULNERABILITIES
from wizard.config_files import grafana
from wizard.errors import ConfigError
from wizard.planner.grafana import Grafana
from wizard.redact import plain


def _doors(host: HostView) -> Seen:
    if host.grafana is None:
        yield Skipped()
        return
    for client in host.grafana.clients:
        yield from _sources(client)
    for instance in host.grafana.instances:
        yield from _settings(host, host.grafana, instance)


def _sources(client: Grafana) -> Seen:
    for path, state in client.files:
        try:
            sources = grafana.datasources(state.content)
        except ConfigError as error:
            yield Unseen(f"{path}: {error}")
            continue
        for source in sources:
            if source.is_on("tlsSkipVerify"):
                yield Found(
                    evidence=f"data source {plain(source.name, 80)}: tlsSkipVerify: true",
                    file=path,
                    line=source.line,
                    component="grafana",
                )


def _settings(host: HostView, view: GrafanaView, instance: Running) -> Seen:
    """Findings if an instance accepts anonymous users, or has Grafana's default password."""
    if not instance.is_readable:
        yield Unseen(f"the settings of Grafana (process {instance.pid}) can be read by root only")
        return
    path = view.ini(instance)
    if path in host.unread:
        yield Unseen(f"{path}: {host.unread[path]}")
        return
    state = host.read(path)
    anonymous = view.find_setting(instance, "auth.anonymous", "enabled", state)
    password = view.find_setting(instance, "security", "admin_password", state)
    suffix = f" (process {instance.pid}, with files of its own)" if instance.is_inside else ""
    if anonymous is not None and anonymous.is_true:
        yield Found(
            evidence=f"anonymous access: {plain(anonymous.evidence, 200)}{suffix}",
            file=anonymous.file,
            line=anonymous.line,
            component="grafana",
        )
    if password is not None and password.value == "admin":
        yield Found(
            evidence="the admin_password is the one that Grafana comes with, in force until somebody changes it: "
            f"{plain(password.evidence, 200)}{suffix}",
            file=password.file,
            line=password.line,
            component="grafana",
        )


def _vulnerabilities(host: HostView) -> Seen:
    if host.grafana is None:
        yield Skipped()
        return
    # Prefer the version of the package; a Grafana in a container has a file with its version.
    name, _, version = host.grafana.package.rpartition(" ")
    versions = {each.version for each in host.grafana.running if each.version}
    if version and not any(each.is_inside for each in host.grafana.running):
        versions = {version}
    if not versions:
        yield Unseen("Grafana's version is not known: it is in no package of the host")
        return
    listed = [each for each in VULNERABILITIES if each.check == "CVE-03"]
    for each in sorted(versions):
        # Grafana's own package has Grafana's version numbers; only a distribution's build with its own fixes is marked.
        package = f"{name} {each}".strip()
        packaged = is_marked_by_distribution(each)
        if found := vulnerability_finding(listed, "grafana", each, package, packaged=packaged):
            yield found


CHECKS: Final = (
    Check(
        id="GRF-01",
        severity="high",
        title="Grafana does not verify Prometheus, or accepts anyone",
        means=("configuration",),
        looks_at="Reads the provisioned data sources for tlsSkipVerify; and for anonymous access and the default password "
        "what Grafana takes them from: grafana.ini, its environment (unit, drop-ins, environment files, container) and its "
        "command line. No login is tried: a password that was changed in Grafana itself is not seen.",
        why="Who answers in Prometheus' place gets its password; who opens Grafana reads all its data.",
        remediation="Remove tlsSkipVerify and name the CA; switch anonymous access off; set a password for admin",
        scope="host",
        look=_doors,
    ),
)

VERSION_CHECKS: Final = (
    Check(
        id="CVE-03",
        severity="high",
        title="A known vulnerability of this Grafana",
        means=("unit",),
        looks_at="Compares the version of Grafana's package, or of the Grafana that runs, with those in which "
        "vulnerabilities were fixed.",
        why="Files of the host can be read, or a visitor's session be taken over.",
        remediation="Update Grafana",
        scope="host",
        look=_vulnerabilities,
    ),
)

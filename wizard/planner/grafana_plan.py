"""Plans what each Grafana needs so that servers accept it: files, edits of data sources, and a restart by the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wizard import passwords
from wizard.certificates import issue, signatures
from wizard.config_files import grafana, web_config
from wizard.model import (
    Change,
    ContentKind,
    Facts,
    FileState,
    Finding,
    Gap,
    PlannedStep,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.planner import client_certificates, client_edit, credentials, manual_commands, trust_anchors
from wizard.planner import paths as layout
from wizard.planner.client import Target
from wizard.planner.grafana import READS, Asking, Grafana, named_file, place_of, setting_content
from wizard.planner.server import ServerPlan
from wizard.redact import plain


@dataclass(frozen=True, slots=True)
class GrafanaPlan:
    """The steps, warnings and gaps of the Grafanas."""

    steps: tuple[PlannedStep, ...] = ()
    targets: tuple[Target, ...] = ()
    warnings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def plan(
    stack: Stack,
    facts: Facts,
    factory: credentials.CredentialFactory,
    asking: Sequence[Asking],
    plans: Sequence[ServerPlan],
) -> GrafanaPlan:
    """Plans what each Grafana needs so that the servers accept it."""
    by_key = {each.server.key: each for each in plans}
    steps, warnings, gaps = [], [], []
    targets: list[Target] = []
    for client in {each.client.key: each.client for each in asking}.values():
        work = _Work(stack, facts, factory, client)
        own_sources = [each for each in asking if each.client.key == client.key]
        targets += [work.serve(each, by_key[each.server.key]) for each in own_sources]
        warnings += work.warnings
        step = work.step()
        if step is None:
            continue
        steps.append(step)
        host, names = client.host.spec.name, " and ".join(plain(each.source.name) for each in own_sources)
        warnings.append(
            Finding(
                id="grafana-restart",
                host=host,
                component="grafana",
                what=f"Grafana on {host} has to be restarted by you after the run",
                why="Grafana reads its data sources at its start only, and Firescreen does not restart it.",
                remediation=f"Restart it: {client.restart_command}",
            )
        )
        if any(by_key[each.server.key].turn != "none" for each in own_sources):
            gaps.append(
                Gap(
                    message=f"shows nothing from {names} until you restart it: {client.restart_command}",
                    host=host,
                    component="grafana",
                )
            )
    return GrafanaPlan(tuple(steps), tuple(targets), tuple(warnings), tuple(gaps))


class _Work:
    """Collects what one Grafana needs, data source by data source: each file once, for all of them."""

    def __init__(
        self, stack: Stack, facts: Facts, factory: credentials.CredentialFactory, client: Grafana
    ) -> None:
        self._stack, self._facts, self._factory, self._client = stack, facts, factory, client
        self._texts = {path: state.content for path, state in client.files}
        self._copies: dict[str, Change] = {}
        self.warnings: list[Finding] = []

    def serve(self, each: Asking, plan: ServerPlan) -> Target:
        """Changes one data source as the server requires; settings that are good already stay."""
        ca, pair, login = (
            self._trust(each, plan),
            self._client_pair_fields(each, plan),
            self._login(each, plan),
        )
        self._texts[each.path] = grafana.secure_datasource(
            self._texts[each.path],
            name=each.source.name,
            ca=self._client.inside(ca),
            cert=self._client.inside(pair[0]),
            key=self._client.inside(pair[1]),
            user=login[0],
            password_file=self._client.inside(login[1]),
            server_name=self._server_name(each, plan),
        )
        place = place_of(each.source)
        checks = ca or place.tls.get("ca_file", "")
        return Target(plan, self._client, place, each.address, checks, pair, login)

    def _trust(self, each: Asking, plan: ServerPlan) -> str:
        """The path of the CA's copy to set, or '' if the present CA setting verifies the server's certificate."""
        settings, source = each.source.says, each.source
        if source.is_on("tlsAuthWithCACert") and not source.is_on("tlsSkipVerify"):
            known_text = setting_content(self._client, settings.get("tlsCACert", ""))
            asks_so_now = source.url.startswith("https:") and plan.was_tls and not plan.pair.changes
            # A CA that only Grafana can resolve is good if it works now and the certificate stays the same.
            if asks_so_now if known_text is None else signatures.vouches(known_text, plan.pair.certificate):
                self.warnings += trust_anchors.missing_root_findings(
                    known_text or b"",
                    plan.pair.certificate,
                    host=self._client.host.spec.name,
                    component="grafana",
                    path=named_file(settings.get("tlsCACert", ""))
                    or f"{each.path} ({plain(each.source.name)})",
                    server=plan.server.key,
                )
                return ""
        path = self._client.trust_file(plan.server, own_ca=plan.pair.own_ca)
        before = self._client.host.files.get(path)
        if before is None or not signatures.vouches(before.content, plan.pair.certificate):
            after = self._state(plan.pair.trust)
            self._copies[path] = WriteFile(
                host=self._client.host.spec.name,
                path=path,
                before=before,
                after=after,
                content_kind=ContentKind.CERTIFICATE,
                why=f"Grafana verifies {plan.server.key} with it.",
                about=issue.describe(plan.pair.trust),
                by_hand=manual_commands.text(path, after),
            )
        return path

    def _server_name(self, each: Asking, plan: ServerPlan) -> str:
        """The server name to verify, if the certificate does not have the name in the URL; '' otherwise."""
        expected = each.source.says.get("serverName", "") or each.address.rpartition(":")[0]
        if not issue.problems(plan.pair.certificate, names=(expected,), purpose="server"):
            return ""
        names = issue.summary(plan.pair.certificate).names
        return next((name for name in names if not name.startswith("*")), "")

    def _client_pair_fields(self, each: Asking, plan: ServerPlan) -> tuple[str, str]:
        if not plan.asks_certificate:
            return "", ""
        renewed = self._factory.renews(f"client:{self._client.key}")
        place = place_of(each.source)
        if (
            plan.clients
            and not renewed
            and client_certificates.kept_place_pair(self._client, place, plan.clients)
        ):
            return "", ""
        pair = self._factory.once(
            f"client:{self._client.key}",
            lambda: client_certificates.client_pair(self._stack, self._facts, self._factory, self._client),
        )
        self._copies |= {change.path: change for change in pair.changes}
        return pair.certificate_file, pair.key_file

    def _login(self, each: Asking, plan: ServerPlan) -> tuple[str, str]:
        if not plan.asks_password:
            return "", ""
        given = self._factory.credentials()[0]
        if self._login_is_accepted(each, plan, given):
            return "", ""
        path = self._client.password_file(given.user)
        before = self._client.host.files.get(path)
        content = given.password.reveal().encode()
        if before is None or before.content.strip() != content:
            after = self._state(content)
            self._copies[path] = WriteFile(
                host=self._client.host.spec.name,
                path=path,
                before=before,
                after=after,
                content_kind=ContentKind.PASSWORD,
                why="Grafana sends it. Only root and the group of Grafana can read it.",
                secret=True,
                by_hand=manual_commands.copy(layout.user_files(self._facts, given.user)[0], path, after),
            )
        return given.user.name, path

    def _login_is_accepted(self, each: Asking, plan: ServerPlan, given: credentials.Credential) -> bool:
        """Whether the server accepts the login that the person configured for the data source."""
        settings = each.source.says
        user, password_setting = settings.get("basicAuthUser", ""), settings.get("basicAuthPassword", "")
        if not (each.source.is_on("basicAuth") and user and password_setting):
            return False
        known_text = setting_content(self._client, password_setting)
        state = plan.server.host.files.get(plan.server.web_file)
        hashed = web_config.parse(state.content).users.get(user, "") if state is not None else ""
        if known_text is None:
            return bool(hashed)  # only Grafana can resolve the password
        password = passwords.as_sent_by_prometheus(known_text)
        if user == given.user.name:
            return password == given.password
        return bool(hashed) and passwords.matches(password, hashed)

    def _state(self, content: bytes) -> FileState:
        return FileState(content, 0o640, self._client.owner, self._client.service.group)

    def step(self) -> PlannedStep | None:
        """Everything as one step; None if nothing is missing."""
        before = {path: state.content for path, state in self._client.files}
        edits = client_edit.edits(
            self._client, before, {path: self._texts[path] for path in before}, why=READS
        )
        if not edits and not self._copies:
            return None
        return self._client.step(
            StepKind.GRAFANA,
            step_id=":".join(filter(None, ("grafana", self._client.host.spec.name, self._client.instance))),
            title="Switch the data sources of Grafana to https",
            why=(
                "Data sources of Grafana use these servers too. They are given https, the CA certificate and the "
                "credentials, in files that only Grafana can read. Grafana reads them when you restart it."
            ),
            changes=(*self._folder(), *self._copies.values(), *edits),
        )

    def _folder(self) -> tuple[Change, ...]:
        client = self._client
        if not self._copies or client.host.folders.get(client.folder) is not None:
            return ()
        return (
            manual_commands.make_folder(
                client.host.spec.name,
                client.folder,
                mode=0o750,
                owner=client.owner,
                group=client.service.group,
                why="The files for Grafana are in a folder beside its configuration.",
            ),
        )

"""What one client needs so that servers accept it: CA bundles, a client certificate, the password. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wizard import passwords
from wizard.certificates import issue, signatures
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.errors import ConfigError, InputError
from wizard.model import ContentKind, Facts, FileState, Finding, PlannedStep, Stack, StepKind, WriteFile
from wizard.planner import (
    certificates,
    client_certificates,
    manual_commands,
    paths,
    systemd_credentials,
    trust_anchors,
)
from wizard.planner import credentials as material
from wizard.planner.client_endpoints import Place
from wizard.planner.client_facts import Client
from wizard.planner.divided_jobs import place_name
from wizard.planner.server import ServerPlan


class ClientNeeds:
    """Collects what one client needs, place by place: each file once, for all of them."""

    def __init__(
        self, stack: Stack, facts: Facts, factory: material.CredentialFactory, client: Client
    ) -> None:
        self._stack, self._facts, self._factory, self._client = stack, facts, factory, client
        self._trusted: dict[str, dict[str, ServerPlan]] = {}
        self._logs_in = False
        self._logins: dict[str, list[tuple[str, tuple[str, str], bool]]] = {}
        self._pair: certificates.Pair | None = None
        self.warnings: dict[tuple[str, str], Finding] = {}
        """Findings about CA files that are kept, by path and server."""

    def settings(
        self, place: Place, plans: Sequence[ServerPlan]
    ) -> tuple[str, tuple[str, str], tuple[str, str]]:
        """CA file, pair and login for a place that connects to these servers; '' if its present setting is good."""
        return self._trust(place, plans), self._client_pair_files(place, plans), self._login(place, plans)

    def _trust(self, place: Place, plans: Sequence[ServerPlan]) -> str:
        ca_file = place.tls.get("ca_file", "")
        state = self._client.host.files.get(self._client.resolve(place, ca_file)) if ca_file else None
        ours = {self._client.trust_file(plan.server, own_ca=plan.pair.own_ca): plan for plan in plans}
        path = next(iter(ours)) if len(ours) == 1 else self._client.place_trust(place.how)
        is_own_bundle = self._client.resolve(place, ca_file) == path
        is_trusted = state is not None and all(
            signatures.vouches(state.content, plan.pair.certificate) for plan in plans
        )
        if is_trusted and not is_own_bundle:
            self._warn_missing_root(place, plans, ca_file)
            return ca_file
        self._trusted.setdefault(path, {}).update({plan.server.key: plan for plan in plans})
        return ca_file if is_own_bundle else path

    def _warn_missing_root(self, place: Place, plans: Sequence[ServerPlan], ca_file: str) -> None:
        path = self._client.resolve(place, ca_file)
        state = self._client.host.files[path]
        for plan in plans:
            for finding in trust_anchors.missing_root_findings(
                state.content if state is not None else b"",
                plan.pair.certificate,
                host=self._client.host.spec.name,
                component=self._client.service.component,
                path=path,
                server=plan.server.key,
            ):
                self.warnings[path, plan.server.key] = finding

    def _client_pair_files(self, place: Place, plans: Sequence[ServerPlan]) -> tuple[str, str]:
        asking = [plan for plan in plans if plan.asks_certificate]
        if not asking:
            return "", ""
        if not self._factory.renews(f"client:{self._client.key}"):
            bundles = [plan.clients for plan in asking if plan.clients]
            kept = [client_certificates.kept_place_pair(self._client, place, bundle) for bundle in bundles]
            if kept and all(kept):
                return kept[0] or ("", "")
        make = self._factory.once
        self._pair = make(
            f"client:{self._client.key}",
            lambda: client_certificates.client_pair(self._stack, self._facts, self._factory, self._client),
        )
        return self._pair.certificate_file, self._pair.key_file

    def _login(self, place: Place, plans: Sequence[ServerPlan]) -> tuple[str, str]:
        asking = [plan for plan in plans if plan.asks_password]
        if not asking:
            return "", ""
        serves = self._login_is_accepted(place, asking)
        self._refuse_two_logins(place, asking, serves=serves)
        if serves:
            return "", ""
        if place.other_auth and place.kind != "module":
            raise ConfigError(
                f"{place.how} authenticates with {place.other_auth}, and {asking[0].server.key} asks for a password, "
                "but Prometheus allows one way only",
                where=place_name(self._client, place),
                todo=f"Remove {place.other_auth} there, or protect the server without basic_auth",
            )
        user = self._stack.users[0]
        self._logs_in = True
        return user.name, self._client.password_file(user)

    def _refuse_two_logins(self, place: Place, asking: Sequence[ServerPlan], *, serves: bool) -> None:
        """Refuses different logins of two places at a server that does not know both: ours would replace one of them.

        Raises:
            InputError: names the two places.
        """
        login = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
        if not login[0]:
            return
        for plan in asking:
            others = self._logins.setdefault(plan.server.key, [])
            for other, other_login, other_serves in others:
                if other_login != login and not (serves and other_serves):
                    raise InputError(
                        f"{other} logs in to {plan.server.key} as {other_login[0]} and {place.how} as {login[0]}, "
                        "and the server does not know both with what they send",
                        where=place_name(self._client, place),
                        todo="Give both one login, or write both users into the server's web configuration first",
                    )
            others.append((place.how, login, serves))

    def _login_is_accepted(self, place: Place, asking: Sequence[ServerPlan]) -> bool:
        """Whether every server accepts the login that the person configured for this place."""
        user, file_name = place.basic_auth.get("username", ""), place.basic_auth.get("password_file", "")
        path = self._client.resolve(place, file_name) if file_name else ""
        if not user or not path or path == self._client.password_file(self._stack.users[0]):
            return False
        state = self._client.host.files.get(path)
        if state is None:
            return False
        password = passwords.as_sent_by_prometheus(state.content)
        given = {each.user.name: each.password for each in self._factory.credentials()}
        if user in given and given[user].reveal() != password.reveal():
            return False  # that user's hash is about to change
        for plan in asking:
            web_state = plan.server.host.files.get(plan.server.web_file)
            hashed = web_config.parse(web_state.content).users.get(user, "") if web_state is not None else ""
            if not hashed or not passwords.matches(password, hashed):
                return False
        return True

    def trust_steps(self) -> tuple[tuple[PlannedStep, ...], tuple[PlannedStep, ...]]:
        """Steps that add CAs to bundles (old and new together during a replacement), and steps that remove the old."""
        wide, narrow = [], []
        for path, plans in self._trusted.items():
            before = self._client.host.files.get(path)
            present = before.content if before is not None else b""
            missing = [
                plan.pair.trust
                for plan in plans.values()
                if not signatures.vouches(certificates.as_go_reads(present), plan.pair.certificate)
            ]
            between = certificates.bundle([*((present,) if present else ()), *missing])
            final = certificates.bundle([plan.pair.trust for plan in plans.values()])
            if missing and between != present:
                wide.append(self._trust_step(path, before, between, tuple(plans.values())))
            replaced = any(plan.pair.changes and plan.was_tls for plan in plans.values())
            if replaced and final != between:
                state = FileState(between, 0o644, self._client.owner, self._client.group)
                narrow.append(
                    replace(
                        self._trust_step(path, state, final, tuple(plans.values())),
                        id=f"narrow:{self._client.key}:{path}",
                        kind=StepKind.NARROW,
                        title="Remove the replaced certificates from the trusted ones",
                        why=(
                            "Both were trusted while the servers changed, so that no scrape was lost. The servers "
                            "show the new certificates now."
                        ),
                    )
                )
        return tuple(wide), tuple(narrow)

    def _trust_step(
        self, path: str, before: FileState | None, content: bytes, plans: tuple[ServerPlan, ...]
    ) -> PlannedStep:
        name, program = self._client.host.spec.name, self._client.service.component
        after = FileState(content, 0o644, self._client.owner, self._client.group)
        first = plans[0]
        source = paths.ca_pair(self._facts)[0] if first.pair.own_ca else first.pair.trust_file
        copied = manual_commands.copy if first.pair.own_ca else manual_commands.copy_there
        single = content == first.pair.trust and bool(source)
        title = find_component(program).title
        if first.pair.own_ca:
            what = "the CA certificate"
        elif len(plans) == 1:
            what = f"the certificate of {first.server.spec.name}"
        else:
            what = "the certificates of the servers"
        same_host = (
            first.pair.own_ca
            or first.server.host.spec.name == name
            or self._stack.host(name).connect == "practice"
        )
        return self._client.step(
            StepKind.TRUST,
            step_id=f"trust:{name}:{path}",
            title=f"Install {what} for {title}",
            why=(
                f"{title} verifies the certificate of each server with it. The file is public and holds no secret."
            ),
            changes=(
                WriteFile(
                    host=name,
                    path=path,
                    before=before,
                    after=after,
                    content_kind=ContentKind.CERTIFICATE,
                    why=f"{title} verifies {', '.join(plan.server.key for plan in plans)} with it.",
                    about=issue.describe(content),
                    by_hand=copied(source, path, after)
                    if single and same_host
                    else manual_commands.text(path, after),
                ),
            ),
        )

    def pair_steps(self) -> tuple[PlannedStep, ...]:
        """The steps for the client certificate, if it must be created."""
        if self._pair is None or not self._pair.changes:
            return ()
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        return (
            self._client.step(
                StepKind.CLIENT_CERTIFICATE,
                title=f"Create a client certificate for {title}",
                why=(
                    "A server with mutual TLS accepts only clients with a certificate that it trusts. The private key "
                    f"stays on {name}: whoever has it can impersonate this {title}."
                ),
                changes=self._pair.changes,
            ),
        )

    def password_steps(self) -> tuple[PlannedStep, ...]:
        """The steps for the client's own file with the password."""
        if not self._logs_in:
            return ()
        given = self._factory.credentials()[0]
        path = self._client.password_file(given.user)
        before = self._client.host.files.get(path)
        content = given.password.reveal().encode()
        if before is not None and before.content.strip() == content:
            return ()
        systemd_credentials.refuse_no_reader(self._client, path)
        name, title = self._client.host.spec.name, find_component(self._client.service.component).title
        after = FileState(content, 0o640, self._client.owner, self._client.group)
        instance = f":{self._client.service.instance}" if self._client.service.instance else ""
        whose = "" if self._client.service.component == "prometheus" else f":{self._client.service.component}"
        return (
            self._client.step(
                StepKind.CLIENT_PASSWORD,
                step_id=f"password:{name}{whose}{instance}",
                title=f"Install the password for {title}",
                why=(
                    "The server has a hash; the client sends the password itself. In a separate file it "
                    "stays out of the configuration, which more people can read."
                ),
                changes=(
                    WriteFile(
                        host=name,
                        path=path,
                        before=before,
                        after=after,
                        content_kind=ContentKind.PASSWORD,
                        why=f"Only root and the group of {title} can read it.",
                        secret=True,
                        by_hand=manual_commands.copy(
                            paths.user_files(self._facts, given.user)[0], path, after
                        ),
                    ),
                ),
            ),
        )

"""Grafana's end: its provisioned data sources that ask a server of the stack, and what they need to be let in.

Grafana reads them at its start only and is not restarted here: the plan says so. Whatever of it cannot be
edited becomes a warning and stops nothing, for Grafana only looks on.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wizard import endpoints, passwords
from wizard.certificates import issue, signatures
from wizard.config_files import grafana, web_config
from wizard.errors import ConfigError
from wizard.model import (
    Change,
    ContentKind,
    Facts,
    FileState,
    Finding,
    Gap,
    HostFacts,
    MakeFolder,
    OwnFiles,
    PlannedStep,
    Service,
    Stack,
    StepKind,
    WriteFile,
)
from wizard.planner import (
    client_certificates,
    credentials,
    manual_commands,
    trust_anchors,
)
from wizard.planner import (
    paths as layout,
)
from wizard.planner.client import Target
from wizard.planner.client_endpoints import Place
from wizard.planner.paths import Client, Server
from wizard.planner.server import ServerPlan
from wizard.redact import plain

UNIT = "grafana-server"
_ASKED = ("prometheus", "alertmanager")
"""The components that a data source asks."""


class Grafana(Client):
    """The Grafana of one host: a client whose places are data sources."""

    __slots__ = ()

    @property
    def home(self) -> str:
        """Its folder, /etc/grafana."""
        return posixpath.dirname(self.service.config_file)

    @property
    def folder(self) -> str:
        """Where its copies of CA, certificate and password go."""
        return posixpath.join(self.home, "firescreen")

    @property
    def files(self) -> tuple[tuple[str, FileState], ...]:
        """Its provisioning files with their paths, in order."""
        folder, pattern = posixpath.split(_pattern(self.home))
        return tuple(
            (path, state)
            for path, state in sorted(self.host.files.items())
            if state is not None
            and posixpath.dirname(path) == folder
            and fnmatch.fnmatch(posixpath.basename(path), pattern)
        )

    def places(self, texts: Mapping[str, bytes] | None = None) -> tuple[Place, ...]:
        """Its data sources, of all the files that can be read."""
        return tuple(_place(source) for _, source in _readable(self))


@dataclass(frozen=True, slots=True)
class Asking:
    """A data source that asks a server of the stack."""

    client: Grafana
    path: str
    source: grafana.DataSource
    address: str
    server: Server


@dataclass(frozen=True, slots=True)
class GrafanaPlan:
    """What the Grafanas need."""

    steps: tuple[PlannedStep, ...] = ()
    targets: tuple[Target, ...] = ()
    warnings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


# -- what is there ------------------------------------------------------------------------------------------


def wanted_files(stack: Stack, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Paths to read, by host, as `layout.wanted_files` has them."""
    wanted = {}
    for client in clients(facts):
        paths = [_pattern(client.home)]
        if client.files:
            paths += [*client.pair, *client.spare_pair]
            paths += [client.password_file(user) for user in stack.users]
            paths += [
                client.trust_file(server, own_ca=own)
                for server in layout.servers(stack, facts)
                for own in (True, False)
            ]
        for _, source in _readable(client):
            paths += [path for path in map(_named, source.says.values()) if path]
        wanted[client.host.spec.name] = tuple(dict.fromkeys(paths))
    return wanted


def wanted_folders(facts: Facts) -> dict[str, tuple[str, ...]]:
    """Folders whose existence and group matter, by host."""
    return {
        client.host.spec.name: (posixpath.dirname(_pattern(client.home)), client.folder)
        for client in clients(facts)
    }


def look(
    stack: Stack, facts: Facts, servers: Sequence[Server]
) -> tuple[tuple[Asking, ...], tuple[Finding, ...]]:
    """The data sources that ask these servers, and what has to be said of those that cannot be edited."""
    found: list[Asking] = []
    told: list[Finding] = []
    for client in clients(facts) if servers else ():
        host = client.host.spec.name
        for path, state in client.files:
            try:
                sources = grafana.datasources(state.content)
            except ConfigError as error:
                told.append(_yours(host, f"{path} cannot be read: {error.what}"))
                continue
            for source in sources:
                address = _address(source.url)
                server = next((each for each in servers if client.means(address, each)), None)
                if server is None or server.spec.name not in _ASKED:
                    continue
                what = plain(f"data source {source.name} in {path}")
                if source.access == "direct":
                    reason = "is asked by the reader's browser, which needs what Grafana would"
                    told.append(_yours(host, f"{what} {reason}"))
                    continue
                try:
                    _trial(stack, state.content, source, server)
                except ConfigError as error:
                    told.append(_yours(host, f"{what} cannot be changed: {error.what}"))
                    continue
                found.append(Asking(client, path, source, address, server))
    return tuple(found), tuple(told)


def askers(asking: Sequence[Asking], server: Server) -> tuple[Client, ...]:
    """The Grafanas that ask a server."""
    mine = {each.client.key: each.client for each in asking if each.server.key == server.key}
    return tuple(mine.values())


def clients(facts: Facts) -> Iterator[Grafana]:
    """The hosts where a Grafana may be, each as a client; its files tell whether there is one."""
    for name, host in facts.hosts.items():
        if host.spec.connect == "practice":
            home = layout.workspace_path(facts, "practice", name, "etc", "grafana")
        elif host.root:
            home = "/etc/grafana"  # Debian's, the RPM's and upstream's packages all have it there
        else:
            continue  # without root it can be neither read nor written
        service = Service(
            host=name,
            component="grafana",
            manager="manual",
            unit=UNIT,
            config_file=posixpath.join(home, "grafana.ini"),
            group=_group(host, home),
        )
        yield Grafana(host, service, OwnFiles())


def _group(host: HostFacts, home: str) -> str:
    """The group that Grafana reads its files by: its folder's, which its package sets."""
    if not host.root:
        return host.group
    folder = host.folders.get(posixpath.dirname(_pattern(home)))
    return folder.group if folder is not None and folder.group != "root" else "grafana"


def _pattern(home: str) -> str:
    return posixpath.join(home, "provisioning", "datasources", "*.y*ml")


def _readable(client: Grafana) -> Iterator[tuple[str, grafana.DataSource]]:
    for path, state in client.files:
        try:
            sources = grafana.datasources(state.content)
        except ConfigError:
            continue  # `look` says so
        yield from ((path, source) for source in sources)


def _address(url: str) -> str:
    """host:port of a URL; '' if it has none, or a variable stands for it."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return endpoints.joined(parts.hostname, port) if parts.hostname and port and "$" not in url else ""


def _place(source: grafana.DataSource) -> Place:
    said = {
        "ca_file": _named(source.says.get("tlsCACert", "")) if source.is_on("tlsAuthWithCACert") else "",
        "cert_file": _named(source.says.get("tlsClientCert", "")) if source.is_on("tlsAuth") else "",
        "key_file": _named(source.says.get("tlsClientKey", "")) if source.is_on("tlsAuth") else "",
    }
    user = source.says.get("basicAuthUser", "") if source.is_on("basicAuth") else ""
    return Place(
        kind="datasource",
        name=plain(f"data source {source.name}"),
        addresses=(_address(source.url),),
        scheme=urlsplit(source.url).scheme if _address(source.url) else "",
        tls={key: path for key, path in said.items() if path},
        basic_auth={"username": user} if user else {},
    )


def _named(value: str) -> str:
    """The path in `$__file{path}`, or ''."""
    return value[8:-1] if value.startswith("$__file{/") and value.endswith("}") else ""


def _held(client: Client, value: str) -> bytes | None:
    """What a setting holds: the file that it names, or its own text; None where only Grafana knows."""
    path = _named(value)
    if path:
        state = client.host.files.get(path)
        return state.content if state is not None else b""
    return None if "$" in value else value.encode()


def _trial(stack: Stack, content: bytes, source: grafana.DataSource, server: Server) -> None:
    """Raises ConfigError where the edit that is to come could not be made."""
    state = server.host.files.get(server.web_file)
    known = web_config.parse(state.content).users if state is not None else {}
    user = stack.users[0].name if "basic_auth" in server.spec.protect or known else ""
    grafana.secure_datasource(
        content, name=source.name, ca="/c", cert="/c", key="/c", user=user, password_file="/p" if user else ""
    )


def _yours(host: str, what: str) -> Finding:
    return Finding(
        severity="warning",
        id="grafana-by-hand",
        host=host,
        component="grafana",
        what=what,
        why="It will be refused from the moment on in which the server turns.",
        mend="give it https, the CA certificate and what else the server asks for",
    )


# -- what it needs ------------------------------------------------------------------------------------------


def plan(
    stack: Stack,
    facts: Facts,
    forge: credentials.Forge,
    asking: Sequence[Asking],
    plans: Sequence[ServerPlan],
) -> GrafanaPlan:
    """What each Grafana needs to be let in: its copies, its data sources, and the word that it must restart."""
    by_key = {each.server.key: each for each in plans}
    steps, warnings, gaps = [], [], []
    targets: list[Target] = []
    for client in {each.client.key: each.client for each in asking}.values():
        work = _Work(stack, facts, forge, client)
        mine = [each for each in asking if each.client.key == client.key]
        targets += [work.serve(each, by_key[each.server.key]) for each in mine]
        warnings += work.warnings
        step = work.step()
        if step is None:
            continue
        steps.append(step)
        host, names = client.host.spec.name, " and ".join(plain(each.source.name) for each in mine)
        warnings.append(
            Finding(
                severity="warning",
                id="grafana-restart",
                host=host,
                component="grafana",
                what=f"Grafana on {host} has to be restarted by you, after this has been applied",
                why="It reads its data sources at its start only, and Firescreen does not restart it.",
                mend=f"systemctl restart {UNIT}",
            )
        )
        if any(by_key[each.server.key].turn != "none" for each in mine):
            gaps.append(
                Gap(
                    message=f"shows nothing from {names} until you restart it: systemctl restart {UNIT}",
                    host=host,
                    component="grafana",
                )
            )
    return GrafanaPlan(tuple(steps), tuple(targets), tuple(warnings), tuple(gaps))


class _Work:
    """Gathers what one Grafana needs while its data sources are gone through: each file once, for all of them."""

    def __init__(self, stack: Stack, facts: Facts, forge: credentials.Forge, client: Grafana) -> None:
        self._stack, self._facts, self._forge, self._client = stack, facts, forge, client
        self._texts = {path: state.content for path, state in client.files}
        self._copies: dict[str, Change] = {}
        self.warnings: list[Finding] = []

    def serve(self, each: Asking, plan: ServerPlan) -> Target:
        """Makes one data source ask as the server wants; what it says already and serves stays."""
        ca, pair, login = self._trust(each, plan), self._shown(each, plan), self._login(each, plan)
        self._texts[each.path] = grafana.secure_datasource(
            self._texts[each.path],
            name=each.source.name,
            ca=ca,
            cert=pair[0],
            key=pair[1],
            user=login[0],
            password_file=login[1],
            server_name=self._server_name(each, plan),
        )
        place = _place(each.source)
        checks = ca or place.tls.get("ca_file", "")
        return Target(plan, self._client, place, each.address, checks, pair, login)

    def _trust(self, each: Asking, plan: ServerPlan) -> str:
        """The CA's copy to name, or '' where what it checks against serves already."""
        says, source = each.source.says, each.source
        if source.is_on("tlsAuthWithCACert") and not source.is_on("tlsSkipVerify"):
            held = _held(self._client, says.get("tlsCACert", ""))
            asks_so_now = source.url.startswith("https:") and plan.was_tls and not plan.pair.changes
            # What only Grafana can look up serves if it serves now and the certificate stays.
            if asks_so_now if held is None else signatures.vouches(held, plan.pair.certificate):
                self.warnings += trust_anchors.unrooted(
                    held or b"",
                    plan.pair.certificate,
                    host=self._client.host.spec.name,
                    component="grafana",
                    path=_named(says.get("tlsCACert", "")) or f"{each.path} ({plain(each.source.name)})",
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
                why=f"Grafana checks {plan.server.key} against it.",
                about=issue.describe(plan.pair.trust),
                by_hand=manual_commands.text(path, after),
            )
        return path

    def _server_name(self, each: Asking, plan: ServerPlan) -> str:
        """The name to check the certificate for, where it does not hold the one in the URL."""
        own = each.source.says.get("serverName", "") or each.address.rpartition(":")[0]
        if not issue.problems(plan.pair.certificate, names=(own,), purpose="server"):
            return ""
        names = issue.summary(plan.pair.certificate).names
        return next((name for name in names if not name.startswith("*")), "")

    def _shown(self, each: Asking, plan: ServerPlan) -> tuple[str, str]:
        if not plan.asks_certificate:
            return "", ""
        renewed = self._forge.renews(f"client:{self._client.key}")
        place = _place(each.source)
        if (
            plan.clients
            and not renewed
            and client_certificates.kept_place_pair(self._client, place, plan.clients)
        ):
            return "", ""
        pair = self._forge.once(
            f"client:{self._client.key}",
            lambda: client_certificates.client_pair(self._stack, self._facts, self._forge, self._client),
        )
        self._copies |= {change.path: change for change in pair.changes}
        return pair.certificate_file, pair.key_file

    def _login(self, each: Asking, plan: ServerPlan) -> tuple[str, str]:
        if not plan.asks_password:
            return "", ""
        given = self._forge.credentials()[0]
        if self._logs_in(each, plan, given):
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
                why="Grafana sends it. Readable for root and Grafana's group, for nobody else.",
                secret=True,
                by_hand=manual_commands.copy(layout.user_files(self._facts, given.user)[0], path, after),
            )
        return given.user.name, path

    def _logs_in(self, each: Asking, plan: ServerPlan, given: credentials.Credential) -> bool:
        """Whether the login that the data source has is one that the server takes, as the person set it up."""
        says = each.source.says
        user, said = says.get("basicAuthUser", ""), says.get("basicAuthPassword", "")
        if not (each.source.is_on("basicAuth") and user and said):
            return False
        held = _held(self._client, said)
        state = plan.server.host.files.get(plan.server.web_file)
        known = web_config.parse(state.content).users.get(user, "") if state is not None else ""
        if held is None:
            return bool(known)  # only Grafana can look it up
        password = passwords.sent(held)
        if user == given.user.name:
            return password == given.password
        return bool(known) and passwords.matches(password, known)

    def _state(self, content: bytes) -> FileState:
        return FileState(content, 0o640, self._client.owner, self._client.service.group)

    def step(self) -> PlannedStep | None:
        """All of it as one step; None if nothing is missing."""
        name, edits = self._client.host.spec.name, []
        for path, before in self._client.files:
            content = self._texts[path]
            if content != before.content:
                after = replace(before, content=content)
                edits.append(
                    WriteFile(
                        host=name,
                        path=path,
                        before=before,
                        after=after,
                        content_kind=ContentKind.DATA_SOURCES,
                        why="Grafana reads it at its next start. Every other byte of the file stays as it is.",
                        by_hand=manual_commands.patch(path, before, after),
                    )
                )
        if not edits and not self._copies:
            return None
        return self._client.step(
            StepKind.GRAFANA,
            step_id=f"grafana:{name}",
            title="Tell Grafana to ask over TLS",
            why=(
                "Grafana's data sources ask these servers too. They are given https, what to check the servers "
                "against and what they need to be let in, in files that only Grafana can read. Grafana takes it "
                "up when you restart it, not before."
            ),
            changes=(*self._folder(), *self._copies.values(), *edits),
        )

    def _folder(self) -> tuple[Change, ...]:
        client = self._client
        if not self._copies or client.host.folders.get(client.folder) is not None:
            return ()
        return (
            MakeFolder(
                host=client.host.spec.name,
                path=client.folder,
                mode=0o750,
                owner=client.owner,
                group=client.service.group,
                why="Grafana's own copies lie beside its configuration.",
                by_hand=manual_commands.folder(
                    client.folder, mode=0o750, owner=client.owner, group=client.service.group
                ),
            ),
        )

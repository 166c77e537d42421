"""One look at the practice stack for the checks: what runs, with which files, by what it uses and not by name.

A student's own file names are as good as ours: paths come from the flags of what runs, from its web
configuration, or, before it runs with one, from whatever fits in its folder.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from wizard import pki
from wizard.configs import prometheus as scrape
from wizard.configs import web
from wizard.configs.web import WebConfig
from wizard.engine.hosts import Hosts
from wizard.errors import ConfigError, HostError, InputError, LabError
from wizard.model import FileState, Probe, Service, Stack
from wizard.probes.fetch import Exchange, fetch
from wizard.probes.wire import EndedError
from wizard.redact import Secret
from wizard.trust import bundle
from wizard.trust.certificates import is_ca
from wizard.workspace import Workspace

_MOST_FILES = 50
"""Files of a folder that are looked at; a student's has a handful."""
_ANSWER = 4 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and a key, as files of a host; `problems` is empty if they serve."""

    certificate: str
    key: str
    content: bytes
    key_mode: int
    problems: tuple[str, ...]
    ca: bool = False
    """Whether it may sign others."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A web configuration that speaks of TLS or of users."""

    path: str
    mode: int
    config: WebConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What Prometheus has to show and to believe when it asks a server; paths on this machine, '' for nothing."""

    scheme: str = "http"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    user: str = ""
    password: Secret | None = None
    insecure: bool = False

    def options(self) -> dict[str, Any]:
        """As a probe takes them."""
        return {
            "ca_file": self.ca_file,
            "cert_file": self.cert_file,
            "key_file": self.key_file,
            "server_name": self.server_name,
            "user": self.user,
            "password": self.password,
        }


class Look:
    """A look that is taken once; everything asked twice is remembered.

    Args:
        workspace: whose practice stack it is.
        stack: its hosts.
    """

    def __init__(self, workspace: Workspace, stack: Stack) -> None:
        self._hosts = Hosts(workspace, stack.hosts)
        self._stack = stack
        self._workspace = workspace
        self._services: dict[str, tuple[Service, ...]] = {}
        self._answers: dict[str, Any] = {}

    def __enter__(self) -> Look:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hosts.__exit__(kind, error, trace)

    def service(self, of: str) -> Service:
        """The service host/component.

        Raises:
            LabError: no practice stack has such a host. HostError: there is no such component there now.
        """
        host, _, component = of.partition("/")
        if host not in {spec.name for spec in self._stack.hosts}:
            raise LabError(f"the practice stack has no host '{host}'", where=of)
        if host not in self._services:
            self._services[host] = self._hosts.services(host)
        for service in self._services[host]:
            if service.component == component:
                return service
        raise HostError(
            f"there is no {component} on the practice host {host}",
            where=of,
            todo="bring the practice stack up: firescreen practice up",
        )

    def prometheus(self) -> Service:
        """The Prometheus of the stack; HostError if there is none now."""
        return self.service("prometheus/prometheus")

    @property
    def notes(self) -> str:
        """The folder for what a student keeps, below that of the practice stack."""
        return str(self._workspace.practice / "notes")

    def read(self, of: str, path: str) -> FileState | None:
        """A file of a component's host, or None if there is none that can be read."""
        try:
            return self._hosts.connection(of.partition("/")[0]).read(path)
        except HostError:
            return None

    def home(self, of: str) -> str:
        """The folder of a component's web configuration, or where it is expected."""
        service = self.service(of)
        return posixpath.dirname(service.web_config) if service.web_config else service.home

    def web_file(self, of: str) -> WebFile | None:
        """The web configuration that it runs with, or else one in its folder that speaks of TLS."""
        service = self.service(of)
        if service.web_config:
            return self._as_web(of, service.web_config)
        for path in self._files(of, (".yml", ".yaml")):
            found = self._as_web(of, path)
            if found is not None and found.config.encrypted:
                return found
        return None

    def _as_web(self, of: str, path: str) -> WebFile | None:
        state = self.read(of, path)
        if state is None:
            return None
        try:
            return WebFile(path, state.mode, web.parse(state.content))
        except ConfigError:
            return None

    def named_pair(self, of: str) -> Pair | None:
        """The pair that the web configuration names, if both files are there."""
        found = self.web_file(of)
        if found is None or not (found.config.cert_file and found.config.key_file):
            return None
        folder = posixpath.dirname(found.path)
        return self._pair(
            of,
            posixpath.join(folder, found.config.cert_file),
            posixpath.join(folder, found.config.key_file),
        )

    def pair(self, of: str) -> Pair | None:
        """The pair that is used, or the best one that lies in the folder."""
        named = self.named_pair(of)
        if named is not None:
            return named
        pairs = self.pairs(of)
        fitting = [pair for pair in pairs if not pair.ca] or pairs
        return min(fitting, key=lambda pair: len(pair.problems), default=None)

    def pairs(self, of: str) -> tuple[Pair, ...]:
        """Every certificate in the folder with every key that is there."""
        return tuple(
            pair
            for certificate in self._files(of, (".crt", ".pem", ".cert", ".cer"))
            for key in self._files(of, (".key", ".pem"))
            if (pair := self._pair(of, certificate, key)) is not None
        )

    def _pair(self, of: str, certificate: str, key: str) -> Pair | None:
        public, private = self.read(of, certificate), self.read(of, key)
        if public is None or private is None or b"PRIVATE KEY" not in private.content:
            return None
        if b"BEGIN CERTIFICATE" not in public.content:
            return None
        address = self.service(of).listen.rpartition(":")[0]
        problems = pki.problems(public.content, names=(address,), key_pem=private.content, purpose="server")
        return Pair(
            certificate, key, public.content, private.mode, problems, self.is_authority(public.content)
        )

    @staticmethod
    def is_authority(content: bytes) -> bool:
        """Whether the certificate may sign others."""
        try:
            return is_ca(bundle(content)[0])
        except (InputError, ValueError):
            return False

    @property
    def components(self) -> tuple[str, ...]:
        """All that the stack has, as host/component."""
        return tuple(component.key for component in self._stack.components)

    def files(self, of: str) -> tuple[str, ...]:
        """All files in the folder of a component's configuration."""
        return self._files(of, ("",))

    def _files(self, of: str, endings: tuple[str, ...]) -> tuple[str, ...]:
        home, connection = self.home(of), self._hosts.connection(of.partition("/")[0])
        found: list[str] = []
        # A folder for keys inside the one for the configuration is usual.
        for folder in (home, *(posixpath.join(home, name) for name in connection.names(home)[:_MOST_FILES])):
            info = connection.info(folder)
            if info is not None and info.kind == "folder":
                found += [posixpath.join(folder, name) for name in connection.names(folder)]
        return tuple(path for path in found if path.endswith(endings))[:_MOST_FILES]

    # -- Prometheus' side ----------------------------------------------------------------------------------

    def written_job(self, of: str) -> scrape.ScrapeJob | None:
        """The scrape job for a component as prometheus.yml says it."""
        state = self.read("prometheus/prometheus", self.prometheus().config_file)
        return self._job(of, state.content) if state is not None else None

    def loaded_job(self, of: str) -> scrape.ScrapeJob | None:
        """The scrape job as Prometheus itself says that it uses it; None if it does not answer."""
        answer = self.api("/api/v1/status/config")
        text = answer.get("yaml") if isinstance(answer, dict) else None
        return self._job(of, str(text).encode()) if text else None

    def _job(self, of: str, content: bytes) -> scrape.ScrapeJob | None:
        address, _, port = self.service(of).listen.rpartition(":")
        try:
            found = scrape.job_for(content, (address,), int(port))
            if not found and (name := self._pool(of)):
                found = tuple(job for job in scrape.jobs(content) if job.name == name)
        except ConfigError:
            return None
        return found[0] if found else None

    def _pool(self, of: str) -> str:
        """The name of the job that a running Prometheus asks a component with, wherever its targets stand."""
        if of == "prometheus/prometheus":
            return ""
        listen = self.service(of).listen
        answer = self.api("/api/v1/targets?state=active")
        for target in answer.get("activeTargets", ()) if isinstance(answer, dict) else ():
            if listen in (
                urlsplit(str(target.get("scrapeUrl", ""))).netloc,
                (target.get("discoveredLabels") or {}).get("__address__"),
            ):
                return str(target.get("scrapePool", ""))
        return ""

    def beside_prometheus(self, name: str) -> tuple[str, FileState | None]:
        """A file that a job names: its full path, and what it holds."""
        path = posixpath.join(posixpath.dirname(self.prometheus().config_file), name)
        return path, self.read("prometheus/prometheus", path)

    def client(self, of: str) -> Client:
        """How Prometheus asks a component, by its written job; what that leaves open is taken from the server.

        A job that is not there yet asks as the server wants it, with the server's own certificate to believe.
        """
        service, job = self.service(of), self.written_job(of)
        found = self.web_file(of) if service.web_config else None
        served = found is not None and found.config.encrypted
        pair = self.named_pair(of) if served else None
        tls: Mapping[str, str] = job.tls if job else {}
        auth: Mapping[str, str] = job.basic_auth if job else {}

        def path(key: str) -> str:
            return self.beside_prometheus(tls[key])[0] if tls.get(key) else ""

        named = auth.get("password_file", "")
        state = self.beside_prometheus(named)[1] if named else None
        password = Secret(state.content.decode("utf-8", "replace").strip()) if state is not None else None
        return Client(
            scheme="https" if served else "http",
            ca_file=path("ca_file") or (pair.certificate if pair else ""),
            cert_file=path("cert_file"),
            key_file=path("key_file"),
            server_name=tls.get("server_name", ""),
            user=auth.get("username", "") if password else "",
            password=password,
            insecure=tls.get("insecure_skip_verify", "").lower() in ("true", "yes", "on"),
        )

    def api(self, path: str) -> Any:
        """The `data` of an answer of Prometheus' API, asked as it asks itself; None if there is none."""
        if path not in self._answers:
            client, exchange = self.client("prometheus/prometheus"), Exchange()
            url = f"{client.scheme}://{self.prometheus().listen}{path}"
            probe = Probe(
                id="lab/api",
                host="prometheus",
                component="prometheus",
                name="a look",
                client="the lab",
                expect="200",
                url=url,
                **client.options(),
            )
            try:
                fetch(probe, url, exchange, limit=_ANSWER, accept="application/json")
                self._answers[path] = json.loads(exchange.body)["data"] if exchange.status == 200 else None
            except (EndedError, ValueError, KeyError, TypeError):
                self._answers[path] = None
        return self._answers[path]

    def forget(self) -> None:
        """What Prometheus said may be otherwise by now."""
        self._answers.clear()

"""One look at the practice stack for the checks: what runs, with which files, by what it uses and not by name.

A student's own file names are as good as ours: paths come from the flags of what runs, from its web
configuration, or, before it runs with one, from whatever fits in its folder.
"""

from __future__ import annotations

import json
import posixpath
import urllib.error
import urllib.request
from dataclasses import dataclass
from types import TracebackType

from wizard import pki
from wizard.configs import prometheus as scrape
from wizard.configs import web
from wizard.configs.web import WebConfig
from wizard.engine.hosts import Hosts
from wizard.errors import ConfigError, HostError, LabError
from wizard.model import FileState, Service, Stack
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


@dataclass(frozen=True, slots=True)
class WebFile:
    """A web configuration that speaks of TLS or of users."""

    path: str
    mode: int
    config: WebConfig


class Look:
    """A look that is taken once; everything asked twice is remembered.

    Args:
        workspace: whose practice stack it is.
        stack: its hosts.
    """

    def __init__(self, workspace: Workspace, stack: Stack) -> None:
        self._hosts = Hosts(workspace, stack.hosts)
        self._stack = stack
        self._services: dict[str, tuple[Service, ...]] = {}

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
        pairs = [
            pair
            for certificate in self._files(of, (".crt", ".pem", ".cert", ".cer"))
            for key in self._files(of, (".key", ".pem"))
            if (pair := self._pair(of, certificate, key)) is not None
        ]
        return min(pairs, key=lambda pair: len(pair.problems), default=None)

    def _pair(self, of: str, certificate: str, key: str) -> Pair | None:
        public, private = self.read(of, certificate), self.read(of, key)
        if public is None or private is None or b"PRIVATE KEY" not in private.content:
            return None
        if b"BEGIN CERTIFICATE" not in public.content:
            return None
        address = self.service(of).listen.rpartition(":")[0]
        problems = pki.problems(public.content, names=(address,), key_pem=private.content, purpose="server")
        return Pair(certificate, key, public.content, private.mode, problems)

    def _files(self, of: str, endings: tuple[str, ...]) -> tuple[str, ...]:
        folder = self.home(of)
        names = self._hosts.connection(of.partition("/")[0]).names(folder)
        return tuple(posixpath.join(folder, name) for name in names if name.endswith(endings))[:_MOST_FILES]

    def written_job(self, of: str) -> scrape.ScrapeJob | None:
        """The scrape job for a component as prometheus.yml says it."""
        prometheus = self.prometheus()
        state = self.read("prometheus/prometheus", prometheus.config_file)
        return self._job(of, state.content) if state is not None else None

    def loaded_job(self, of: str) -> scrape.ScrapeJob | None:
        """The scrape job as Prometheus itself says that it uses it; None if it does not answer."""
        # Loopback only: no proxy comes into it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.prometheus().listen}/api/v1/status/config", timeout=5) as answer:
                text = json.loads(answer.read(_ANSWER))["data"]["yaml"]
        except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
            return None
        return self._job(of, str(text).encode())

    def _job(self, of: str, content: bytes) -> scrape.ScrapeJob | None:
        address, _, port = self.service(of).listen.rpartition(":")
        try:
            found = scrape.job_for(content, (address,), int(port))
        except ConfigError:
            return None
        return found[0] if found else None

    def beside_prometheus(self, name: str) -> tuple[str, FileState | None]:
        """A file that a job names: its full path, and what it holds."""
        path = posixpath.join(posixpath.dirname(self.prometheus().config_file), name)
        return path, self.read("prometheus/prometheus", path)

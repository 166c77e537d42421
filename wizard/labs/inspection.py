"""One look at the hosts of a lab for the checks: what runs, with which files, by what it uses and not by name.

A student's own file names are as good as ours: paths come from the flags of what runs, from its web
configuration, or, before it runs with one, from whatever fits in its folder.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import socket
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from wizard import practice
from wizard.certificates import bundle, issue
from wizard.certificates.reader import is_ca
from wizard.config_files import prometheus as scrape
from wizard.config_files import web_config
from wizard.config_files.web_config import WebConfig
from wizard.engine.hosts import Hosts
from wizard.engine.parallel import run_parallel
from wizard.errors import ConfigError, HostError, InputError, LabError
from wizard.model import FileState, Forward, Probe, Service, Stack
from wizard.probes.http import Exchange, fetch
from wizard.probes.socket_deadline import EndedError
from wizard.redact import Secret

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
        hosts: the connections; they end with the look.
        stack: whose they are.
        notes: the folder for what a student keeps.
        names: what else a host is called, by its name here.
    """

    def __init__(
        self, hosts: Hosts, stack: Stack, *, notes: str, names: Mapping[str, str] | None = None
    ) -> None:
        self._hosts = hosts
        self._stack = stack
        self.notes = notes
        self._names = names or {}
        self._services: dict[str, tuple[Service, ...]] = {}
        self._targets: dict[str, scrape.Scraped | None] = {}
        self._answers: dict[str, Any] = {}
        self._read: dict[tuple[str, str], FileState | None] = {}
        self._listed: dict[str, tuple[str, ...]] = {}
        self._ahead: float | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Look:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hosts.__exit__(kind, error, trace)
        if self._folder is not None:
            self._folder.cleanup()

    def practises(self, of: str) -> bool:
        """Whether a component (or its host) is one of the practice stack."""
        host = of.partition("/")[0]
        return any(spec.name == host and spec.connect == "practice" for spec in self._stack.hosts)

    def has(self, host: str) -> bool:
        """Whether there is such a host."""
        return any(spec.name == host for spec in self._stack.hosts)

    def service(self, of: str) -> Service:
        """The service host/component.

        Raises:
            LabError: there is no such host here. HostError: there is no such component there now.
        """
        host, _, component = of.partition("/")
        if not self.has(host):
            raise LabError(f"there is no host '{host}' here", where=of)
        if host not in self._services:
            self._services[host] = self._hosts.services(host)
        for service in self._services[host]:
            if service.component == component:
                return service
        todo = "start it there, or compare the classroom file with the hosts"
        if self.practises(host):
            todo = "bring the practice stack up: firescreen practice up"
        raise HostError(f"there is no {component} on the host {host}", where=of, todo=todo)

    def prometheus(self) -> Service:
        """The Prometheus of the stack; HostError if there is none now."""
        return self.service("prometheus/prometheus")

    def now(self) -> float:
        """The time (unix) by Prometheus' clock, with which it says when it scraped."""
        if self._ahead is None:
            self._ahead = self._hosts.connection("prometheus").clock() - time.time()
        return time.time() + self._ahead

    def here(self, of: str, path: str) -> str:
        """Where a probe on this machine finds a file of a component's host; a copy that ends with the look."""
        if self.practises(of) or not path:
            return path
        state = self.read(of, path)
        if state is None:
            return path  # the probe says that it is not there, with the name that a person knows
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="firescreen-")
        copy = Path(self._folder.name) / f"{of}{path}".replace("/", "_")
        copy.touch(mode=0o600)
        copy.write_bytes(state.content)
        return str(copy)

    # -- where it is asked ---------------------------------------------------------------------------------

    def asked(self, of: str) -> str:
        """host:port by which Prometheus asks for a component: its certificate has to fit that host."""
        service = self.service(of)
        if self.practises(of):
            return service.listen
        target = self.target(of)
        return target.address if target is not None else service.listen

    def way(self, of: str) -> dict[str, Any]:
        """How this machine finds it, as a probe takes it: Prometheus may know names, and reach places, that it does not."""
        place, service = self.asked(of), self.service(of)
        if service.forward is not None:
            return {"forward": service.forward}
        known = place == service.listen
        return {"resolve": "" if known else f"{place}:{service.listen.rpartition(':')[0].strip('[]')}"}

    def dial(self, forward: Forward, seconds: float) -> socket.socket:
        """See `Hosts.dial`."""
        return self._hosts.dial(forward, seconds)

    def target(self, of: str) -> scrape.Scraped | None:
        """What prometheus.yml and its lists of targets say of a component; None where no job asks it."""
        if of not in self._targets:
            self._targets[of] = self._target(of)
        return self._targets[of]

    def _target(self, of: str) -> scrape.Scraped | None:
        host = of.partition("/")[0]
        port = self.service(of).listen.rpartition(":")[2]
        names = {each.lower() for each in (host, self._names.get(host, ""), *self._hosts.names(host)) if each}
        names.add(self.service(of).listen.rpartition(":")[0].strip("[]"))
        loopback = {"localhost", "127.0.0.1", "::1"}
        names = names | loopback if host == "prometheus" else names - loopback
        for one in self._scraped():
            place, _, asked = one.address.rpartition(":")
            if asked == port and place.strip("[]").lower() in names:
                return one
        return None

    def _scraped(self) -> tuple[scrape.Scraped, ...]:
        path = self.prometheus().config_file
        folder, state = posixpath.dirname(path), self.read("prometheus/prometheus", path)
        if state is None:
            return ()
        connection, files = self._hosts.connection("prometheus"), dict[str, bytes | None]()
        try:
            for each in scrape.sd_files(state.content, folder):
                inner, pattern = posixpath.split(each)
                for name in fnmatch.filter(connection.names(inner), pattern)[:_MOST_FILES]:
                    found = self.read("prometheus/prometheus", posixpath.join(inner, name))
                    files[posixpath.join(inner, name)] = found.content if found else None
            return scrape.scraped(state.content, folder=folder, files=files)
        except ConfigError:
            return ()

    def told(self, of: str, action: str) -> str:
        """What a person types to have a program read its files again."""
        service = self.service(of)
        if self.practises(of):
            host = of.partition("/")[0]
            return f"firescreen practice {action} {of if host in practice.MORE else service.component}"
        return f"systemctl {action} {service.unit}, on {service.host}"

    def log(self, of: str) -> str:
        """Where a program's last words stand."""
        service = self.service(of)
        if self.practises(of):
            return f"{posixpath.dirname(service.flags.path)}/log"
        return f"its journal: journalctl -eu {service.unit}, on {service.host}"

    def meet(self) -> None:
        """Looks what runs on all the hosts at once; one out of reach is no matter until it is asked for."""

        def services(name: str) -> None:
            with suppress(HostError):
                self._services[name] = self._hosts.services(name)

        run_parallel(services, [spec.name for spec in self._stack.hosts if spec.name not in self._services])

    def read(self, of: str, path: str) -> FileState | None:
        """A file of a component's host, or None if there is none that can be read."""
        key = (of.partition("/")[0], path)
        if key not in self._read:
            try:
                self._read[key] = self._hosts.connection(key[0]).read(path)
            except HostError:
                self._read[key] = None
        return self._read[key]

    def fetch(self, of: str, paths: Iterable[str]) -> None:
        """Reads several files in one go, where the connection can."""
        host = of.partition("/")[0]
        wanted = [path for path in paths if (host, path) not in self._read]
        with suppress(HostError):  # then each is read alone, and what cannot be read is none
            found = self._hosts.connection(host).read_many(wanted)
            self._read |= {(host, path): state for path, state in found.items()}

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
            return WebFile(path, state.mode, web_config.parse(state.content))
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
        self.fetch(of, self._files(of, (".crt", ".pem", ".cert", ".cer", ".key")))
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
        address = self.asked(of).rpartition(":")[0].strip("[]")
        problems = issue.problems(public.content, names=(address,), key_pem=private.content, purpose="server")
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
        if of not in self._listed:
            self._listed[of] = self._all_files(of)
        return tuple(path for path in self._listed[of] if path.endswith(endings))[:_MOST_FILES]

    def _all_files(self, of: str) -> tuple[str, ...]:
        home, connection = self.home(of), self._hosts.connection(of.partition("/")[0])
        # A folder for keys inside the one for the configuration is usual.
        found = [posixpath.join(home, name) for name in connection.names(home)]
        for path, info in connection.stat_many(found[:_MOST_FILES]).items():
            if info is not None and info.kind == "folder":
                found += [posixpath.join(path, name) for name in connection.names(path)]
        return tuple(found)

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
        if not self.practises(of):
            target = self.target(of)
            try:
                found = tuple(job for job in scrape.jobs(content) if target and job.name == target.job)
            except ConfigError:
                return None
            return found[0] if found else None
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
            named = self.beside_prometheus(tls[key])[0] if tls.get(key) else ""
            return self.here("prometheus/prometheus", named)

        named = auth.get("password_file", "")
        state = self.beside_prometheus(named)[1] if named else None
        password = Secret(state.content.decode("utf-8", "replace").strip()) if state is not None else None
        return Client(
            scheme="https" if served else "http",
            ca_file=path("ca_file") or (self.here(of, pair.certificate) if pair else ""),
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
            url = f"{client.scheme}://{self.asked('prometheus/prometheus')}{path}"
            probe = Probe(
                id="lab/api",
                host="prometheus",
                component="prometheus",
                name="a look",
                client="the lab",
                expect="200",
                url=url,
                **self.way("prometheus/prometheus"),
                **client.options(),
            )
            try:
                fetch(probe, url, exchange, limit=_ANSWER, accept="application/json", dial=self.dial)
                self._answers[path] = json.loads(exchange.body)["data"] if exchange.status == 200 else None
            except (EndedError, ValueError, KeyError, TypeError):
                self._answers[path] = None
        return self._answers[path]

    def forget(self) -> None:
        """What Prometheus said, and what the files hold, may be otherwise by now."""
        self._answers.clear()
        self._targets.clear()
        self._read.clear()
        self._listed.clear()

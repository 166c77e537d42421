"""Prometheus' view of a lab's hosts: its scrape jobs, as written and as loaded, and its API."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wizard.components import component as find_component
from wizard.config_files import prometheus as scrape
from wizard.engine.hosts import Hosts
from wizard.errors import ConfigError
from wizard.labs import tls_files
from wizard.labs.lab_hosts import LabHosts
from wizard.model import FileState, Probe, Stack
from wizard.probes.http import Exchange, fetch
from wizard.probes.socket_deadline import RequestError
from wizard.redact import Secret

_ANSWER = 4 << 20
"""Maximum size of an API response in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The client settings of Prometheus for a server; paths on this machine, '' for nothing."""

    scheme: str = "http"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    user: str = ""
    password: Secret | None = None
    insecure: bool = False

    def options(self) -> dict[str, Any]:
        """Returns the settings as options of a probe."""
        return {
            "ca_file": self.ca_file,
            "cert_file": self.cert_file,
            "key_file": self.key_file,
            "server_name": self.server_name,
            "user": self.user,
            "password": self.password,
        }


class Look(LabHosts):
    """The hosts of a lab, with Prometheus' view of them; see `LabHosts` for the arguments."""

    def __init__(
        self, hosts: Hosts, stack: Stack, *, notes: str, names: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(hosts, stack, notes=notes, names=names)
        self._answers: dict[str, Any] = {}

    def written_job(self, component_key: str) -> scrape.ScrapeJob | None:
        """Returns the scrape job for a component in prometheus.yml."""
        state = self.read("prometheus/prometheus", self.prometheus().config_file)
        return self._job(component_key, state.content) if state is not None else None

    def loaded_job(self, component_key: str) -> scrape.ScrapeJob | None:
        """Returns the scrape job that Prometheus reports to use; None if it does not answer."""
        answer = self.api("/api/v1/status/config")
        text = answer.get("yaml") if isinstance(answer, dict) else None
        return self._job(component_key, str(text).encode()) if text else None

    def _job(self, component_key: str, content: bytes) -> scrape.ScrapeJob | None:
        if not self.practises(component_key):
            target = self.target(component_key)
            try:
                found = tuple(job for job in scrape.jobs(content) if target and job.name == target.job)
            except ConfigError:
                return None
            return found[0] if found else None
        address, _, port = self.service(component_key).listen.rpartition(":")
        try:
            found = scrape.job_for(content, (address,), int(port))
            if not found and (name := self._pool(component_key)):
                found = tuple(job for job in scrape.jobs(content) if job.name == name)
        except ConfigError:
            return None
        return found[0] if found else None

    def _pool(self, component_key: str) -> str:
        """Returns the name of the job that scrapes a component by Prometheus' API, wherever its targets are listed."""
        if component_key == "prometheus/prometheus":
            return ""
        listen = self.service(component_key).listen
        answer = self.api("/api/v1/targets?state=active")
        for target in answer.get("activeTargets", ()) if isinstance(answer, dict) else ():
            if listen in (
                urlsplit(str(target.get("scrapeUrl", ""))).netloc,
                (target.get("discoveredLabels") or {}).get("__address__"),
            ):
                return str(target.get("scrapePool", ""))
        return ""

    def beside_prometheus(self, name: str) -> tuple[str, FileState | None]:
        """Returns a file that a job names: its full path and its content."""
        path = posixpath.join(posixpath.dirname(self.prometheus().config_file), name)
        return path, self.read("prometheus/prometheus", path)

    def client(self, component_key: str) -> Client:
        """Returns the client settings for a component by its job in prometheus.yml; missing ones are the server's.

        Without a job, a request uses what the server requires, and trusts the certificate of the server.
        """
        service, job = self.service(component_key), self.written_job(component_key)
        found = tls_files.web_file(self, component_key) if service.web_config else None
        served = found is not None and found.config.encrypted
        pair = tls_files.named_pair(self, component_key) if served else None
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
            ca_file=path("ca_file") or (self.here(component_key, pair.certificate) if pair else ""),
            cert_file=path("cert_file"),
            key_file=path("key_file"),
            server_name=tls.get("server_name", ""),
            user=auth.get("username", "") if password else "",
            password=password,
            insecure=tls.get("insecure_skip_verify", "").lower() in ("true", "yes", "on"),
        )

    def prefix(self) -> str:
        """Returns the path below which Prometheus is served, e.g. '/prometheus'; '' for none."""
        return find_component("prometheus").prefix(self.prometheus().flag)

    def api(self, path: str) -> Any:
        """Returns the `data` of an API response, requested with Prometheus' own client settings, or None."""
        if path not in self._answers:
            client, exchange = self.client("prometheus/prometheus"), Exchange()
            url = f"{client.scheme}://{self.scrape_address('prometheus/prometheus')}{self.prefix()}{path}"
            probe = Probe(
                id="lab/api",
                host="prometheus",
                component="prometheus",
                name="Prometheus API",
                client="the lab",
                expect="200",
                url=url,
                **self.way("prometheus/prometheus"),
                **client.options(),
            )
            try:
                fetch(probe, url, exchange, limit=_ANSWER, accept="application/json", dial=self.dial)
                self._answers[path] = json.loads(exchange.body)["data"] if exchange.status == 200 else None
            except (RequestError, ValueError, KeyError, TypeError):
                self._answers[path] = None
        return self._answers[path]

    def forget(self) -> None:
        """Forgets the content of files and of responses: they may have changed."""
        super().forget()
        self._answers.clear()

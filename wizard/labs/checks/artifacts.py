"""Checks of files that a student writes: notes, a Grafana data source, a private key that must not be copied."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from wizard.config_files import grafana
from wizard.config_files.grafana import DataSource
from wizard.errors import ConfigError
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, ask, result_text
from wizard.redact import Secret, plain

_LARGEST_NOTE = 4 << 20


def note_has_value(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether a note contains a value that only the component itself can tell."""
    folder = Path(look.notes)
    wanted = [str(each) for each in check.options["holds"]]
    for path in sorted(folder.glob("*"))[:50]:
        if not path.is_file() or path.stat().st_size > _LARGEST_NOTE:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if all(each in text for each in wanted):
            return [f"saved in {path.name}"]
    raise NotYet(
        "no note contains it yet",
        f"Save the output in a file in {folder}. It must contain: {', '.join(wanted)}",
    )


def grafana_source(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether Prometheus accepts a request with the settings of a data source file."""
    place = look.scrape_address(check.of)
    folder = Path(look.service(check.of).home)
    found: list[tuple[str, DataSource]] = []
    for path in sorted(folder.glob("*.y*ml")):
        state = look.read(check.of, str(path))
        try:
            sources = grafana.datasources(state.content) if state else ()
        except ConfigError:
            continue
        found += [(path.name, one) for one in sources if one.type == "prometheus"]
    if not found:
        raise NotYet(
            f"no data source of type prometheus was found in {folder}",
            "Write a file with apiVersion: 1 and datasources.",
        )
    name, one = found[0]
    says = one.says
    if one.url.rstrip("/") != f"https://{place}":
        raise NotYet(f"the url in {name} is {plain(one.url, 200)}", f"Change it to https://{place}")
    if one.is_on("tlsSkipVerify"):
        raise NotYet(f"with {name}, Grafana does not verify the certificate", "Remove tlsSkipVerify.")
    if not (one.is_on("basicAuth") and says.get("basicAuthUser") and one.is_on("tlsAuthWithCACert")):
        raise NotYet(
            f"{name} lacks settings that Grafana needs",
            "Add basicAuth: true and basicAuthUser beside url, and tlsAuthWithCACert: true in jsonData.",
        )
    secret, ca = (
        _grafana_value(says.get(key, ""), look, check) for key in ("basicAuthPassword", "tlsCACert")
    )
    with tempfile.TemporaryDirectory(prefix="firescreen-") as place:
        (Path(place) / "ca").write_bytes(ca)
        attempt = ask(
            check,
            look,
            "https",
            ca_file=str(Path(place) / "ca"),
            user=says["basicAuthUser"],
            password=Secret(secret.decode("utf-8", "replace").strip()),
        )
    if attempt.outcome != "200":
        raise NotYet(
            f"a request with the settings in {name} fails: {result_text(attempt)}",
            "Check basicAuthPassword and tlsCACert in secureJsonData.",
        )
    return [f"a request with the settings in {name} is accepted: 200"]


def _grafana_value(value: str, look: Look, check: Check) -> bytes:
    """Returns a setting of Grafana; `$__file{PATH}` is the content of a file."""
    if value.startswith("$__file{") and value.endswith("}"):
        state = look.read(check.of, value[8:-1])
        return state.content if state else b""
    return value.encode()


def key_stays(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks that no other host has the private key of Prometheus."""
    job = look.written_job(check.of)
    named = job.tls.get("key_file", "") if job else ""
    state = look.beside_prometheus(named)[1] if named else None
    if state is None:
        raise NotYet("Prometheus has no private key yet", "Name it in its job: key_file in tls_config.")
    for host in filter(look.has, check.options["not_on"]):
        component_key = next(each for each in look.components if each.startswith(f"{host}/"))
        look.fetch(component_key, look.files(component_key))
        if any(
            other is not None and other.content.strip() == state.content.strip()
            for other in (look.read(component_key, path) for path in look.files(component_key))
        ):
            raise NotYet(
                f"the private key of Prometheus is also on {host}",
                "Remove it there: whoever has it can impersonate Prometheus.",
            )
    return [f"the private key {posixpath.basename(named)} is on no other host"]

"""Checks of what a student keeps: notes, a file for Grafana, a key that must not travel."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from wizard.config_files import grafana
from wizard.config_files.grafana import DataSource
from wizard.errors import ConfigError
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, ask, said
from wizard.redact import Secret, plain

_LARGEST_NOTE = 4 << 20


def noted(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether something that a student keeps holds what only the real thing says."""
    folder = Path(look.notes)
    wanted = [str(each) for each in check.options["holds"]]
    for path in sorted(folder.glob("*"))[:50]:
        if not path.is_file() or path.stat().st_size > _LARGEST_NOTE:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if all(each in text for each in wanted):
            return [f"you kept it in {path.name}"]
    raise NotYet(
        "nothing that you kept shows it yet",
        f"Put what you see into a file in {folder}; it has to hold: {', '.join(wanted)}",
    )


def grafana_source(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether one gets in with what a data-source file says."""
    place = look.asked(check.of)
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
            f"there is no data source of the type prometheus in {folder}",
            "Write a file with apiVersion: 1 and datasources: in it.",
        )
    name, one = found[0]
    says = one.says
    if one.url.rstrip("/") != f"https://{place}":
        raise NotYet(f"{name} asks {plain(one.url, 200)}", f"Its url has to be https://{place}")
    if one.is_on("tlsSkipVerify"):
        raise NotYet(f"{name} does not look at the certificate", "Take tlsSkipVerify out.")
    if not (one.is_on("basicAuth") and says.get("basicAuthUser") and one.is_on("tlsAuthWithCACert")):
        raise NotYet(
            f"{name} lacks a part of what Grafana has to know",
            "basicAuth: true and basicAuthUser stand beside url; tlsAuthWithCACert: true below jsonData.",
        )
    secret, ca = (_meant(says.get(key, ""), look, check) for key in ("basicAuthPassword", "tlsCACert"))
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
            f"with what {name} says one does not get in: {said(attempt)}",
            "Look at basicAuthPassword and tlsCACert below secureJsonData.",
        )
    return [f"with what {name} says, Grafana gets in: 200"]


def _meant(value: str, look: Look, check: Check) -> bytes:
    """A setting of Grafana's; `$__file{PATH}` is what the file holds."""
    if value.startswith("$__file{") and value.endswith("}"):
        state = look.read(check.of, value[8:-1])
        return state.content if state else b""
    return value.encode()


def key_stays(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether Prometheus' client key is on no other host."""
    job = look.written_job(check.of)
    named = job.tls.get("key_file", "") if job else ""
    state = look.beside_prometheus(named)[1] if named else None
    if state is None:
        raise NotYet(
            "Prometheus has no key of its own yet", "Its job names one with key_file, below tls_config."
        )
    for host in filter(look.has, check.options["not_on"]):
        of = next(each for each in look.components if each.startswith(f"{host}/"))
        look.fetch(of, look.files(of))
        if any(
            other is not None and other.content.strip() == state.content.strip()
            for other in (look.read(of, path) for path in look.files(of))
        ):
            raise NotYet(
                f"Prometheus' private key lies on {host} too",
                "Remove it there: who has it can pose as Prometheus.",
            )
    return [f"Prometheus' key {posixpath.basename(named)} is on no other host"]

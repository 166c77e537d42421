"""The vocabulary of the labs' checks. Each asks the thing itself whether it is so, whichever way it came about.

A check that fails says what is not so yet and what to look at; it never says 'wrong'.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable
from dataclasses import dataclass

from wizard import pki, probes
from wizard.components import component as find_component
from wizard.labs.content import Check
from wizard.labs.look import Look, Pair
from wizard.model import Attempt, Probe
from wizard.redact import Secret, plain, redact

GUESS = Secret("guess")
"""The password that must be refused; it is no secret, but it is masked like one."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a step is done. `what`: what is so, or is not so yet; `todo`: what to look at."""

    ok: bool
    what: str
    todo: str = ""
    seen: tuple[str, ...] = ()
    """What was found to be so, a line each."""


class NotYet(Exception):  # noqa: N818 - it is no error: a student is not there yet
    """What a check looks for is not so yet."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what, self.todo = what, todo


def run(checks: tuple[Check, ...], look: Look, *, patience: float = 0.0) -> CheckResult:
    """Makes the checks of a step in their order, until one is not so yet.

    Args:
        patience: seconds to wait for what takes its time by nature (a scrape); 0 for one look.

    Raises:
        FirescreenError: the practice stack cannot be looked at.
    """
    seen: list[str] = []
    for check in checks:
        try:
            seen += _VOCABULARY[check.kind](check, look, patience)
        except NotYet as missing:
            return CheckResult(False, plain(missing.what, 600), plain(missing.todo, 600), tuple(seen))
    return CheckResult(True, seen[-1] if seen else "", "", tuple(seen))


def _ask(check: Check, look: Look, scheme: str, **options: object) -> Attempt:
    host, _, component = check.of.partition("/")
    service = look.service(check.of)
    return probes.run(
        Probe(
            id=f"lab/{check.of}",
            host=host,
            component=component,
            name="a look",
            client="the lab",
            expect="200",
            url=f"{scheme}://{service.listen}{find_component(component).metrics_path}",
            **options,  # type: ignore[arg-type]
        )
    )


def _said(attempt: Attempt) -> str:
    return redact(plain(attempt.reason or attempt.outcome, 300))


def _serves(check: Check, look: Look, _patience: float) -> list[str]:
    service = look.service(check.of)
    plainly = _ask(check, look, "http")
    if check.options["expect"] == "plain":
        if plainly.outcome != "200":
            raise NotYet(
                f"http://{service.listen}/metrics does not answer openly any more ({_said(plainly)})",
                "The lab begins with an open stack. To begin anew: firescreen lab reset",
            )
        return [f"anyone can read http://{service.listen}/metrics, without a password"]
    if plainly.outcome == "200":
        flag = "" if service.web_config else " It runs without --web.config.file."
        raise NotYet(
            f"http://{service.listen}/metrics still answers in clear.{flag}",
            f"Add the flag to its arguments, then: firescreen practice restart {service.unit}",
        )
    if plainly.outcome == "error":
        raise NotYet(
            f"{service.unit} does not answer ({_said(plainly)})",
            f"Read its last words in {posixpath.dirname(service.flags.path)}/log; most often a path is misspelt, "
            "or a flag stands twice.",
        )
    pair = _running_pair(check, look)
    secure = _ask(check, look, "https", ca_file=pair.certificate)
    if secure.outcome not in ("200", "401"):
        raise NotYet(
            f"https is not answered as it should be: {_said(secure)}",
            "Look at the names in the certificate (SAN) and at the paths in web.yml.",
        )
    version = secure.tls.version if secure.tls else "TLS"
    return [
        f"https://{service.listen} answers, encrypted with {version}, and shows your certificate",
        f"plain http is turned away: {plainly.outcome}, Client sent an HTTP request to an HTTPS server",
    ]


def _running_pair(check: Check, look: Look) -> Pair:
    pair = look.named_pair(check.of)
    if pair is None:
        raise NotYet(
            "the certificate that the web configuration names cannot be found",
            f"Compare the paths in web.yml with the files in {look.home(check.of)}.",
        )
    return pair


def _certificate(check: Check, look: Look, _patience: float) -> list[str]:
    pair = look.pair(check.of)
    if pair is None:
        raise NotYet(
            f"there is no certificate with its key in {look.home(check.of)} yet",
            "Make the two in that folder; any names that end in .crt and .key will do.",
        )
    if pair.problems:
        raise NotYet(
            f"{posixpath.basename(pair.certificate)} does not serve yet. {pair.problems[0]}",
            "Look at it with: openssl x509 -noout -text -in " + posixpath.basename(pair.certificate),
        )
    found = pki.summary(pair.content)
    until = time.strftime("%Y-%m-%d", time.localtime(found.not_after))
    names = ", ".join(plain(name, 100) for name in found.names)
    return [
        f"{posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)} belong together",
        f"it speaks for {names}, until {until}",
    ]


def _web_config(check: Check, look: Look, _patience: float) -> list[str]:
    found = look.web_file(check.of)
    if found is None:
        raise NotYet(
            f"no web configuration with TLS was found in {look.home(check.of)}",
            "Write web.yml there. If there is one, look at its indentation: two blanks before cert_file.",
        )
    name = posixpath.basename(found.path)
    pair = look.named_pair(check.of)
    if pair is None:
        raise NotYet(
            f"{name} does not lead to a certificate and a key yet",
            "It needs cert_file and key_file below tls_server_config, each with the full path of a file that exists.",
        )
    if pair.problems:
        raise NotYet(
            f"the pair that {name} names does not serve yet. {pair.problems[0]}",
            "Name the pair of the step before.",
        )
    return [f"{name} names {posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)}"]


def _closed(check: Check, look: Look, _patience: float) -> list[str]:
    what, limit = check.options["what"], int(check.options["at_most"], 8)
    path, mode = "", 0
    if what == "key":
        pair = look.pair(check.of)
        path, mode = (pair.key, pair.key_mode) if pair else ("", 0)
    elif what == "web-config":
        found = look.web_file(check.of)
        path, mode = (found.path, found.mode) if found else ("", 0)
    else:
        job = look.written_job(check.of)
        named = job.basic_auth.get("password_file", "") if job else ""
        if named:
            path, state = look.beside_prometheus(named)
            path, mode = (path, state.mode) if state else ("", 0)
    if not path:
        raise NotYet(f"the {what} file was not found", "Look at the names and paths of the files.")
    name = posixpath.basename(path)
    if mode & ~limit & 0o777:
        raise NotYet(
            f"{name} is open to more people than it should be (mode {mode:04o})",
            f"Close it: chmod {limit:04o} {name}",
        )
    return [f"{name} is closed to others (mode {mode:04o})"]


def _prometheus(check: Check, look: Look, patience: float) -> list[str]:
    any_word = check.options["expect"] == "any"
    began = time.time()
    attempt = _up(check, look, not_before=began if patience else 0.0, patience=patience, final=any_word)
    service = look.service(check.of)
    if any_word:
        said = "up" if attempt.ok else f"down, {_said(attempt)}" if attempt.reason else "down"
        return [f"Prometheus says about {service.listen}: {said}"]
    if not attempt.ok:
        loaded, written = look.loaded_job(check.of), look.written_job(check.of)
        todo = (
            "Compare scheme, ca_file and the paths in prometheus.yml; after a reload it can take ten seconds."
        )
        if loaded is not None and written is not None and loaded.scheme != written.scheme:
            todo = "prometheus.yml says it, but Prometheus has not read it again: firescreen practice reload prometheus"
        raise NotYet(f"Prometheus cannot scrape {service.listen} yet: {_said(attempt)}", todo)
    return [f"Prometheus scrapes {service.listen}: up = 1"]


def _up(check: Check, look: Look, *, not_before: float, patience: float, final: bool) -> Attempt:
    """Prometheus' word; with `final`, the first word that comes from a scrape after `not_before`."""
    host, _, component = check.of.partition("/")
    probe = Probe(
        id=f"lab/up/{check.of}",
        host=host,
        component=component,
        name="Prometheus' own word",
        client="the lab",
        expect="up",
        url=f"http://{look.prometheus().listen}",
        kind="up",
        instance=look.service(check.of).listen,
        not_before=not_before,
    )
    deadline = time.monotonic() + patience
    if not final:
        return probes.wait(probe, until=deadline) if patience else probes.run(probe)
    while True:
        attempt = probes.run(probe)
        waiting = attempt.reason.startswith(("not scraped yet", "Prometheus has no target"))
        if not waiting or time.monotonic() > deadline:
            return attempt
        time.sleep(0.1)


def _sends_password(check: Check, look: Look, _patience: float) -> list[str]:
    loaded, written = look.loaded_job(check.of), look.written_job(check.of)
    asked = written.basic_auth if written else {}
    if not asked.get("username"):
        raise NotYet(
            "the scrape job does not log in yet",
            "Give the job basic_auth with username and password_file, as deep as its scheme.",
        )
    if not asked.get("password_file"):
        raise NotYet(
            "the password stands in prometheus.yml itself, which many people read",
            "Put it into a file of its own and name that with password_file.",
        )
    path, state = look.beside_prometheus(asked["password_file"])
    if state is None or not state.content.strip():
        raise NotYet(
            f"there is no password in {path} yet", "Make the file, or mend its path in prometheus.yml."
        )
    if loaded is None or loaded.basic_auth.get("username") != asked["username"]:
        raise NotYet(
            "prometheus.yml says it, but Prometheus has not read it again",
            "Let it: firescreen practice reload prometheus",
        )
    return [
        f"Prometheus logs in as {plain(asked['username'], 60)}, with the password from {posixpath.basename(path)}"
    ]


def _password_works(check: Check, look: Look, _patience: float) -> list[str]:
    job = look.written_job(check.of)
    named = job.basic_auth.get("password_file", "") if job else ""
    user = job.basic_auth.get("username", "") if job else ""
    _, state = look.beside_prometheus(named) if named else ("", None)
    if state is None or not user:
        raise NotYet("Prometheus has no password to send yet", "See the step before.")
    password = Secret(state.content.decode("utf-8", "replace").strip())
    attempt = _ask(
        check, look, "https", ca_file=_running_pair(check, look).certificate, user=user, password=password
    )
    if attempt.outcome != "200":
        raise NotYet(
            f"the server does not take Prometheus' password ({_said(attempt)})",
            "Make the hash from the very file that Prometheus reads, and for the same user name.",
        )
    return [f"{plain(user, 60)} with the right password gets in: 200"]


_REQUESTS: dict[str, tuple[str, str, str]] = {
    "no-tls": ("plain http", "http", "400"),
    "no-ca": ("https without knowing the certificate", "https", "untrusted"),
    "no-password": ("https without a password", "https", "401"),
    "wrong-password": ("https with a guessed password", "https", "401"),
}
"""Each: words, scheme, how it must end."""


def _refused(check: Check, look: Look, _patience: float) -> list[str]:
    seen = []
    for request in check.options["requests"]:
        words, scheme, expect = _REQUESTS[request]
        options: dict[str, object] = {}
        if scheme == "https" and request != "no-ca":
            options["ca_file"] = _running_pair(check, look).certificate
        if request == "wrong-password":
            options |= {"user": "prometheus", "password": GUESS}
        attempt = _ask(check, look, scheme, **options)
        if attempt.outcome != expect:
            shown = "it gets the metrics" if attempt.outcome == "200" else _said(attempt)
            raise NotYet(
                f"{words} should end with {expect}, but {shown}",
                _advice(check, look, request),
            )
        ends = "the client walks away" if expect == "untrusted" else "turned away"
        seen.append(f"{words} ends with {expect}: {ends}")
    return seen


def _advice(check: Check, look: Look, request: str) -> str:
    found = look.web_file(check.of)
    if "password" in request:
        if found is not None and not found.config.users:
            return f"{posixpath.basename(found.path)} has no basic_auth_users yet."
        hashes = found.config.users.values() if found is not None else ()
        if not all(value.startswith(("$2a$", "$2b$", "$2y$")) for value in hashes):
            return "A hash in basic_auth_users is not bcrypt's (it begins with $2y$): htpasswd needs -B."
    return "Look at web.yml, line by line."


_VOCABULARY: dict[str, Callable[[Check, Look, float], list[str]]] = {
    "serves": _serves,
    "certificate": _certificate,
    "web-config": _web_config,
    "closed": _closed,
    "prometheus": _prometheus,
    "sends-password": _sends_password,
    "password-works": _password_works,
    "refused": _refused,
}

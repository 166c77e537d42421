"""Checks of a server: its protocol, its certificate, its web configuration and the modes of its files."""

from __future__ import annotations

import posixpath
import time

from wizard.certificates import issue
from wizard.labs import tls_files
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, ask, result_text, running_pair
from wizard.labs.tls_files import Pair
from wizard.redact import plain


def serves(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether the port accepts HTTP, or HTTPS only."""
    service, place = look.service(check.of), look.scrape_address(check.of)
    plainly = ask(check, look, "http")
    if check.options["expect"] == "plain":
        if plainly.outcome != "200":
            raise NotYet(
                f"http://{place}/metrics is not unprotected any more ({result_text(plainly)})",
                "This lab begins with an unprotected stack. Run: firescreen lab reset",
            )
        return [f"http://{place}/metrics is unprotected"]
    if plainly.outcome == "200":
        flag = "" if service.web_config else " It runs without --web.config.file."
        raise NotYet(
            f"http://{place}/metrics still answers plain HTTP.{flag}",
            f"Add the flag to its arguments, then: {look.restart_command(check.of, 'restart')}",
        )
    if plainly.outcome == "error":
        raise NotYet(
            f"{service.unit} does not answer ({result_text(plainly)})",
            f"Read its log: {look.log(check.of)}. Most often a path is misspelt, or a flag occurs twice.",
        )
    pair = running_pair(check, look)
    names, address = issue.summary(pair.content).names, place.rpartition(":")[0].strip("[]")
    # A certificate may contain a name that is not in DNS, for use with server_name.
    name = "" if address in names or not names else names[0]
    secure = ask(check, look, "https", ca_file=look.here(check.of, pair.certificate), server_name=name)
    if secure.outcome not in ("200", "401", "refused"):
        raise NotYet(
            f"a request by HTTPS fails: {result_text(secure)}",
            "Check the names in the certificate (SAN) and the paths in web.yml.",
        )
    version = secure.tls.version if secure.tls else "TLS"
    return [
        f"https://{place} answers with {version} and your certificate",
        f"plain HTTP is rejected: {plainly.outcome}, Client sent an HTTP request to an HTTPS server",
    ]


def certificate(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether a folder has a certificate, with its private key, that is valid for its use."""
    use = check.options.get("use", "server")
    pairs = tls_files.pairs(look, check.of)
    address = look.scrape_address(check.of).rpartition(":")[0].strip("[]")
    names = tuple(check.options.get("names", () if use != "server" else (address,)))
    missing: list[str] = []
    # By default openssl makes a self-signed certificate a CA; it works nevertheless.
    for pair in sorted(pairs, key=lambda pair: pair.ca):
        if use == "ca" and not pair.ca:
            continue
        faults = _faults(look, check, pair, use, names)
        if not faults:
            return _about(pair, use)
        missing.append(f"{posixpath.basename(pair.certificate)} cannot be used yet. {faults[0]}")
    if missing:
        raise NotYet(
            min(missing, key=lambda text: "key does not belong" in text),
            "Show it with: openssl x509 -noout -text -in FILE",
        )
    what = {"server": "certificate", "client": "client certificate", "ca": "CA"}[use]
    raise NotYet(
        f"there is no {what} with its private key in {look.home(check.of)} yet",
        "Create both in that folder, with any names that end in .crt, .pem or .key.",
    )


def _faults(look: Look, check: Check, pair: Pair, use: str, names: tuple[str, ...]) -> tuple[str, ...]:
    state = look.read(check.of, pair.key)
    key = state.content if state else b""
    if use == "ca":
        if not issue.matches(pair.content, key):
            return ("The private key does not belong to the certificate.",)
        usage = issue.summary(pair.content).usage
        return () if "CA" in usage else ("It may not sign other certificates.",)
    found = issue.problems(
        pair.content, names=names, key_pem=key, purpose="client" if use == "client" else "server"
    )
    kind = issue.summary(pair.content).key if not found else ""
    wanted = check.options.get("key", "")
    if wanted and kind and kind != wanted:
        return (f"Its private key is {kind}, but must be {wanted}.",)
    return found


def _about(pair: Pair, use: str) -> list[str]:
    found = issue.summary(pair.content)
    until = time.strftime("%Y-%m-%d", time.localtime(found.not_after))
    named = ", ".join(plain(name, 100) for name in found.names) or plain(found.subject, 100)
    says = {
        "server": f"it is valid for {named}, until {until}",
        "client": f"it identifies {named}, until {until}",
        "ca": f"it may sign other certificates, until {until}",
    }
    together = f"{posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)} match"
    return [together, says[use]]


def web_config(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether a web configuration names a usable certificate and private key."""
    found = tls_files.web_file(look, check.of)
    if found is None:
        raise NotYet(
            f"no web configuration with TLS was found in {look.home(check.of)}",
            "Create web.yml there. If it exists, check its indentation: two spaces before cert_file.",
        )
    name = posixpath.basename(found.path)
    pair = tls_files.named_pair(look, check.of)
    if pair is None:
        raise NotYet(
            f"{name} does not name an existing certificate and private key yet",
            "Add cert_file and key_file to tls_server_config, each with the full path of an existing file.",
        )
    state = look.read(check.of, pair.key)
    names = issue.summary(pair.content).names
    faults = issue.problems(pair.content, names=names[:1], key_pem=state.content if state else b"")
    if faults or not names:
        raise NotYet(
            f"the certificate that {name} names cannot be used. {(*faults, 'It has no SAN.')[0]}",
            "Name the certificate and private key of the previous step.",
        )
    return [f"{name} names {posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)}"]


def file_mode_is_strict(check: Check, look: Look, _patience: float) -> list[str]:
    """Checks whether the mode of a file is strict enough."""
    what, limit = check.options["what"], int(check.options["at_most"], 8)
    path, mode = _place_of(what, check, look)
    if not path:
        raise NotYet(f"the {what} file was not found", "Check the names and paths of the files.")
    name = posixpath.basename(path)
    if mode & ~limit & 0o777:
        raise NotYet(
            f"more users can read or write {name} than should (mode {mode:04o})",
            f"Run: chmod {limit:04o} {name}",
        )
    return [f"the mode of {name} is {mode:04o}"]


def _place_of(what: str, check: Check, look: Look) -> tuple[str, int]:
    """Returns path and mode of a file by its use; ('', 0) if there is none."""
    if what in ("key", "ca-key"):
        if what == "key":
            pair = tls_files.pair(look, check.of)
        else:
            pair = next(
                (
                    one
                    for one in tls_files.pairs(look, check.of)
                    if one.ca and not _faults(look, check, one, "ca", ())
                ),
                None,
            )
        return (pair.key, pair.key_mode) if pair else ("", 0)
    if what == "web-config":
        found = tls_files.web_file(look, check.of)
        return (found.path, found.mode) if found else ("", 0)
    job = look.written_job(check.of)
    if job is None:
        return "", 0
    named = job.tls.get("key_file", "") if what == "client-key" else job.basic_auth.get("password_file", "")
    path, state = look.beside_prometheus(named) if named else ("", None)
    return (path, state.mode) if state else ("", 0)

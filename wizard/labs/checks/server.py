"""Checks of a server: what it speaks, with which certificate, and how its files are closed."""

from __future__ import annotations

import posixpath
import time

from wizard.certificates import issue
from wizard.labs import tls_files
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.results import NotYet, ask, running_pair, said
from wizard.labs.tls_files import Pair
from wizard.redact import plain


def serves(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether the port speaks http, or https and that alone."""
    service, place = look.service(check.of), look.asked(check.of)
    plainly = ask(check, look, "http")
    if check.options["expect"] == "plain":
        if plainly.outcome != "200":
            raise NotYet(
                f"http://{place}/metrics does not answer openly any more ({said(plainly)})",
                "The lab begins with an open stack. To begin anew: firescreen lab reset",
            )
        return [f"anyone can read http://{place}/metrics, without a password"]
    if plainly.outcome == "200":
        flag = "" if service.web_config else " It runs without --web.config.file."
        raise NotYet(
            f"http://{place}/metrics still answers in clear.{flag}",
            f"Add the flag to its arguments, then: {look.told(check.of, 'restart')}",
        )
    if plainly.outcome == "error":
        raise NotYet(
            f"{service.unit} does not answer ({said(plainly)})",
            f"Read its last words in {look.log(check.of)}; most often a path is misspelt, "
            "or a flag stands twice.",
        )
    pair = running_pair(check, look)
    names, address = issue.summary(pair.content).names, place.rpartition(":")[0].strip("[]")
    # A certificate may speak for a name that nobody's DNS knows: curl's --resolve and server_name are for that.
    name = "" if address in names or not names else names[0]
    secure = ask(check, look, "https", ca_file=look.here(check.of, pair.certificate), server_name=name)
    if secure.outcome not in ("200", "401", "refused"):
        raise NotYet(
            f"https is not answered as it should be: {said(secure)}",
            "Look at the names in the certificate (SAN) and at the paths in web.yml.",
        )
    version = secure.tls.version if secure.tls else "TLS"
    return [
        f"https://{place} answers, encrypted with {version}, and shows your certificate",
        f"plain http is turned away: {plainly.outcome}, Client sent an HTTP request to an HTTPS server",
    ]


def certificate(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether a certificate with its key lies there and serves its use."""
    use = check.options.get("use", "server")
    pairs = tls_files.pairs(look, check.of)
    address = look.asked(check.of).rpartition(":")[0].strip("[]")
    names = tuple(check.options.get("names", () if use != "server" else (address,)))
    missing: list[str] = []
    # openssl makes a certificate that signs itself a CA's unless told otherwise: it serves all the same.
    for pair in sorted(pairs, key=lambda pair: pair.ca):
        if use == "ca" and not pair.ca:
            continue
        faults = _faults(look, check, pair, use, names)
        if not faults:
            return _about(pair, use)
        missing.append(f"{posixpath.basename(pair.certificate)} does not serve yet. {faults[0]}")
    if missing:
        raise NotYet(
            min(missing, key=lambda text: "key does not belong" in text),
            "Look at it with: openssl x509 -noout -text -in FILE",
        )
    what = {"server": "certificate", "client": "client certificate", "ca": "CA"}[use]
    raise NotYet(
        f"there is no {what} with its key in {look.home(check.of)} yet",
        "Make the two in that folder; any names that end in .crt, .pem and .key will do.",
    )


def _faults(look: Look, check: Check, pair: Pair, use: str, names: tuple[str, ...]) -> tuple[str, ...]:
    state = look.read(check.of, pair.key)
    key = state.content if state else b""
    if use == "ca":
        if not issue.matches(pair.content, key):
            return ("The key does not belong to the certificate.",)
        usage = issue.summary(pair.content).usage
        return () if "CA" in usage else ("It may not sign others.",)
    found = issue.problems(
        pair.content, names=names, key_pem=key, purpose="client" if use == "client" else "server"
    )
    kind = issue.summary(pair.content).key if not found else ""
    wanted = check.options.get("key", "")
    if wanted and kind and kind != wanted:
        return (f"Its key is {kind}, and {wanted} is wanted.",)
    return found


def _about(pair: Pair, use: str) -> list[str]:
    found = issue.summary(pair.content)
    until = time.strftime("%Y-%m-%d", time.localtime(found.not_after))
    named = ", ".join(plain(name, 100) for name in found.names) or plain(found.subject, 100)
    says = {
        "server": f"it speaks for {named}, until {until}",
        "client": f"it says that its holder is {named}, until {until}",
        "ca": f"it may sign for others, until {until}",
    }
    together = f"{posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)} belong together"
    return [together, says[use]]


def web_config(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether a web configuration leads to a pair that serves."""
    found = tls_files.web_file(look, check.of)
    if found is None:
        raise NotYet(
            f"no web configuration with TLS was found in {look.home(check.of)}",
            "Write web.yml there. If there is one, look at its indentation: two blanks before cert_file.",
        )
    name = posixpath.basename(found.path)
    pair = tls_files.named_pair(look, check.of)
    if pair is None:
        raise NotYet(
            f"{name} does not lead to a certificate and a key yet",
            "It needs cert_file and key_file below tls_server_config, each with the full path of a file that exists.",
        )
    state = look.read(check.of, pair.key)
    names = issue.summary(pair.content).names
    faults = issue.problems(pair.content, names=names[:1], key_pem=state.content if state else b"")
    if faults or not names:
        raise NotYet(
            f"the pair that {name} names does not serve yet. {(*faults, 'It has no SAN.')[0]}",
            "Name the pair of the step before.",
        )
    return [f"{name} names {posixpath.basename(pair.certificate)} and {posixpath.basename(pair.key)}"]


def closed(check: Check, look: Look, _patience: float) -> list[str]:
    """Whether a file is open to no more people than it may be."""
    what, limit = check.options["what"], int(check.options["at_most"], 8)
    path, mode = _place_of(what, check, look)
    if not path:
        raise NotYet(f"the {what} file was not found", "Look at the names and paths of the files.")
    name = posixpath.basename(path)
    if mode & ~limit & 0o777:
        raise NotYet(
            f"{name} is open to more people than it should be (mode {mode:04o})",
            f"Close it: chmod {limit:04o} {name}",
        )
    return [f"{name} is closed to others (mode {mode:04o})"]


def _place_of(what: str, check: Check, look: Look) -> tuple[str, int]:
    """Path and mode of a file by its use; ('', 0) if there is none."""
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

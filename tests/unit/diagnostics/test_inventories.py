"""Every error of a library gets a diagnosis: its whole list of errors, not only lines from logs.

The lists come from the libraries themselves (`data/error_inventory`, each with its source at the top).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wizard import assets
from wizard.diagnostics import catalogue, tables
from wizard.diagnostics.system_errors import SystemErrors

DATA = Path(__file__).parents[1] / "data/error_inventory"
TABLE = YAML(typ="safe").load(assets.path("system_errors.yaml").read_text())
PROGRAMS = ("programs", "other_programs", "go_programs", "sources", "tls_libraries")


def _inventory_lines(name: str) -> list[str]:
    return (DATA / f"{name}.txt").read_text().splitlines()[1:]


ERRNO = [tuple(line.split(" ", 1)) for line in _inventory_lines("errno")]
# The diagnoses that fit each list: words that their ids contain.
FAMILIES = {
    "curl": ("curl", "proxy", "openssl", "scrape", "connection", "go-", "http", "answer", "name", "tls-weak"),
    "openssl": ("openssl", "curl", "tls", "python", "web-pair", "client-certificate-refused"),
    "go client": ("go-", "x509", "tls", "scrape", "server-", "client-", "web-", "pem", "grpc", "openssl"),
    "go server": ("go-", "server-", "client-", "tls", "web-", "x509", "pem", "etcd"),
    "go http": (
        "go-",
        "http",
        "scrape",
        "client",
        "request",
        "header",
        "connection",
        "address",
        "grpc",
        "json",
        "web-",
    ),
}
LINES: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "curl's exit codes": ("curl", "curl", lambda t: f"curl: ({t.split(' ', 1)[0]}) {t.split(' ', 1)[1]}"),
    "verification by curl": ("curl", "openssl_verify", lambda t: f"curl: (60) SSL certificate problem: {t}"),
    "verification by Python": (
        "openssl",
        "openssl_verify",
        lambda t: f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {t} (_ssl.c:1007)",
    ),
    "reasons in Python": (
        "openssl",
        "openssl_reasons",
        lambda t: f"ssl.SSLError: [SSL: {t}] {t.lower().replace('_', ' ')} (_ssl.c:1000)",
    ),
    "reasons in C": (
        "openssl",
        "openssl_reasons",
        lambda t: f"4047:error:0A000126:SSL routines::{t.lower().replace('_', ' ')}:ssl/record.c:308:",
    ),
    "alerts to a client": ("go client", "go_alerts", lambda t: f'Get "https://h:1/": remote error: tls: {t}'),
    "alerts to a server": (
        "go server",
        "go_alerts",
        lambda t: f"http: TLS handshake error from 10.0.0.1:1: remote error: tls: {t}",
    ),
    "Go's client": ("go client", "go_tls", lambda t: f'Get "https://h:1/": {t}'),
    "Go's server": ("go server", "go_tls", lambda t: f"http: TLS handshake error from 10.0.0.1:1: {t}"),
    "Go's certificates": (
        "go client",
        "go_x509",
        lambda t: f'Get "https://h:1/": tls: failed to verify: {t}',
    ),
    "Go's requests": ("go http", "go_http", lambda t: f'level=error err="Get \\"https://h:1/\\": {t}"'),
}


@pytest.mark.parametrize("name", LINES)
def test_each_error_of_a_library_gets_a_diagnosis_of_its_kind(name: str) -> None:
    family, listed, line = LINES[name]
    diagnoses = {text: catalogue.diagnose(line(text)) for text in _inventory_lines(listed)}
    assert len(diagnoses) >= 32
    assert not [text for text, found in diagnoses.items() if found is None]
    assert not {
        text: found.id
        for text, found in diagnoses.items()
        if found and not found.id.startswith(FAMILIES[family])
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_messages_of_programs_get_a_diagnosis(name: str) -> None:
    rows = YAML(typ="safe").load((DATA / f"{name}.yaml").read_text())
    assert len(rows) >= 350
    diagnoses = [(line, expected, catalogue.diagnose(line)) for line, expected in rows]
    assert not {line: (right, found) for line, right, found in diagnoses if not found or found.id != right}


# How programs in each language log a system error: by operation, with {name} and {text} of the error.
CALLS = {
    "file": (
        'level=error msg=Failed err="open /srv/x/a.db: {low}"',
        "OSError: [Errno 5] {text}: '/srv/x/a.db'",
        "Error: {name}: {low}, open '/srv/x/a.db'",
        '[crit] 7#7: open() "/srv/x/a.db" failed (5: {text})',
        "java.io.FileNotFoundException: /srv/x/a.db ({text})",
        "tar: /srv/x/a.db: {text}",
    ),
    "connect": (
        'err="Get \\"https://h:1/metrics\\": dial tcp 10.0.0.1:1: connect: {low}"',
        "Error: connect {name} 10.0.0.1:1",
        "[error] 7#7: *1 connect() failed (5: {text}) while connecting to upstream",
    ),
    "listen": (
        'err="listen tcp 10.0.0.1:9: bind: {low}"',
        "nginx: [emerg] bind() to 10.0.0.1:9 failed (5: {text})",
    ),
    "transfer": (
        'err="read tcp 10.0.0.1:1->10.0.0.2:2: read: {low}"',
        "recv() failed (5: {text}) while reading",
    ),
    "run": ('err="fork/exec /usr/bin/x: {low}"', "Error: spawn /usr/bin/x {name}"),
    "call": ("Error: {text} (os error 5)", "OSError: [Errno 5] {text}"),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_system_error_gets_a_diagnosis(operation: str) -> None:
    """Each combination of operation, error and language is diagnosed, by the two lists alone and by the whole catalogue."""
    system = SystemErrors(TABLE)
    errors = {name: error["id"] for error in TABLE["errors"] for name in error["names"]}
    different, silent = {}, []
    assert len(ERRNO) >= 130
    for name, text in ERRNO:
        for form in CALLS[operation]:
            line = form.format(name=name, text=text, low=text[0].lower() + text[1:])
            found = system.search(system.mark(line))
            diagnosis_id = found and found[0]["id"]
            if diagnosis_id != f"system-{operation}-{errors[name]}":
                different[line] = diagnosis_id
            if catalogue.diagnose(line) is None:
                silent.append(line)
    assert not different
    assert not silent


def test_permission_denied_without_an_operation_is_a_login_error() -> None:
    """A server reports "permission denied" for a token as the kernel does for a file."""
    found = catalogue.diagnose('level=error err="googleapi: Error 403: Permission denied"')
    assert found is not None and found.id == "kind-login"
    found = catalogue.diagnose("error: could not go on: input/output error")
    assert found is not None and found.id == "system-call-damaged"


def test_a_system_error_names_its_file_or_address() -> None:
    found = catalogue.diagnose('level=error err="rename /srv/a.tmp /srv/a: invalid cross-device link"')
    assert found is not None
    assert (found.id, found.parts) == ("system-file-path", {"file": "/srv/a.tmp"})
    assert found.matched == "rename /srv/a.tmp /srv/a: invalid cross-device link"
    assert found.cause.startswith("The program could not use /srv/a.tmp: the path")


@pytest.mark.parametrize("level", ["level=debug", "level=info", "[info] 7#7:"])
def test_information_of_a_program_is_no_error(level: str) -> None:
    assert catalogue.diagnose(f'{level} msg=x err="open /srv/a: structure needs cleaning"') is None


MESSAGES = [tuple(line.split(" ", 1)) for line in _inventory_lines("program_messages")]
MESSAGE_ROWS = tables.rows("program_messages.yaml")
SOURCE_ROWS = tables.rows("error_sources.yaml")


def _record(source: str, message: str, level: str = "ERROR", error: str = "something odd") -> str:
    journal = "Mar 05 10:00:00 mon prometheus[12]: "
    return f'{journal}time=2026-03-05T10:00:00.000Z level={level} source={source}:10 msg="{message}" err="{error}"'


@functools.cache
def _cause(source: str, message: str) -> str:
    found = catalogue.diagnose(_record(source, message))
    return found.id if found else ""


def test_each_message_of_a_program_names_the_failed_task() -> None:
    assert len(MESSAGES) >= 350
    silent = [message for file, message in MESSAGES if not _cause(file, message)]
    assert not silent


def test_a_warning_does_not_count_as_a_failure() -> None:
    ours = {row["id"] for row in (*MESSAGE_ROWS, *SOURCE_ROWS)}
    diagnoses = {
        message: found.id
        for file, message in MESSAGES
        if (found := catalogue.diagnose(_record(file, message, "WARN"))) is not None and found.id in ours
    }
    assert not diagnoses


def test_the_error_of_a_record_takes_precedence_over_its_message() -> None:
    refused = "dial tcp 10.0.0.1:9093: connect: connection refused"
    found = catalogue.diagnose(_record("notifier.go", "Error sending alerts", error=refused))
    assert found is not None and found.id not in {row["id"] for row in MESSAGE_ROWS}


@pytest.mark.parametrize("row", MESSAGE_ROWS, ids=lambda row: str(row["id"]))
def test_each_phrase_is_the_beginning_of_a_real_message(row: tables.Row) -> None:
    """No phrase is a guess: each is in the programs' sources and matches its own row."""
    for beginning in row["say"]:
        meant = [each for each in MESSAGES if re.match(beginning, each[1])]
        assert meant, beginning
        causes = {_cause(*each) for each in meant}
        assert row["id"] in causes, (beginning, causes)


@pytest.mark.parametrize("row", SOURCE_ROWS, ids=lambda row: str(row["id"]))
def test_an_unknown_message_is_diagnosed_by_its_source_file(row: tables.Row) -> None:
    file = (
        (row["files"] or row.get("shared") or row["common"])[0]
        .replace(r"\w{0,20}", "")
        .replace(r"\w{2,30}", "redis")
    )
    found = catalogue.diagnose(_record(f"{file}.go", "Xyzzy went plugh", error="plover"))
    assert found is not None
    assert (found.id, found.parts["what"]) == (row["id"], "plover")
    assert "plover" in found.cause
    for component in row["components"]:
        name = component.split("|")[0].replace(r"\w{1,20}", "scrape")
        line = f'level=error caller=xyzzy.go:1 component="{name}" msg="Xyzzy went plugh"'
        found = catalogue.diagnose(f"prometheus  | {line}")
        assert found is not None
        assert (found.id, found.parts["what"]) == (row["id"], "Xyzzy went plugh")
    assert catalogue.diagnose(_record(f"{file}.go", "Xyzzy went plugh", "INFO", "plover")) is None


def test_klog_marks_information_by_a_letter() -> None:
    line = (
        '{level}1121 09:47:58.995123       1 main.go:1] "Failed" err="open /srv/a: structure needs cleaning"'
    )
    assert catalogue.diagnose(line.format(level="I")) is None
    found = catalogue.diagnose(line.format(level="E"))
    assert found is not None and found.id == "system-file-damaged"


TRANSLATED = [
    (english, text)
    for english, texts in YAML(typ="safe").load(assets.path("error_translations.yaml").read_text())
    for text in texts
]


@pytest.mark.parametrize(
    "line",
    [
        "OSError: [Errno 5] {}: '/srv/x/a.db'",
        "curl: (7) Failed to connect to 10.0.0.1 port 1: {}",
        "prometheus.service: Failed to execute command: {}",
        "./run.sh: line 5: data{}",
    ],
)
def test_a_system_error_in_another_language_gets_the_same_diagnosis(line: str) -> None:
    diagnoses = {}
    for english, text in TRANSLATED:
        expected, found = catalogue.diagnose(line.format(english)), catalogue.diagnose(line.format(text))
        diagnoses[text] = (expected and (expected.id, expected.parts)) == (found and (found.id, found.parts))
    assert len(diagnoses) >= 80
    assert not [text for text, same in diagnoses.items() if not same]

"""Every known error text gets its diagnosis, and an ordinary log gets none."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wizard.diagnostics import catalogue, clients, entries, tables

HERE = Path(__file__).parents[1]
LINES = [tuple(row) for row in YAML(typ="safe").load((HERE / "data/error_lines.yaml").read_text())]
CATALOGUE = [tuple(row) for row in YAML(typ="safe").load((HERE / "data/error_catalogue.yaml").read_text())]
PUBLIC = [
    (line, right)
    for path in (HERE / "data/error_sets").glob("*.yaml")
    for line, right, _ in YAML(typ="safe").load(path.read_text())
]
PROGRAMS = [
    row
    for name in ("programs", "other_programs", "go_programs", "sources", "tls_libraries")
    for row in YAML(typ="safe").load((HERE / f"data/error_inventory/{name}.yaml").read_text())
]
WHERE = (
    "curl",
    "prometheus",
    "server",
    "python",
    "ssh",
    "promtool",
    "proxy",
    "java",
    "node",
    "container",
    "systemd",
)
SHARES = 4
HARMLESS = HERE.parent / "corpus/harmless"


@pytest.mark.parametrize("share", range(SHARES))
def test_known_lines_get_their_diagnosis(share: int) -> None:
    """Shares of the lines, for several processors; a test of its own for each line takes longer than the line."""
    wrong = {}
    for line, expected in LINES[share::SHARES]:
        found = catalogue.diagnose(line)
        if found is None or found.id != expected or not (found.cause and found.fix):
            wrong[line] = expected, found
    assert not wrong


def _logfmt(text: str) -> str:
    return (
        f"ts=2026-11-21T09:47:58.995Z caller=main.go:1 level=error msg=failed err={_quoted(text)} attempt=3"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "logfmt": _logfmt,
    "logfmt twice": lambda text: f"level=error msg={_quoted('unit: ' + _logfmt(text))}",
    "json": lambda text: json.dumps({"level": "error", "err": text, "ts": "2026-11-21T09:47:58Z", "n": 4}),
    "json escaped for html": lambda text: json.dumps({"error": text, "z": "next"}).replace(">", "\\u003e"),
    "docker's file": lambda text: json.dumps({"log": _logfmt(text) + "\n", "stream": "stderr", "time": "x"}),
    "journal as json": lambda text: json.dumps({"MESSAGE": _logfmt(text), "_PID": "7", "PRIORITY": "6"}),
    "syslog": lambda text: f"Nov 21 09:47:58 web1 exporter[812]: {_logfmt(text)}",
    "journal with ISO times": lambda text: f"2026-11-21T09:47:58+0100 web1 exporter[812]: {_logfmt(text)}",
    "compose": lambda text: f"exporter-1  | {_logfmt(text)}",
    "kubernetes": lambda text: f"2026-11-21T09:47:58.995123456Z stderr F {_logfmt(text)}",
    "kubectl": lambda text: f"[pod/exporter-0/exporter] {_logfmt(text)}",
    "klog": lambda text: f'E1121 09:47:58.995123       1 main.go:1] "Failed" err={_quoted(text)}',
    "coloured": lambda text: f"\x1b[31mERRO\x1b[0m[0002] \x1b[1m{text}\x1b[0m",
    "coloured fields": lambda text: f"\x1b[31mlevel\x1b[0m=error \x1b[31merr\x1b[0m={_quoted(text)} n=1",
    "zap": lambda text: f"2026-11-21T09:47:58.995Z\tERROR\tsetup\tfailed\t{json.dumps({'error': text})}",
    "go's log": lambda text: f"2026/11/21 09:47:58 {text}",
    "a chain": lambda text: _logfmt(f"run: start: {text}"),
    "a log": lambda text: f"level=info msg=started\n{_logfmt(text)}\nlevel=info msg=stopped",
}
# Texts that match only without a wrapping: a response body, a header, a line that ends early.
BARE = {
    "curl-unauthorized",
    "scrape-404",
    "scrape-500",
    "proxy-refused",
    "ssh-sftp-folder",
    "ssh-sftp-failure",
    "ssh-sftp-permission",
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_leads_to_the_same_cause(wrapping: str) -> None:
    """Wraps the known lines that have no wrapping; names captured from them must end where the message ends."""
    different = {}
    for line, expected in LINES[:318]:
        alone = catalogue.diagnose(line)
        if expected in BARE or "\n" in line or "=" in line or line.startswith(("{", "EOF")) or alone is None:
            continue
        found = catalogue.diagnose(WRAPPINGS[wrapping](line))
        if found is None or (found.id, found.parts) != (alone.id, alone.parts):
            different[line] = (found.id, found.parts) if found else None
    assert not different


def test_every_entry_is_matched_by_a_known_line() -> None:
    ids = [entry.id for entry in entries.table()]
    assert len(ids) == len(set(ids))
    reached = {found.id for line, _ in PUBLIC if (found := catalogue.diagnose(line))}
    expected = {each for _, each in (*LINES, *PROGRAMS)}
    # Errors of an operating system are no entries: test_inventories.py has their lines.
    expected = {each for each in expected if not each.startswith("system-")}
    messages = {
        row["id"] for name in ("program_messages", "error_sources") for row in tables.rows(f"{name}.yaml")
    }
    assert expected - messages <= set(ids) <= expected | reached


def test_the_table_keeps_its_format() -> None:
    for entry in entries.table():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.id)
        assert entry.where in WHERE
        for pattern in entry.patterns:
            assert not re.search(r"(?<!\\)[.\]][*+]", pattern.pattern), f"{entry.id}: an unbounded gap"
        places = {
            name for text in (entry.cause, entry.fix, entry.other_end, entry.next) for name in _places(text)
        }
        known = {name for pattern in entry.patterns for name in pattern.groupindex}
        assert places <= known, entry.id
        bare = {
            name
            for text in (entry.cause, entry.fix, entry.other_end, entry.next)
            for name in _placeholders_without_default(text)
        }
        for pattern in entry.patterns:
            assert bare <= set(pattern.groupindex), (
                f"{entry.id}: {pattern.pattern} leaves a place without words"
            )


def test_a_missing_part_is_replaced_by_its_default() -> None:
    named = catalogue.diagnose("nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)")
    unnamed = catalogue.diagnose("java.net.BindException: Address already in use")
    assert named is not None and unnamed is not None
    assert named.cause.startswith("Something listens on 0.0.0.0:443 already")
    assert unnamed.cause.startswith("Something listens on that address and port already")


@pytest.mark.parametrize(
    "job", ["kubelet", "docker-registry", "traefik", "caddy", "grafana", "otlp", "consul"]
)
def test_the_name_of_a_job_does_not_identify_the_client(job: str) -> None:
    found = catalogue.diagnose(
        f'level=debug component="scrape manager" scrape_pool={job} target=https://{job}.lan:1/metrics '
        f'msg="Scrape failed" err="Get \\"https://{job}.lan:1/metrics\\": x509: certificate is valid for a, not b"'
    )
    assert found is not None
    assert (found.id, found.client) == ("x509-wrong-name", "")


@pytest.mark.parametrize(
    "why",
    [
        "negative serial number",
        "unhandled critical extension",
        "invalid policies",
        "invalid signature: parent certificate cannot sign this kind of certificate",
        "RSA modulus is not a positive number",
        'certificate contains duplicate extension with OID "2.5.29.17"',
        "a text that the next Go brings",
    ],
)
def test_a_certificate_that_go_cannot_parse_is_attributed_to_its_owner(why: str) -> None:
    server = catalogue.diagnose(_logfmt(f"tls: failed to parse certificate from server: x509: {why}"))
    client = catalogue.diagnose(
        f"http: TLS handshake error from 10.0.0.8:1: tls: failed to parse client certificate: x509: {why}"
    )
    assert server is not None and client is not None
    assert (server.id, client.id) == ("x509-malformed-server", "server-client-cert-malformed")


def test_captured_parts_are_escaped() -> None:
    found = catalogue.diagnose("unable to use specified CA cert /etc/\x1b]0;x.crt and more")
    assert found is not None
    assert "/etc/␛]0;x.crt" in found.cause
    assert "\x1b" not in found.cause + found.matched


def test_every_text_of_the_catalogue_is_matched() -> None:
    diagnoses = {text: catalogue.diagnose(text) for _, text, _ in CATALOGUE}
    assert {text: found.id if found else None for text, found in diagnoses.items()} == {
        text: expected for _, text, expected in CATALOGUE
    }
    assert len({number for number, _, _ in CATALOGUE}) == 192


def test_ordinary_logs_match_nothing() -> None:
    """Ordinary log lines of the five programs in three generations with reloads, of sshd and of systemd."""
    lines: set[str] = set()
    for path in (*(HERE / "data").glob("harmless_*.txt"), *HARMLESS.glob("*.txt")):
        lines |= set(path.read_text().splitlines())
    kinds = {re.sub(r"\d+", "", line) for line in lines}
    assert len(kinds) >= 600
    wrong = {line: found.id for line in lines if (found := catalogue.diagnose(line)) is not None}
    assert not wrong


@pytest.mark.parametrize(
    ("line", "expected", "client", "words"),
    [
        (
            (
                'level=error component=dispatcher msg="Notify for alerts failed" err="ops/email[0]: send STARTTLS command: '
                'x509: certificate is valid for a.example, not b.example"'
            ),
            "x509-wrong-name",
            "mail",
            "smtp_smarthost",
        ),
        (
            (
                'level=warn component=dispatcher integration=webhook[0] err="Post \\"https://h/\\": x509: certificate signed '
                'by unknown authority"'
            ),
            "x509-unknown-authority",
            "notification",
            "alertmanager.yml",
        ),
        (
            (
                'msg="Failed to send batch, retrying" component=remote remote_name=a err="Post \\"https://m/\\": x509: '
                'certificate is valid for a, not m"'
            ),
            "x509-wrong-name",
            "remote-write",
            "remote_write",
        ),
        (
            (
                'component=notifier alertmanager=https://a:9093/api/v2/alerts err="Post \\"https://a:9093/\\": x509: '
                'certificate has expired or is not yet valid: current time T is after T"'
            ),
            "x509-time",
            "alerting",
            "clock",
        ),
        (
            (
                'component="discovery manager scrape" discovery=consul err="Get \\"https://c:8501/\\": x509: certificate '
                'signed by unknown authority"'
            ),
            "x509-unknown-authority",
            "service-discovery",
            "service discovery block",
        ),
        (
            (
                'grafana-1  | logger=tsdb.prometheus level=error err="Post \\"https://p/\\": x509: certificate signed by '
                'unknown authority"'
            ),
            "x509-unknown-authority",
            "grafana",
            "tlsCACert",
        ),
        (
            '{"level":"error","logger":"http.log.error","msg":"x509: certificate signed by unknown authority"}',
            "x509-unknown-authority",
            "caddy",
            "reverse_proxy",
        ),
        (
            (
                'level=debug component="scrape manager" scrape_pool=a err="Get \\"https://n/metrics\\": x509: certificate '
                'signed by unknown authority"'
            ),
            "x509-unknown-authority",
            "",
            "tls_config",
        ),
    ],
)
def test_the_client_of_a_connection_is_recognised(line: str, expected: str, client: str, words: str) -> None:
    found = catalogue.diagnose(line)
    assert found is not None
    assert (found.id, found.client) == (expected, client)
    assert words in found.fix
    foreign = client in ("mail", "notification", "service-discovery", "caddy")
    assert not (foreign and (found.questions or found.menu_entry or found.fault != found.id))
    if client:
        trusted_files = next(each.told for each in clients.clients() if each.id == client)
        assert found.cause.startswith(f"{trusted_files} ")


def test_the_table_of_clients_keeps_its_format() -> None:
    cures = {entry.cure for entry in entries.table()}
    ids = [client.id for client in clients.clients()]
    assert len(ids) == len(set(ids))
    for client in clients.clients():
        assert set(client.fixes) <= cures, client.id
        assert client.told.endswith(".")
        for pattern in client.patterns:
            assert not re.search(r"(?<!\\)[.\]][*+]", pattern.pattern), client.id


def test_a_long_log_is_explained_in_bounded_time() -> None:
    """The only error among 10,000 ordinary lines is found at any position, and the time does not depend on the position."""
    ordinary = (HERE / "data/harmless_words.txt").read_text().splitlines()
    lines = [
        f"{line} n={number}" for number, line in zip(range(10_000), itertools.cycle(ordinary), strict=False)
    ]
    error = 'level=error err="opening storage failed: lock DB directory: no locks available"'
    catalogue.diagnose(error)
    began = time.process_time()
    one = catalogue.diagnose("\n".join(lines[:1000]))
    short = time.process_time() - began
    assert one is None
    for place in (0, 5000, 10_000):
        began = time.process_time()
        found = catalogue.diagnose("\n".join([*lines[:place], error, *lines[place:]]))
        assert found is not None and found.id == "storage-file-system"
        assert time.process_time() - began < 10 * short + 1


def test_entries_lead_to_existing_faults() -> None:
    rows: list[entries.Entry | entries.Fault] = [*entries.table(), *entries.faults().values()]
    for row in rows:
        assert set(row.faults) <= set(entries.faults()), row.id
        assert set(row.ask) <= set(entries.questions()), row.id
        assert bool(row.ask) == (len(row.faults) > 1) or len(row.faults) == 1, row.id
        assert row.id not in row.faults or row.faults == (row.id,), row.id
    reached = {fault for row in rows for fault in row.faults}
    assert reached == set(entries.faults())
    asked = {question for row in rows for question in row.ask}
    assert asked == set(entries.questions())
    assert {fault.menu_entry for fault in entries.faults().values()} <= {"", *catalogue.PARTS}


def test_an_answer_narrows_a_diagnosis_down_to_a_fault() -> None:
    found = catalogue.diagnose('Get "https://srv1:9100/metrics": remote error: tls: bad certificate')
    assert found is not None and not found.fault and len(found.possible) > 3
    closest = catalogue.narrow(found, lambda question, _: "client-cert-expired")
    assert closest.fault == closest.id == "client-cert-expired"
    assert closest.menu_entry == "inventory" and closest.next and closest.other_end
    assert closest.matched == found.matched
    assert [(asked.question.id, asked.answer) for asked in closest.asked] == [
        ("client-certificate", "client-cert-expired")
    ]


def test_without_a_possible_answer_several_faults_remain() -> None:
    found = catalogue.diagnose("connect: connection refused")
    assert found is not None
    for answer in ("", "server-expired", "no such fault"):
        said = itertools.repeat(answer)
        left = catalogue.narrow(found, lambda question, _, said=said: next(said))  # type: ignore[misc]
        assert (left.id, left.fault, left.possible) == (found.id, "", found.possible)
        assert [asked.answer for asked in left.asked] == [""]


def test_a_fault_may_have_a_deeper_cause() -> None:
    found = catalogue.diagnose("connect: connection refused")
    assert found is not None
    answers = {"port": "service-down", "server-log": "web-hash"}
    closest = catalogue.narrow(found, lambda question, _: answers[question.id])
    assert closest.fault == "web-hash"
    assert [asked.answer for asked in closest.asked] == ["service-down", "web-hash"]
    # Without a second answer, the first fault is the diagnosis.
    answers["server-log"] = ""
    assert catalogue.narrow(found, lambda question, _: answers[question.id]).fault == "service-down"


def test_hostile_lines_are_searched_in_linear_time() -> None:
    """The time for a megabyte of each pattern's own beginning grows at most linearly with its length."""
    heads = [
        "TLS handshake error from ",
        "open / --",
        "x509: certificate is valid for ",
        "field ",
        '"a/',
        "curl: (60)",
    ]
    entries.table()
    for head in heads:
        short, long = head * (20_000 // len(head)), head * (1_000_000 // len(head))
        times = {}
        for name, text in (("short", short), ("long", long), ("lines", long.replace(" ", "\n"))):
            began = time.process_time()
            catalogue.diagnose(text)
            times[name] = time.process_time() - began
        # 50 times the text: only 64 KiB of a line are searched, so any search that is not quadratic is far below.
        assert times["long"] < 20 * times["short"] + 0.5, head
        assert times["lines"] < 100 * times["short"] + 1, head


def _places(text: str) -> list[str]:
    return re.findall(r"\{(\w+)(?:\|[^{}]*)?\}", text)


def _placeholders_without_default(text: str) -> list[str]:
    """Returns the placeholders without a default for lines that do not name the part."""
    return re.findall(r"\{(\w+)\}", text)


@pytest.mark.parametrize("server", ["grafana", "traefik", "thanos-query", "kubelet-proxy", "schema-registry"])
def test_the_name_of_a_server_does_not_identify_the_client(server: str) -> None:
    for asked in (
        f'Get "https://{server}.lan:8443/x": x509: certificate signed by unknown authority',
        f'Get "https://10.0.0.9/x": x509: certificate is valid for {server}, {server}.lan, not 10.0.0.9',
    ):
        found = catalogue.diagnose(asked)
        assert found is not None
        assert found.client == ""


@pytest.mark.parametrize(
    "line",
    [
        "            raise TimeoutError from exc_val",
        "from urllib3.exceptions import ReadTimeoutError",
        "  * Retry on registry timeouts or network failures (Trent Mick)",
        "An error will be thrown if an invalid address is provided.",
        "  open($self->{FH}, $_) or $self->death(\"Cannot open '$_': $!\");",
        '    method_code:http_errors:rate5m{method="get", code="500"}  24',
        "firescreen explain 'server returned HTTP status 401 Unauthorized' --no-ask",
        "    lib/x509: use common routine for parsing data version",
        "# if the certificate is not trusted, Prometheus cannot connect to the target",
    ],
)
def test_texts_that_only_mention_an_error_get_no_diagnosis(line: str) -> None:
    assert catalogue.diagnose(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "# curl: (58) unable to set private key file: 'server.key' type PEM",
        "it says `Unable to login to the server, got HTTP status 401` here",
        "exactly one of key or key_file must be configured when a client certificate is configured",
        "Nov 21 09:47:58 web1 exporter[812]: x509: use of an unknown authority, certificate signed by unknown authority",
    ],
)
def test_a_programs_message_in_prose_is_diagnosed(line: str) -> None:
    assert catalogue.diagnose(line) is not None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The last error of the chain gives the kind, and names its subject.
        ('level=error msg="sync failed" err="cannot connect to broker-1:9000"', "kind-connection"),
        ("Error: too many open connections", "kind-limit"),
        ("Error: bad gateway certificate: server certificate is not trusted", "kind-certificate"),
        # A further error, a reason or the error field follows: the phrase only says what was tried.
        ('level=error msg="cannot connect to broker-1:9000" err="odd answer of it"', ""),
        ("Error: cannot connect to broker-1:9000: odd answer of it", ""),
        ("Error: connection closed while it waits for the operator", ""),
        ("Error: cannot connect to the module because it is not built in", ""),
        # No subject, or one of another kind.
        ("Error: too many failed members", ""),
        ("Error: the time of the job is exceeded", ""),
        ("Error: member a-1 past heartbeat timeout", ""),
    ],
)
def test_a_kind_matches_only_in_the_innermost_phrase(line: str, expected: str) -> None:
    found = catalogue.diagnose(line)
    assert (found.id if found else "") == expected

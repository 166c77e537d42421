"""A diagnosis does not depend on the wrapping: loggers, containers, chains of errors, traces, colours and web pages.

Every known line without a wrapping is put into every wrapping, and must get the same diagnosis.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wizard import log_records
from wizard.diagnostics import catalogue

DATA = Path(__file__).parents[1] / "data"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _logfmt(text: str) -> str:
    return (
        f"ts=2026-11-21T09:47:58.995Z caller=main.go:1 level=error msg=failed err={_quoted(text)} attempt=3"
    )


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "logfmt with quotes escaped once": _logfmt,
    "logfmt with quotes escaped twice": lambda text: f"level=error msg={_quoted('unit: ' + _logfmt(text))}",
    "logfmt three deep": lambda text: f"msg={_quoted('a: ' + 'msg=' + _quoted(_logfmt(text)))}",
    "fields without quotes": lambda text: f"level=error msg=failed err={text} target=host:1 n=1",
    "logrus in colour": lambda text: (
        f'\x1b[31mERRO\x1b[0m[0004] error={text} target=host:1  source="x.go:78"'
    ),
    "json": lambda text: json.dumps({"level": "error", "err": text, "ts": "2026-11-21T09:47:58Z", "n": 4}),
    "json within json": lambda text: json.dumps(
        {"log": json.dumps({"level": "error", "error": text}) + "\n", "stream": "stderr"}
    ),
    "json with fields": lambda text: json.dumps({"fields": {"err": {"message": text}}, "level": "ERROR"}),
    "docker's file": lambda text: json.dumps({"log": _logfmt(text) + "\n", "stream": "stderr", "time": "x"}),
    "the journal as json": lambda text: json.dumps({"MESSAGE": _logfmt(text), "_PID": "7"}),
    "the journal": lambda text: f"Nov 21 09:47:58 web1 exporter[812]: {text}",
    "syslog of RFC 5424": lambda text: f"<165>1 2026-11-21T09:47:58.003Z host app 812 - - {text}",
    "klog": lambda text: f'E1121 09:47:58.995123       1 main.go:1] "Failed" err={_quoted(text)}',
    "zap": lambda text: f"2026-11-21T09:47:58.995Z\tERROR\tsetup\tfailed\t{json.dumps({'error': text})}",
    "log4j": lambda text: f"2026-11-21 09:47:58.123 ERROR 1 --- [main] c.e.App : {text}",
    "Python's logging": lambda text: f"2026-11-21 09:47:58,123 - app - ERROR - {text}",
    "Rust's tracing": lambda text: f"2026-11-21T09:47:58.123Z ERROR app::client: {text}",
    "before a chain": lambda text: _logfmt(f"run: start: {text}"),
    "within a chain": lambda text: _logfmt(f"run: start: {text} (attempt 3 of 5)"),
    "before more words": lambda text: f"2026/11/21 09:47:58 dial failed: {text}, retrying in 5s",
    "a trace of Java": lambda text: (
        "java.io.IOException: request failed\n\tat a.b.C.d(C.java:12)\n"
        f"Caused by: java.lang.RuntimeException: {text}\n\tat x.Y.z(Y.java:1)\n\t... 7 more"
    ),
    "a traceback of Python": lambda text: (
        f'Traceback (most recent call last):\n  File "/opt/a.py", line 3, in <module>\n    main()\nRuntimeError: {text}'
    ),
    "colours": lambda text: f"\x1b[31mERRO\x1b[0m[0002] \x1b[1m{text}\x1b[0m",
    "line ends of Windows": lambda text: f"starting\r\n{text}\r\nstopped\r\n",
    "a mail": lambda text: f"> {text}",
    "code in a sentence": lambda text: f"it says `{text}` here",
    "the table of targets": lambda text: (
        f'https://n1:9100/metrics | DOWN | instance="n1" | 4.5s ago | {text}'
    ),
    "a web page": lambda text: html.escape(text, quote=True),
    "lines that were broken": lambda text: _logfmt(text).replace(": ", ": \n    ", 3),
}
# Texts that match only without a wrapping: a response body, a quote at the very beginning or end.
BARE = {
    "curl-unauthorized",
    "scrape-404",
    "scrape-500",
    "proxy-refused",
    "ssh-sftp-folder",
    "ssh-sftp-failure",
    "ssh-sftp-permission",
    "config-target-scheme",
    "container-entrypoint",
    "reason-cut",
}
STRIPES = 6


def _texts() -> Iterator[tuple[str, str]]:
    """Returns texts without a wrapping of their own, each with its diagnosis."""
    kept = list(YAML(typ="safe").load((DATA / "error_lines.yaml").read_text()))
    for path in sorted((DATA / "error_sets").glob("*.yaml")):
        kept += YAML(typ="safe").load(path.read_text())
    for line in (row[0] for row in kept):
        if len(line) > 15 and not re.search(r'\n|^"|\b\w+=|^\{|"\w+":|^\s|\x1b', line):
            found = catalogue.diagnose(line)
            if found is not None and found.id not in BARE:
                yield line, found.id


@pytest.fixture(scope="module")
def texts() -> tuple[tuple[str, str], ...]:
    """The result of `_texts`, made once by the one process that runs these tests."""
    return tuple(_texts())


@pytest.mark.parametrize("number", range(len(WRAPPINGS)), ids=list(WRAPPINGS))
def test_a_wrapping_changes_no_cause(number: int, texts: tuple[tuple[str, str], ...]) -> None:
    """Each wrapping is tested with another sixth of the texts."""
    wrap = tuple(WRAPPINGS.values())[number]
    different = {}
    for line, alone in texts[number % STRIPES :: STRIPES]:
        found = catalogue.diagnose(wrap(line))
        if found is None or found.id != alone:
            different[line] = (alone, found.id if found else None)
    assert not different


def test_json_arrays_and_target_responses_are_read_record_by_record() -> None:
    bad = {"scrapeUrl": "http://n2:9100/metrics", "lastError": "server returned HTTP status 401 Unauthorized"}
    good = {"scrapeUrl": "http://n1:9100/metrics", "lastError": ""}
    for document in ([good, bad], {"status": "success", "data": {"activeTargets": [good, bad]}}):
        for text in (json.dumps(document), json.dumps(document, indent=2)):
            records = [record.text for record in log_records.read(text)]
            found = catalogue.diagnose(text)
            assert found is not None and found.id == "scrape-unauthorized"
            assert [text for text in records if "n2" in text] == [text for text in records if "401" in text]

"""Extracts log records from the formats in which loggers, journals and containers wrap an error text.

The same error may be logged as `err="…"` with escaped quotes (escaped once more for each wrapping), as a JSON record,
with a prefix of syslog, Docker, Kubernetes or klog, and with colours. `read` removes all of that. The diagnoses are
searched in `Record.text`, in which fields end with a unit separator: it counts as white space in a regular expression,
so that a captured name never extends into the next field.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

SEPARATOR: Final = "\x1f"
"""Separates the fields of a record; white space in a regular expression, and never used in logs."""

LINE: Final = 64 << 10
TEXT: Final = 256 << 10
"""Maximum number of characters of a line (LINE) and of a log (TEXT) that are searched."""

_LOG: Final = 16 * TEXT
# In a long log, only lines with one of these words (in lower case) are searched.
_TELLING: Final = tuple(
    word.replace("_", " ")
    for word in (
        "err fail fatal panic warn denied refus unable unknown cannot can't could couldn't invalid not x509 tls ssl cert "
        "unauthorized forbidden 40 50 timeout timed_out deadline eof reset closed exception caused_by status= exit mismatch "
        "missing expired locked already bind resolve lookup route proxy yaml flag hash password key sudo too_ at_most must "
        "unsupported unexpected malformed got_ wanted expected x16"
    ).split()
)

_DIGITS: Final = re.compile(r"\d+")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,20}[mK]")
_STAMP: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,:+Z-]{0,20}"
_PREFIXES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\s{0,20}>\s{1,4}",  # quoted in a mail or a report
        r"(?P<program>[\w.-]{1,80})\s{0,40}\| ",  # docker compose logs
        rf"{_STAMP} (?:stdout|stderr) [FP] ",  # Kubernetes' container log
        r"\[pod/[^\]\s]{1,200}/(?P<program>[\w.-]{1,80})\] ",  # kubectl logs --prefix
        (
            r"(?:<\d{1,3}>)?(?:\d )?[A-Z][a-z]{2}\s{1,2}\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})? (?:\S{1,100} )?"
            r"(?P<program>[^\s\[\]:=]{1,80})(?:\[\d{1,10}\])?: "
        ),  # syslog and journalctl
        rf"(?:<\d{{1,3}}>\d? ?)?{_STAMP} \S{{1,100}} (?P<program>[^\s\[\]:=]{{1,80}})(?:\[\d{{1,10}}\]:| \d{{1,10}} -) ",
        r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d{1,9}\s{1,8}\d{1,10} [\w./-]{1,120}:\d{1,6}\] ",  # klog
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? (?=\S)",  # Go's own log package
        r"(?P<level>[A-Z])[A-Z]{3}\[\d{4,10}\]\s{1,4}",  # logrus on a terminal
    )
)
_DEPTH: Final = 4
# Error, fatal and panic, as klog and logrus abbreviate them.
_GRAVE: Final = frozenset("EFP")

_PASTED: Final = 40
"""Maximum number of lines that are joined to one record."""
_FRAME: Final = re.compile(r"\s+(?:at |File \"|\.\.\. \d)")

_PAIR: Final = re.compile(
    # A value ends with the last quote before the next field: some loggers do not escape quotes inside a value.
    r'(?<![^\s"])(?P<key>[A-Za-z_@][\w.@/-]{0,60})=(?:"(?P<quoted>(?:[^"\\]|\\.|"(?!\s{1,4}[A-Za-z_@][\w.@/-]{0,60}=|\s{0,4}$))*)"?'
    r"|(?P<bare>[^\s\"]\S*)?)"
)
# For loggers that quote nothing (logrus with colours), an error text extends to the next field.
_UNQUOTED: Final = re.compile(r"[^\n]*?(?=\s{1,4}[A-Za-z_@][\w.@/-]{0,60}=|$)")
_JSON_PAIR: Final = re.compile(
    r'"(?P<key>[\w.@ -]{1,60})"\s{0,4}:\s{0,4}(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<bare>[^\s",{}\[\]]{1,60}))'
)
_LOGFMT_KEYS: Final = frozenset(
    ("level", "lvl", "msg", "err", "error", "ts", "t", "time", "caller", "logger", "component", "source")
)
_TIMES: Final = frozenset(
    ("ts", "t", "time", "timestamp", "@timestamp", "_source_realtime_timestamp", "datetime")
)
# Written by logfmt instead of a value of an unsupported type; it is no error.
_UNWRITTEN: Final = re.compile(r'\b\w{1,80}="unsupported value type"')
_ERRORS: Final = frozenset(("err", "error"))
_MESSAGES: Final = frozenset(("msg", "message"))
# Fields with a query: an error text in a query is no error of the record.
_SOUGHT: Final = frozenset(("query", "expr", "logql", "promql", "selector", "pattern"))
_SPOKEN: Final = _ERRORS | _MESSAGES | {"reason"}
_WRAPPED: Final = frozenset(("log", "message", "msg"))
_OWN: Final = _SPOKEN | _WRAPPED | {""}
_ESCAPE: Final = re.compile(r'\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<one>[nrt"/\\]))')
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "/": "/", "\\": "\\"}
_QUOTES: Final = re.compile(r'\\+"')
_HELD: Final = re.compile(r'\s*\{"|[^\n]{0,400}?\b(?:err|error|msg)="')
# Typographic quotation marks, by which web pages and mails replace those of the program.
_SET: Final = re.compile("\u2018([^\u2018\u2019\\n]{0,300})\u2019")
_ENTITY: Final = re.compile(r"&(?:quot|amp|lt|gt|apos|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,4});")
# Widths at which pages and terminals wrap lines, beginnings of a wrapped line's rest, and the mark of a quoted line.
_WRAPPED_AT: Final = range(40, 131)
_CONTINUED: Final = re.compile(r"(?:[>#|→] {0,2})?(?:x509: |\(?[a-z][a-z-]*(?: |$))")
_BEGUN: Final = re.compile(r"(?:ts|t|time|level|lvl)=\S")
_FURTHER: Final = re.compile(r"(?!(?:ts|t|time|level|lvl)=)[a-z_][\w.]{1,40}=\S")
_MARK: Final = re.compile(r"^[>#|→] {1,2}")
# Counters that are zero, which are no errors.
_NOTHING: Final = re.compile(
    r"(?i)\b0 (?:failed|failures?|errors?|timeouts?|timed out|refused|connection refused|unreachable|dropped|rejected|denied)\b"
    r"|\b(?:failed|failures?|errors?|timeouts?|unreachable|dropped|rejected|permission denied)[=:] ?0(?![\w.])"
)
# How programs and scripts report an error of curl.
_CURL: Final = re.compile(
    r"(?i)\bcurl(?:[ _](?:error|request)[ _:]{1,2}\(?(\d{1,2})\)?(?:\]| - |:)[ =>]{0,4}|\] (\d{1,2}): "
    r"|:? (?:exit(?:ed)?|returned)(?: with)?(?: exit)?(?: code| status)? ?:? ?(\d{1,2})\b)"
)
# How Go servers other than net/http report a failed handshake; the diagnoses only know the text of net/http.
_HANDSHAKE: Final = re.compile(
    r"(?i)\b(?:errors? (?:on|in|during|while doing|performing) (?:the )?(?:tls|ssl) handshake"
    r"|(?:tls|ssl)[: ]{1,2}handshake (?:failed|failure|has failed|error)|failed (?:the )?(?:tls|ssl) handshake"
    r"|failed to (?:complete|perform|do) (?:the )?(?:tls|ssl) handshake)"
    r"(?: of| for)?(?: an?| the)?(?: connection| client)? (?:from|with client) (?=\"?\[?[\w.:]{2,60})"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a log.

    `text` is searched for diagnoses: all fields on one line, then each field with several words on a line of its own.
    """

    text: str
    program: str = ""
    """The program that logged it, if a prefix names it: a unit, a container."""
    is_error: bool = False
    """Whether the prefix marks it as an error (klog, logrus on a terminal)."""


def read(text: str) -> tuple[Record, ...]:
    """The records of a line or a whole log, oldest first, without duplicates. Never raises."""
    lines = _of_document(text) or text[-_LOG:].splitlines()
    if len(text) > TEXT:
        lines = [line for line in _different(lines) if _tells(line[:LINE].lower())]
    found: dict[str, Record] = {}
    size = 0
    # Starts at the end, because the last lines of a log say why the program ended.
    for line in reversed(lines):
        record = _record(line[:LINE])
        if record.text in found:
            continue
        size += len(record.text) + 1
        if size > TEXT and found:
            break
        found[record.text] = record
    return tuple(reversed(found.values()))


def _of_document(text: str) -> list[str]:
    """The records of a JSON document (an array of records, or an API response with lists of objects), one per line."""
    start = text.strip()
    if len(text) > TEXT or not re.match(r"\[\s{0,100}\{|\{\s{0,100}\"", start):
        return []
    try:
        loaded = json.loads(start)
    except (ValueError, RecursionError):
        return []
    parts = _objects(loaded, _DEPTH)
    return [json.dumps(each) for each in (*parts, _beside(loaded, _DEPTH)) if each] if parts else []


def _objects(loaded: Any, depth: int) -> list[dict[str, Any]]:
    """The objects in the lists of a document."""
    if isinstance(loaded, list):
        return [each for each in loaded if isinstance(each, dict)]
    values = loaded.values() if isinstance(loaded, dict) and depth else ()
    return [each for value in values for each in _objects(value, depth - 1)]


def _beside(loaded: Any, depth: int) -> Any:
    """The document without its lists of objects."""
    if isinstance(loaded, dict) and depth:
        rest = ((key, _beside(value, depth - 1)) for key, value in loaded.items())
        return {key: value for key, value in rest if value is not None}
    return None if isinstance(loaded, list) and _objects(loaded, depth) else loaded


def rejoin_lines(text: str) -> str:
    """A short text with lines rejoined that a terminal, mail or web page has wrapped; '' if there are none.

    A line is continued if the next one is indented or begins with a further logfmt field; or if the line ends inside
    quotes, with a blank, colon, comma or backslash, or with a word after which the next line goes on in lower case.
    """
    lines = text.splitlines()
    if not 2 <= len(lines) <= _PASTED or len(text) > _PASTED * 200:
        return ""
    joined: list[str] = []
    for before, line in zip(("", *lines), lines, strict=False):
        if (
            joined
            and line.strip()
            and not _FRAME.match(line)
            and (line[:1].isspace() or _goes_on(before, line) or _is_field_of(joined[-1], line))
        ):
            start, rest = joined[-1].rstrip(" \t\\"), _MARK.sub("", line.strip())
            joined[-1] = f"{start}{rest}" if start.endswith("-") else f"{start} {rest}"
        else:
            joined.append(line)
    return "\n".join(joined) if len(joined) < len(lines) else ""


def _is_field_of(record: str, line: str) -> bool:
    """Whether a line begins with a further field of an unfinished logfmt record."""
    return bool(_BEGUN.match(record) and _FURTHER.match(line))


def _goes_on(line: str, following: str) -> bool:
    if line.endswith((" ", ":", ",", " \\")) or line.replace('\\"', "").count('"') % 2 == 1:
        return True
    return len(line) in _WRAPPED_AT and bool(re.search(r"[a-z'-]$", line) and _CONTINUED.match(following))


def _tells(line: str) -> bool:
    return any(word in line for word in _TELLING)


def _different(lines: list[str]) -> list[str]:
    """The lines without those that only differ from a later one in digits, because logs repeat the same messages."""
    last = {_DIGITS.sub("0", line[:LINE]): number for number, line in enumerate(lines)}
    return [lines[number] for number in sorted(last.values())]


def _record(line: str) -> Record:
    if _ENTITY.search(line):
        line = html.unescape(line)
    body, program, level = _bare(_UNWRITTEN.sub("", _COLOUR.sub("", line)))
    text = _CURL.sub(
        lambda match: f"curl: ({match[match.lastindex or 1]}) ", _NOTHING.sub("", _text(body, _DEPTH))
    )
    if program.startswith("postfix/"):
        # The name of the postfix program says whether it is the client or the server of the connection.
        text = f"{program}: {text}"
    text = _SET.sub(r"'\1'", _HANDSHAKE.sub("TLS handshake error from ", text))
    return Record(text, program, level in _GRAVE)


def _bare(line: str) -> tuple[str, str, str]:
    """(the line without prefixes, the program, the level as a letter)."""
    program = level = ""
    for _ in range(_DEPTH):
        found = next((match for prefix in _PREFIXES if (match := prefix.match(line))), None)
        if found is None or found.end() == len(line):
            break
        named = found.groupdict()
        program = named.get("program") or program
        level = named.get("level") or level
        line = line[found.end() :]
        if named.get("level") == "I":  # with klog, only the prefix shows that the level is info
            line = f"level=info {line}"
    return line, program, level


def _text(body: str, depth: int) -> str:
    # The error comes last, like in most logs; JSON keys are often sorted by name.
    named = (field for field in _fields(body) if field[0].lower() not in _SOUGHT)
    fields = tuple(sorted(named, key=lambda field: field[0].lower() in _ERRORS))
    if not fields or not depth:
        return _QUOTES.sub('"', body)
    if any(key.lower() in _ERRORS for key, _ in fields):
        # A log inside a request that was logged is no error of this record.
        fields = tuple(each for each in fields if each[0].lower() in _OWN or not _is_record(each[1]))
    inner = [
        _text(value, depth - 1) for key, value in fields if key.lower() in _WRAPPED and _is_record(value)
    ]
    if inner:
        rest = (each for each in fields if not (each[0].lower() in _WRAPPED and _is_record(each[1])))
        return "\n".join((*inner, _join_fields(rest)))
    # A message only gets a line of its own if there is no error field, which may change its meaning.
    alone = not any(key.lower() in _ERRORS for key, _ in fields)
    own = (
        _field_text(key, value)
        for key, value in fields
        if (" " in value or "\n" in value) and (alone or key.lower() not in _MESSAGES)
    )
    return "\n".join((_join_fields(iter(fields)), *own))


def _join_fields(fields: Iterator[tuple[str, str]]) -> str:
    return SEPARATOR.join(_field_text(key, value).replace("\n", " ") for key, value in fields)


def _field_text(key: str, value: str) -> str:
    return f"{key}={value}" if key else value


def _is_record(value: str) -> bool:
    return bool(next(iter(_fields(_bare(value.strip())[0])), None))


def _fields(body: str) -> Iterator[tuple[str, str]]:
    """The fields of a record; text outside of fields has the name ''. Yields nothing if the text is no record."""
    stripped = body.strip()
    if stripped.startswith("{") and '"' in stripped[:80]:
        yield from _of_json(stripped)
        return
    head, brace, tail = stripped.partition('{"')
    if brace and re.search(r"\s$", head) and "=" not in head[-1:]:
        # zap on a terminal: time, level, logger and message, then a JSON object
        pairs = tuple(_of_json(brace + tail))
        if any(key in ("error", "err", "reason") for key, _ in pairs):
            yield "", head.replace("\t", " ").strip()
            yield from pairs
            return
    yield from _of_logfmt(body)


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError):
        # The object is truncated, or followed by other text.
        for pair in _JSON_PAIR.finditer(text):
            if pair["key"].lower() not in _TIMES:
                yield pair["key"], _unescape(pair["quoted"]) if pair["quoted"] is not None else pair["bare"]
        return
    if isinstance(loaded, dict):
        yield from _flat(loaded, "", _DEPTH)


def _flat(loaded: dict[str, Any], above: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in loaded.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{key}.", depth - 1)
        elif isinstance(value, list):
            yield key, " ".join(str(each) for each in value[:50])
        elif value is not None and key.lower() not in _TIMES:
            yield key, _plain(str(value).encode("utf-8", "replace").decode())


def _of_logfmt(body: str) -> Iterator[tuple[str, str]]:
    pairs = tuple(_PAIR.finditer(body)) if "=" in body else ()
    named = {pair["key"] for pair in pairs}
    if not (len(pairs) > 1 and named & _LOGFMT_KEYS) and not re.search(r'\b(?:err|error|msg)="', body):
        return
    end, rest, values = 0, [], []
    for pair in pairs:
        rest.append(body[end : pair.start()].strip())
        end = pair.end()
        value = _unescape(pair["quoted"]) if pair["quoted"] is not None else pair["bare"] or ""
        if pair["bare"] and pair["key"].lower() in _SPOKEN and (more := _UNQUOTED.match(body, end)):
            value, end = value + more[0], more.end()
            value = value.rstrip('" ') if value.count('"') % 2 else value
        values.append((pair["key"], value))
    rest.append(body[end:].strip())
    outside = " ".join(filter(None, rest)).strip(' "')
    if outside:
        yield "", _QUOTES.sub('"', outside)
    yield from ((key, value) for key, value in values if key.lower() not in _TIMES)


def _unescape(value: str) -> str:
    return _plain(_once(value))


def _plain(value: str) -> str:
    """A value without the escapes of further wrappings; a nested record keeps its escapes until it is parsed."""
    for _ in range(_DEPTH):
        if '\\"' not in value or _HELD.match(value):
            break
        value = _once(value)
    return value.strip()


def _once(value: str) -> str:
    return _ESCAPE.sub(
        lambda found: _character(found["code"]) if found["code"] else _ESCAPES[found["one"]], value
    )


def _character(code: str) -> str:
    point = int(code, 16)
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= point <= 0xDFFF else chr(point)

"""Reads the response to one request by the rules of Go's net/http, with Go's error texts.

Python's http.client accepts responses that Go rejects, has other error texts, and would take half of a probe's time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from wizard.certificates import one_line
from wizard.probes.socket_deadline import RequestError

_HEAD: Final = 1 << 20
"""Maximum size of status line and headers in bytes; Go's limit is ten times as large."""
_LINE: Final = 4096
"""Maximum size in bytes of the line before a chunk."""
_INFORMAL: Final = 5
"""Maximum number of informational (1xx) responses before the final one."""
_BROKEN: Final = "net/http: HTTP/1.x transport connection broken: "
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_NAMED: Final = {
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
}


class Stream(Protocol):
    """A connection, encrypted or not."""

    def send(self, data: bytes) -> None:
        """Sends all data."""
        ...

    def receive(self) -> bytes:
        """The next bytes; b'' at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of a response. Header names are in lower case; of several with one name, the first."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    chunkable: bool
    """Whether it is HTTP/1.1 or newer, which supports chunked encoding."""


class Answer:
    """Reads one response from a stream: first `head`, then `body`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._data = b""

    def head(self) -> Head:
        """Reads status and headers; skips informational responses before them.

        Raises:
            RequestError: there is no response, or it is not HTTP/1.
        """
        for _ in range(_INFORMAL + 1):
            # Go reports a close before the first byte as "EOF", and a close within the headers as "unexpected EOF".
            if not self._data:
                self._more("EOF")
            line = self._line(_HEAD, cut=f"{_BROKEN}unexpected EOF")
            status, phrase, chunkable = _status(line)
            found = Head(status, phrase, self._headers(), chunkable)
            if not HTTPStatus.CONTINUE <= status < HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
                return found
        raise _malformed_error("net/http: too many 1xx informational responses")

    def body(self, head: Head, limit: int, into: list[bytes]) -> None:
        """Reads up to `limit` bytes of the body into `into`, which also gets what was read before an error.

        Raises:
            RequestError: the body is shorter than announced, or malformed.
        """
        if head.status in (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return
        coding = head.headers.get("transfer-encoding", "") if head.chunkable else ""
        length = head.headers.get("content-length", "").strip()
        if coding:
            if coding.strip().lower() != "chunked":
                raise _malformed_error(f"unsupported transfer encoding: {_quote_like_go(coding.encode())}")
            self._chunks(limit, into)
        elif length:
            if not (length.isascii() and length.isdigit() and len(length) < 19):
                raise _malformed_error(f"bad Content-Length {_quote_like_go(length.encode())}")
            self._take(min(int(length), limit), into)
        else:
            self._rest(limit, into)

    def _headers(self) -> Mapping[str, str]:
        """Reads the headers and the empty line after them."""
        while not self._data.startswith((b"\n", b"\r\n")) and not (end := _END_OF_HEAD.search(self._data)):
            if len(self._data) > _HEAD:
                raise RequestError(
                    "error", f"net/http: server response headers exceeded {_HEAD} bytes; aborted"
                )
            self._more(f"{_BROKEN}unexpected EOF")
        if self._data.startswith((b"\n", b"\r\n")):
            self._data = self._data.partition(b"\n")[2]
            return {}
        assert end
        lines = [line.removesuffix(b"\r") for line in self._data[: end.start()].split(b"\n")]
        self._data = self._data[end.end() :]
        headers: dict[str, str] = {}
        last = ""
        for line in lines:
            if line[:1] in (b" ", b"\t"):  # continuation of the previous line
                if not last:
                    raise _malformed_error(f"malformed MIME header initial line: {_quote_like_go(line)}")
                headers[last] = f"{headers[last]} {line.decode('latin-1').strip()}"
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise _malformed_error(f"malformed MIME header: missing colon: {_quote_like_go(line)}")
            last = name.lower()
            headers.setdefault(last, value.strip())
        return headers

    def _chunks(self, limit: int, into: list[bytes]) -> None:
        left = limit
        while left > 0:
            digits = self._line(_LINE).partition(b";")[0].strip()
            if not digits:
                raise RequestError("error", "empty hex number for chunk length")
            if len(digits) > 16:
                raise RequestError("error", "http chunk length too large")
            if digits.strip(b"0123456789abcdefABCDEF"):
                raise RequestError("error", "invalid byte in chunk length")
            size = int(digits, 16)
            if not size:
                while self._line(_LINE):  # trailers
                    pass
                return
            self._take(min(size, left), into)
            left -= size
            if left > 0 and self._line(_LINE):
                raise RequestError("error", "malformed chunked encoding")

    def _take(self, count: int, into: list[bytes]) -> None:
        """Reads exactly `count` bytes."""
        while count > 0:
            if not self._data:
                self._more()
            part, self._data = self._data[:count], self._data[count:]
            into.append(part)
            count -= len(part)

    def _rest(self, limit: int, into: list[bytes]) -> None:
        """Reads until the server closes the connection."""
        part, self._data = self._data, b""
        while part or (part := self._stream.receive()):
            into.append(part[:limit])
            limit -= len(part)
            if limit <= 0:
                return
            part = b""

    def _line(self, limit: int, *, cut: str = "unexpected EOF") -> bytes:
        """Reads the next line, without its line end; `cut` is the error if the connection is closed before that."""
        while (end := self._data.find(b"\n")) < 0:
            if len(self._data) > limit:
                raise RequestError("error", "header line too long")
            self._more(cut)
        line, self._data = self._data[:end], self._data[end + 1 :]
        return line.removesuffix(b"\r")

    def _more(self, reason: str = "unexpected EOF") -> None:
        data = self._stream.receive()
        if not data:
            raise RequestError("error", reason)
        self._data += data


def _status(line: bytes) -> tuple[int, str, bool]:
    """Parses a status line: status, phrase, and whether it is HTTP/1.1 or newer."""
    version, space, rest = line.partition(b" ")
    if not space:
        raise _malformed_error(f"malformed HTTP response {_quote_like_go(line)}")
    code, _, phrase = rest.lstrip(b" ").partition(b" ")
    if len(code) != 3 or not code.isdigit():
        raise _malformed_error(f"malformed HTTP status code {_quote_like_go(code)}")
    if not re.fullmatch(rb"HTTP/\d\.\d", version):
        raise _malformed_error(f"malformed HTTP version {_quote_like_go(version)}")
    return int(code), one_line(phrase.decode("utf-8", "replace"), 100), version >= b"HTTP/1.1"


def _malformed_error(reason: str) -> RequestError:
    return RequestError("error", f"{_BROKEN}{reason}")


def _quote_like_go(raw: bytes, limit: int = 60) -> str:
    """Formats bytes like Go's %q: in quotes, on one line, with escapes."""
    shown = []
    for letter in raw[:limit].decode("utf-8", "surrogateescape"):
        code = ord(letter)
        if code in _NAMED:
            shown.append(_NAMED[code])
        elif 0xDC80 <= code <= 0xDCFF:
            shown.append(f"\\x{code - 0xDC00:02x}")
        elif letter.isprintable():
            shown.append(letter)
        else:
            shown.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")
    return f'"{"".join(shown)}{"…" if len(raw) > limit else ""}"'

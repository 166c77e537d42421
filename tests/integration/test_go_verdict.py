"""Our verdict on a certificate equals Go's, on about 10,000 chains and, for some of them, in real handshakes."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration import go_program
from tests.integration.go_certificates import NOW, edwards, pem
from tests.integration.go_corpus import Case, corpus
from wizard import certificates, probes
from wizard.certificates import go
from wizard.model import Probe

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1800)]
# Keys that are new in each run, octets made from them, and what a handshake cannot contain.
_NOT_BY_WIRE = {"keys", "CA files", "10,000 names", "many constraints", "empty", "junk"}
# Single cases, no families.
_ALONE = {"X25519", "empty", "junk", "many constraints"}
_TIME = re.compile(r"current time \S+ is")
_PER_FAMILY = 7


@pytest.fixture(scope="module")
def helper(cache: Path) -> Path:
    return go_program.helper(cache)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(corpus())


def our_verdict(case: Case) -> str:
    return certificates.verdict(
        case.chain,
        anchors=go.Pool.of_pem(case.roots),
        name=case.name,
        purpose="client" if case.client else "server",
        now=NOW,
    )


def test_verdict_and_error_equal_gos_on_every_chain(helper: Path, cases: list[Case]) -> None:
    theirs = go_program.verdicts(helper, (case.line() for case in cases))
    assert len(cases) == len(theirs) >= 9000
    verdicts = [(case, our_verdict(case), words) for case, words in zip(cases, theirs, strict=True)]
    wrong = [(case.kind, mine, words) for case, mine, words in verdicts if bool(mine) != bool(words)]
    assert not wrong, f"{len(wrong)} of {len(verdicts)}: {wrong[:20]}"
    other = [(case.kind, mine, words) for case, mine, words in verdicts if mine != words]
    assert len(other) <= len(verdicts) // 50, f"{len(other)} of {len(verdicts)}: {other[:20]}"
    # Each family is useful: Go accepts some of its chains, rejects some, and gives several errors.
    for kind in {case.kind for case in cases if not case.kind[0].isdigit()} - _ALONE:
        answers = Counter(words for case, _, words in verdicts if case.kind == kind)
        assert answers[""], kind
        assert len(answers) > 1, kind


def test_the_corpus_is_the_same_in_every_run() -> None:
    first, second = (
        [(case.kind, case.name, case.chain) for _, case in zip(range(300), corpus(), strict=False)]
        for _ in range(2)
    )
    assert first == second


def test_real_handshakes_equal_gos(helper: Path, cases: list[Case], tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    private = edwards(3).private
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    seen: Counter[str] = Counter()
    differs = []
    for case in cases:
        if seen[case.kind] >= _PER_FAMILY or not case.name or case.kind in _NOT_BY_WIRE:
            continue
        if not go.Pool.of_pem(case.roots):
            continue  # Prometheus does not load such a CA file
        context = _serving(case, key, tmp_path)
        if context is None:
            continue
        seen[case.kind] += 1
        roots = tmp_path / "roots.pem"
        roots.write_bytes(case.roots)
        with _server(context) as port:
            (theirs,) = go_program.verdicts(helper, [case.line()], f"127.0.0.1:{port}")
            attempt = probes.run(_probe(port, roots, case.name))
        reason = attempt.reason if attempt.outcome == "untrusted" else ""
        if _TIME.sub("", reason) != _TIME.sub("", theirs):
            differs.append((case.kind, reason, theirs))
    assert sum(seen.values()) >= 60, seen
    assert not differs, differs


def _probe(port: int, roots: Path, name: str) -> Probe:
    return Probe(
        id="go",
        url=f"https://127.0.0.1:{port}/",
        host="",
        component="node_exporter",
        name="go",
        client="",
        expect="200",
        ca_file=str(roots),
        server_name=name,
    )


def _serving(case: Case, key: Path, folder: Path) -> ssl.SSLContext | None:
    """Returns a server with the chain; None where its key is another, or OpenSSL would not send such a chain."""
    try:
        if go.parse(case.chain[0]).key_info != edwards(3).info:
            return None
    except go.ParseError:
        pass  # OpenSSL checks the key here
    chain = folder / "chain.pem"
    chain.write_bytes(b"".join(map(pem, case.chain)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with suppress(ssl.SSLError):
        context.load_cert_chain(chain, key)
        return context
    return None


@contextmanager
def _server(context: ssl.SSLContext) -> Iterator[int]:
    """Answers a few connections with an empty page."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def serve() -> None:
            for _ in range(2):
                with suppress(OSError):
                    connection, _ = listening.accept()
                    connection.settimeout(10)
                    with connection, context.wrap_socket(connection, server_side=True) as secure:
                        if secure.recv(4096):
                            secure.sendall(
                                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                            )

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()

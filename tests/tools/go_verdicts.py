"""Writes tests/unit/data/go_verdicts.json: some chains of the corpus with Go's verdict, for tests without Go.

.venv/bin/python -m tests.tools.go_verdicts
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path

from platformdirs import user_cache_path

from tests.integration import go_program
from tests.integration.go_certificates import NOW
from tests.integration.go_corpus import Case, corpus

TARGET = Path(__file__).resolve().parents[1] / "unit" / "data" / "go_verdicts.json"
_PER_FAMILY = 24
_SAME_WORDS = 3
_LONGEST = 6000


def main() -> None:
    """Chooses cases with as many different verdicts as possible."""
    cases = list(corpus())
    named = os.environ.get("FIRESCREEN_CACHE")
    program = go_program.helper(Path(named) if named else user_cache_path("firescreen"))
    verdicts = go_program.verdicts(program, (case.line() for case in cases))
    families: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    certificates: dict[str, int] = {}
    rows = []
    for case, words in zip(cases, verdicts, strict=True):
        alike = (case.kind, words.partition('"')[0])
        if families[case.kind] == _PER_FAMILY or counts[alike] == _SAME_WORDS or _size(case) > _LONGEST:
            continue
        families[case.kind] += 1
        counts[alike] += 1
        chain = [
            certificates.setdefault(base64.b64encode(der).decode(), len(certificates)) for der in case.chain
        ]
        rows.append([case.kind, case.name, case.client, chain, case.roots.decode("latin-1"), words])
    roots = {row[4]: None for row in rows}
    places = {text: place for place, text in enumerate(roots)}
    for row in rows:
        row[4] = places[row[4]]
    about = (
        f"Chains and what crypto/x509 of Go {go_program.VERSION} says of them; by tests/tools/go_verdicts.py."
    )
    lists: dict[str, list[object]] = {"cases": [*rows], "roots": [*roots], "certificates": [*certificates]}
    parts = [f'"about": {json.dumps(about)}', f'"now": {int(NOW.timestamp())}']
    parts.append('"columns": ["kind", "name", "client", "chain", "roots", "words"]')
    for key, entries in lists.items():
        lines = ",\n".join(json.dumps(entry) for entry in entries)
        parts.append(f'"{key}": [\n{lines}\n]')
    TARGET.write_text("{" + ",\n".join(parts) + "}\n")
    print(f"{len(rows)} cases, {len(certificates)} certificates, {TARGET.stat().st_size} bytes")


def _size(case: Case) -> int:
    return sum(map(len, case.chain)) + len(case.roots)


if __name__ == "__main__":
    main()

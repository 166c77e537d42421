"""Reads the glossary (a short text for each technical term) and the manual."""

from __future__ import annotations

import re

from wizard import assets
from wizard.errors import InputError

_FOLDER = "explanations"
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def terms() -> tuple[str, ...]:
    """The names of all glossary entries, e.g. mutual-tls."""
    return tuple(sorted(path.stem for path in assets.path(_FOLDER).glob("*.md")))


def term(name: str) -> str:
    """The Markdown text of a glossary entry; its first line is the term as a heading.

    Args:
        name: the term, in upper or lower case and with blanks or hyphens: 'SAN', 'mutual TLS'.

    Raises:
        InputError: the glossary has no such entry.
    """
    word = "-".join(name.lower().split())
    if not _WORD.fullmatch(word) or word not in terms():
        raise InputError(f"'{name[:60]}' is not explained here", todo=f"Choose one of: {', '.join(terms())}")
    return assets.path(f"{_FOLDER}/{word}.md").read_text(encoding="utf-8").strip()


def manual() -> dict[str, str]:
    """The Markdown text of each topic of the manual, by name, e.g. stack-file; its first line is the title.

    'getting-started' comes first, then the others by name.
    """
    files = sorted(
        assets.path("docs").glob("*.md"), key=lambda path: (path.stem != "getting-started", path.stem)
    )
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


def title(text: str) -> str:
    """The heading in the first line of a Markdown text."""
    return text.partition("\n")[0].removeprefix("# ")

"""The field's words explained, a short text each, for whoever presses `?` on one of them."""

from __future__ import annotations

import re

from wizard import assets
from wizard.errors import InputError

_FOLDER = "explanations"
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


def terms() -> tuple[str, ...]:
    """The words that are explained, as file names, e.g. mutual-tls."""
    return tuple(sorted(path.stem for path in assets.path(_FOLDER).glob("*.md")))


def term(name: str) -> str:
    """The explanation of a word, Markdown; its first line is the word as a heading.

    Args:
        name: in any case, blanks for hyphens: 'SAN', 'mutual TLS'.

    Raises:
        InputError: it is not explained.
    """
    word = "-".join(name.lower().split())
    if not _WORD.fullmatch(word) or word not in terms():
        raise InputError(f"'{name[:60]}' is not explained here", todo=f"Choose one of: {', '.join(terms())}")
    return assets.path(f"{_FOLDER}/{word}.md").read_text(encoding="utf-8").strip()


def manual() -> dict[str, str]:
    """The manual: each topic's name, e.g. stack-file, and its Markdown, whose first line is its title.

    Where to begin comes first, then the others by name.
    """
    files = sorted(
        assets.path("docs").glob("*.md"), key=lambda path: (path.stem != "getting-started", path.stem)
    )
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


def title(text: str) -> str:
    """The heading in the first line of a Markdown text."""
    return text.partition("\n")[0].removeprefix("# ")

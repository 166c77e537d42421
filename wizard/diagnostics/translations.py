"""What operating systems say in other languages, put into the English words that the tables know."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace

from wizard.diagnostics import tables
from wizard.log_records import Record


def in_english(record: Record) -> Record:
    """The record with what an operating system said in another language put into English."""
    english = _english()
    small = record.text.lower()
    if not any(each in small for each in english):
        return record
    words = re.compile("|".join(map(re.escape, sorted(english, key=len, reverse=True))), re.IGNORECASE)
    return replace(record, text=words.sub(lambda found: english.get(found[0].lower(), found[0]), record.text))


@functools.cache
def _english() -> Mapping[str, str]:
    """The English words by those of another language, in small letters."""
    return {each.lower(): words for words, texts in tables.rows("error_translations.yaml") for each in texts}

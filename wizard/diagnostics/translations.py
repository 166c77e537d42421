"""Translates operating systems' messages in other languages into the English texts that the tables contain."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace

from wizard.diagnostics import tables
from wizard.log_records import Record


def in_english(record: Record) -> Record:
    """Returns the record with an operating system's message translated into English."""
    translations = _translations()
    lower = record.text.lower()
    if not any(message in lower for message in translations):
        return record
    messages = re.compile(
        "|".join(map(re.escape, sorted(translations, key=len, reverse=True))), re.IGNORECASE
    )
    text = messages.sub(lambda match: translations.get(match[0].lower(), match[0]), record.text)
    return replace(record, text=text)


@functools.cache
def _translations() -> Mapping[str, str]:
    """Returns the English message by the message in another language, in lower case."""
    return {
        message.lower(): english
        for english, messages in tables.rows("error_translations.yaml")
        for message in messages
    }

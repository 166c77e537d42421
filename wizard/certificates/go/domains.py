"""Parses domains and mailboxes in SANs and name constraints, as Go does."""

from __future__ import annotations

from typing import Final, NamedTuple

_ATOM: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~."
)
_QUOTABLE: Final = frozenset((*range(1, 10), 11, 12, *range(14, 128)))
_UNQUOTED: Final = frozenset((*range(1, 9), 11, 12, *range(14, 34), *range(35, 92), *range(93, 128)))


class Mailbox(NamedTuple):
    """An e-mail address: local part and domain."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def is_domain(text: str, *, constraint: bool) -> bool:
    """Whether Go accepts the text as a domain; a constraint may begin with a dot."""
    if not text:
        return True
    if text[0] == "." and constraint:
        text = text[1:]
        if not text:
            return False
    if text[-1:] == "." or not all("!" <= letter <= "~" for letter in text):
        return False
    return all(text.split("."))


def mailbox(text: str) -> Mailbox | None:
    """Parses an e-mail address (RFC 2821); None if the text is none."""
    octets = text.encode("latin-1")
    taken = _quoted_local(octets) if octets[:1] == b'"' else _plain_local(octets)
    if taken is None:
        return None
    local, rest = taken
    if rest[:1] != b"@":
        return None
    domain = rest[1:].decode("latin-1")
    if not is_domain(domain, constraint=False) or "@" in domain:
        return None
    return Mailbox(local.decode("latin-1"), domain)


def _quoted_local(octets: bytes) -> tuple[bytes, bytes] | None:
    local = bytearray()
    place = 1
    while place < len(octets):
        octet = octets[place]
        place += 1
        if octet == 0x22:
            return bytes(local), octets[place:]
        if octet == 0x5C:
            if place == len(octets) or octets[place] not in _QUOTABLE:
                return None
            octet = octets[place]
            place += 1
        elif octet not in _UNQUOTED:
            return None
        local.append(octet)
    return None


def _plain_local(octets: bytes) -> tuple[bytes, bytes] | None:
    local = bytearray()
    place = 0
    while place < len(octets):
        octet = octets[place]
        if octet == 0x5C:
            place += 1
            if place == len(octets):
                return None
            # Go checks the backslash, not the character after it.
            local.append(octets[place])
        elif octet in _ATOM:
            local.append(octet)
        else:
            break
        place += 1
    if not local or local[:1] == b"." or local[-1:] == b"." or b".." in local:
        return None
    return bytes(local), octets[place:]

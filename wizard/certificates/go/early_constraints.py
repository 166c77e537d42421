"""Name constraints as Go checked them before 1.26: of each candidate in turn, name by name, excluded ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from wizard.certificates.go import domains, urls
from wizard.certificates.go.certificate import Certificate
from wizard.certificates.go.constraints import ConstraintError, host_of, network_text
from wizard.certificates.go.domains import Mailbox
from wizard.certificates.go.quoted_text import address_text, lower, parsed_address, quoted
from wizard.certificates.go.rules import Rules

_REASON: Final = "x509: a root or intermediate certificate is not authorized to sign for this name: "
_MOST: Final = 250000
_EMAIL: Final = 0x81
_DNS: Final = 0x82
_URI: Final = 0x86


def check_candidate(candidate: Certificate, chain: Sequence[Certificate], rules: Rules) -> None:
    """Checks the names of a chain against the constraints of a candidate to stand above it.

    Raises:
        ConstraintError: with the whole error, `x509: ` and all.
    """
    if candidate.extensions.constraints is None:
        return
    below = list(chain) if rules.checks_all_names else [chain[0], candidate]
    check = _Check(candidate, rules)
    for certificate in below:
        if certificate.has_san:
            for tag, content in certificate.extensions.names.ordered:
                check.name(tag, content)


class _Check:
    """The constraints of one candidate, and how many comparisons were made."""

    def __init__(self, candidate: Certificate, rules: Rules) -> None:
        said = candidate.extensions.constraints
        assert said is not None
        self._permitted, self._excluded, self._rules = said.permitted, said.excluded, rules
        self._count = 0

    def name(self, tag: int, content: bytes) -> None:
        """Checks one name of a SAN extension. Raises `ConstraintError`."""
        permitted, excluded = self._permitted, self._excluded
        if tag == _EMAIL:
            text = content.decode("ascii")
            box = domains.mailbox(text, self._rules)
            if box is None:
                raise ConstraintError('x509: cannot parse rfc822Name {"" ""}')
            self._judge(
                f"email address {quoted(text)}",
                [(limit, self._email_test(box, limit)) for limit in excluded.emails],
                [(limit, self._email_test(box, limit)) for limit in permitted.emails],
            )
        elif tag == _DNS:
            text = content.decode("ascii")
            if not domains.is_domain(text, self._rules, constraint=False):
                raise ConstraintError(f"x509: cannot parse dnsName {quoted(text)}")
            self._judge(
                f"DNS name {quoted(text)}",
                [(limit, self._domain_test(text, limit)) for limit in excluded.dns],
                [(limit, self._domain_test(text, limit)) for limit in permitted.dns],
            )
        elif tag == _URI:
            text = content.decode("ascii")
            self._judge(
                f"URI {quoted(text)}",
                [(limit, self._uri_test(text, limit)) for limit in excluded.uris],
                [(limit, self._uri_test(text, limit)) for limit in permitted.uris],
            )
        else:
            self._judge(
                f'IP address "{address_text(content)}"',
                [(network_text(limit), _network_test(limit, content)) for limit in excluded.networks],
                [(network_text(limit), _network_test(limit, content)) for limit in permitted.networks],
            )

    def _judge(self, shown: str, excluded: _Tests, permitted: _Tests) -> None:
        self._spend(len(excluded))
        for limit, test in excluded:
            if test(True):
                raise ConstraintError(f"{_REASON}{shown} is excluded by constraint {quoted(limit)}")
        self._spend(len(permitted))
        if permitted and not any(test(False) for _, test in permitted):
            raise ConstraintError(f"{_REASON}{shown} is not permitted by any constraint")

    def _spend(self, count: int) -> None:
        self._count += count
        if self._count > _MOST:
            raise ConstraintError("x509: unknown error")

    def _email_test(self, box: Mailbox, limit: str) -> _Test:
        if "@" not in limit:
            return self._domain_test(box.domain, limit)
        whole = domains.mailbox(limit, self._rules)
        same = whole is not None and whole.local == box.local and lower(whole.domain) == lower(box.domain)
        return lambda _: same

    def _uri_test(self, text: str, limit: str) -> _Test:
        def test(excluded: bool) -> bool:
            url = urls.parse(text, self._rules)
            host = url.host
            if not host:
                reason = f"URI with empty host ({quoted(url.text)}) cannot be matched against constraints"
                raise ConstraintError(_REASON + reason)
            if ":" in host and host[-1] != "]":
                try:
                    host = host_of(host)
                except ConstraintError as error:
                    raise ConstraintError(_REASON + str(error).partition(": ")[2]) from error
            if parsed_address(host) is not None or (host[:1] == "[" and host[-1:] == "]"):
                reason = f"URI with IP ({quoted(url.text)}) cannot be matched against constraints"
                raise ConstraintError(_REASON + reason)
            return self._domain_test(host, limit)(excluded)

        return test

    def _domain_test(self, domain: str, limit: str) -> _Test:
        def test(excluded: bool) -> bool:
            if not limit:
                return True
            labels = _labels(domain)
            bare = limit.removeprefix(".")
            wanted = _labels(bare)
            if len(labels) < len(wanted) or (bare != limit and len(labels) == len(wanted)):
                return False
            widened = excluded and self._rules.widens_excluded_wildcards and domain[:1] == "*"
            if widened and len(labels) > 1 and wanted:
                labels, wanted = labels[:-1], wanted[:-1]
            return labels[: len(wanted)] == wanted

        return test


def _labels(domain: str) -> list[str]:
    """The labels from the top down, in lower case."""
    return lower(domain).split(".")[::-1] if domain else []


def _network_test(limit: tuple[bytes, bytes], address: bytes) -> _Test:
    base, mask = limit
    if len(base) != len(address):
        return lambda _: False
    inside = all(a & m == b & m for a, b, m in zip(address, base, mask, strict=True))
    return lambda _: inside


_Test = Callable[[bool], bool]
_Tests = Sequence[tuple[str, _Test]]

"""The result of a check, and the requests that checks send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wizard import probes
from wizard.components import component as find_component
from wizard.labs import tls_files
from wizard.labs.content import Check
from wizard.labs.inspection import Look
from wizard.labs.tls_files import Pair
from wizard.model import Attempt, Probe
from wizard.redact import plain, redact


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check. `what`: the last finding; `todo`: what to do if the step is not done."""

    ok: bool
    what: str
    todo: str = ""
    seen: tuple[str, ...] = ()
    """Findings, one line each."""
    found: str = ""
    """The fault of the step, once it is repaired."""


class NotYet(Exception):  # noqa: N818 - not an error: the step is not done yet
    """A check has failed."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what, self.todo = what, todo


def ask(check: Check, look: Look, scheme: str, **options: Any) -> Attempt:
    """Requests the metrics of a component; `options` are those of a probe."""
    host, _, component = check.of.partition("/")
    path = find_component(component).metrics_path(look.service(check.of).flag)
    return probes.run(
        Probe(
            id=f"lab/{check.of}",
            host=host,
            component=component,
            name="a look",
            client="the lab",
            expect="200",
            url=f"{scheme}://{look.scrape_address(check.of)}{path}",
            **look.way(check.of),
            **options,
        ),
        dial=look.dial,
    )


def result_text(attempt: Attempt) -> str:
    """Returns the result of an attempt, harmless to show."""
    return redact(plain(attempt.reason or attempt.outcome, 300))


def running_pair(check: Check, look: Look) -> Pair:
    """Returns the certificate and private key that the web configuration names.

    Raises:
        NotYet: there is none.
    """
    pair = tls_files.named_pair(look, check.of)
    if pair is None:
        raise NotYet(
            "the certificate of the web configuration was not found",
            f"Compare the paths in web.yml with the files in {look.home(check.of)}.",
        )
    return pair

"""What an audit found: findings, what could not be checked, and the score; plain data for every front and format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from wizard.model import Stack, instance_key

Severity: TypeAlias = Literal["high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")
"""From the worst down."""

FailOn: TypeAlias = Literal["high", "medium", "low", "none"]

Means: TypeAlias = Literal["configuration", "unit", "wire", "file"]
"""What a check looks at: configuration files, a unit's flags, answers on the wire, modes and owners of files."""

Scope: TypeAlias = Literal["server", "client", "host", "stack"]
"""What a check is made of: each component, each client configuration, each host, or all hosts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: `id` never changes its meaning, so that baselines and other programs can rely on it."""

    id: str
    severity: Severity
    title: str
    """What is wrong where it finds something."""
    means: tuple[Means, ...]
    looks_at: str
    """What it looks at, a sentence."""
    why: str
    """What somebody could do with it, a sentence."""
    remediation: str
    """What to do, an imperative sentence."""
    scope: Scope = "server"
    components: tuple[str, ...] = ()
    """Only these; () for all."""
    step: Literal["secure", "renew", "rules", ""] = ""
    """What a plan does about it; '' where a person has to."""
    look: Callable[[Any], Any] = field(repr=False, compare=False)
    """Gives the findings of one subject, and what of it could not be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One fault, with what shows it and the step that fixes it."""

    id: str
    severity: Severity
    """Usually its check's; of a certificate that expires soon, or of a loopback address, another."""
    host: str
    component: str
    title: str
    evidence: str
    """What shows it: a request and its answer, a flag, a line, a mode. Never a secret."""
    remediation: str
    instance: str = ""
    """The unit of a further instance of that component on its host; '' for the usual one."""
    file: str = ""
    line: int = 0
    """From 1; 0 where the file as a whole is meant."""
    step: str = ""
    """The plan step that fixes it, e.g. 'secure srv1/node_exporter'; '' where a person has to."""
    certain: bool = True
    """False where a distribution may have fixed it in an older version."""
    baseline: bool = False
    """Whether the baseline accepts it: it counts neither for the exit code nor for the score."""
    reason: str = ""
    """Why the baseline accepts it."""

    @property
    def where(self) -> str:
        """`host/component`, of a further instance `host/component/unit`; less where it is about less."""
        return instance_key(self.host, self.component, self.instance)

    @property
    def action(self) -> str:
        """What the step does: 'secure', 'renew', 'rules' (gives Prometheus the alert rules of the upkeep) or ''."""
        return self.step.partition(" ")[0]

    @property
    def target(self) -> str:
        """The component that the step is about, e.g. 'srv1/node_exporter'; 'passwords' for all; ''."""
        return self.step.partition(" ")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """Something that could not be looked at: it counts as a failure, never as a pass."""

    host: str
    why: str
    id: str = ""
    """The check; '' for all checks of that host."""
    component: str = ""
    instance: str = ""

    @property
    def where(self) -> str:
        """As of a finding."""
        return instance_key(self.host, self.component, self.instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One check on one host, for a list of test cases."""

    check: Check
    host: str
    findings: tuple[AuditFinding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    subjects: int = 0
    """How many components or files it was made of; 0 where it does not apply to that host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """The points of one component (of a host without components, of the host), and what took off the others."""

    where: str
    """`host/component`, of a further instance `host/component/unit`."""
    points: int
    """0 to 100."""
    high: int
    """How many checks of that severity found something there."""
    medium: int
    low: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The mean of the points of all components, rounded down; 100 where nothing was found."""

    value: int
    parts: tuple[ScorePart, ...]
    """The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The outcome of an audit."""

    stack: Stack
    checked: int
    """How many times a check was made of a component, a configuration or a host."""
    findings: tuple[AuditFinding, ...]
    """The worst first, then by host."""
    could_not_check: tuple[NotChecked, ...]
    score: Score
    cases: tuple[Case, ...] = field(repr=False)
    baseline_notes: tuple[str, ...] = ()
    """Entries of the baseline that match nothing or are past their date, a sentence each."""

    @property
    def counted(self) -> tuple[AuditFinding, ...]:
        """The findings that the baseline does not accept."""
        return tuple(each for each in self.findings if not each.baseline)

    def counts(self) -> Mapping[Severity, int]:
        """How many findings of each severity count."""
        return {severity: sum(each.severity == severity for each in self.counted) for severity in SEVERITIES}

    def has_failed(self, fail_on: FailOn = "medium") -> bool:
        """Whether a finding counts that is at or above a severity; 'none' for never."""
        if fail_on == "none":
            return False
        worst = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
        return any(each.severity in worst for each in self.counted)

    def exit_code(self, fail_on: FailOn = "medium") -> int:
        """3 with a finding that counts, 1 where something could not be checked, else 0."""
        return 3 if self.has_failed(fail_on) else 1 if self.could_not_check else 0

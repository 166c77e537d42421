"""The report of an audit as plain data: findings, what could not be checked, and the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from wizard.model import Stack, instance_key

Severity: TypeAlias = Literal["high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")
"""The worst first."""

FailOn: TypeAlias = Literal["high", "medium", "low", "none"]

Means: TypeAlias = Literal["configuration", "unit", "wire", "file"]
"""What a check examines: configuration files, a unit's flags, network responses, or mode and owner of files."""

Scope: TypeAlias = Literal["server", "client", "host", "stack"]
"""What a check is run for: each component, each client configuration, each host, or all hosts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. The meaning of an `id` never changes, so that baselines and other programs can rely on it."""

    id: str
    severity: Severity
    title: str
    """What is wrong if the check finds something."""
    means: tuple[Means, ...]
    looks_at: str
    """What the check examines, as a sentence."""
    why: str
    """What an attacker could do, as a sentence."""
    remediation: str
    """What to do, as an imperative sentence."""
    scope: Scope = "server"
    components: tuple[str, ...] = ()
    """The components that it applies to; () for all."""
    step: Literal["secure", "renew", "rules", ""] = ""
    """The plan step that fixes it; '' if a person has to."""
    look: Callable[[Any], Any] = field(repr=False, compare=False)
    """A function that yields the findings for one subject, and what could not be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One finding, with its evidence and the plan step that fixes it."""

    id: str
    severity: Severity
    """Usually that of the check; it may differ, e.g. by the time until a certificate expires, or for a loopback address."""
    host: str
    component: str
    title: str
    evidence: str
    """The observation behind it: a request and its response, a flag, a line, a mode. Never a secret."""
    remediation: str
    instance: str = ""
    """The unit of a further instance of the component on its host; '' for the default one."""
    file: str = ""
    line: int = 0
    """Counted from 1; 0 for the whole file."""
    step: str = ""
    """The plan step that fixes it, e.g. 'secure srv1/node_exporter'; '' if a person has to."""
    certain: bool = True
    """False if a distribution may have fixed it in an older version."""
    baseline: bool = False
    """Whether the baseline accepts it; then it counts neither for the exit code nor for the score."""
    reason: str = ""
    """Why the baseline accepts it."""

    @property
    def where(self) -> str:
        """`host/component`, `host/component/unit` for a further instance, or `host`; '' if it is about no host."""
        return instance_key(self.host, self.component, self.instance)

    @property
    def action(self) -> str:
        """What the step does: 'secure', 'renew', 'rules' (installs Firescreen's alert rules on Prometheus) or ''."""
        return self.step.partition(" ")[0]

    @property
    def target(self) -> str:
        """What the step is applied to, e.g. 'srv1/node_exporter', or 'passwords' for all passwords; or ''."""
        return self.step.partition(" ")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """Something that could not be checked: it counts as a failure, never as a pass."""

    host: str
    why: str
    id: str = ""
    """The id of the check; '' for all checks of that host."""
    component: str = ""
    instance: str = ""

    @property
    def where(self) -> str:
        """See `AuditFinding.where`."""
        return instance_key(self.host, self.component, self.instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One check on one host, as a test case."""

    check: Check
    host: str
    findings: tuple[AuditFinding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    subjects: int = 0
    """The number of components, configurations or hosts that were checked; 0 if the check does not apply to that host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """The points of one component (or of a host without components), and the findings that reduced them."""

    where: str
    """`host/component`, or `host/component/unit` for a further instance."""
    points: int
    """0 to 100."""
    high: int
    """The number of checks with findings of severity high; `medium` and `low` likewise."""
    medium: int
    low: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The mean of the points of all components, rounded down; 100 without findings."""

    value: int
    parts: tuple[ScorePart, ...]
    """The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The result of an audit."""

    stack: Stack
    checked: int
    """The number of checks made, counted for each component, configuration or host."""
    findings: tuple[AuditFinding, ...]
    """The worst first, then by host."""
    could_not_check: tuple[NotChecked, ...]
    score: Score
    cases: tuple[Case, ...] = field(repr=False)
    baseline_notes: tuple[str, ...] = ()
    """One sentence for each baseline entry that matches nothing or is expired."""

    @property
    def counted(self) -> tuple[AuditFinding, ...]:
        """The findings that the baseline does not accept."""
        return tuple(each for each in self.findings if not each.baseline)

    def counts(self) -> Mapping[Severity, int]:
        """The number of findings of each severity that the baseline does not accept."""
        return {severity: sum(each.severity == severity for each in self.counted) for severity in SEVERITIES}

    def has_failed(self, fail_on: FailOn = "medium") -> bool:
        """Whether a finding that counts has at least the severity `fail_on`; 'none' for never."""
        if fail_on == "none":
            return False
        worst = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
        return any(each.severity in worst for each in self.counted)

    def exit_code(self, fail_on: FailOn = "medium") -> int:
        """3 if the audit has failed (see `has_failed`), else 1 if something could not be checked, else 0."""
        return 3 if self.has_failed(fail_on) else 1 if self.could_not_check else 0

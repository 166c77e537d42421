"""What would be changed, in order, and what verifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wizard.model.changes import Change, PlannedStep, RunService
from wizard.model.facts import Facts, Finding
from wizard.model.health import BrokenClient, Watched
from wizard.model.probes import Probe
from wizard.model.stack import Answers, Stack, instance_key
from wizard.model.trust_graph import Arrow
from wizard.redact import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is missing for a while when a plan is applied, and for how long."""

    message: str
    """What is said of the subject: the sentence begins with that."""
    seconds: float = 0.0
    """About how long; 0 where nothing is missing, or where only a person ends it."""
    host: str = ""
    """What it is about: host, component and further instance; '' where it is about all of the plan."""
    component: str = ""
    instance: str = ""

    @property
    def subject(self) -> str:
        """`host/component`, of a further instance `host/component/unit`; '' where it is about all of the plan."""
        return instance_key(self.host, self.component, self.instance)

    @property
    def sentence(self) -> str:
        """All of it, for a person."""
        return f"{self.subject} {self.message}" if self.subject else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be changed, in order, and what verifies it. Made from facts; nothing is written yet."""

    stack: Stack
    facts: Facts = field(repr=False)
    steps: tuple[PlannedStep, ...]
    probes: tuple[Probe, ...]
    warnings: tuple[Finding, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    """The connections and what is verified at each end: the trust map."""
    asked: str = ""
    """How servers are asked that this machine cannot reach, a sentence, or ''."""
    gaps: tuple[Gap, ...] = ()
    """How long each target is not scraped."""
    hints: tuple[str, ...] = ()
    """How the person's own programs ask what is secured, one sentence each, ending in a command."""
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    """The passwords, in the order of the stack's users."""
    watched: tuple[Watched, ...] = field(default=(), repr=False)
    """Each Prometheus whose targets must be up after the plan if they were up before."""
    broken_clients: tuple[BrokenClient, ...] = ()
    """What asks a server of the plan and will be rejected after it, whether the person has accepted that or not."""
    longest_wait: float = 0.0
    """Seconds that verification may have to wait for Prometheus' next scrapes."""
    answers: Answers = field(default=Answers(), repr=False)
    """What it was made with: a plan for fewer hosts is made from the same."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes in the order in which they are made."""
        return tuple(change for step in self.steps for change in step.changes)

    @property
    def is_verified(self) -> bool:
        """Whether something tells that it works: a probe, or what a Prometheus has to send with its logins."""
        return bool(self.probes) or any(each.remote_writes or each.alertmanagers for each in self.watched)

    @property
    def unaccepted(self) -> tuple[BrokenClient, ...]:
        """The broken clients that the stack does not accept: it must not be applied with one of them."""
        return tuple(each for each in self.broken_clients if each.key not in self.stack.accept_broken)

    @property
    def restarts(self) -> tuple[RunService, ...]:
        """What is restarted or reloaded."""
        return tuple(change for change in self.changes if isinstance(change, RunService))

    def only(self, step_ids: Sequence[str]) -> Plan:
        """The same plan with just those steps and no probes: a lab does one idea at a time.

        A kind with a ':' behind it names every step of that kind.
        """
        steps = tuple(step for step in self.steps if step.id in step_ids or f"{step.kind}:" in step_ids)
        return replace(self, steps=steps, probes=(), watched=())

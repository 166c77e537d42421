"""A plan: the changes in order, and the probes that verify them."""

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
    """How long a component is down, or metrics are missing, while a plan is applied."""

    message: str
    """A sentence without its subject, e.g. 'down for about 1 s: …'."""
    seconds: float = 0.0
    """The approximate duration; 0 if nothing is missing, or if only a person can end it."""
    host: str = ""
    """Host, component and further instance concerned; '' if it is about the whole plan."""
    component: str = ""
    instance: str = ""

    @property
    def subject(self) -> str:
        """`host/component`, or `host/component/unit` for a further instance; '' if it is about the whole plan."""
        return instance_key(self.host, self.component, self.instance)

    @property
    def sentence(self) -> str:
        """Subject and message, for a person."""
        return f"{self.subject} {self.message}" if self.subject else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes that a stack needs, in order, and the probes that verify them."""

    stack: Stack
    facts: Facts = field(repr=False)
    steps: tuple[PlannedStep, ...]
    probes: tuple[Probe, ...]
    warnings: tuple[Finding, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    """The trust map: the connections, and what is verified at each end."""
    asked: str = ""
    """How servers are probed that this machine cannot reach directly, as a sentence; '' if there are none."""
    gaps: tuple[Gap, ...] = ()
    """How long each target is not scraped."""
    hints: tuple[str, ...] = ()
    """How other programs connect to the secured servers, one sentence each, ending in a command."""
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    """The passwords, in the order of the stack's users."""
    watched: tuple[Watched, ...] = field(default=(), repr=False)
    """The Prometheus servers whose targets must be up after the run if they were up before."""
    broken_clients: tuple[BrokenClient, ...] = ()
    """The clients that will be rejected after the run, whether the person has accepted that or not."""
    longest_wait: float = 0.0
    """Seconds that verification may have to wait for Prometheus' next scrapes."""
    answers: Answers = field(default=Answers(), repr=False)
    """The answers that it was made with, from which a plan for fewer hosts is made too."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes in the order in which they are made."""
        return tuple(change for step in self.steps for change in step.changes)

    @property
    def is_verified(self) -> bool:
        """Whether the result can be verified: by a probe, or by samples and alerts that Prometheus sends with its logins."""
        return bool(self.probes) or any(each.remote_writes or each.alertmanagers for each in self.watched)

    @property
    def unaccepted(self) -> tuple[BrokenClient, ...]:
        """The broken clients that the stack does not accept; the plan must not be applied if there is one."""
        return tuple(each for each in self.broken_clients if each.key not in self.stack.accept_broken)

    @property
    def restarts(self) -> tuple[RunService, ...]:
        """The restarts and reloads among the changes."""
        return tuple(change for change in self.changes if isinstance(change, RunService))

    def only(self, step_ids: Sequence[str]) -> Plan:
        """The plan with only these steps and without probes, for a lab.

        Args:
            step_ids: ids of steps; a kind followed by ':' selects all steps of that kind.
        """
        steps = tuple(step for step in self.steps if step.id in step_ids or f"{step.kind}:" in step_ids)
        return replace(self, steps=steps, probes=(), watched=())

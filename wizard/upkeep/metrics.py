"""Metrics about the upkeep of a stack, for node_exporter's textfile collector. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from wizard.redact import plain, redact
from wizard.upkeep.lifetimes import Lifetime
from wizard.upkeep.record import RenewalRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """The state of a stack at one moment; times are Unix times."""

    now: float
    lifetimes: tuple[Lifetime, ...]
    renewals: RenewalRecord
    verified: float = 0.0
    """When all probes last ended as expected; 0 for never."""
    drift: int | None = None
    """Number of differences from the last verified state; None if it was not compared."""
    unreachable: int = 0


def exposition(upkeep: Upkeep) -> str:
    """The metrics in Prometheus' text format."""
    stack = {"stack": _stack_label(upkeep.renewals.stack)}
    known = sorted(upkeep.lifetimes, key=lambda each: (each.host, each.component, each.role, each.path))
    parts = [
        _family(
            "firescreen_certificate_not_after_seconds",
            "When the certificate expires, as Unix time.",
            [({**stack, **_labels(each)}, each.not_after) for each in known],
        ),
        _family(
            "firescreen_certificate_renewal_due_seconds",
            "When the certificate is due to be renewed, as Unix time.",
            [({**stack, **_labels(each)}, each.due_at) for each in known],
        ),
        _family(
            "firescreen_upkeep_timestamp_seconds",
            "When these metrics were written, as Unix time.",
            [(stack, upkeep.now)],
        ),
        _family(
            "firescreen_unreachable_hosts",
            "Hosts of the stack that could not be looked at.",
            [(stack, upkeep.unreachable)],
        ),
        _family(
            "firescreen_renewal_failures_total",
            "Renewals that failed.",
            [(stack, upkeep.renewals.failures)],
            kind="counter",
        ),
        _family(
            "firescreen_renewal_last_attempt_timestamp_seconds",
            "When the last renewal was attempted, as Unix time; 0 for never.",
            [(stack, upkeep.renewals.attempted)],
        ),
        _family(
            "firescreen_renewal_last_success_timestamp_seconds",
            "When a renewal last succeeded or found nothing due, as Unix time; 0 for never.",
            [(stack, upkeep.renewals.succeeded)],
        ),
        _family(
            "firescreen_last_verified_timestamp_seconds",
            "When all probes of the stack last ended as expected, as Unix time; 0 for never.",
            [(stack, upkeep.verified)],
        ),
    ]
    if upkeep.drift is not None:
        parts.append(
            _family(
                "firescreen_drift_findings",
                "What differs from the last verified state.",
                [(stack, upkeep.drift)],
            )
        )
    return "".join(parts)


def _labels(each: Lifetime) -> dict[str, str]:
    return {"host": each.host, "component": each.component, "path": each.path, "role": str(each.role)}


def _stack_label(name: str) -> str:
    """The `stack` label: the stack file's name without its suffix, so that several stacks have different series."""
    return PurePosixPath(name).stem


def _family(
    name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]], *, kind: str = "gauge"
) -> str:
    lines = [f"{name}{{{_label_text(labels)}}} {_number(value)}" for labels, value in samples]
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]) + "\n" if lines else ""


def _label_text(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{_escape_label(value)}"' for key, value in labels.items())


def _escape_label(value: str) -> str:
    harmless = redact(plain(value, 400))
    return harmless.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"

"""A plan as text: its summary, its overview, the reason of each step, its diffs, its manual commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from screens.plan.diff_view import DiffOptions, diff_view
from screens.plan.outline import WHOLE, Line, component_of
from screens.plan.short_names import with_short_names
from screens.state_styles import SEVERITY, at, commands, inline, safe, shell_note
from screens.widgets.cards import Card
from wizard.plurals import count_noun

if TYPE_CHECKING:
    from wizard.model import Finding, Gap, Plan, PlannedStep, Probe


USUAL = DiffOptions()

LONG = 60.0
"""Downtime in seconds from which it is shown as a warning."""

_FILE_WORDS = {"create": "created", "edit": "edited", "mode": "with other rights", "remove": "removed"}

FEW = 3
"""The line above a plan names so many services; more are only counted."""

MOST = 60
"""Diffs and commands are drawn for so many steps: those of hundreds of hosts would delay a key by seconds."""


def choose_canary(plan: Plan, wanted: str = "") -> str:
    """Returns the canary, which is changed and verified before the other hosts; '' for none.

    Args:
        plan: the plan.
        wanted: the person's choice: a host, 'none', or '' for Firescreen's own. A host that cannot be the canary of
            this plan is ignored.
    """
    from wizard.engine.canary import canary_of
    from wizard.errors import InputError

    try:
        return canary_of(plan, wanted)
    except InputError:
        return canary_of(plan)


def canary_candidates(plan: Plan) -> tuple[str, ...]:
    """Returns the hosts that can be the canary, in the stack's order."""
    from wizard.engine import canary

    return canary.may_go_first(plan)


def canary_and_unreachable(plan: Plan, canary: str) -> list[Content]:
    """Returns which host is the canary, and which unreachable hosts are left alone."""
    lines = []
    if canary:
        more = " ('f' changes it)" if len(canary_candidates(plan)) > 1 else ""
        lines.append(
            Content.assemble(
                ("▸ ", "bold $primary"),
                "Canary: ",
                (inline(canary, 40), "bold"),
                f"{more}. Other hosts follow once it is verified.",
            )
        )
    if away := plan.facts.away:
        words = "is unreachable and left alone" if len(away) == 1 else "are unreachable and left alone"
        who = ", ".join(list(away)[:FEW]) + (f" and {len(away) - FEW} more" if len(away) > FEW else "")
        lines.append(Content.assemble(("! ", "bold $warning"), (inline(who, 200), "bold"), f" {words}."))
    return lines


def waiting_note(plan: Plan) -> list[Content]:
    """Returns how long a long verification takes; nothing for a short one."""
    from wizard.planner.health_findings import TOLD_FROM, format_duration

    if plan.longest_wait <= TOLD_FROM:
        return []
    words = f"Verification waits for Prometheus' next scrapes: up to {format_duration(plan.longest_wait)}."
    return [Content.assemble(("◷ ", "bold $warning"), words)]


def rejection_note(plan: Plan) -> list[Content]:
    """Returns which clients will be rejected, and whether that is accepted."""
    if not plan.broken_clients:
        return []
    names = inline(", ".join(f"{each.client} on {each.host}" for each in plan.broken_clients[:FEW]), 120)
    words = (
        "will be rejected, and 'a' asks whether you accept that"
        if plan.unaccepted
        else "will be rejected, as accepted"
    )
    return [Content.assemble(("! ", "bold $warning"), (names, "bold"), f" {words}.")]


def cards(plan: Plan) -> tuple[Card, ...]:
    """Returns the plan in numbers: files, restarts, downtime, warnings."""
    kinds = Counter(change.kind for change in plan.changes)
    files = sum(kinds[kind] for kind in _FILE_WORDS)
    words = ", ".join(f"{kinds[kind]} {word}" for kind, word in _FILE_WORDS.items() if kinds[kind])
    restarts, reloads = (_units(plan, verb) for verb in ("restart", "reload"))
    down = [gap for gap in plan.gaps if gap.seconds]
    longest = max((gap.seconds for gap in down), default=0.0)
    count = len(plan.warnings)
    return (
        Card(str(files), f"file{'s' * (files != 1)}", words),
        Card(
            str(len(restarts)),
            f"restart{'s' * (len(restarts) != 1)}",
            f"and {len(reloads)} reload{'s' * (len(reloads) != 1)}" if reloads else ", ".join(restarts[:1]),
        ),
        Card(
            f"{longest:.0f} s" if longest else "0 s",
            "down at most" if len(down) > 1 else "down",
            f"{len(down)} target{'s' * (len(down) != 1)}" if down else "no scrape is lost",
            "$warning" if longest >= LONG else "$primary",
        ),
        Card(
            str(count),
            f"warning{'s' * (count != 1)}",
            "see 'The whole plan'" if count else "none",
            "$warning" if count else "$success",
        ),
    )


def _units(plan: Plan, verb: str) -> tuple[str, ...]:
    """Returns the services that are restarted or reloaded, each once."""
    turns = [change for change in plan.restarts if change.action == verb]
    return tuple(dict.fromkeys(_unit_on_host(turn.service.unit, turn.host) for turn in turns))


def _unit_on_host(unit: str, host: str) -> str:
    return unit if unit == host else f"{unit} on {host}"


def summary(plan: Plan, canary: str = "") -> Content:
    """Returns what the cards do not say: the canary, who is left alone or rejected, and that nothing was written.

    Args:
        plan: the plan.
        canary: its canary; '' for none.
    """
    if not plan.steps:
        nothing = Content.assemble(
            ("✓ ", "$success bold"),
            "There is nothing to change: the hosts match your choices. 'v' verifies that with every probe.",
        )
        return Content("\n").join([nothing, *canary_and_unreachable(plan, "")])
    written = Content.styled("✓ Nothing has been written yet.", "bold $success")
    return Content("\n").join([*canary_and_unreachable(plan, canary), *rejection_note(plan), written])


def before_apply(plan: Plan, canary: str) -> Content:
    """Returns the text of the last question before a plan is applied: size, gaps, canary, duration."""
    promise = "Every change is written to a journal before it is made. If verification fails, everything is rolled back."
    return Content("\n").join(
        [
            *counts(plan, listed=True),
            *scrape_gap_lines(plan.gaps),
            *canary_and_unreachable(plan, canary),
            *waiting_note(plan),
            Content(""),
            Content(promise),
        ]
    )


def counts(plan: Plan, *, listed: bool = False) -> list[Content]:
    """Returns in short lines how much is written and restarted. `listed` names every service, however many."""
    files = sum(change.kind in ("create", "edit", "mode", "remove") for change in plan.changes)
    parts = [Content(f"Writes    {count_noun(files, 'file')}")]
    listed = listed or len(plan.restarts) <= FEW
    for verb, label in (("restart", "Restarts  "), ("reload", "Reloads   ")):
        # A service that is reloaded twice in the plan counts once.
        units = _units(plan, verb)
        if units and listed:
            parts.append(Content(inline(f"{label}{', '.join(units)}", 600)))
        elif units:
            parts.append(Content(f"{label}{count_noun(len(units), 'service')}"))
    return parts


def group_gaps(gaps: Sequence[Gap]) -> list[tuple[str, list[str]]]:
    """Groups gaps by their message: (message, the affected components)."""
    groups: dict[str, list[str]] = {}
    for gap in gaps:
        groups.setdefault(gap.message, []).extend([gap.subject] if gap.subject else [])
    return list(groups.items())


def scrape_gap_lines(gaps: Sequence[Gap]) -> list[Content]:
    """Returns the scrape gaps, each message once with all its targets."""
    return [_group(words, targets, short=False) for words, targets in group_gaps(gaps)]


def _group(words: str, targets: list[str], *, short: bool) -> Content:
    if not targets:
        return safe(words, 200)
    if len(targets) == 1:
        return safe(f"{targets[0]} {words}", 200)
    if short:
        return safe(f"{len(targets)} × {words}", 200)
    return Content.assemble(
        (f"Each of {len(targets)} components ", "bold"),
        inline(words, 200),
        "\n  ",
        inline(", ".join(targets), 600),
    )


def overview(plan: Plan) -> Content:
    """Returns what is written and restarted, warnings, scrape gaps, and the probes of the verification."""
    parts: list[Content] = [*counts(plan, listed=len(plan.restarts) <= 4 * FEW), Content("")]
    for warning in plan.warnings:
        parts.extend((_finding_text(warning), Content("")))
    if plan.gaps:
        parts.append(Content.styled("Scrape gaps", "bold"))
        parts.extend(scrape_gap_lines(plan.gaps))
        parts.append(Content(""))
    if plan.probes:
        parts.append(Content.styled(f"Verification: {count_noun(len(plan.probes), 'probe')}", "bold"))
        if plan.asked:
            parts.append(safe(plan.asked, style="$quiet"))
        for targets, probes in _asked_alike(plan.probes):
            head = Content(inline(targets[0]))
            if len(targets) > 1:
                names = inline(", ".join(targets), 600)
                head = Content.assemble((f"{len(targets)} targets, each: ", "bold"), names)
            parts.append(head)
            for wanted, name in probes:
                sign = Content.styled("→ ", "$success") if wanted else Content.styled("⊘ ", "$error")
                parts.append(Content.assemble("  ", sign, inline(name)))
    return Content("\n").join(parts)


def _asked_alike(probes: Sequence[Probe]) -> list[tuple[list[str], tuple[tuple[bool, str], ...]]]:
    """Returns targets and their probes (expected to succeed, name); equal probes of many targets are grouped."""
    names_by_server: dict[str, list[tuple[bool, str]]] = {}
    for probe in probes:
        names_by_server.setdefault(probe.server, []).append((probe.wanted, probe.name))
    alike: dict[tuple[tuple[bool, str], ...], list[str]] = {}
    for target, names in names_by_server.items():
        alike.setdefault(tuple(names), []).append(target)
    found: list[tuple[list[str], tuple[tuple[bool, str], ...]]] = []
    for names_of, targets in alike.items():
        found.extend(
            [(targets, names_of)] if len(targets) > FEW else [([each], names_of) for each in targets]
        )
    return found


def _finding_text(finding: Finding) -> Content:
    sign, word, colour = SEVERITY[finding.severity]
    where = finding.where
    lines = [
        Content.assemble(
            (f"{sign} {word}  ", f"bold {colour}"),
            safe(_sentence(f"{where}: {finding.what}" if where else finding.what)),
        )
    ]
    lines.extend(safe(text, style="$quiet") for text in (finding.why, finding.remediation) if text)
    return Content("\n").join(lines)


def _sentence(text: str) -> str:
    return text if text.endswith((".", ":", "?", "!")) else f"{text}."


def group_text(line: Line, plan: Plan) -> Content:
    """Returns what is done on a host or for a component: its scrape gaps, and its steps in order."""
    parts = [Content.styled(line.title, "bold")]
    mine = [gap for gap in plan.gaps if gap.host == line.host]
    parts.extend(
        scrape_gap_lines([gap for gap in mine if not line.component or component_of(gap) == line.component])
    )
    parts.append(Content(""))
    parts.extend(
        Content.assemble((f"{number + 1:>3} ", "$quiet"), inline(plan.steps[number].title))
        for number in line.steps
    )
    return Content("\n").join(parts)


def why(step: PlannedStep) -> Content:
    """Returns the reason of the step, then each of its changes with its own reason."""
    parts = [Content.styled(inline(step.title), "bold"), safe(step.why), Content("")]
    for change in step.changes:
        parts.append(Content.assemble(("• ", "$primary"), (inline(change.title()), "bold")))
        if change.why and change.why != step.why:
            parts.append(safe(f"  {change.why}"))
    return Content("\n").join(parts)


def tab_text(tab: int, line: Line, plan: Plan, options: DiffOptions) -> Content:
    """Returns the content of a tab for a line of the outline: 0 reason, 1 diffs, 2 manual commands."""
    steps = tuple(plan.steps[number] for number in line.steps)
    if tab == 1:
        return differences(steps, options)
    if tab == 2:
        return manual_commands(steps, options)
    if line.id == WHOLE:
        return overview(plan)
    return why(steps[0]) if line.is_step else group_text(line, plan)


def differences(steps: tuple[PlannedStep, ...], options: DiffOptions = USUAL) -> Content:
    """Returns what changes in which file, exactly; secrets as fingerprints. Of very many steps, the first `MOST`."""
    return Content("\n\n").join([diff_view(steps[:MOST], options), *_rest(len(steps) - MOST)])


def _rest(count: int) -> list[Content]:
    """Returns where to find the steps that are not drawn."""
    words = f"… and {count} more steps: select a host on the left to see its steps."
    return [Content.styled(words, "$quiet")] if count > 0 else []


def manual_command_lines(step: PlannedStep) -> tuple[str, ...]:
    """Returns the commands that a person types for the result of a step, unwrapped."""
    return with_short_names([line for change in step.changes for line in change.commands()])


def manual_commands(steps: tuple[PlannedStep, ...], options: DiffOptions = USUAL) -> Content:
    """Returns the manual commands of at most `MOST` steps, ready to be typed or pasted."""
    width = options.width
    parts: list[Content] = []
    for number, step in enumerate(steps):
        lines = manual_command_lines(step)
        if not lines:
            continue
        if len(parts) == MOST:
            parts.extend(_rest(len(steps) - number))
            break
        title = shell_note(f"{step.title}, {at(step.host)}", width)
        parts.append(Content("\n").join([title, commands(lines, width)]))
    return Content("\n\n").join(parts) if parts else Content("This step needs no command.")

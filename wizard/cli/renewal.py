"""The command `renew`: replaces certificates before they expire, for a person or a timer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.cli import output
from wizard.cli.options import (
    as_json,
    ask,
    ask_to_confirm,
    connect,
    engine,
    passphrase_file,
    password_days,
    stack_of,
    yes,
)
from wizard.cli.stacks import refuse_without_hands
from wizard.cli.text_format import (
    end,
    exit_code,
    extent_of,
    listen,
    show_plan,
    shown_health,
    shown_hosts,
    shown_outcome,
    shown_probes,
    shown_unreachable,
)
from wizard.errors import (
    CredentialNeededError,
    FileChangedError,
    FirescreenError,
    HostError,
    InputError,
    LockedError,
)
from wizard.plurals import count_noun
from wizard.redact import Secret, plain, redact

if TYPE_CHECKING:
    from wizard.engine import Engine, Outcome
    from wizard.model import Facts, Plan, Stack
    from wizard.upkeep.lifetimes import Lifetime
    from wizard.workspace import Workspace

CREDENTIAL = "firescreen-passphrase"
"""The name of the systemd credential that passes the passphrase of the CA's key to a timer."""
_PATIENCE = 300.0
"""Seconds to wait for another Firescreen that is working."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The options of a person or a timer."""

    stack: Stack
    only_due: bool
    yes: bool
    as_json: bool
    passphrase_file: Path | None
    password_days: int = 0
    """Older passwords (in days) are replaced as well; 0 for none."""


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a renewal, and the certificates it checked."""

    outcome: Outcome
    renewed: tuple[Lifetime, ...]
    known: tuple[Lifetime, ...]
    facts: Facts
    now: float
    passwords: tuple[str, ...] = ()
    """The users whose password was replaced."""


@click.command()
@click.argument("stack")
@click.option(
    "--due",
    is_flag=True,
    help="Renew only certificates with a third of their life left (half, if it is under ten days); the CA's too",
)
@password_days
@yes
@as_json
@passphrase_file
@click.pass_obj
def renew(
    workspace: Workspace,
    stack: str,
    due: bool,
    password_days: int | None,
    yes: bool,
    as_json: bool,
    passphrase_file: Path | None,
) -> None:
    """Renew certificates, and verify the result.

    Without --due, renews all that Firescreen issued, except the CA. Nothing due: says when the next one is, and exits with 0.

    Certificates that others issue are never renewed: those with little time left are listed.

    \b
    Examples:
      firescreen renew stack.yaml --due
      firescreen renew stack.yaml --due --yes --passphrase-file ca.passphrase
      firescreen renew stack.yaml --due --passwords 365
    """
    with output.print_errors():
        wanted = _Wanted(stack_of(stack, workspace), due, yes, as_json, passphrase_file, password_days or 0)
        machine = engine(workspace, wanted.stack)
        try:
            result = _renew_due(machine, wanted)
        except FirescreenError as error:
            _remember(workspace, wanted.stack, error.what)
            raise
    outcome = result.outcome
    reason = "" if outcome.ok else (outcome.error.what if outcome.error else outcome.state)
    _remember(workspace, wanted.stack, reason)
    if as_json:
        output.data(_renewal_json(result))
    if result.renewed or result.passwords:
        end(outcome)
    if outcome.error is not None:
        output.complain(outcome.error)
    output.say("Nothing is due.", bold=True)
    _tell_next(result)
    sys.exit(exit_code(outcome))


def _remember(workspace: Workspace, stack: Stack, failure: str) -> None:
    """Counts a failed renewal, or stores the time of a successful one (`failure` '')."""
    from wizard.upkeep import record

    former_record, now = record.load(workspace, stack), time.time()
    new_record = (
        former_record.after_failure(now, redact(failure)) if failure else former_record.after_success(now)
    )
    try:
        record.save(workspace, stack, new_record)
    except HostError as error:
        output.complain(error)


def _renew_due(machine: Engine, options: _Wanted) -> _Result:
    """Renews what is due; waits for another Firescreen that is working, then rescans for what is due.

    Raises:
        FirescreenError: why nothing was changed.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        while machine.workspace.busy() and time.monotonic() < deadline:
            time.sleep(0.2)
        _recover(machine, options)
        result = _attempt(machine, options)
        # The other Firescreen may have finished between our plan and our first change: then the files have changed.
        beaten = isinstance(result.outcome.error, LockedError | FileChangedError) and not result.outcome.run
        if not beaten or time.monotonic() > deadline:
            return result
        time.sleep(1)


def _recover(machine: Engine, options: _Wanted) -> None:
    """Rolls back an interrupted run: nothing can be renewed before.

    Raises:
        FirescreenError: it cannot be rolled back.
    """
    interrupted = machine.interrupted_run() if options.yes else None
    if interrupted is None:
        return
    output.say(f"Run {interrupted.run} was interrupted: rolling it back first.")
    connect(machine, machine.hosts_of())
    for outcome in machine.recover(output.progress()):
        if outcome.error is not None:
            raise outcome.error


def _attempt(machine: Engine, options: _Wanted) -> _Result:
    """Checks what is due, and renews it once.

    Raises:
        FirescreenError: why nothing was changed.
    """
    from wizard.upkeep import lifetimes

    now = time.time()
    connect(machine, options.stack.hosts)
    facts = machine.inspect(options.stack)
    certificates = lifetimes.lifetimes(options.stack, facts)
    _refuse_a_clock_that_is_behind(certificates, now)
    _tell_watched(certificates, now)
    wanted = (
        lifetimes.due(certificates, now)
        if options.only_due
        else tuple(each for each in certificates if each.renew not in ("", "ca"))
    )
    old = lifetimes.old_passwords(options.stack, machine.workspace, now=now, days=options.password_days)
    if not wanted and not old:
        return _Result(_nothing_due(facts), (), certificates, facts, now)
    plan = _plan_renewal(machine, options, facts, wanted, now, passwords=bool(old))
    if not options.yes:
        if not options.as_json:
            show_plan(plan)
        ask_to_confirm(f"Apply {extent_of(plan)}?", todo="Add --yes to renew them", as_json=options.as_json)
    refuse_without_hands(plan)
    outcome = machine.apply(plan, *listen())
    return _Result(outcome, wanted, certificates, facts, now, old)


def _refuse_a_clock_that_is_behind(certificates: Sequence[Lifetime], now: float) -> None:
    """Rejects a clock that is behind: nothing would seem due, and new certificates would already be expired.

    Some machines start without the correct time.

    Raises:
        InputError: a certificate that Firescreen issued here begins later than now.
    """
    from wizard.upkeep import lifetimes

    later = lifetimes.not_begun(certificates, now)
    if later is not None:
        here, begins = (
            time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at)) for at in (now, later.not_before)
        )
        raise InputError(
            f"this machine's clock is wrong: it says {here}, and a certificate that was issued here begins {begins}",
            where=_place(later),
            todo="Set the clock first (timedatectl set-ntp true)",
        )


def _nothing_due(facts: Facts) -> Outcome:
    """Returns the outcome if nothing is due, with an error if an unreachable host makes that uncertain."""
    from wizard.engine import Outcome

    if not facts.away:
        return Outcome(run="", state="nothing")
    host, why = next(iter(facts.away.items()))
    error = HostError(
        f"its certificates were not looked at: {why}", where=host, todo="Make the host reachable"
    )
    return Outcome(run="", state="nothing", error=error)


def _plan_renewal(
    machine: Engine,
    options: _Wanted,
    facts: Facts,
    wanted: Sequence[Lifetime],
    now: float,
    *,
    passwords: bool,
) -> Plan:
    """Returns the plan that replaces these certificates, with `passwords` also old passwords, and nothing else.

    Raises:
        InputError: the stack has other changes pending, or a passphrase is missing.
    """
    from wizard.model import Answers
    from wizard.upkeep import renewal

    names = renewal.names(wanted) | (frozenset({"passwords"}) if passwords else frozenset())
    passphrase = _passphrase(options.passphrase_file)
    try:
        now_planned = machine.plan(options.stack, Answers(passphrase=passphrase), facts=facts)
        pending = renewal.pending_steps(now_planned, wanted, now)
        if pending:
            titles = "; ".join(f"{step.host}: {step.title}" for step in pending[:3])
            raise InputError(
                f"the stack has other changes pending, and a renewal does not make them: {titles}",
                where=options.stack.source,
                todo="Look at them with: firescreen plan STACK, and apply them first",
            )
        return machine.plan(options.stack, Answers(passphrase=passphrase, renew=names), facts=facts)
    except CredentialNeededError as needed:
        if needed.user:
            raise
        if sys.stdin.isatty() and not options.as_json:
            passphrase = ask("Passphrase of the CA's private key", None)
            return machine.plan(options.stack, Answers(passphrase=passphrase, renew=names), facts=facts)
        raise InputError(
            "certificates are due, and the CA's key that signs them needs a passphrase",
            where=needed.where,
            todo=f"Give it with --passphrase-file FILE, or to a timer as systemd's credential {CREDENTIAL}",
        ) from needed


def _passphrase(file: Path | None) -> Secret | None:
    """Reads the passphrase of the CA's key from the file or from systemd's credential; None without either."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    handed = Path(folder) / CREDENTIAL
    if file is None and folder and handed.exists():
        file = handed
    return ask("Passphrase of the CA's private key", file) if file is not None else None


def _tell_watched(certificates: Sequence[Lifetime], now: float) -> None:
    for each in certificates:
        if not each.renew and each.is_due(now):
            when = time.strftime("%Y-%m-%d", time.gmtime(each.not_after))
            output.say(
                f"! {_place(each)}: {'expired' if each.not_after < now else 'expires'} {when}. "
                "Firescreen did not issue it: renew it where it was issued.",
                colour="yellow",
            )


def _tell_next(result: _Result) -> None:
    from wizard.upkeep import lifetimes

    coming = lifetimes.next_due(result.known, result.now)
    if coming is None:
        output.say("  No certificate of this stack is renewed by Firescreen.")
        return
    due, ends = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) for at in (coming.due_at, coming.not_after))
    days = int((coming.due_at - result.now) // 86400)
    output.say(f"  Next: {_place(coming)}, due {due} UTC (in {count_noun(days, 'day')}), expires {ends} UTC.")


def _place(certificate: Lifetime) -> str:
    """Returns the name of a certificate for a person."""
    role = {"ca": "the CA"}.get(certificate.role, f"{certificate.role} certificate")
    whose = "/".join(part for part in (certificate.host, certificate.component) if part)
    return plain(f"{role} of {whose} ({certificate.path})")


def _renewal_json(result: _Result) -> dict[str, Any]:
    """Returns a renewal as JSON."""
    from wizard.upkeep import lifetimes

    outcome, now = result.outcome, result.now
    coming = lifetimes.next_due(result.known, now)
    watched = [each for each in result.known if not each.renew and each.is_due(now)]
    return {
        "version": 1,
        "renewed": [lifetimes.lifetime_fields(each) for each in result.renewed],
        "passwords": list(result.passwords),
        "watched": [lifetimes.lifetime_fields(each) for each in watched],
        "next": lifetimes.lifetime_fields(coming) if coming else None,
        **shown_unreachable(result.facts.away),
        **shown_outcome(outcome),
        **shown_probes(outcome.attempts),
        "ok": outcome.ok,
        "hosts": shown_hosts(outcome),
        **shown_health(outcome.health),
    }

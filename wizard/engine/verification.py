"""Runs the probes of a stack, several at once, and says what the wire says about a component."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

from wizard import probes
from wizard.components import component as find_component
from wizard.engine.outcome import Exposure, ExposureState
from wizard.model import Attempt, Event, Probe, Service

Emit = Callable[[Event], None]

_AT_ONCE = 2
"""A wrong password costs the server a bcrypt each: more at once only queue there, and on one machine they would take
the processor from the thread that draws."""
_SECOND_THOUGHT = 5.0
"""Seconds in which an answer that is about another server may still become what it must be."""
MOST = 32
"""Servers on that many machines are asked side by side."""
MOST_BESIDE_A_SCREEN = 16
"""Where a screen is drawn too: a redraw waits its turn among as many threads."""


def prove(
    wanted: Sequence[Probe],
    *,
    run: str,
    emit: Emit,
    cancel: threading.Event,
    since: float = 0.0,
    most: int = MOST,
    dial: probes.Dial | None = None,
    excuse: Callable[[Attempt], str] = lambda attempt: "",
) -> tuple[Attempt, ...]:
    """Every probe's outcome, in the order given; each is told as it comes in.

    Args:
        since: unix time; Prometheus' own word counts only for scrapes after it.
        most: machines that are asked side by side.
        dial: makes the connections that another host has to make.
        excuse: why an attempt that did not end as expected does not count; '' if it does.
    """
    finished = 0
    lock = threading.Lock()
    trusts = probes.Trusts()

    def told(attempt: Attempt, state: str, done: int) -> None:
        emit(
            Event(
                run=run,
                kind="probe",
                host=attempt.probe.host,
                step=attempt.probe.id,
                state=state,
                done=done,
                total=len(wanted),
                text=attempt.probe.name,
                attempt=attempt,
            )
        )

    def one(probe: Probe) -> Attempt:
        nonlocal finished
        if probe.kind == "up":
            fresh = replace(probe, not_before=since)
            attempt = probes.wait(
                fresh,
                until=time.monotonic() + probe.timeout,
                cancel=cancel,
                meanwhile=lambda look: told(look, "waiting", finished),
                dial=dial,
                settled=lambda look: bool(excuse(look)),
            )
            attempt = replace(attempt, excused=excuse(attempt))
        else:
            attempt = probes.run(probe, cancel=cancel, trusts=trusts, dial=dial)
            if probe.holds and not attempt.ok:
                # What another program says of a server that has only just started may be a moment old.
                attempt = probes.wait(
                    probe,
                    until=time.monotonic() + _SECOND_THOUGHT,
                    cancel=cancel,
                    meanwhile=lambda look: told(look, "waiting", finished),
                    dial=dial,
                )
        with lock:
            finished += 1
            done = finished
        told(attempt, "failed" if attempt.failed else "done", done)
        return attempt

    if not wanted:
        return ()
    # What waits for Prometheus' next scrape must not hold up what is asked of the servers themselves.
    waiting = [probe for probe in wanted if probe.kind == "up"]
    others = [probe for probe in wanted if probe.kind != "up"]
    places = {_address(probe) for probe in others}
    lanes = min(max(len(places), _AT_ONCE), most)
    with (
        ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="probe-up") as patient,
        ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="probe") as pool,
    ):
        asked = {id(probe): pool.submit(one, probe) for probe in _in_turn(others)}
        asked |= {id(probe): patient.submit(one, probe) for probe in waiting}
        return tuple(asked[id(probe)].result() for probe in wanted)


def _address(probe: Probe) -> str:
    """The machine that is asked."""
    if probe.forward is not None:
        return f"{probe.forward.host.name} {probe.forward.place}"
    return probe.resolve.split(":", 2)[-1] or urlsplit(probe.url).hostname or ""


def _in_turn(wanted: Sequence[Probe]) -> list[Probe]:
    """The first of each host, then the second of each, and so on: so they queue nowhere."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, Probe]] = []
    # A password that is sent costs the server a bcrypt: the slowest first.
    for probe in sorted(wanted, key=lambda each: each.password is None or each.expect == "untrusted"):
        turns.append((seen[probe.host], probe))
        seen[probe.host] += 1
    return [probe for _, probe in sorted(turns, key=lambda turn: turn[0])]


def exposure(service: Service, dial: probes.Dial | None = None) -> Exposure:
    """How open a service is: asked first plainly, then over TLS without checking anything.

    Args:
        dial: as for `prove`.
    """
    if service.out_of_reach:
        # Asked from here, another program's answer would be taken for its own.
        return _exposure(service, "down", f"cannot be asked from here: {service.out_of_reach}")
    path = find_component(service.component).metrics_path(service.flag)
    place = service.listen
    plain = probes.run(_ask(service, f"http://{place}{path}"), dial=dial)
    tls = password = client = False
    down = plain.outcome == "error"
    if plain.outcome in {"400", "error"}:
        secure = probes.run(_ask(service, f"https://{place}{path}", insecure=True), dial=dial)
        # A server that hangs takes the connection and agrees on nothing.
        tls = secure.tls is not None and bool(secure.tls.version)
        password = secure.status == 401
        client = secure.outcome == "refused"
        down = not tls and down
    else:
        password = plain.status == 401
    state: ExposureState
    if down:
        state, words = "down", "does not answer"
    elif not tls and not password:
        everyone = "all who reach it" if service.forward else "everyone"
        state, words = "open", f"plain, no password: open to {everyone}"
    elif not tls:
        state, words = "partly", "password, but in plain sight"
    elif client:
        state, words = "secured", "TLS + client certificate"
    elif password:
        state, words = "secured", "TLS + password"
    else:
        state, words = "partly", "TLS, no password"
    return _exposure(service, state, words, tls=tls, password=password, client_certificate=client)


def _exposure(
    service: Service,
    state: ExposureState,
    words: str,
    *,
    tls: bool = False,
    password: bool = False,
    client_certificate: bool = False,
) -> Exposure:
    return Exposure(
        host=service.host,
        component=service.component,
        address=service.listen,
        version=service.version,
        manager=service.manager,
        unit=service.unit,
        tls=tls,
        password=password,
        client_certificate=client_certificate,
        state=state,
        words=words,
        instance=service.instance,
        through=service.forward.host.name if service.forward else "",
    )


def _ask(service: Service, url: str, *, insecure: bool = False) -> Probe:
    return Probe(
        id=f"scan/{service.key}",
        host=service.host,
        component=service.component,
        unit=service.instance,
        name="how open it is",
        client="anyone",
        expect="200",
        url=url,
        forward=service.forward,
        insecure=insecure,
        timeout=3.0,
    )

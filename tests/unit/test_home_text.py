"""Texts of Home and of the list of hosts about components that do not answer, so that their protection is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from screens.home.menu import recommendation
from screens.home.posture import posture
from screens.home.stack_rows import columns, proxy_lines
from screens.hosts.text import STATE, line
from screens.state import HostEntry, Notices, Session
from screens.widgets.notice_bar import interrupted_words
from wizard.engine import Exposure, FoundProxy, Scan
from wizard.model import ComponentSpec, Facts, Finding, HostSpec, RunRecord, Stack


def row(name: str, state: str) -> Exposure:
    """A component as found by a scan."""
    known = Exposure(
        host="srv1",
        component=name,
        address="192.0.2.4:1",
        version="",
        manager="",
        unit="",
        tls=False,
        password=False,
        client_certificate=False,
        state="down",
        words="",
    )
    return replace(known, state=state)  # type: ignore[arg-type]


def session_with(*rows: Exposure) -> Session:
    """A session after a scan."""
    return replace(
        Session(),
        scan=Scan(stack=Stack(hosts=(), components=()), facts=Facts(hosts={}), exposures=rows, findings=()),
    )


@pytest.mark.parametrize(
    ("states", "reason", "short"),
    [
        (("down",), "1 of 1 component does not answer", "1 of 1 does not answer"),
        (("secured", "down", "down"), "2 of 3 components do not answer", "2 of 3 do not answer"),
        (("down", "open"), "1 of 2 components is unprotected", "1 of 2 unprotected"),
        (("secured", "secured"), "All is secured: see who checks what", "see what each side checks"),
    ],
)
def test_home_does_not_call_a_silent_component_secured(
    states: tuple[str, ...], reason: str, short: str
) -> None:
    found = recommendation(session_with(*(row(f"c{number}", state) for number, state in enumerate(states))))
    assert (found.reason, found.short) == (reason, short)


@pytest.mark.parametrize(
    ("states", "text"),
    [
        (("down",), "– 1 of 1 not answering"),
        (("secured", "down"), "– 1 of 2 not answering"),
        (("open", "down"), "● 1 of 2 unprotected"),
        (("secured", "secured"), "✓ 2 of 2 secured"),
    ],
)
def test_the_list_of_hosts_does_not_call_a_silent_host_secured(states: tuple[str, ...], text: str) -> None:
    rows = tuple(row(f"c{number}", state) for number, state in enumerate(states))
    entry = HostEntry(
        spec=HostSpec(name="srv1", connect="ssh"),
        source="added",
        state="known",
        rights="root",
        exposures=rows,
        components=tuple(ComponentSpec(host=each.host, name=each.component) for each in rows),
    )
    assert line(entry, 70, 12).plain[-STATE:].strip() == text


def test_reverse_proxies_are_listed_by_host_and_stopped_ones_in_one_line() -> None:
    rows = (row("node_exporter", "open"), replace(row("node_exporter", "open"), host="srv2"))
    stopped = [
        FoundProxy(host=host, name=name, version="1", unit=name, running=False)
        for host in ("srv1", "srv2")
        for name in "abc"
    ]
    proxies = (
        *stopped,
        FoundProxy(
            host="srv3", name="nginx", version="1.22.1", unit="nginx", running=True, sites=(("", 80),)
        ),
    )
    cells = columns(rows, 74, several=True)
    chips = {"srv1": "#111111", "srv2": "#222222", "srv3": "#333333"}
    lines = [each.plain.split() for each in proxy_lines(proxies, cells, chips, above="srv2")]
    assert lines == [
        ["srv1", *"a, b and c are installed, none runs".split()],
        ["srv2", *"a, b and c are installed, none runs".split()],
        ["srv3", "nginx", *"1.22.1, reverse proxy, 1 site".split()],
    ]


def test_home_does_not_call_an_unreachable_host_secured() -> None:
    session = session_with(row("prometheus", "secured"))
    assert session.scan is not None
    unreachable = Finding(
        severity="warning",
        id="host-away",
        host="srv9",
        component="",
        what="srv9 is unreachable",
        why="",
        remediation="Rescan",
    )
    for hosts, reason in ((1, "srv9 is unreachable"), (2, "srv9 and srv9 are unreachable")):
        session = replace(session, scan=replace(session.scan, findings=(unreachable,) * hosts))
        found = recommendation(session)
        assert (found.entry, found.reason) == ("hosts", reason)
        assert "All components" not in posture(session, 76).plain
        assert "1 component secured." in posture(session, 76).plain


def test_the_notice_names_hosts_that_need_recovery() -> None:
    record = RunRecord(
        run="7", started=0, state="owed", title="TLS", changes=("srv1:/etc/a", "srv1:/etc/b"), folder=""
    )
    words = interrupted_words(Notices(interrupted=record)).plain
    assert words == "✗ srv1 needs recovery after a failed run. i roll back or compare"
    both = replace(record, changes=("srv1:/etc/a", "srv2:/etc/b"))
    assert "srv1 and srv2 need recovery" in interrupted_words(Notices(interrupted=both)).plain
    cut = replace(record, state="cut-off")
    assert "TLS was interrupted" in interrupted_words(Notices(interrupted=cut)).plain

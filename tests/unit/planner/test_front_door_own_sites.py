"""Routes in sites that are there: what a proxy cannot do without changing their other paths is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import planned
from wizard import planner
from wizard.errors import FirescreenError
from wizard.model import Answers, Facts, FileState, FrontDoor, Plan, Proxies, ProxySite, Setting, WriteFile

HAPROXY = "/etc/haproxy/haproxy.cfg"


def plan_for(name: str, change: Callable[[FrontDoor], FrontDoor], facts: Facts | None = None) -> Plan:
    case = planned.case(name)
    stack = replace(case.stack, front_doors=(change(case.stack.front_doors[0]),))
    return planner.plan(stack, planned.looked_up(stack, facts or case.facts), Answers())


def text(facts: Facts, path: str, content: str) -> Facts:
    known = facts.hosts["web1"]
    files = {**known.files, path: FileState(content.encode())}
    return replace(facts, hosts={**facts.hosts, "web1": replace(known, files=files)})


def content(facts: Facts, path: str) -> str:
    state = facts.hosts["web1"].files[path]
    assert state is not None
    return state.content.decode()


def written(plan: Plan, path: str) -> str:
    (change,) = (each for each in plan.changes if isinstance(each, WriteFile) and each.path == path)
    assert change.after is not None
    return change.after.content.decode()


# -- HAProxy -------------------------------------------------------------------------------------------------

FRONTEND = "front-door-own-frontend"


def test_a_frontend_takes_lines_in_and_the_login_is_in_a_backend() -> None:
    facts = planned.case(FRONTEND).facts
    found = written(plan_for(FRONTEND, lambda door: door), HAPROXY)
    frontend, _, block = found.partition("# Written by Firescreen, which undoes it too: front doors.")
    assert frontend.count("use_backend firescreen-noc.example.net-9443-to-9091 if") == 1
    assert "http-request auth" not in frontend
    assert "http-request auth realm noc.example.net" in block
    assert "frontend" not in block.replace("front doors", "")
    again = plan_for(FRONTEND, lambda door: replace(door, timeout=60), text(facts, HAPROXY, found))
    assert (
        written(again, HAPROXY).partition("# Written by Firescreen, which undoes it too: front")[0]
        == frontend
    )


UNFIT: dict[str, tuple[Callable[[FrontDoor], FrontDoor], Callable[[Facts], Facts], str]] = {
    "no such port": (lambda door: replace(door, port=10443), lambda facts: facts, "no frontend listens on"),
    "another file": (
        lambda door: replace(door, site="/etc/haproxy/other.cfg"),
        lambda facts: text(facts, "/etc/haproxy/other.cfg", ""),
        "reads /etc/haproxy/haproxy.cfg and no other file",
    ),
    "TLS goes through it": (
        lambda door: door,
        lambda facts: text(
            facts, HAPROXY, content(facts, HAPROXY).replace(":9443 ssl crt /etc/ssl/noc.pem", ":9443")
        ),
        "without TLS of its own",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_frontend_that_cannot_take_the_routes_in_is_refused(name: str) -> None:
    change, there, words = UNFIT[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(FRONTEND, change, there(planned.case(FRONTEND).facts))
    assert words in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_a_frontend_on_the_port_is_offered_by_a_question() -> None:
    case = planned.case(FRONTEND)
    door = replace(case.stack.front_doors[0], site="")
    stack = replace(case.stack, front_doors=(door,))
    known = case.facts.hosts["web1"]
    alone = replace(known, proxies=tuple(each for each in known.proxies if each.component == "haproxy"))
    there = ProxySite(program="haproxy", name="", port=9443, file=HAPROXY, line=11)
    facts = replace(
        case.facts, hosts={**case.facts.hosts, "web1": alone}, proxies={"web1": Proxies(sites=(there,))}
    )
    (asked,) = [each for each in planner.questions(stack, facts) if each.setting.name == "site"]
    assert [value for value, _ in asked.choices] == ["", HAPROXY]
    assert "port 9443" in asked.why
    chosen = planner.answer(stack, Setting("front_doors", "site", "web1/haproxy"), HAPROXY)
    assert chosen.front_doors[0].site == HAPROXY

"""A target in another spelling of a practice host's address is that host: its job is edited, real Prometheus stays up."""

from __future__ import annotations

import ipaddress

import pytest

from tests.integration.test_existing import Hand, edited, hand
from wizard.config_files import prometheus as scrape
from wizard.connections.local import LocalConnection
from wizard.engine.resolver import resolve

__all__ = ["hand"]


def test_an_address_in_another_spelling_is_recognised_and_undone(hand: Hand) -> None:
    address, _, port = hand.node.rpartition(":")
    high, low = divmod(int(ipaddress.IPv4Address(address)), 1 << 16)
    target = f"[0:0:0:0:0:FFFF:{high:X}:{low:x}]:{port}"
    hand.replace_job(f"  - job_name: node   # as ever\n    static_configs: [{{targets: ['{target}']}}]\n")
    before = hand.config.read_bytes()
    plan = hand.engine.plan(hand.stack("tls", "basic_auth"))
    jobs = scrape.jobs(edited(plan, hand.config))
    assert [(job.name, job.targets) for job in jobs][1:] == [("node", (target,))]
    hand.proven(plan)
    assert hand.engine.undo().state == "undone"
    assert hand.config.read_bytes() == before


def test_the_resolver_of_a_host_is_asked_once_for_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    here = LocalConnection("here")
    asked: list[tuple[str, ...]] = []
    run = here.run

    def counted(argv: tuple[str, ...], **more: float) -> object:
        asked.append(tuple(argv))
        return run(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(here, "run", counted)
    names = (
        "localhost",
        "no-such-name.invalid",
        "$(touch /tmp/x)",
        "-v",
        "a b",
        *(f"n{n}.invalid" for n in range(70)),
    )
    found = resolve(here, names)
    assert len(asked) == 1
    assert set(found.addresses["localhost"]) <= {"127.0.0.1", "::1"} and found.addresses["localhost"]
    assert found.addresses.get("no-such-name.invalid", ()) == ()
    assert not {"$(touch /tmp/x)", "-v", "a b"} & set(asked[0]), "what is no name is not asked"

"""A target that spells a practice host's address differently is recognised: its job is edited, and stays up."""

from __future__ import annotations

import ipaddress

import pytest

from tests.integration.test_existing_configuration import Admin, admin, file_after_plan
from wizard.config_files import prometheus as scrape
from wizard.connections.local import LocalConnection
from wizard.engine.resolver import resolve

__all__ = ["admin"]


def test_an_address_in_another_spelling_is_recognised_and_undone(admin: Admin) -> None:
    address, _, port = admin.node.rpartition(":")
    high, low = divmod(int(ipaddress.IPv4Address(address)), 1 << 16)
    target = f"[0:0:0:0:0:FFFF:{high:X}:{low:x}]:{port}"
    admin.replace_job(f"  - job_name: node   # as ever\n    static_configs: [{{targets: ['{target}']}}]\n")
    before = admin.config.read_bytes()
    plan = admin.engine.plan(admin.stack("tls", "basic_auth"))
    jobs = scrape.jobs(file_after_plan(plan, admin.config))
    assert [(job.name, job.targets) for job in jobs][1:] == [("node", (target,))]
    admin.proven(plan)
    assert admin.engine.undo().state == "undone"
    assert admin.config.read_bytes() == before


def test_a_host_resolves_all_names_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
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

"""A password for all hosts is sent to other hosts only after the first host has accepted it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from wizard.connections.credentials import Access
from wizard.redact import Secret

GOOD = Secret("right")


def test_a_password_is_for_one_host_unless_marked_for_all() -> None:
    access = Access()
    access.give("sudo", "srv1", GOOD)
    access.secret_accepted("sudo", "srv1")
    assert access.secret("sudo", "srv1") is GOOD
    assert access.secret("sudo", "srv2") is None


def test_other_hosts_wait_until_the_first_accepts_the_password() -> None:
    access = Access()
    access.give("sudo", "srv1", GOOD, everywhere=True)
    assert access.secret("sudo", "srv1") is GOOD, "the first does not wait"
    assert access.secret("password", "srv2") is None, "of another kind nothing was given"
    asked = threading.Event()

    def other(name: str) -> Secret | None:
        asked.set()
        return access.secret("sudo", name)

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(other, name) for name in ("srv2", "srv3")]
        assert asked.wait(60)
        assert not any(each.done() for each in waiting)
        access.secret_accepted("sudo", "srv2")
        assert not any(each.done() for each in waiting), "only the first counts"
        access.secret_accepted("sudo", "srv1")
        assert [each.result(60) for each in waiting] == [GOOD, GOOD]
    assert access.secret("sudo", "srv4") is GOOD


def test_a_password_rejected_by_the_first_host_is_sent_to_no_other() -> None:
    access = Access()
    access.give("sudo", "srv1", Secret("mistyped"), everywhere=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(access.secret, "sudo", "srv2")
        access.forget("sudo", "srv1")
        assert waiting.result(60) is None
    assert access.secret("sudo", "srv1") is None
    access.give("sudo", "srv1", GOOD, everywhere=True)
    access.secret_accepted("sudo", "srv1")
    assert access.secret("sudo", "srv2") is GOOD


def test_a_host_that_rejects_the_shared_password_is_asked_for_its_own() -> None:
    access = Access()
    access.give("sudo", "srv1", GOOD, everywhere=True)
    access.secret_accepted("sudo", "srv1")
    assert access.secret("sudo", "srv2") is GOOD
    access.forget("sudo", "srv2")
    assert access.secret("sudo", "srv2") is None
    own = Secret("its own")
    access.give("sudo", "srv2", own)
    assert access.secret("sudo", "srv2") is own
    assert access.secret("sudo", "srv3") is GOOD

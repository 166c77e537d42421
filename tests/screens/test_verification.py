"""The verification of five targets from nine clients: readable at 80x24, and complete in words below the table."""

from __future__ import annotations

from dataclasses import replace

from screens.app import make_app
from screens.dialogs.attempt import AttemptDialog
from screens.run_state import RunState
from screens.state_styles import OUTCOME
from screens.verification.matrix import (
    NARROW,
    TOTAL,
    arrange,
    attempt_text,
    cell,
    column_heading,
    ups,
    widths,
)
from screens.verification.screen import VerificationPage
from tests.screens import example_stack
from tests.screens.helpers import engine, until
from tests.screens.scenes import verified
from wizard.model import Attempt

COLOURS = {"success": "green", "error": "red", "faint": "grey"}


def finished(attempts: tuple[Attempt, ...]) -> RunState:
    """Returns the state of a finished verify."""
    up_results = tuple(
        (one.probe.instance, ("down", one.outcome)) for one in attempts if one.probe.kind == "up"
    )
    return RunState(kind="verify", phase="finished", result="proven", attempts=attempts, ups=up_results)


async def test_five_targets_and_nine_clients_fit() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = finished(example_stack.attempts())
        app.push_screen(VerificationPage())
        text = await until(pilot, "✓ verified")
        assert text.count("✓ 9/9") == 4, "what has no room is reached by scrolling"
        for client in (*example_stack.CLIENTS, "Prometheus itself", "blackbox_exporter", "←→ for more"):
            assert client in text, "whole words"
        assert "✓ 5 of 5 targets are scraped" in text
        assert "127.0.0.2:9100 0 1" in text
        await pilot.press("down", "down", "right")
        await until(pilot, "✓ no CA → srv1/pushgateway: not trusted, as expected")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AttemptDialog))
        await pilot.press("escape", "up", "up", "up")
        await until(pilot, "✓ srv1/pushgateway: all 9 probes as expected")
        await pilot.press("end")
        text = await until(pilot, "prometheus ")
        assert "alertmanager" in text and "stranger's certificate" in text
        assert "…" not in text
        await pilot.resize_terminal(160, 40)
        await until(pilot, "✓ not trusted")
        await until(pilot, "blackbox_exporter")


async def test_a_failure_is_shown_in_its_cell_its_total_and_in_words() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    wrong = frozenset({"srv1/pushgateway/no-password"})
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = finished(example_stack.attempts(wrong=wrong))
        app.push_screen(VerificationPage())
        text = await until(pilot, "✗ not verified")
        assert text.count("✗ 8/9") == 1
        assert text.count("✗ 401 → 200") == 1
        await pilot.press("down", "down", "down", "right")
        await until(pilot, "expected 401, got 200 (accepted)")


async def test_more_targets_than_columns_scroll_beside_the_clients() -> None:
    many = tuple(
        replace(one, probe=replace(one.probe, id=f"{one.probe.id}{copy}", host=f"{one.probe.host}{copy}"))
        for copy in "abc"
        for one in example_stack.attempts()
    )
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = finished(many)
        app.push_screen(VerificationPage())
        await until(pilot, "✓ verified")
        await pilot.press(*["right"] * 14)
        text = await until(pilot, "monitorc")
        assert "no client certificate" in text, "the clients stay"
        assert "✓ right client → monitorc/prometheus" in text


def test_rows_are_in_order_and_none_is_hidden() -> None:
    attempts = example_stack.attempts()
    place = replace(attempts[0], probe=replace(attempts[0].probe, id="p", client="Alertmanager's alerts"))
    twice = replace(attempts[0], probe=replace(attempts[0].probe, id="q"))
    rows, targets = arrange((attempts[8], place, *attempts[:8], twice))
    assert [client for client, _ in rows] == [
        "right client",
        "right client",
        *list(example_stack.CLIENTS)[1:],
        "Alertmanager's alerts",
        "Prometheus itself",
    ]
    assert targets == ["srv1/node_exporter"]
    assert sum(len(found) for _, found in rows) == 11


def test_a_cell_says_as_much_as_fits() -> None:
    right = example_stack.attempts()[0]
    wrong = replace(right, ok=False, outcome="untrusted")
    assert cell(right, 40, COLOURS).plain == "✓ 200  accepted"
    assert cell(right, NARROW + 1, COLOURS).plain == "✓ 200"
    assert cell(wrong, 40, COLOURS).plain == "✗ 200 → not trusted"
    assert cell(wrong, NARROW + 1, COLOURS).plain == "✗ not trusted"
    assert cell(None, 40, COLOURS).plain == "·"
    assert "expected 200, got not trusted" in attempt_text(wrong).plain


def test_columns_are_equal_where_there_is_room_and_no_name_is_cut_where_there_is_none() -> None:
    targets = [f"{host}/{name}" for host, name, _ in example_stack.PLACES]
    first, each = widths(116, list(example_stack.CLIENTS), targets)
    assert first + sum(each) <= 116
    assert len(set(each)) == 1
    first, each = widths(74, list(example_stack.CLIENTS), targets)
    for target, width in zip(targets, each, strict=True):
        assert all(len(line) < width for line in column_heading(target).plain.splitlines())
        assert max(len(f"✓ {expect}") for expect in example_stack.CLIENTS.values()) < width
    assert column_heading("srv1/node_exporter/second").plain.splitlines() == ["srv1", "second"]


def test_every_outcome_has_words() -> None:
    assert {"200", "400", "401", "untrusted", "refused", "up", "down", "plain", "error", "other"} <= set(
        OUTCOME
    )


def test_the_up_row_of_many_instances_names_each() -> None:
    up_results = tuple((f"10.0.0.{number}:9100", ("down", "up")) for number in range(20))
    text = ups(up_results, 74).plain
    assert "✓ 20 of 20 targets are scraped" in text
    assert all(f"10.0.0.{number}:9100 0 1" in text.replace("  ", " ") for number in range(20))
    assert len(text.splitlines()) < 14
    assert "✗ 19 of 20" in ups((*up_results[:-1], ("x:1", ("down",))), 74).plain


def test_the_first_row_is_named_whole_where_clients_have_short_names() -> None:
    assert widths(76, ["no TLS"], ["srv1/node_exporter"])[0] > len(TOTAL)


async def test_one_key_shows_everything_created_and_how_to_undo_it() -> None:
    app = make_app(build=engine(example_stack.ExampleEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "5 of 5")
        app.run_state = verified()
        app.push_screen(VerificationPage())
        text = await until(pilot, "✓ verified")
        assert "Undo with" not in text
        await pilot.press("w")
        text = await until(pilot, "Undo with: firescreen undo --yes")
        assert "Your CA is at" in text and "5 of 5 targets" in text and "wrong password" not in text
        await pilot.press("w")
        await until(pilot, "wrong password")

"""The audit page: it starts by itself, shows evidence, leads to the fix, and remembers accepted findings."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import OptionList

from screens.app import make_app
from screens.audit.screen import AuditPage
from screens.choices.level_table import LevelTable
from screens.choices.screen import ChoicesPage
from screens.engine_client import audits
from screens.plan.screen import PlanPage
from tests.screens.helpers import engine, until
from tests.screens.scenes import SceneEngine, audit_report
from wizard.audit import AuditReport, baseline
from wizard.errors import HostError
from wizard.model import PlannedStep, StepKind
from wizard.upkeep import rule_installation
from wizard.workspace import Workspace


async def test_a_running_audit_names_its_check_and_a_finding_leads_to_its_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()

    def run(*_: object) -> AuditReport:
        assert gate.wait(60)
        return audit_report()

    monkeypatch.setattr(audits, "run", run)
    app = make_app(build=engine(SceneEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "unprotected")
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, AuditPage))
        text = await until(pilot, "auditing srv1, srv2, monitor for")
        assert "Esc leaves" in text
        gate.set()
        text = await until(pilot, "80 of 100")
        for part in ("3 findings", "1 high", "without credentials: 200", "Demand TLS"):
            assert part in text, part
        listed = text.partition("3 findings")[2].partition("Evidence and")[0]
        assert "…" not in listed, "titles are not cut: they go on below"
        await pilot.press("end")
        assert "not checked srv2" in await until(pilot, "connection refused")
        assert app.screen.check_action("fix", ()) is False, "what could not be checked has no step"
        await pilot.press("home")
        await until(pilot, "secure srv1/node_exporter")
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ChoicesPage))
        await until(pilot, "1 of 5 change, 4 kept")
        assert app.screen.query_one(LevelTable).row.name == "node_exporter"
        assert app.session.stack is not None
        assert {one.key for one in app.session.stack.components if one.protect} == {"srv1/node_exporter"}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, AuditPage))
        await pilot.press("escape", "s")
        await until(pilot, "5 of 5 change")


async def test_an_accepted_finding_is_in_the_baseline_until_it_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = audits._without_baseline(audit_report())
    monkeypatch.setattr(audits, "run", lambda *_: shown)
    one = SceneEngine()
    one.workspace = Workspace(tmp_path / "workspace")
    file = tmp_path / "workspace" / audits.NAME
    app = make_app(build=engine(one))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "unprotected")
        await pilot.press("f")
        await until(pilot, "4 findings")
        await pilot.press("b")
        await until(pilot, "3 findings")
        assert [entry.id for entry in baseline.load(file)] == ["EXP-01"]
        listed = app.screen.query_one(OptionList)
        await pilot.press("home", "down", "down", "down")
        await until(pilot, lambda: listed.highlighted == 3)
        await until(pilot, baseline.WRITTEN)
        await pilot.press("b")
        await until(pilot, "4 findings")
        assert baseline.load(file) == ()


async def test_an_audit_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> AuditReport:
        raise HostError("the host hung up", where="srv1", todo="Try again")

    monkeypatch.setattr(audits, "run", run)
    app = make_app(build=engine(SceneEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "unprotected")
        await pilot.press("f")
        await until(pilot, "the host hung up")
        assert app.screen.check_action("audit", ()) is True


async def test_a_finding_on_missing_rules_leads_to_the_plan_that_adds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = audit_report()
    missing = replace(report.findings[0], id="CRT-06", step="rules monitor/prometheus")
    monkeypatch.setattr(audits, "run", lambda *_: replace(report, findings=(missing,)))
    given = PlannedStep(
        id="upkeep:monitor/prometheus",
        kind=StepKind.UPKEEP,
        title="Give Prometheus the alert rules",
        host="monitor",
        why="Prometheus warns.",
        changes=(),
    )
    monkeypatch.setattr(rule_installation, "with_rules", lambda _, plan: replace(plan, steps=(given,)))
    app = make_app(build=engine(SceneEngine()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "unprotected")
        await pilot.press("f")
        await until(pilot, "rules monitor/prometheus")
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, PlanPage))
        assert app.session.plan is not None and app.session.plan.steps == (given,)

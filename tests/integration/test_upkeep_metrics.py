"""The metrics and rules, checked by Prometheus' own promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from tests.processes import run_program
from wizard import assets
from wizard.cli import firescreen
from wizard.upkeep.lifetimes import CertificateRole, Lifetime
from wizard.upkeep.metrics import Upkeep, exposition
from wizard.upkeep.record import RenewalRecord

RULES = assets.path("upkeep/rules.yml")
RULES_TEST = Path(__file__).parent / "data" / "upkeep_rules_test.yml"


def lifetime(path: str, host: str = "srv1") -> Lifetime:
    return Lifetime(
        role=CertificateRole.SERVER,
        host=host,
        component="node_exporter",
        path=path,
        not_before=1_700_000_000,
        not_after=1_800_000_000,
        fingerprint="AA",
        subject="srv1",
        renew="",
    )


def known(*lifetimes: Lifetime, drift: int | None = 0) -> Upkeep:
    record = RenewalRecord(
        stack="/srv/my stack.yaml", attempted=1_799_999_999, succeeded=1_799_999_000.25, failures=2
    )
    return Upkeep(now=1_799_999_999.5, lifetimes=lifetimes, renewals=record, verified=1.0, drift=drift)


def test_promtool_accepts_the_metrics_for_any_path(promtool: str) -> None:
    text = exposition(known(lifetime('/etc/a"b\\c\n/x.crt'), lifetime("/etc/node_exporter/n.crt", "srv2")))
    checked = run_program([promtool, "check", "metrics"], input=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert (
        'firescreen_certificate_not_after_seconds{stack="my stack",host="srv2",component="node_exporter",'
        'path="/etc/node_exporter/n.crt",role="server"} 1800000000\n' in text
    )
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(names) == len(set(names)) == 9
    assert "firescreen_drift_findings" not in exposition(known(drift=None))


def run_promtool(promtool: str, folder: Path, rules: str) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yml").write_text(rules)
    shutil.copy(RULES_TEST, folder / "test.yml")
    return run_program([promtool, "test", "rules", "test.yml"], cwd=folder, timeout=120)


def test_each_alert_fires_in_its_case(promtool: str, tmp_path: Path) -> None:
    ended = run_promtool(promtool, tmp_path, RULES.read_text())
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("text", "worse"),
    [
        ("          or max by (stack, host, component, role) (last_over_time(firescreen_certificate_not_after_seconds[30d]))\n", ""),
        ("          or absent(firescreen_certificate_not_after_seconds)\n", ""),
        ("          unless firescreen:certificate_renewal_due:seconds > time()\n", ""),
        ("seconds - time() < 0", "seconds - time() < -1000000"),
        ("by (stack, host, component, role) (firescreen_certificate_not_after_seconds))", "by (path) (firescreen_certificate_not_after_seconds))"),
    ],
)  # fmt: skip
def test_weakened_rules_fail_the_rule_tests(text: str, worse: str, promtool: str, tmp_path: Path) -> None:
    whole = RULES.read_text()
    assert text in whole
    assert run_promtool(promtool, tmp_path, whole.replace(text, worse)).returncode != 0


def test_each_expression_of_the_dashboard_uses_existing_metrics(promtool: str, tmp_path: Path) -> None:
    board = json.loads(assets.path("upkeep/dashboard.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"check:{number}", "expr": expr.replace("$stack", ".*")}
        for number, expr in enumerate(expressions)
    ]
    with (tmp_path / "board.yml").open("w") as file:
        YAML(typ="safe").dump({"groups": [{"name": "board", "rules": rules}]}, file)
    subprocess.run(
        [promtool, "check", "rules", tmp_path / "board.yml"], check=True, capture_output=True, timeout=60
    )
    written = exposition(known(lifetime("/x")))
    alerts = RULES.read_text()
    for name in re.findall(r"\bfirescreen_\w+", " ".join([*expressions, alerts])):
        assert f"\n# TYPE {name} " in f"\n{written}", name


def test_the_commands_replace_a_file_atomically_and_world_readable(tmp_path: Path) -> None:
    runner = CliRunner()
    for name in ("rules", "dashboard"):
        place = tmp_path / f"{name}.out"
        place.write_text("old")
        place.chmod(0o600)
        before = place.stat().st_ino
        ended = runner.invoke(firescreen, ["upkeep", name, "-o", str(place)])
        assert (ended.exit_code, ended.stdout) == (0, "")
        assert place.read_text() == runner.invoke(firescreen, ["upkeep", name]).stdout
        assert (place.stat().st_mode & 0o777, place.stat().st_ino != before) == (0o644, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dashboard.out", "rules.out"]
    failed = runner.invoke(firescreen, ["upkeep", "rules", "-o", str(tmp_path / "none" / "x")])
    assert failed.exit_code == 1 and "what to do: Name a file" in failed.stderr

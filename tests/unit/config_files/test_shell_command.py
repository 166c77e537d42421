"""Commands that a unit runs with `sh -c`: a variable that can carry a flag is found, and a real shell passes it on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.processes import run_program
from wizard.config_files import env_file, shell_command, systemd_unit
from wizard.errors import ConfigError


def find_command(raw: str) -> shell_command.ShellCommand | None:
    return shell_command.find(
        systemd_unit.parse_command(raw), lambda program: program.endswith("node_exporter")
    )


@pytest.mark.parametrize(
    ("raw", "program", "variables"),
    [
        ("/bin/sh -c 'exec /usr/bin/node_exporter ${ARGS}'", "/usr/bin/node_exporter", [("ARGS", "code")]),
        ("/bin/sh -c 'exec /usr/bin/node_exporter $ARGS'", "/usr/bin/node_exporter", [("ARGS", "shell")]),
        ("/bin/sh -c 'exec node_exporter $$ARGS'", "node_exporter", [("ARGS", "shell")]),
        ("/bin/sh -c 'node_exporter $${ARGS}'", "node_exporter", [("ARGS", "shell")]),
        ("-:/bin/bash -ec 'node_exporter ${ARGS}'", "node_exporter", [("ARGS", "shell")]),
        (
            '/bin/bash -l -c "exec /opt/node_exporter ${A} $B >> /var/log/x 2>&1"',
            "/opt/node_exporter",
            [("A", "code"), ("B", "shell")],
        ),
        (
            "/bin/sh -c 'cd /srv; X=1 exec node_exporter --a=${B} ${ARGS} | logger'",
            "node_exporter",
            [("ARGS", "code")],
        ),
        ("/bin/sh -c 'exec node_exporter \"$ARGS\"'", "node_exporter", []),
        ("/bin/sh -c 'exec node_exporter --a'", "node_exporter", []),
    ],
)
def test_variables_that_can_carry_a_flag_are_found(
    raw: str, program: str, variables: list[tuple[str, str]]
) -> None:
    run = find_command(raw)
    assert run is not None
    assert run.program == program
    assert [(each.name, each.reader) for each in run.variables] == variables


@pytest.mark.parametrize(
    "raw",
    [
        "/usr/bin/node_exporter ${ARGS}",
        "/bin/sh /usr/bin/node_exporter $ARGS",
        "/bin/sh -c 'exec /usr/bin/other $ARGS'",
        "/bin/sh -c 'exec node_exporter $(cat /etc/args)'",
        "/bin/sh -c 'exec node_exporter `cat /etc/args`'",
        "/bin/sh -c '(node_exporter $ARGS)'",
        "/bin/sh -c 'node_exporter \\'$ARGS'",
        "/bin/sh -c",
    ],
)
def test_a_complex_script_is_refused(raw: str) -> None:
    assert find_command(raw) is None


FLAG, VALUE = "web.config.file", "/etc/node_exporter/web.yml"


@pytest.mark.parametrize("reader", ["shell", "code"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        'ARGS=""\n',
        'ARGS="--a=b --c"\n',
        "ARGS=--a\n",
        f'ARGS="--{FLAG}=/old --a"\n',
        "ARGS=\"--a='x y' --b\"\n",
        'ARGS="--a=x;y --b"\n',
        'ARGS="--a # note"\n',
        'ARGS="--a=\'x"\n',
        "ARGS='--a=\"x y\"' \n",
        "ARGS='--a=\\d+'\n",
    ],
)
def test_a_real_shell_passes_the_flag_on_or_the_edit_is_refused(
    text: str, reader: str, tmp_path: Path
) -> None:
    show = tmp_path / "node_exporter"
    show.write_text(f"#!{sys.executable}\nimport sys, json\nprint(json.dumps(sys.argv[1:]))\n")
    show.chmod(0o755)

    def shown(content: str) -> list[str] | None:
        value = env_file.value(content, "ARGS") or ""
        script = f"exec {show} " + (value if reader == "code" else "$ARGS")
        ended = run_program(["sh", "-c", script], env={"ARGS": value}, timeout=30)
        return list(json.loads(ended.stdout)) if ended.returncode == 0 and ended.stdout else None

    try:
        changed = env_file.set_flag(text, "ARGS", FLAG, VALUE, reader=reader)
    except ConfigError:
        return
    before, after = shown(text), shown(changed)
    assert before is not None
    assert after is not None
    assert sorted(after) == sorted([*(word for word in before if FLAG not in word), f"--{FLAG}={VALUE}"])
    assert env_file.set_flag(changed, "ARGS", FLAG, VALUE, reader=reader) == changed


def test_plain_values_are_accepted() -> None:
    for reader in ("shell", "code"):
        for text in ("", 'ARGS=""\n', 'ARGS="--a=b --c"\n', f'ARGS="--{FLAG}=/old --a"\n'):
            assert f"--{FLAG}={VALUE}" in env_file.set_flag(text, "ARGS", FLAG, VALUE, reader=reader)
    with pytest.raises(ConfigError):
        env_file.set_flag("", "ARGS", FLAG, "/etc/a;b", reader="shell")

"""Flags in environment files are read as systemd reads them, and an edit changes nothing else in the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wizard.config_files import env_file
from wizard.errors import ConfigError

FLAG, PATH = "web.config.file", "/etc/node_exporter/web.yml"
NEW = f"--{FLAG}={PATH}"

DEBIAN = """\
# Set the command-line arguments to pass to the server.
# Due to shell escaping, to pass backslashes for regexes, you need to double
# them (\\\\d for \\d). If running under systemd, you need to double them again
ARGS=""

# Prometheus-node-exporter supports the following options:
#  --collector.diskstats.ignored-devices="^(ram|loop|fd|(h|s|v|xv)d[a-z])\\\\d+$"
#  ARGS="--log.level=debug"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ('ARGS=""', []),
        ("ARGS=", []),
        ("# ARGS=--a\n; ARGS=--b\n", []),
        ('ARGS="--a --b=c"\n', ["--a", "--b=c"]),
        ("ARGS='--a  --b=c'\n", ["--a", "--b=c"]),
        ("ARGS=--a --b=c   \n", ["--a", "--b=c"]),
        ('ARGS="--a \\\n --b"\n', ["--a", "--b"]),
        ("ARGS=--a \\\n --b\n", ["--a", "--b"]),
        ('ARGS=--a\nARGS="--b"\n', ["--b"]),
        ('  ARGS = "--a" \n', ["--a"]),
        ("ARGS='--a=\"x y\"'\n", ["--a=x y"]),
        ("ARGS=\"--a='x y' --b\"\n", ["--a=x y", "--b"]),
        # prometheus/node_exporter issue 2598: two flags became one argument.
        (
            'OPTIONS="--web.config.file="/opt/x.yml"   --log.level="info""\nARGS=--z',
            ["--z"],
        ),
    ],
)
def test_variables_are_read_as_systemd_reads_them(text: str, words: list[str]) -> None:
    assert env_file.get(text, "ARGS") == words


def test_nested_quotes_are_read_as_systemd_reads_them() -> None:
    text = 'OPTIONS="--web.config.file="/opt/x.yml"   --log.level=info"\n'
    assert env_file.get(text, "OPTIONS") == ["--web.config.file=/opt/x.yml   --log.level=info"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f'ARGS="{NEW}"\n'),
        ("# none\n", f'# none\nARGS="{NEW}"\n'),
        ("X=1", f'X=1\nARGS="{NEW}"\n'),
        ('ARGS=""\n', f'ARGS="{NEW}"\n'),
        ("ARGS=''\r\nX=1\r\n", f"ARGS='{NEW}'\r\nX=1\r\n"),
        ("ARGS=\n", f'ARGS="{NEW}"\n'),
        ("ARGS=--a  # no comment\n", f'ARGS="--a  # no comment {NEW}"\n'),
        ('ARGS="--a" \n', f'ARGS="--a {NEW}" \n'),
        ('ARGS="--a "', f'ARGS="--a {NEW}"'),
        ('ARGS="--a \\\n  --b"\nX=1\n', f'ARGS="--a \\\n  --b {NEW}"\nX=1\n'),
        ("ARGS=--a \\\n --b\n", f"ARGS=--a \\\n --b {NEW}\n"),
        ('ARGS="--a" "--b"\n', f'ARGS="--a" "--b {NEW}"\n'),
        ("ARGS='--a=\"x y\"'\n", f"ARGS='--a=\"x y\" {NEW}'\n"),
        (f'ARGS="--{FLAG}=/old --b"\n', f'ARGS="{NEW} --b"\n'),
        (f'ARGS="--a --{FLAG} /old --b"\n', f'ARGS="--a {NEW} --b"\n'),
        (f"ARGS='--a --{FLAG}=\"/o ld\"'\n", f"ARGS='--a {NEW}'\n"),
        (f'ARGS="--{FLAG}=/1 --b --{FLAG}=/2"\n', f'ARGS="{NEW} --b"\n'),
        (DEBIAN, DEBIAN.replace('ARGS=""', f'ARGS="{NEW}"', 1)),
    ],
)
def test_only_the_value_changes_and_only_once(before: str, after: str) -> None:
    assert env_file.set_flag(before, "ARGS", FLAG, PATH) == after
    assert env_file.set_flag(after, "ARGS", FLAG, PATH) == after


@pytest.mark.parametrize("reader", ["systemd", "shell", "code"])
def test_an_empty_value_is_written(reader: str) -> None:
    """`--web.listen-address=` closes a port."""
    after = env_file.set_flag('ARGS="--a"\n', "ARGS", FLAG, "", reader=reader)
    assert env_file.get(after, "ARGS") == ["--a", f"--{FLAG}="]
    assert env_file.set_flag(after, "ARGS", FLAG, "", reader=reader) == after


@pytest.mark.parametrize("value", ["/a b", 'a"b', "a'b", "a\\b", "a$b", "a`b`", "a\nb"])
def test_a_value_that_cannot_be_written_is_refused(value: str) -> None:
    with pytest.raises(ConfigError):
        env_file.set_flag('ARGS="--a"\n', "ARGS", FLAG, value)


@pytest.mark.parametrize(
    "text",
    [
        'ARGS="--web.config.file="/opt/x.yml"   --log.level=info"\n',
        'ARGS="--a=\'unclosed"\n',
        '# a comment \\\nARGS="--a"\n',
    ],
)
def test_unsafe_quoting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        env_file.set_flag(text, "ARGS", FLAG, PATH)
    assert refused.value.where.startswith("line ")
    assert refused.value.todo


LINE = some.sampled_from(
    [
        "",
        "# note",
        "X=1",
        "Y='a b'",
        'ARGS="--a=1"',
        "ARGS=--a --b",
        "ARGS='--c'",
        'ARGS=""',
        "ARGS=",
        "[odd",
        "Z=\\",
    ]
)


@given(some.lists(LINE, max_size=6), some.sampled_from(["\n", "\r\n"]), some.booleans())
def test_in_any_file_the_flag_arrives_and_the_rest_is_unchanged(
    lines: list[str], newline: str, final: bool
) -> None:
    text = newline.join(lines) + (newline if final else "")
    goes_on = env_file.value(text + ("" if text.endswith("\n") else "\n") + "ARGS=x", "ARGS") != "x"
    if env_file.value(text, "ARGS") is None and goes_on:
        with pytest.raises(ConfigError, match="is not complete"):
            env_file.set_flag(text, "ARGS", FLAG, PATH)
        return
    changed = env_file.set_flag(text, "ARGS", FLAG, PATH)
    assert env_file.get(changed, "ARGS") == [*env_file.get(text, "ARGS"), NEW]
    assert env_file.set_flag(changed, "ARGS", FLAG, PATH) == changed
    assert env_file.value(changed, "X") == env_file.value(text, "X")

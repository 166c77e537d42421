"""A command that is folded to a width does the same in a real shell as the unfolded command."""

from __future__ import annotations

import shlex

import pytest

from screens.widgets.shell_lines import fold_lines
from tests.processes import run_program

LONG = "/root/.local/share/firescreen/practice/srv1/etc/prometheus/tls/node exporter's key.pem"
COMMANDS = (
    shlex.join(
        ["printf", "%s|", "a", LONG, "--web.config.file=" + "x" * 90, "it's", 'say "so"', "$HOME", "a\\b", ""]
    ),
    'printf "%s|" "$(printf %s '
    + "y" * 70
    + ')" "0x$(printf 12)" "\\"quoted\\" $((1 + 2)) and more words than fit here"',
    "cat <<'END' | tr a b\nshort\n\n  indented 'quoted' $HOME \\\nEND",
    "tr a b <<'END'\n" + "subjectAltName = DNS:a.example.net, " * 6 + '\n  it\'s "so" $HOME `date` \\\n\nEND',
    "tr \\\n  a \\\n  b <<'END'\n"
    + "a line that is too long for any of the widths, " * 3
    + "\nEND\nprintf done",
    """printf 'user = "%s"' "$(printf %s ' """
    + "q" * 90
    + """ ' | sed 's/[\\\\"]/\\\\&/g')" 'and "more" in single quotes'""",
    "{ printf one; printf two\n} | tr o 0 && printf '%s\\n' " + " ".join(["word"] * 40),
    "printf %s \\\n  " + "z" * 60 + " \\\n  -end",
    "# a comment that is longer than the width, so that it stands in several lines of its own\nprintf done",
    "printf '%s\\n' one\nprintf '%s\\n' two",
)


def shell_output(script: str) -> str:
    return run_program(["sh", "-c", script], check=True, timeout=30).stdout


@pytest.mark.parametrize("width", [24, 42, 76])
@pytest.mark.parametrize("command", COMMANDS)
def test_folded_commands_do_the_same(command: str, width: int) -> None:
    lines = fold_lines(command, width)
    assert max(map(len, lines)) <= width
    assert shell_output("\n".join(lines)) == shell_output(command)


def test_a_command_that_fits_is_unchanged() -> None:
    short = "install -m 0600 /dev/stdin x <<'END'\nkey: 1\nEND"
    assert fold_lines(short, 60) == short.split("\n")

"""The scripts of `firescreen completion` in real shells: Tab completes commands, options and values."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.terminal import Terminal

pytestmark = pytest.mark.matrix

SCRIPTS = {
    "bash": ".local/share/bash-completion/completions/firescreen",
    "zsh": ".zfunc/_firescreen",
    "fish": ".config/fish/completions/firescreen.fish",
}
"""Where the help of the command says that the script belongs, below the home."""
SETTINGS = {
    # The package bash-completion reads its folder by itself; without it, the user's settings do.
    ".bashrc": f". ~/{SCRIPTS['bash']}\nPS1='> '\n",
    ".zshrc": "fpath=(~/.zfunc $fpath)\nautoload -U compinit\ncompinit -u -D\nPS1='> '\n",
    ".config/fish/config.fish": "function fish_prompt; echo '> '; end\nset -g fish_greeting\n",
}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_tab_completes_commands_options_and_values(shell: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    assert found, f"{shell} is missing: install it (.ci/run names what the tests need)"
    home, programs = tmp_path / "home", tmp_path / "bin"
    programs.mkdir()
    program = programs / "firescreen"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m screens "$@"\n')
    program.chmod(0o700)
    script = home / SCRIPTS[shell]
    script.parent.mkdir(parents=True)
    made = subprocess.run([program, "completion", shell], capture_output=True, check=True, timeout=60)
    script.write_bytes(made.stdout)
    for name, text in SETTINGS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    settings = {
        "HOME": str(home),
        "PATH": f"{programs}:/usr/bin:/bin",
        "TERM": "xterm",
        "XDG_CONFIG_HOME": "",
    }
    arguments = ["-i"] if shell != "fish" else ["-i", "--private"]
    window = Terminal(tmp_path, (100, 30), [found, *arguments], settings)
    try:
        window.until(">")
        for typed, whole in (
            ("firescreen veri", "firescreen verify "),
            ("firescreen lab so", "firescreen lab solve "),
            ("firescreen audit --fail-on hi", "firescreen audit --fail-on high "),
            ("firescreen plan --di", "firescreen plan --diff "),
        ):
            window.type(typed)
            window.press("Tab")
            window.until(whole.strip())
            # A completed word is followed by a blank; a suggestion that is only shown is not.
            window.type("+")
            window.until(f"{whole}+")
            window.press("C-u")
    finally:
        window.close()

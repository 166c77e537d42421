"""Commands with short names after `cd` do the same in a real shell as those with full paths; data keeps its paths."""

from __future__ import annotations

import subprocess
from pathlib import Path

from screens.plan.short_names import with_short_names


def commands(root: Path) -> tuple[str, ...]:
    """Returns the commands of a step that makes a key and a configuration: paths as words, redirections, and
    paths in data.
    """
    etc, users = f"{root}/practice/srv1/etc", f"{root}/users"
    return (
        f"install -d -m 0755 {etc}/node_exporter",
        f"install -m 0640 /dev/null {etc}/node_exporter/a.key",
        f"openssl genpkey -quiet -algorithm ED25519 >> {etc}/node_exporter/a.key",
        (
            f"install -m 0600 /dev/stdin {etc}/node_exporter/web.yml <<'END'\n"
            f"key_file: {etc}/node_exporter/a.key\n{etc}/node_exporter/a.key\nEND"
        ),
        (
            f"{{ cat <<'END'\nusers:\nEND\nprintf '  %s\\n' \"$(sed 's/a/b/' < {users}/p.password | head -n 1)\"\n}} | "
            f"install -m 0600 /dev/stdin \\\n  {etc}/node_exporter/users.yml"
        ),
        f"printf '%s\\n' {etc}/node_exporter/a.key > {etc}/node_exporter/printed",
        f"ln -s {etc}/node_exporter/a.key {etc}/node_exporter/link",
    )


def result(root: Path, typed: tuple[str, ...]) -> dict[str, str]:
    """Returns the files that the commands leave below `root`, without the text of the key."""
    (root / "practice/srv1/etc").mkdir(parents=True)
    (root / "users").mkdir()
    (root / "users/p.password").write_text("aaa\n")
    script = "\n".join(typed)
    subprocess.run(["sh", "-euc", script], check=True, timeout=30, cwd="/")
    return {
        str(path.relative_to(root)): ""
        if path.name in ("a.key", "link")
        else path.read_text().replace(str(root), "")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_short_commands_do_the_same(tmp_path: Path) -> None:
    whole, short = tmp_path / "whole", tmp_path / "short"
    typed = with_short_names(commands(short))
    assert result(whole, commands(whole)) == result(short, typed)
    etc = f"{short}/practice/srv1/etc"
    # The step makes etc/node_exporter itself: `cd` cannot go there first.
    assert typed[0] == f"cd {etc}"
    assert typed[1] == "install -d -m 0755 node_exporter"
    assert f"key_file: {etc}/node_exporter/a.key\n" in typed[4], "a configuration keeps its paths"
    assert typed[6:] == commands(short)[5:], "what is printed, and where a link leads to, stay"


def test_commands_that_cd_would_not_shorten_are_unchanged() -> None:
    for typed in (
        ("systemctl restart node_exporter",),
        ("ssh web1 'install -m 0600 /dev/stdin /etc/node_exporter/web.yml' < /root/firescreen/web.yml",),
        ("install -m 0600 /dev/null /etc/a",),
        (),
    ):
        assert with_short_names(typed) == typed

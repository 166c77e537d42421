"""Drop-ins of units keep the command line as written, and the flag arrives as one argument."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wizard.config_files import systemd_unit, unit_settings
from wizard.config_files.shell_syntax import split
from wizard.errors import ConfigError
from wizard.model import FileState, FlagPlace, Service
from wizard.service_managers import flags

FLAG = "web.config.file"

CAT = """\
# /lib/systemd/system/node_exporter.service
[Unit]
Description=x
ExecStart=/not/this/one

[Service]
EnvironmentFile=-/etc/sysconfig/node_exporter
Environment="A=one two" B=2
; ExecStart=/nor/this
ExecStart=/usr/bin/node_exporter \\
# a comment in between
    --collector.systemd  \\
    --collector.x="a b" $OPTIONS ${A}

# /etc/systemd/system/node_exporter.service.d/override.conf
[Service]
Environment=C=3
"""


def test_the_output_of_systemctl_cat_is_read() -> None:
    read = systemd_unit.parse(CAT)
    assert read.command is not None
    assert read.command.program == "/usr/bin/node_exporter"
    assert read.command.variables == ("OPTIONS",)
    assert read.command.braced == ("A",)
    assert read.environment_files == ("/etc/sysconfig/node_exporter",)
    assert dict(read.environment) == {"A": "one two", "B": "2", "C": "3"}
    assert read.exec_from == "/lib/systemd/system/node_exporter.service"
    assert read.arguments({"OPTIONS": ["--web.listen-address=:9101"]}) == (
        "--collector.systemd",
        "--collector.x=a b",
        "--web.listen-address=:9101",
        "one two",
    )


def test_an_empty_line_resets_and_the_last_one_counts() -> None:
    read = systemd_unit.parse(CAT + "ExecStart=\nExecStart=@!/opt/node_exporter shown --x=%%y\n")
    assert read.command is not None
    assert (read.command.prefix, read.command.program) == ("@!", "/opt/node_exporter")
    assert read.arguments({}) == ("--x=%y",)
    assert read.exec_from.endswith("override.conf")


@pytest.mark.parametrize(
    ("raw", "value", "line"),
    [
        ("/usr/bin/x", "/etc/web.yml", f"/usr/bin/x --{FLAG}=/etc/web.yml"),
        ("-/usr/bin/x $ARGS", "/etc/web.yml", f"-/usr/bin/x $ARGS --{FLAG}=/etc/web.yml"),
        ("/x --a='b  c' --d", "/e f", f"/x --a='b  c' --d \"--{FLAG}=/e f\""),
        ("/x", '/a%b$c"d\\e', f'/x "--{FLAG}=/a%%b$$c\\"d\\\\e"'),
        (f"/x --{FLAG}=/old --b", "/new", f"/x --{FLAG}=/new --b"),
        (f'/x "--{FLAG}=/o ld" --b', "/new", f"/x --{FLAG}=/new --b"),
        (f"/x --{FLAG} /old --b", "/new", f"/x --{FLAG}=/new --b"),
        (f"/x --{FLAG}=/1 --b --{FLAG}=/2", "/new", f"/x --{FLAG}=/new --b"),
    ],
)
def test_the_dropin_keeps_the_line_and_adds_the_flag(raw: str, value: str, line: str) -> None:
    assert systemd_unit.dropin(raw, FLAG, value) == f"[Service]\nExecStart=\nExecStart={line}\n"
    assert systemd_unit.with_flag(line, flag=FLAG, value=value) == line


@pytest.mark.parametrize(
    "raw", ["/bin/sh -c 'exec /usr/bin/x $ARGS'", "/usr/bin/x --a ; /usr/bin/y", "/usr/bin/env x"]
)
def test_a_command_line_that_would_lose_the_flag_is_refused(raw: str) -> None:
    with pytest.raises(ConfigError):
        systemd_unit.dropin(raw, FLAG, "/etc/web.yml")


@given(some.text(some.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_any_value_survives_systemds_quoting(value: str) -> None:
    (word,) = split(systemd_unit.quote(value), c_escapes=True)
    assert word.text.replace("%%", "%").replace("$$", "$") == value


def service(kind: str, path: Path) -> Service:
    place = FlagPlace(kind, str(path), "ARGS" if kind == "envfile" else "")  # type: ignore[arg-type]
    return Service(host="here", component="node_exporter", manager="systemd", unit="x", flags=place)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("envfile", None),
        ("envfile", ""),
        ("envfile", "# note\nX=1\n"),
        ("envfile", "X=1"),
        ("envfile", '# ARGS="--no"\nARGS="--a=b&c|d --e"\nX=1\n'),
        ("envfile", f'ARGS="--a --{FLAG}=/old"\n'),
        ("envfile", 'ARGS="--a \\\n  --b"\n'),
        ("envfile", "ARGS='--a'\nARGS='--b'\n"),
        ("dropin", None),
        ("dropin", f"[Service]\nLimitNOFILE=99\nExecStart=\nExecStart=/x --{FLAG}=/old $A\n"),
        ("argfile", None),
        ("argfile", "# flags\n--a=b\n"),
        ("argfile", f"--{FLAG}\n/old\n# end\n--b"),
    ],
)
def test_manual_commands_give_the_same_bytes_every_time(kind: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    current = None
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
        current = FileState(text.encode())
    one = service(kind, path)
    unit_text = "[Service]\nExecStart=/usr/bin/x --a $B\n"
    wanted = flags.plan_flag(one, flag=FLAG, value="/etc/w.yml", current=current, unit_text=unit_text)
    typed = flags.shell_commands(one, wanted={FLAG: "/etc/w.yml"}, current=current, unit_text=unit_text)
    for _ in range(2):
        script = "\n".join(line for line in typed if line != "systemctl daemon-reload")
        subprocess.run(["sh", "-euc", script], check=True, timeout=30)
        assert path.read_bytes() == wanted.content
    assert flags.needs_daemon_reload(one) == (kind == "dropin") == ("systemctl daemon-reload" in typed)
    again = flags.plan_flag(one, flag=FLAG, value="/etc/w.yml", current=wanted, unit_text=unit_text)
    assert again == wanted


SEVERAL = {
    FLAG: "/etc/w.yml",
    "web.external-url": "https://a.example:9093/am",
    "cluster.tls-config": "/etc/c.yml",
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("envfile", None),
        ("envfile", f'# note\nARGS="--web.external-url=http://old/ --a --{FLAG}=/old"\nX=1\n'),
        ("envfile", 'ARGS="--a \\\n  --b"\n'),
        ("dropin", None),
        ("dropin", "[Service]\nExecStart=\nExecStart=/x --web.external-url http://old/ $A\n"),
        ("argfile", None),
        ("argfile", f"# flags\n--web.external-url=http://old/\n--{FLAG}\n/old\n--b"),
    ],
)
def test_several_flags_are_one_edit_also_in_manual_commands(
    kind: str, text: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "file"
    current = None
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
        current = FileState(text.encode(), mode=0o640)
    one = service(kind, path)
    unit_text = "[Service]\nExecStart=/usr/bin/x --a $B\n"
    wanted = flags.plan_flags(one, wanted=SEVERAL, current=current, unit_text=unit_text)
    for flag, value in SEVERAL.items():
        assert wanted.content.count(f"--{flag}={value}".encode()) == 1
    assert b"old" not in wanted.content
    assert wanted.mode == (0o640 if current else 0o644)
    typed = flags.shell_commands(one, wanted=SEVERAL, current=current, unit_text=unit_text)
    script = "\n".join(line for line in typed if line != "systemctl daemon-reload")
    for _ in range(2):
        subprocess.run(["sh", "-euc", script], check=True, timeout=30)
        assert path.read_bytes() == wanted.content
    assert flags.plan_flags(one, wanted=SEVERAL, current=wanted, unit_text=unit_text) == wanted
    assert flags.shell_commands(one, wanted=SEVERAL, current=wanted, unit_text=unit_text) == ()


def test_a_foreign_drop_in_path_is_refused() -> None:
    one = Service(host="here", component="node_exporter", manager="manual", unit="x")
    with pytest.raises(ConfigError, match="not in a file"):
        flags.plan_flag(one, flag=FLAG, value="/x", current=None)
    two = service("envfile", Path("/etc/default/x"))
    with pytest.raises(ConfigError) as refused:
        flags.plan_flag(two, flag=FLAG, value="/a b", current=None)
    assert refused.value.where == "/etc/default/x"


@pytest.mark.parametrize(
    ("wins", "name"),
    [
        ("/lib/systemd/system/x.service", "50-firescreen.conf"),
        ("/etc/systemd/system/x.service.d/10-a.conf", "50-firescreen.conf"),
        ("/etc/systemd/system/x.service.d/override.conf", "zz-firescreen.conf"),
        ("/etc/systemd/system/x.service.d/zz-late.conf", "zz-late.firescreen.conf"),
        ("/run/systemd/system/service.d/zzz-local.conf", "zzz-local.firescreen.conf"),
        ("/usr/lib/systemd/system/service.d/~é.conf", "~é.firescreen.conf"),
        ("/etc/systemd/system/x.service.d/zz-firescreen.conf", "zz-firescreen.conf"),
        ("/etc/systemd/system/x.service.d/zz-late.firescreen.conf", "zz-late.firescreen.conf"),
        (f"/etc/systemd/system/x.service.d/{'z' * 250}.conf", ""),
    ],
)
def test_firescreens_drop_in_sorts_after_the_effective_one(wins: str, name: str) -> None:
    path = flags.dropin_path("x.service", wins)
    assert path == (f"/etc/systemd/system/x.service.d/{name}" if name else "")
    assert not name or name.encode() >= wins.rpartition("/")[2].encode() or wins.endswith(".service")


@pytest.mark.parametrize("comment", ["# /usr/local/bin/node_exporter", "# /etc/systemd/system/x.service"])
def test_a_comment_that_is_a_path_is_no_heading(comment: str) -> None:
    files = [("/etc/systemd/system/x.service", f"[Service]\n\n{comment}\nExecStart=/usr/bin/node_exporter\n")]
    read = systemd_unit.parse(unit_settings.join_files(files))
    assert read.command is not None
    assert read.exec_from == files[0][0]
    # An unfinished line of one file does not continue in the next file.
    files = [
        ("/a.service", "[Service]\nExecStart=/usr/bin/x \\"),
        ("/b.conf", "[Unit]\nExecStart=/usr/bin/y\n"),
    ]
    read = systemd_unit.parse(unit_settings.join_files(files))
    assert [command.raw for command in read.commands] == ["/usr/bin/x"]

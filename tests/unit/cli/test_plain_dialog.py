"""Questions of the plain mode about passwords of hosts and SSH host keys, in a pipe and on a terminal."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from wizard.cli import plain_dialog, plain_mode
from wizard.cli.options import connect
from wizard.connections.credentials import Access
from wizard.engine import Engine
from wizard.errors import CredentialNeededError, InputError
from wizard.model import HostSpec

HOST = HostSpec(name="web1", connect="ssh")


class Machine:
    """An engine with one host, whose key must be accepted and which then requires a password."""

    def __init__(self) -> None:
        self.access = Access()
        self.wanted = [
            CredentialNeededError(
                "its host key is not known", kind="host-key", host="web1", fingerprint="SHA256:abc"
            ),
            CredentialNeededError("it asks for a password", kind="password", host="web1"),
        ]

    def reach(self, _: object) -> None:
        """Raises the next error that asks for a credential."""
        if self.wanted:
            raise self.wanted.pop(0)


def type_lines(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Puts lines on standard input."""
    text = "".join(f"{line}\n" for line in lines).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def connect_machine() -> None:
    """Connects to a host that requires a key to be accepted and a password."""
    connect(cast(Engine, Machine()), (HOST,), plain_dialog.ASKING)


def test_a_host_key_and_a_password_are_read_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_lines(monkeypatch, "2", "the password")
    connect_machine()
    output = capsys.readouterr().out
    assert "Is SHA256:abc the SSH host key of web1?" in output
    assert "Password (web1). Type it." in output
    assert "the password" not in output.replace("the password of", "")


def test_a_host_key_is_not_accepted_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    type_lines(monkeypatch, "")
    with pytest.raises(InputError, match="the SSH host key was not accepted"):
        connect_machine()


@pytest.mark.parametrize("lines", [("q",), ("2", "q"), ("2",), ()])
def test_q_and_the_end_of_input_quit_the_dialog(
    monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...]
) -> None:
    type_lines(monkeypatch, *lines)
    with pytest.raises(plain_dialog.Leave) as left:
        connect_machine()
    assert left.value.exit_code == (0 if "q" in lines else 2)


def test_control_characters_of_a_host_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    plain_dialog.say("a host called \x1b[31mred")
    assert "\x1b" not in capsys.readouterr().out


def test_a_password_at_a_terminal_is_not_echoed_and_is_typed_twice(tmp_path: Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(
        "from wizard.cli.plain_dialog import ask\n"
        "taken = []\n"
        "ask('Password.', taken.append, secret=True)\n"
        "assert taken == ['secret-one'], taken\n"
        "print('taken')\n"
    )
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as asking:
        os.close(theirs)
        output = b""
        for expected, typed in (
            (b"Not shown while you type: ", b"?\n"),
            (b"about this question.\r\nPassword.\r\nNot shown while you type: ", b"secret-one\n"),
            (b"The same again: ", b"secret-two\n"),
            (b"Not shown while you type: ", b"secret-one\n"),
            (b"The same again: ", b"secret-one\n"),
            (b"taken\r\n", b""),
        ):
            part = b""
            while expected not in part:
                assert select.select([mine], [], [], 30)[0], output + part
                part += os.read(mine, 1000)
            output += part
            os.write(mine, typed)
        assert asking.wait(30) == 0
    os.close(mine)
    assert b"secret-" not in output
    assert b"\x1b" not in output


def test_lines_are_wrapped_at_blanks_and_commands_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    plain_dialog.say("The practice stack runs now. To stop it, type: firescreen practice down")
    plain_dialog.say("+    a line of a diff that is longer than forty columns", whole=True)
    assert capsys.readouterr().out.splitlines() == [
        "The practice stack runs now. To stop it,",
        "type: firescreen practice down",
        "+    a line of a diff that is longer than forty columns",
    ]


def test_an_unreadable_stack_file_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(
        "version: 1\nhosts: {here: {connect: local}}\ncomponents: [{host: here, name: node_exporter}]\n"
    )
    bad.write_text("version: 1\nhosts: {here: {connect: telnet}}\ncomponents: []\n")
    type_lines(monkeypatch, "", "/no/such/file", "~nobody-here/x", str(bad), str(good))
    assert plain_mode._stack_file() == str(good)
    output = capsys.readouterr().out
    assert output.count("This answer cannot be used") == 4
    assert "No such file" in output and f"{bad}:3" in output.replace("\n", "")

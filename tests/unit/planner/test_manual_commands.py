"""The manual commands of a change: on its host, over ssh, in a container, and for files that a person copies."""

from __future__ import annotations

import pytest

from wizard.model import FileState, HostSpec, ManualCommand, Route, UserSpec
from wizard.model.manual_commands import is_typed_here, render_commands
from wizard.planner import manual_commands

SPECS = {
    "here": HostSpec(name="here", connect="local"),
    "far": HostSpec(name="far", connect="ssh", address="192.0.2.7", user="ada", become="sudo"),
    "box": HostSpec(name="box", connect="incus", instance="web"),
    "deep": HostSpec(name="deep", connect="incus", via="far"),
    "out": HostSpec(name="out", connect="manual"),
}
HERE = "# On the machine where Firescreen runs:"
RIGHTS = FileState(b"text\n", 0o640, "root", "root")


def route_to(name: str) -> Route | None:
    return Route.to(SPECS, name, workspace="/own")


def test_commands_for_this_machine_need_no_login() -> None:
    assert route_to("here") is None
    copied = manual_commands.copy("/own/ca.crt", "/etc/ca.crt", RIGHTS)
    assert render_commands(copied, None) == ("install -m 0640 -o root -g root /own/ca.crt /etc/ca.crt",)
    assert not is_typed_here(copied, None)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (
            "far",
            "ssh ada@192.0.2.7 'sudo install -m 0640 -o root -g root /dev/stdin /etc/ca.crt' < /own/ca.crt",
        ),
        (
            "box",
            "incus exec web -- install -m 0640 -o root -g root /dev/stdin /etc/ca.crt < /own/ca.crt",
        ),
        (
            "deep",
            "ssh ada@192.0.2.7 'sudo incus exec deep -- install -m 0640 -o root -g root /dev/stdin /etc/ca.crt' < /own/ca.crt",
        ),
        ("out", "install -m 0640 -o root -g root /own/ca.crt /etc/ca.crt"),
    ],
)
def test_commands_that_read_the_workspace_are_typed_on_this_machine(name: str, command: str) -> None:
    copied = manual_commands.copy("/own/ca.crt", "/etc/ca.crt", RIGHTS)
    assert render_commands(copied, route_to(name)) == (HERE, command)
    assert is_typed_here(copied, route_to(name))


@pytest.mark.parametrize("name", ["here", "far", "box"])
def test_commands_without_the_workspace_are_typed_on_the_host(name: str) -> None:
    typed = manual_commands.text("/etc/x", RIGHTS)
    assert render_commands(typed, route_to(name)) == (
        "install -m 0640 -o root -g root /dev/stdin /etc/x <<'END'\ntext\nEND",
    )


def test_a_certificate_is_signed_where_the_ca_is() -> None:
    typed = manual_commands.issue(
        key="/etc/n.key",
        certificate="/etc/n.crt",
        names=("srv1", "192.0.2.7"),
        days=90,
        name="srv1",
        ca=("/own/ca.crt", "/own/ca.key"),
        owner="root",
        group="root",
    )
    local = render_commands(typed, None)
    assert [line.split()[:2] for line in local] == [
        ["openssl", "req"],
        ["openssl", "x509"],
        ["rm", "/etc/n.crt.csr"],
    ]
    head, request, signing, back, rest = render_commands(typed, route_to("far"))
    assert head == HERE
    assert request.startswith(
        "ssh ada@192.0.2.7 'sudo openssl req -new -key /etc/n.key -config /dev/stdin' > "
    )
    assert "-in /own/far-n.crt.csr -CA /own/ca.crt -CAkey /own/ca.key" in signing
    assert "subjectAltName = DNS:srv1, IP:192.0.2.7" in signing
    assert back == (
        "ssh ada@192.0.2.7 'sudo install -m 0644 -o root -g root /dev/stdin /etc/n.crt' < /own/far-n.crt"
    )
    assert rest == "rm /own/far-n.crt /own/far-n.crt.csr"
    assert "ca.key" not in request + back


def test_hashes_are_made_on_this_machine_and_written_on_the_host() -> None:
    after = FileState(b"tls_server_config: {}\nbasic_auth_users:\n  p: hash\n", 0o640, "root", "root")
    users = ((UserSpec(name="p"), "/own/users/p.password"),)
    (command,) = render_commands(manual_commands.web_config("/etc/web.yml", None, after, users), None)
    assert command.startswith("{ cat <<'END'\ntls_server_config: {}\nbasic_auth_users:\nEND\nprintf ")
    assert command.endswith("\n} | install -m 0640 -o root -g root /dev/stdin /etc/web.yml")
    assert "p: hash" not in command
    head, sent = render_commands(
        manual_commands.web_config("/etc/web.yml", None, after, users), route_to("box")
    )
    assert head == HERE
    assert sent.endswith("\n} | incus exec web -- install -m 0640 -o root -g root /dev/stdin /etc/web.yml")


def test_a_new_web_configuration_without_users_is_shown_as_text() -> None:
    after = FileState(b"tls_server_config: {}\n", 0o640, "root", "root")
    (command,) = render_commands(manual_commands.web_config("/etc/web.yml", None, after, ()), None)
    assert command.endswith("/dev/stdin /etc/web.yml <<'END'\ntls_server_config: {}\nEND")


@pytest.mark.parametrize("content", [b"password: secret-word\n", b"a: b\r\n", b"a: \x1b[2J\n"])
def test_an_edit_that_cannot_be_typed_is_described_in_a_note(content: bytes) -> None:
    (command,) = render_commands(manual_commands.patch("/etc/x", FileState(b""), FileState(content)), None)
    assert command == "# Edit /etc/x as the diff shows: what stands there is not fit for typing here."


def test_a_patch_marks_a_missing_newline_at_the_end() -> None:
    (command,) = render_commands(manual_commands.patch("/etc/x", FileState(b"a"), FileState(b"b\n")), None)
    assert command.startswith("patch --quiet --no-backup-if-mismatch /etc/x <<'END'\n")
    assert "-a\n\\ No newline at end of file\n+b\n" in command


@pytest.mark.parametrize(
    ("user", "word"),
    [
        (UserSpec(name="p"), "openssl rand"),
        (UserSpec(name="p", password="prompt"), "read -rs p"),
        (UserSpec(name="p", password="file", file="/root/p"), "tr -d '\\r\\n' < /root/p"),
    ],
)
def test_a_password_is_generated_typed_or_read_from_a_file(user: UserSpec, word: str) -> None:
    first, second = render_commands(manual_commands.password("/own/p", user), None)
    assert first == "install -m 0600 /dev/null /own/p"
    assert second.startswith(word)
    assert "> /own/p" in second


def test_a_long_command_is_wrapped_before_an_option() -> None:
    (command,) = render_commands((ManualCommand(argv=("openssl", *["--option=" + "x" * 30] * 5)),), None)
    assert command.count(" \\\n  --option=") == 2
    assert command.replace(" \\\n ", "") == " ".join(["openssl", *["--option=" + "x" * 30] * 5])


def test_an_encrypted_key_asks_for_its_passphrase() -> None:
    _, made = render_commands(manual_commands.new_key("/own/ca.key", "rsa-4096", locked=True), None)
    assert made == (
        "openssl genpkey -quiet -aes-256-cbc -algorithm RSA -pkeyopt rsa_keygen_bits:4096 >> /own/ca.key"
    )
    assert render_commands(manual_commands.remove_file("/x"), None) == ("rm /x",)

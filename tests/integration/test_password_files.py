"""Password files as real programs read them: an accepted file logs Prometheus in, a refused one would not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.integration.loopback_programs import exporter, free_port, prometheus_server
from wizard import passwords
from wizard.errors import PasswordError
from wizard.redact import Secret

TAKEN = (
    b"$%'\"\\#:{}",
    "Grüße-für-Jörg".encode(),
    b"two words\n",
    b"windows\r\n",
    b"${HOME} $1 %s {{ x }}",
    b"#comment: [x]\n",
    ("ü" * 36).encode(),
)
REFUSED = ("\ufeffsecret\n".encode(), "Jörg".encode("latin-1"), b"one\ntwo\n", "secret".encode("utf-16"))


def health(port: int, *, jobs: int, limit: float = 60.0) -> dict[str, tuple[str, str]]:
    """Returns health and last error of each job's target, once all have been scraped."""
    end = time.monotonic() + limit
    found: dict[str, tuple[str, str]] = {}
    while time.monotonic() < end:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=5
        ) as said:
            targets = json.load(said)["data"]["activeTargets"]
        found = {each["scrapePool"]: (each["health"], each["lastError"]) for each in targets}
        if len(found) == jobs and all(health != "unknown" for health, _ in found.values()):
            return found
        time.sleep(0.2)
    raise AssertionError(f"not all were scraped: {found}")


def read_leniently(content: bytes) -> str:
    """Returns the password as read by a program that skips a byte order mark, replaces invalid bytes and
    takes the first line.
    """
    return content.decode("utf-8-sig", "replace").split("\n")[0].rstrip("\r").replace("\0", "")


def test_prometheus_logs_in_with_accepted_files_and_not_with_refused_ones(
    prometheus: str, node_exporter: str, tmp_path: Path
) -> None:
    contents = {f"t{number}": content for number, content in enumerate(TAKEN)}
    refused = {f"r{number}": content for number, content in enumerate(REFUSED)}
    users, jobs = [], []
    port, own = free_port(), free_port()
    for user, content in {**contents, **refused}.items():
        (tmp_path / f"{user}.pw").write_bytes(content)
        if user in contents:
            password = passwords.read(content)
        else:
            with pytest.raises(PasswordError):
                passwords.read(content)
            password = Secret(read_leniently(content))
        hashed = passwords.hash_password(password, 4) if user in contents else _hash(password)
        users.append(f"  {user}: '{hashed}'\n")
        jobs.append(
            f"- job_name: {user}\n  basic_auth: {{username: {user}, password_file: {tmp_path}/{user}.pw}}\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        )
    web = "basic_auth_users:\n" + "".join(users)
    config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(jobs)
    with (
        exporter(node_exporter, tmp_path, port, web),
        prometheus_server(prometheus, tmp_path, own, config),
    ):
        found = health(own, jobs=len(users))
    assert {user: found[user][0] for user in contents} == dict.fromkeys(contents, "up")
    assert all("401" in found[user][1] for user in refused), found


def _hash(password: Secret) -> str:
    """Hashes as `hash_password` does, without its checks."""
    import bcrypt

    return bcrypt.hashpw(password.reveal().encode(), bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("\ufeffsecret\n".encode(), "begins with a byte order mark"),
        (b"one\ntwo\n", "has 2 lines"),
        ("Jörg\n".encode("latin-1"), "not UTF-8"),
        ("secret\n".encode("utf-16"), "UTF-16"),
        (b" secret\n", "begins or ends with a space"),
    ],
)
def test_hash_refuses_with_an_explanation(stdin: bytes, words: str) -> None:
    ended = _hash_command(stdin)
    assert ended.returncode == 2 and not ended.stdout
    assert words in ended.stderr.decode()


@pytest.mark.parametrize("stdin", [b"$%'\"\\#:{}\n", "Grüße".encode(), b"windows\r\n"])
def test_hash_takes_one_line(stdin: bytes) -> None:
    ended = _hash_command(stdin)
    assert ended.returncode == 0, ended.stderr
    text = stdin.decode().rstrip("\r\n")
    assert passwords.matches(Secret(text), ended.stdout.decode().strip())


def _hash_command(stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "screens", "hash", "--cost", "4"],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
    )

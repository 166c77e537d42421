"""The curl command that makes the same request, for a person to type and for the tests to run as printed."""

from __future__ import annotations

import json
import shlex
from urllib.parse import urlsplit
from zlib import crc32

from wizard.model import Forward, Probe
from wizard.redact import redact


def curl(probe: Probe) -> str:
    """One line that asks no question: the password comes from the probe's curl config file."""
    return _command(probe, asking=not probe.curl_config)


def curl_reading(probe: Probe) -> str:
    """As `curl`, but the answer itself is printed."""
    return _command(probe, asking=not probe.curl_config, reading=True)


def promtool_up(url: str, http_config: str) -> str:
    """promtool's own way to ask the Prometheus at `url` for `up`.

    Args:
        url: its root.
        http_config: path of the file that says how to reach it, or '' where nothing is needed.
    """
    more = [f"--http.config.file={http_config}"] if http_config else []
    return shlex.join(["promtool", "query", "instant", *more, redact(url), "up"])


def curl_config(user: str, password: str) -> bytes:
    """A curl config file (to be kept 0600) that logs in as `user`."""
    text = f"{user}:{password}"
    for sign, written in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\v", "\\v"),
    ):
        text = text.replace(sign, written)
    return f'user = "{text}"\n'.encode()


def forward_command(forward: Forward, key: str, command: str, *, seconds: int = 2) -> str:
    """The command with an ssh before it that forwards `forwarded_port(key)`, and ends by itself once it is over.

    Args:
        seconds: within which the command connects.
    """
    rule = f"127.0.0.1:{forwarded_port(key)}:{forward.place}"
    words = forward.host.ssh("-f", "-o", "ExitOnForwardFailure=yes", "-L", rule)
    return f"{shlex.join(words)} sleep {seconds} && {command}"


def forwarded_port(key: str) -> int:
    """A port of this machine: another for each key, for the ssh of the command before may still hold its own."""
    return 20_000 + crc32(key.encode()) % 10_000


def _command(probe: Probe, *, asking: bool, reading: bool = False) -> str:
    words = ["curl", "-sS"]
    # A password in the address is refused by `run`; it is not to be printed either.
    url = redact(probe.url)
    words += _of_kind(probe, reading=reading)
    words += ["--max-time", f"{probe.timeout:g}"]
    for option, value in (
        ("--cacert", probe.ca_file),
        ("--cert", probe.cert_file),
        ("--key", probe.key_file),
        ("--resolve", probe.resolve),
    ):
        if value:
            words += [option, value]
    if probe.insecure:
        words.append("-k")
    if probe.user:
        words += ["-u", probe.user] if asking else ["--config", probe.curl_config]
    if probe.server_name or probe.forward:
        url, rule = _replace_server_name(
            url, probe.server_name, forwarded_port(probe.id) if probe.forward else 0
        )
        words += ["--connect-to", rule] if rule else []
    if probe.kind == "up" and probe.agent:
        url = f"{url.rstrip('/')}/api/v1/targets?state=active"
    elif probe.kind == "up":
        words += ["-G", "--data-urlencode", f"query={_query(probe)}"]
        url = f"{url.rstrip('/')}/api/v1/query"
    # curl takes brackets for a pattern, except those around an IPv6 address.
    if any(sign in url.partition("://")[2].partition("/")[2] for sign in "[]{}"):
        words.append("--globoff")
    command = shlex.join([*words, url])
    if probe.kind == "login":
        command += f" | {shlex.join(['grep', '-E', probe.holds])}"
    if probe.forward is None:
        return command
    # A password that is typed first takes its time.
    return forward_command(probe.forward, probe.id, command, seconds=30 if probe.user and asking else 2)


def _of_kind(probe: Probe, *, reading: bool) -> list[str]:
    """What is done with the answer."""
    if probe.kind == "sign_in":
        return ["-o", "/dev/null", "-H", "Accept: text/html", "-w", "%{http_code} %{redirect_url}\\n"]
    if probe.kind != "http":
        return []
    # -L because Prometheus follows redirects as well.
    return ["-L"] if reading else ["-L", "-o", "/dev/null", "-w", "%{http_code}\\n"]


def _query(probe: Probe) -> str:
    labels = {"instance": probe.instance_label or probe.instance}
    if probe.job_label or probe.job:
        labels["job"] = probe.job_label or probe.job
    return "up{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def _replace_server_name(url: str, name: str, port_here: int) -> tuple[str, str]:
    """curl has no server name of its own: ask for the name, and connect to where the URL points.

    Args:
        name: '' for the URL's own.
        port_here: where on this machine the way there begins; 0 for at its end.
    """
    try:
        target = urlsplit(url)
        port = target.port or (443 if target.scheme == "https" else 80)
    except ValueError:
        return url, ""
    host = f"[{target.hostname}]" if ":" in (target.hostname or "") else target.hostname
    to = f"127.0.0.1:{port_here}" if port_here else f"{host}:{port}"
    if not name:
        return url, f"{host}:{port}:{to}"
    name = f"[{name}]" if ":" in name else name
    return target._replace(netloc=f"{name}:{port}").geturl(), f"{name}:{port}:{to}"

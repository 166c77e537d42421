"""Builds curl commands that make the same request as a probe, for a person to type and for the tests to run."""

from __future__ import annotations

import json
import shlex
from urllib.parse import urlsplit
from zlib import crc32

from wizard.model import Forward, Probe
from wizard.redact import redact


def curl(probe: Probe) -> str:
    """A command line that prints the status; it does not prompt, but reads the password from a curl config file."""
    return _command(probe, asking=not probe.curl_config)


def curl_reading(probe: Probe) -> str:
    """Like `curl`, but the command prints the body of the response."""
    return _command(probe, asking=not probe.curl_config, reading=True)


def promtool_up(url: str, http_config: str) -> str:
    """A promtool command that queries `up` from the Prometheus at `url`.

    Args:
        url: the root URL of the Prometheus.
        http_config: path of promtool's HTTP client configuration; '' if none is needed.
    """
    more = [f"--http.config.file={http_config}"] if http_config else []
    return shlex.join(["promtool", "query", "instant", *more, redact(url), "up"])


def curl_config(user: str, password: str) -> bytes:
    """The content of a curl config file (to be stored with mode 0600) with user and password."""
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
    """The command after an ssh command that forwards `forwarded_port(key)` and ends by itself after the connection.

    Args:
        seconds: time within which the command connects.
    """
    rule = f"127.0.0.1:{forwarded_port(key)}:{forward.place}"
    words = forward.host.ssh("-f", "-o", "ExitOnForwardFailure=yes", "-L", rule)
    return f"{shlex.join(words)} sleep {seconds} && {command}"


def forwarded_port(key: str) -> int:
    """A local port that depends on the key, because the ssh of the previous command may still use its port."""
    return 20_000 + crc32(key.encode()) % 10_000


def _command(probe: Probe, *, asking: bool, reading: bool = False) -> str:
    words = ["curl", "-sS"]
    # `run` rejects a password in the URL, and it must not be printed either.
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
    # curl interprets brackets as a pattern, except around an IPv6 address.
    if any(sign in url.partition("://")[2].partition("/")[2] for sign in "[]{}"):
        words.append("--globoff")
    command = shlex.join([*words, url])
    if probe.kind == "login":
        command += f" | {shlex.join(['grep', '-E', probe.holds])}"
    if probe.forward is None:
        return command
    # Allow time to type a password first.
    return forward_command(probe.forward, probe.id, command, seconds=30 if probe.user and asking else 2)


def _of_kind(probe: Probe, *, reading: bool) -> list[str]:
    """The options that say what curl prints."""
    if probe.kind == "sign_in":
        return ["-o", "/dev/null", "-H", "Accept: text/html", "-w", "%{http_code} %{redirect_url}\\n"]
    if probe.kind != "http":
        return []
    # -L because Prometheus follows redirects too.
    return ["-L"] if reading else ["-L", "-o", "/dev/null", "-w", "%{http_code}\\n"]


def _query(probe: Probe) -> str:
    labels = {"instance": probe.instance_label or probe.instance}
    if probe.job_label or probe.job:
        labels["job"] = probe.job_label or probe.job
    return "up{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def _replace_server_name(url: str, name: str, port_here: int) -> tuple[str, str]:
    """(URL, --connect-to rule) for a server name or a forwarded port.

    curl has no option for another server name, so the URL gets that name and the rule connects to the original host.

    Args:
        name: the server name; '' for that of the URL.
        port_here: the forwarded local port; 0 to connect directly.
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

"""A container with a healthcheck stays healthy after an edit has given it TLS, a password or client certificates."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from docker_hosts import Docker

from wizard import passwords
from wizard.certificates import issue
from wizard.config_files import compose
from wizard.redact import Secret

SERVICE = """\
  {name}:
    image: {image}
    healthcheck:
      test: {test}
      interval: 1s
      timeout: 10s
      retries: 3
"""
LIST = '["CMD", "wget", "--no-verbose", "--tries=1", "--spider", "http://localhost:9090/-/healthy"]'
SHELL = "wget -qO- http://127.0.0.1:9090/-/healthy || exit 1"
CANARY = Secret("canary-of-the-healthcheck")
DEMANDS = {
    "tls": compose.Demands(tls=True),
    "password": compose.Demands(password=True),
    "both": compose.Demands(tls=True, password=True),
    "mutual": compose.Demands(tls=True, client_certificate=True),
    "all": compose.Demands(tls=True, password=True, client_certificate=True),
}
UID = 65534


def write_web_config(folder: Path, demands: compose.Demands, *, hashed: str) -> None:
    """Writes the files that the service reads, readable only by its uid."""
    folder.mkdir()
    key, ca_key = issue.new_key("ec-p256"), issue.new_key("ec-p256")
    ca = issue.new_ca(name="Lab CA", key_pem=ca_key, days=100)
    made = issue.issue(
        ca_cert=ca, ca_key=ca_key, key_pem=key, names=["prometheus"], days=30, common_name="prometheus"
    )
    for name, content in {"node.key": key, "node.crt": made, "ca.crt": ca}.items():
        (folder / name).write_bytes(content)
    text = "tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n" if demands.tls else ""
    if demands.client_certificate:
        text += "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    if demands.password:
        text += f"basic_auth_users:\n  prometheus: {hashed}\n"
    (folder / "web.yml").write_text(text)
    for path in (folder, *folder.iterdir()):
        os.chown(path, UID, UID)
        path.chmod(0o700 if path.is_dir() else 0o400)


def test_containers_with_tls_and_logins_stay_healthy(docker: Docker, tmp_path: Path) -> None:
    image, hashed = docker.image("prometheus"), passwords.hash_password(CANARY, 4)
    demanded = {f"{name}-{form}": each for name, each in DEMANDS.items() for form in ("list", "shell")}
    demanded["unmended"] = DEMANDS["both"]
    text = "services:\n" + "".join(
        SERVICE.format(name=name, image=image, test=LIST if name.endswith("list") else SHELL)
        for name in demanded
    )
    file = tmp_path / "compose.yaml"
    files = {str(file): text.encode()}
    for name, demands in demanded.items():
        write_web_config(tmp_path / name, demands, hashed=hashed)
        project = compose.read([str(file)], files.get)
        change = compose.Change(
            flags={"web.config.file": "/etc/firescreen/web.yml"},
            image_command=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
            mounts=(compose.Mount(source=f"./{name}", target="/etc/firescreen"),),
            demands=None if name == "unmended" else demands,
        )
        files |= compose.edit(project, name, change)
    file.write_bytes(files[str(file)])
    call = ("-f", str(file), "-p", "healthchecks")
    docker.compose(*call, "up", "-d", folder=tmp_path, generation="trixie")
    try:
        states = health(docker, "healthchecks")
        assert states.pop("unmended") == "unhealthy", "the test sees a healthcheck that fails"
        assert states == dict.fromkeys(states, "healthy")
        seen = docker.docker("inspect", *docker.docker("ps", "-aq").split())
        assert CANARY.reveal() not in seen and hashed not in seen
    finally:
        docker.compose(*call, "down", "-v", folder=tmp_path, generation="trixie")


def health(docker: Docker, project: str) -> dict[str, str]:
    """Returns Docker's health of each service, once none is "starting"."""
    deadline = time.monotonic() + 120
    while True:
        names = docker.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}").split()
        found = {
            each["Config"]["Labels"]["com.docker.compose.service"]: each["State"]
            for each in json.loads(docker.docker("inspect", *names))
        }
        states = {
            name: state.get("Health", {}).get("Status", state["Status"]) for name, state in found.items()
        }
        if "starting" not in states.values() or time.monotonic() > deadline:
            return states
        time.sleep(0.2)

"""Measures a complete `firescreen apply` on 1 and on 20 real hosts against ansible-core, in the same run.

Both copy keys and a web.yml with a password hash to node_exporter, set its flag, restart it and check that it
is scraped over TLS with the password, from an unprotected host, as one command from start to end. Ansible
runs with pipelining, persistent connections, no facts, a fork per host, and gets ready-made keys and hash;
Firescreen makes them, scans the hosts first and also verifies that wrong credentials are rejected. The hosts
share this machine's processors with both, so twenty of them are limited by their own work. Exits with 1 below
a floor that guards against regressions, and if the memory reaches 150 MiB; the goals are printed beside it,
and are not reached yet.

A lower bound for any tool is measured beside them: a script written for exactly these hosts, with one `ssh`
and one `curl` per host, all in parallel, without checks, without verification and without undo.

Boots hosts of its own: as root, on Debian; elsewhere it says so and measures nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/hosts"), str(ROOT)]

from machines import Machine, Network, fleet  # noqa: E402 - of the tests on hosts

MANY = 20
ROUNDS = {1: 3, MANY: 1}
FLOORS = {1: 3.5, MANY: 4.5}
GOALS = {1: 5.5, MANY: 7.0}
GROWTH = 9.0
GROWTH_GOAL = 4.0
MEMORY = 150.0
UNIT = "prometheus-node-exporter"
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: /etc/node_exporter, state: directory, mode: "0755"}
    - ansible.builtin.copy: {src: node.key, dest: /etc/node_exporter/node.key, group: prometheus, mode: "0640"}
    - ansible.builtin.copy: {src: node.crt, dest: /etc/node_exporter/node.crt, mode: "0644"}
    - ansible.builtin.copy: {src: web.yml, dest: /etc/node_exporter/web.yml, group: prometheus, mode: "0640"}
    - ansible.builtin.lineinfile:
        path: /etc/default/prometheus-node-exporter
        regexp: '^ARGS='
        line: ARGS="--web.config.file=/etc/node_exporter/web.yml"
    - ansible.builtin.systemd_service: {name: prometheus-node-exporter, state: restarted}
    - name: a verified scrape
      delegate_to: localhost
      ansible.builtin.uri:
        url: "https://{{ ansible_host }}:9100/metrics"
        ca_path: "{{ playbook_dir }}/node.crt"
        url_username: prometheus
        url_password: "{{ lookup('file', 'password') }}"
        force_basic_auth: true
      register: scraped
      until: scraped.status == 200
      retries: 50
      delay: 0.1
"""


def main() -> int:
    """Prints the figures; returns 1 if a limit is exceeded."""
    if os.geteuid() != 0:
        print("fleet: needs root, to boot hosts of its own; nothing was measured")
        return 0

    with (
        tempfile.TemporaryDirectory(prefix="firescreen-bench-") as folder,
        Network() as network,
        fleet("bookworm", MANY, network) as machines,
    ):
        return measure(Path(folder), network, machines)


def measure(folder: Path, network: Network, machines: Sequence[Machine]) -> int:
    """Runs both tools in turns."""
    material(folder)
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda machine: machine.check(f"cp -p /etc/default/{UNIT} /root/open"), machines))
    ours: dict[int, list[float]] = {}
    rival: dict[int, list[float]] = {}
    least: dict[int, list[float]] = {}
    memory = 0.0
    for count, rounds in ROUNDS.items():
        for _ in range(rounds):
            seconds, held = timed(firescreen(folder, network, machines[:count]), folder)
            ours.setdefault(count, []).append(seconds)
            memory = max(memory, held)
            reset_hosts(machines[:count])
            least.setdefault(count, []).append(timed(bare(folder, network, machines[:count]), folder)[0])
            reset_hosts(machines[:count])
            rival.setdefault(count, []).append(timed(ansible(folder, network, machines[:count]), folder)[0])
            reset_hosts(machines[:count])
    for count, each in least.items():
        print(f"fleet: {count} hosts: a bare script with ssh and curl takes {statistics.median(each):.2f} s")
    return print_figures(ours, rival, memory)


def material(folder: Path) -> None:
    """Makes the files for Ansible: certificate and key, a password and its hash; and the playbook."""
    from wizard import passwords
    from wizard.certificates import issue
    from wizard.redact import Secret

    password = passwords.generate()
    key = issue.new_key("ec-p256")
    names = tuple(f"192.0.2.{last}" for last in range(11, 11 + MANY))
    (folder / "node.key").write_bytes(key)
    (folder / "node.crt").write_bytes(issue.self_signed(key_pem=key, names=names, days=9, common_name="node"))
    (folder / "password").write_text(password.reveal())
    hashed = passwords.hash_password(Secret(password.reveal()), 10)
    (folder / "web.yml").write_text(
        "tls_server_config: {cert_file: /etc/node_exporter/node.crt, key_file: /etc/node_exporter/node.key}\n"
        f"basic_auth_users: {{prometheus: {hashed}}}\n"
    )
    (folder / "site.yml").write_text(PLAYBOOK)


def firescreen(folder: Path, network: Network, machines: Sequence[Machine]) -> list[str]:
    """Returns the command, with a stack file and a new workspace."""
    specs = [machine.spec() for machine in machines]
    stack = {
        "version": 1,
        "hosts": {
            spec.name: {
                "connect": "ssh",
                "address": spec.address,
                "user": spec.user,
                "identity_file": spec.identity_file,
                "known_hosts": spec.known_hosts,
            }
            for spec in specs
        },
        "components": [
            {"host": spec.name, "name": "node_exporter", "protect": ["tls", "basic_auth"]} for spec in specs
        ],
        "users": {"prometheus": {"password": "generate"}},
    }
    path = folder / "firescreen.yaml"
    path.write_text(json.dumps(stack))
    workspace = tempfile.mkdtemp(dir=folder)
    words = [*network.enter, sys.executable, "-m", "wizard.cli", "--workspace", workspace]
    return [*words, "apply", str(path), "--yes", "--canary", "none"]


def ansible(folder: Path, network: Network, machines: Sequence[Machine]) -> list[str]:
    """Returns the ansible-playbook command, with an inventory of these hosts."""
    lines = [
        f"{spec.name} ansible_host={spec.address} ansible_user=root ansible_ssh_private_key_file={spec.identity_file} "
        f"ansible_ssh_common_args='-o UserKnownHostsFile={spec.known_hosts}' ansible_python_interpreter=/usr/bin/python3"
        for spec in (machine.spec() for machine in machines)
    ]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    settings = [
        "ANSIBLE_PIPELINING=1",
        f"ANSIBLE_FORKS={MANY}",
        f"ANSIBLE_HOME={folder}/ansible",
        "LC_ALL=C.UTF-8",
    ]
    program = str(Path(sys.executable).parent / "ansible-playbook")
    return [*network.enter, "env", *settings, program, "-i", "hosts", "site.yml"]


def bare(folder: Path, network: Network, machines: Sequence[Machine]) -> list[str]:
    """Returns a shell script for exactly these hosts: one ssh and one curl for each."""

    def text(name: str) -> str:
        return (folder / name).read_text()

    remote = f"""set -e
umask 027
install -d -m 0755 /etc/node_exporter
cat > /etc/node_exporter/node.key <<'END'
{text("node.key")}END
cat > /etc/node_exporter/node.crt <<'END'
{text("node.crt")}END
cat > /etc/node_exporter/web.yml <<'END'
{text("web.yml")}END
chgrp prometheus /etc/node_exporter/*
sed -i 's|^ARGS=.*|ARGS="--web.config.file=/etc/node_exporter/web.yml"|' /etc/default/{UNIT}
systemctl restart {UNIT}
"""
    (folder / "remote.sh").write_text(remote)
    (folder / "login").write_text(f'user = "prometheus:{text("password")}"\n')
    lines = [
        f"(ssh -o BatchMode=yes -o UserKnownHostsFile={spec.known_hosts} -i {spec.identity_file} root@{spec.address} sh -s "
        "< remote.sh || exit 1; for turn in $(seq 200); do "
        f"curl -sSf -o /dev/null --cacert node.crt -K login https://{spec.address}:9100/metrics && exit 0; "
        "sleep 0.05; done; exit 1) &\n"
        for spec in (machine.spec() for machine in machines)
    ]
    (folder / "bare.sh").write_text(
        "".join(lines) + 'for job in $(jobs -p); do wait "$job" || exit 1; done\n'
    )
    return [*network.enter, "bash", "bare.sh"]


def timed(words: Sequence[str], folder: Path) -> tuple[float, float]:
    """Returns the seconds of a command, and its peak memory (MiB); it must succeed."""
    with (folder / "said").open("w+") as output:
        # As for users: modules are compiled on their first import only.
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        begun = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, stdout=output, stderr=output, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{words[-4:]} failed:\n{output.read()[-3000:]}")
    return seconds, used.ru_maxrss / 1024


def reset_hosts(machines: Sequence[Machine]) -> None:
    """Resets the hosts to plain http."""
    reset = f"rm -rf /etc/node_exporter && cp -p /root/open /etc/default/{UNIT} && systemctl restart {UNIT}"
    # systemd otherwise refuses so many starts in so short a time.
    reset = f"systemctl reset-failed {UNIT}; {reset} && systemctl reset-failed {UNIT}"
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda machine: machine.check(reset), machines))


def print_figures(ours: dict[int, list[float]], rival: dict[int, list[float]], memory: float) -> int:
    """Prints the figures; returns 1 if a limit is exceeded."""
    good = True
    best: dict[int, float] = {}
    for count, mine in ours.items():
        best[count] = statistics.median(mine)
        ratio = statistics.median(rival[count]) / best[count]
        good &= ratio >= FLOORS[count]
        print(
            f"fleet: {count} hosts: {best[count]:.2f} s (of {len(mine)}), ansible {statistics.median(rival[count]):.2f} s: "
            f"{ratio:.1f} times faster (at least {FLOORS[count]:g}; goal {GOALS[count]:g})"
        )
    growth = best[MANY] / best[1]
    good &= growth <= GROWTH and memory <= MEMORY
    print(
        f"fleet: {MANY} hosts take {growth:.1f} times as long as 1 (at most {GROWTH:g}; goal {GROWTH_GOAL:g})"
    )
    print(f"fleet: memory {memory:.0f} MiB (at most {MEMORY:.0f})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

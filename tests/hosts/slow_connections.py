"""Four front doors at once on one host, as their templates write them, with connections slow or silent for
over a minute.

nginx and others have a default timeout of one minute. These connections run in threads beside another test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grafana_host
from machines import Machine, Network

from wizard.front_doors import Door, Opening, Proxy, all_proxies

NAME = "slow.example.net"
SECONDS = 63
"""More than the minute after which nginx gives up by default."""
_FOLDER = "/root/slow"
_CERTIFICATE = f"""\
mkdir -p {_FOLDER} && cd {_FOLDER}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout door.key -out door.crt -days 30 \
    -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} 2>&1
cat door.crt door.key > door.pem
"""
_APACHE_MODULES = (
    *(
        "mpm_event",
        "authn_core",
        "authz_core",
        "alias",
        "setenvif",
        "headers",
        "socache_shmcb",
        "ssl",
        "proxy",
        "proxy_http",
    ),
)
_MAIN = {
    "nginx": "pid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n    include {folder}/nginx-*.site;\n}}\n",
    "apache": "ServerName localhost\nPidFile {folder}/apache.pid\nErrorLog {folder}/apache.log\n"
    "User www-data\nGroup www-data\n{modules}{listens}Include {folder}/apache-*.site\n",
    "caddy": "{{\n\tadmin off\n\tauto_https off\n}}\nimport {folder}/caddy-*.site\n",
    "haproxy": "",
}
_START = {
    "nginx": "nginx -g 'daemon off;' -c {main}",
    "apache": "apache2 -D FOREGROUND -f {main}",
    "caddy": "env HOME={folder} caddy run --adapter caddyfile --config {main}",
    "haproxy": "haproxy -f {main}",
}


@contextmanager
def beside(machine: Machine, network: Network) -> Iterator[None]:
    """Starts the connections, and checks at the end that they succeeded.

    For each proxy: a response that takes over a minute arrives, a WebSocket that is silent for over a minute
    stays open, and with a shorter `timeout` such a response is an error of the proxy.
    """
    grafana_host.install(machine)
    settings = (
        f"{grafana_host.SETTINGS}[server]\nroot_url = https://{NAME}/grafana/\nserve_from_sub_path = true\n"
    )
    machine.push(grafana_host.INI, settings.encode())
    beside_it = (
        f"systemd-run -q --unit=slow-backend env GF_SERVER_HTTP_PORT=3001 python3 {grafana_host.SCRIPT}"
    )
    machine.check(f"systemctl restart grafana-server; {beside_it}; {_CERTIFICATE}")
    proxies = (known for known in all_proxies() if not known.exporters)
    ports = {known: 7000 + 10 * number for number, known in enumerate(proxies)}
    for known, port in ports.items():
        _start(machine, known, port)
    with ThreadPoolExecutor(2 * len(ports)) as pool:
        begun: list[Future[None]] = []
        ca_file = machine.root / _FOLDER.lstrip("/") / "door.crt"
        for port in ports.values():
            begun.append(pool.submit(_answers_slowly, machine, port))
            begun.append(pool.submit(_is_silent, machine, network, port, ca_file))
        yield
        for each in begun:
            each.result()


def _start(machine: Machine, known: Proxy, port: int) -> None:
    """Starts a proxy with two front doors: one with defaults and one with a timeout of 2 s."""
    version = known.version_in(str(machine.run([known.programs[0], *known.version])))
    sites = []
    for number, timeout in enumerate((130, 2)):
        door = Door(
            name=NAME,
            port=port + number,
            ipv6=False,
            version=version,
            certificate=f"{_FOLDER}/door.crt",
            key=f"{_FOLDER}/door.key",
            bundle=f"{_FOLDER}/door.pem" if known.wants_bundle(version) else "",
            openings=(
                Opening(
                    prefix="/grafana",
                    backend=f"127.0.0.1:{grafana_host.PORT}",
                    own_login=True,
                    websocket=True,
                ),
                Opening(prefix="/slow", backend="127.0.0.1:3001"),
            ),
            timeout=timeout,
        )
        sites.append(door)
        if known.shared is None:
            machine.push(f"{_FOLDER}/{known.name}-{number}.site", known.render(door).encode())
    main = _MAIN[known.name].format(
        folder=_FOLDER,
        modules="".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in _APACHE_MODULES
        ),
        listens="".join(f"Listen {each.port} https\n" for each in sites),
    )
    if known.shared is not None:
        main = known.shared.merged(main, sites)
    path = f"{_FOLDER}/{known.name}.conf"
    machine.push(path, main.encode())
    command = _START[known.name].format(main=path, folder=_FOLDER)
    machine.check(f"systemd-run -q --unit=slow-{known.name} {command}")
    up = f"https://{NAME}:{port}/grafana/api/health"
    curl = f"curl -sfk --resolve {NAME}:{port}:127.0.0.1 -o /dev/null {up}"
    machine.check(
        f"for i in $(seq 100); do {curl} && exit; sleep 0.1; done; journalctl -u slow-{known.name}; exit 1"
    )


def _answers_slowly(machine: Machine, port: int) -> None:
    for number, seconds, expected in ((1, 5, ("502", "504")), (0, SECONDS, ("200",))):
        at = port + number
        url = f"https://{NAME}:{at}/slow/{seconds}"
        output = machine.check(
            f"curl -sk --resolve {NAME}:{at}:127.0.0.1 -o /dev/null -w '%{{http_code}}' {url}", timeout=90
        )
        assert output in expected, (at, output)


def _is_silent(machine: Machine, network: Network, port: int, ca_file: Path) -> None:
    place = machine.address, NAME, "/grafana/api/live/ws", ca_file
    with network.entered(), grafana_host.websocket(*place, origin=f"https://{NAME}", port=port) as live:
        assert live.echoed("one") == "one"
        # The silence itself is what is tested.
        time.sleep(SECONDS)
        assert live.echoed("two") == "two"

#!/usr/bin/python
"""Asks front doors on their own host under their names: ansible.builtin.uri asks only where a name server leads.

Also looks that what is behind them takes no connection at the addresses of the host.
"""

import base64
import http.client
import socket
import ssl
import time
from urllib.parse import urljoin, urlsplit

from ansible.module_utils.basic import AnsibleModule

REDIRECTS = 5
WAIT = 20
"""Seconds until everything must answer as it shall: a proxy's old processes answer for a moment after a reload."""


class Connection(http.client.HTTPSConnection):
    """A connection to this host, whatever the name."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=10, context=context)
        self.made = context

    def connect(self) -> None:
        """Connects to the loopback address and verifies the certificate for the name."""
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self.made.wrap_socket(plain, server_hostname=self.host)


def status_of(url: str, context: ssl.SSLContext, headers: dict) -> int:
    """The status of the response; redirects within the same site are followed."""
    for _ in range(REDIRECTS):
        parts = urlsplit(url)
        connection = Connection(parts.hostname, parts.port or 443, context)
        try:
            path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        url = urljoin(url, response.headers.get("Location", ""))
        if response.status not in (301, 302, 307, 308) or urlsplit(url).netloc != parts.netloc:
            break
    return response.status


def asked(request: dict, authorities: dict, passwords: dict) -> str:
    """What is wrong with the answer to one request; '' for nothing."""
    user, headers = request["user"], {}
    if user:
        login = "{}:{}".format(user, request["password"] or passwords[user])
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    try:
        status = status_of(
            request["url"], ssl.create_default_context(cadata=authorities[request["ca"]]), headers
        )
    except (OSError, http.client.HTTPException) as error:
        return "{name}: {url}: {0}".format(error, **request)
    if status == request["status"]:
        return ""
    return "{name}: {url} answers {0}, and must answer {status}".format(status, **request)


def connected(place: dict) -> str:
    """What is wrong with an address that must take no connection; '' for nothing."""
    try:
        socket.create_connection((place["host"], place["port"]), 3).close()
    except OSError:
        return ""
    return "{host}:{port} takes connections past the front door".format(**place)


def main() -> None:
    """Fails with everything that is wrong."""
    module = AnsibleModule(
        argument_spec={
            "requests": {"type": "list", "elements": "dict", "required": True},
            "authorities": {"type": "dict", "required": True},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "closed": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    deadline = time.monotonic() + WAIT
    waiting = given["requests"]
    while True:
        found = [(each, asked(each, given["authorities"], given["passwords"])) for each in waiting]
        found += [(None, connected(each)) for each in given["closed"]]
        wrong = [said for _, said in found if said]
        if not wrong:
            module.exit_json(changed=False, asked=len(given["requests"]), closed=len(given["closed"]))
        if time.monotonic() > deadline:
            module.fail_json(msg="; ".join(wrong))
        waiting = [each for each, said in found if each is not None and said]
        time.sleep(0.5)


if __name__ == "__main__":
    main()

"""The fault laboratory: faults that people make, reproduced between real programs.

Each fault names its true cause, an id of assets/faults.yaml. A scrape fault has its own server (a
node_exporter with its web.yml, or a program that imitates one) and its own scrape job; a start fault is a
web.yml or a flag with which the real program does not start.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt

from tests.integration.faults_pki import Made, Workshop, der, key_pem

PASSWORD = "a long enough password"
ALL = ("bookworm", "trixie", "sid")
NEWER = ("trixie", "sid")
NBSP = "\u00a0"

Job = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """A fault between a server and its clients.

    `web`: the server's web.yml, None for none. `after`: changes its files once it runs. `server`: the kind of
    server, '' for node_exporter. `host`: the name or address by which it is scraped.
    """

    name: str
    cause: str
    web: str | None = None
    job: Job = field(default_factory=dict)
    scheme: str = "https"
    host: str = "localhost"
    server: str = ""
    path: str = "/metrics"
    suites: tuple[str, ...] = ALL
    after: Callable[[Path], None] | None = None
    hidden: bool = False
    """The job does not come up at all: Prometheus has no target for it, only a line in its log."""
    passing: bool = False
    """It heals by itself after a moment (a result that the server keeps): the first answer counts."""

    @property
    def slow(self) -> bool:
        """Whether the true cause is a timeout, and a timeout is not just an effect of a busy machine."""
        return self.passing or self.server in ("silent", "full", "late")


@dataclass(frozen=True)
class StartFault:
    """A fault with which a program does not start. `says`: other ids that its texts may correctly give."""

    name: str
    cause: str
    web: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Beside web.yml; a mode of 0 for names in `closed`."""
    closed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    suites: tuple[str, ...] = ALL


def hashed(password: str) -> str:
    return "$2y$" + bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()[4:]


class Kit:
    """The certificates, keys and files from which the faults are made."""

    def __init__(self, folder: Path) -> None:
        shop = Workshop(folder)
        self.shop = shop
        self.ca = shop.make("ca", common_name="Lab CA", ca=True, days=90)
        self.other = shop.make("other", common_name="Other CA", ca=True, days=90)
        self.namesake = shop.make("namesake", common_name="Lab CA", ca=True, days=90)
        self.old_ca = shop.make("oldca", common_name="Old CA", ca=True, begin=-40, days=20)
        self.good = self.leaf("good")
        self.client = self.leaf("client", use=("client",), names=("prometheus.lab",))
        self.web = tls(self.good)
        self.mutual = tls(
            self.good, client_auth_type="RequireAndVerifyClientCert", client_ca_file=self.ca.crt
        )
        self.users = f"basic_auth_users: {{prometheus: '{hashed(PASSWORD)}'}}\n"
        self.password = shop.write("password", f"{PASSWORD}\n".encode())

    def leaf(self, name: str, **more: Any) -> Made:
        options: dict[str, Any] = {"names": ("localhost", "127.0.0.1"), "issuer": self.ca}
        return self.shop.make(name, **(options | more))

    def trusting(self, ca: str = "", **more: Any) -> dict[str, Any]:
        """Returns a job's tls_config that is correct except for `more`."""
        return {"tls_config": {"ca_file": ca or self.ca.crt, **more}}

    def showing(self, made: Made) -> dict[str, Any]:
        return self.trusting(cert_file=made.crt, key_file=made.key)

    def login(self, user: str = "prometheus", password_file: str = "") -> dict[str, Any]:
        return {"basic_auth": {"username": user, "password_file": password_file or self.password}}


def tls(made: Made, **more: Any) -> str:
    rows = {"cert_file": made.crt, "key_file": made.key, **more}
    return "tls_server_config:\n" + "".join(f"  {key}: {value}\n" for key, value in rows.items())


def scrape_faults(kit: Kit) -> list[Fault]:
    shop, trusting, leaf = kit.shop, kit.trusting(), kit.leaf
    cn_only = leaf("cnonly", common_name="localhost", names=())
    middle = shop.make("middle", common_name="Middle CA", issuer=kit.ca, ca=True)
    below = leaf("below", issuer=middle)
    no_ca = shop.make("noca", common_name="No CA", issuer=kit.ca, ca=False, use=())
    by_no_ca = leaf("bynoca", issuer=no_ca)
    chained = shop.write("bynoca-chain.crt", Path(by_no_ca.crt).read_bytes() + Path(no_ca.crt).read_bytes())
    own = shop.make("own", common_name="localhost", names=("localhost",))
    own_cn = shop.make("owncn", common_name="localhost")
    late = leaf("late", issuer=kit.old_ca)
    web, mutual, users = kit.web, kit.mutual, kit.users
    wrong = shop.write("wrong-password", b"not this one\n")
    newline = hashed(f"{PASSWORD}\n")
    locked = shop.write("locked.key", key_pem(kit.client.private, b"secret"))
    derca = shop.write("ca.der", der(kit.ca))
    keyca = kit.ca.key
    empty = shop.write("empty.pem", b"")
    return [
        # The client does not trust the server.
        Fault("wrong CA", "server-ca-other", web, kit.trusting(kit.other.crt)),
        Fault("no CA", "server-ca-not-given", web),
        Fault("CA made anew", "server-ca-renewed", web, kit.trusting(kit.namesake.crt)),
        Fault("self-signed", "server-self-signed", tls(own), trusting),
        Fault("self-signed, CN only", "server-cn-only", tls(own_cn), kit.trusting(own_cn.crt)),
        Fault("chain incomplete", "server-chain-incomplete", tls(below), trusting),
        Fault(
            "issuer is no CA", "server-issuer-no-ca", tls(by_no_ca).replace(by_no_ca.crt, chained), trusting
        ),
        Fault("expired", "server-expired", tls(leaf("expired", begin=-9, days=3)), trusting),
        Fault("not yet valid", "server-not-yet", tls(leaf("soon", begin=9)), trusting),
        Fault("CA expired", "server-ca-expired", tls(late), kit.trusting(kit.old_ca.crt)),
        Fault("CN only", "server-cn-only", tls(cn_only), trusting),
        Fault(
            "CN of another, no SAN",
            "server-no-names",
            tls(leaf("cnother", common_name="node1.lab", names=())),
            trusting,
        ),
        Fault("wrong name", "server-name", tls(leaf("node1", names=("node1.lab",))), trusting),
        Fault("wrong server_name", "server-name", web, kit.trusting(server_name="prometheus.lab")),
        Fault(
            "no address in the SAN",
            "server-ip",
            tls(leaf("noip", names=("localhost",))),
            trusting,
            host="127.0.0.1",
        ),
        Fault(
            "another address in the SAN",
            "server-ip",
            tls(leaf("otherip", names=("192.0.2.9",))),
            trusting,
            host="127.0.0.1",
        ),
        Fault(
            "client certificate on the server",
            "server-usage",
            tls(leaf("clientonly", use=("client",))),
            trusting,
        ),
        # The server does not take the client's certificate.
        Fault("no client certificate", "client-cert-none", mutual, trusting),
        Fault(
            "no client certificate, TLS 1.2", "client-cert-none", mutual + "  max_version: TLS12\n", trusting
        ),
        Fault(
            "client certificate of another CA",
            "client-cert-ca",
            mutual,
            kit.showing(leaf("stranger", issuer=kit.other, use=("client",))),
        ),
        Fault(
            "wrong client CA at the server",
            "client-cert-ca",
            mutual.replace(kit.ca.crt, kit.other.crt),
            kit.showing(kit.client),
        ),
        Fault(
            "client certificate expired",
            "client-cert-expired",
            mutual,
            kit.showing(leaf("gone", use=("client",), begin=-9, days=3)),
        ),
        Fault(
            "client certificate not yet valid",
            "client-cert-not-yet",
            mutual,
            kit.showing(leaf("coming", use=("client",), begin=9)),
        ),
        Fault("server certificate as client's", "client-cert-usage", mutual, kit.showing(kit.good)),
        Fault(
            "name not allowed",
            "client-cert-san",
            mutual + "  client_allowed_sans: [other.lab]\n",
            kit.showing(kit.client),
            suites=NEWER,
        ),
        Fault(
            "allowed names, certificate optional",
            "allowed-sans-panic",
            mutual.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
            + "  client_allowed_sans: [prometheus.lab]\n",
            trusting,
            suites=NEWER,
        ),
        # The client's own files.
        Fault("CA file missing", "client-ca-file", web, kit.trusting(shop.file("nowhere.crt")), hidden=True),
        Fault("CA file in DER", "client-ca-not-pem", web, kit.trusting(derca), hidden=True),
        Fault("CA file empty", "client-ca-not-pem", web, kit.trusting(empty), hidden=True),
        Fault("key for a CA file", "client-ca-not-pem", web, kit.trusting(keyca), hidden=True),
        Fault(
            "client key of another",
            "client-pair",
            mutual,
            kit.trusting(cert_file=kit.client.crt, key_file=kit.good.key),
            hidden=True,
        ),
        Fault(
            "client key encrypted",
            "client-key-encrypted",
            mutual,
            kit.trusting(cert_file=kit.client.crt, key_file=locked),
            hidden=True,
        ),
        Fault(
            "client certificate missing",
            "client-file",
            mutual,
            kit.trusting(cert_file=shop.file("nowhere.crt"), key_file=kit.client.key),
            hidden=True,
        ),
        Fault(
            "client certificate and key switched",
            "client-pair-switched",
            mutual,
            kit.trusting(cert_file=kit.client.key, key_file=kit.client.crt),
            hidden=True,
        ),
        Fault(
            "password file missing",
            "password-file",
            web + users,
            trusting | kit.login(password_file=shop.file("nowhere")),
        ),
        # Passwords.
        Fault("no password", "password-none", web + users, trusting),
        Fault("wrong password", "password-wrong", web + users, trusting | kit.login(password_file=wrong)),
        Fault("unknown user", "password-user", web + users, trusting | kit.login("grafana")),
        Fault(
            "hash made with a line end",
            "password-newline",
            web + f"basic_auth_users: {{prometheus: '{newline}'}}\n",
            trusting | kit.login(),
        ),
        Fault("no password, no TLS", "password-none", users, scheme="http"),
        Fault(
            "hash too costly",
            "password-cost",
            web + f"basic_auth_users: {{prometheus: '{COSTLY}', second: '{COSTLY}'}}\n",
            trusting | kit.login(),
            passing=True,
        ),
        # http and https.
        Fault("http to https", "plain-http-to-tls", web, scheme="http"),
        Fault("https to http", "tls-to-plain-http", None, trusting),
        Fault(
            "TLS versions apart",
            "tls-version",
            web + "  min_version: TLS10\n  max_version: TLS11\n",
            trusting,
        ),
        Fault(
            "ciphers apart",
            "tls-cipher",
            web + "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
            trusting,
        ),
        # The server's files, changed while it runs.
        Fault(
            "web.yml broken while it runs",
            "web-field",
            web,
            trusting,
            after=lambda path: _append(path, "broken: true\n"),
        ),
        Fault(
            "web.yml with a tab while it runs",
            "web-yaml",
            web,
            trusting,
            after=lambda path: _append(path, "\tmin_version: TLS12\n"),
        ),
        Fault(
            "TLS taken out while it runs",
            "web-tls-gone",
            web,
            trusting,
            after=lambda path: _write(path, "{}\n"),
        ),
        Fault(
            "key of another while it runs",
            "web-pair",
            web,
            trusting,
            after=lambda path: _replace(path, kit.good.key, kit.client.key),
        ),
        Fault(
            "key gone while it runs",
            "web-pair-file",
            web,
            trusting,
            after=lambda path: _replace(path, kit.good.key, shop.file("nowhere.key")),
        ),
        Fault(
            "users broken while it runs, no TLS",
            "web-field",
            users,
            kit.login(),
            scheme="http",
            after=lambda path: _append(path, "broken: true\n"),
        ),
        # The way there.
        Fault("nothing listens", "service-down", server="nothing", job=trusting),
        Fault("listens elsewhere", "listens-elsewhere", web, trusting, host="127.0.0.2"),
        Fault("name not known", "name-unknown", web, trusting, host="nowhere.invalid"),
        Fault("no answer to a greeting", "port-silent", server="silent", job=trusting),
        Fault("packets dropped", "packets-dropped", server="full", job=trusting),
        Fault("answers too late", "slow-answer", server="late", scheme="http"),
        Fault("not this program: SSH", "port-other", server="ssh", job=trusting),
        Fault("not this program: SSH, http", "port-other", server="ssh", scheme="http"),
        Fault("hangs up at once", "port-hangs-up", server="closes", job=trusting),
        Fault("proxy is down", "proxy-down", web, trusting | {"proxy_url": "http://127.0.0.1:1"}),
        Fault(
            "proxy refuses",
            "proxy-refuses",
            server="proxy",
            job=trusting | {"proxy_url": "http://127.0.0.1:{port}"},
        ),
        # The wrong page.
        Fault("path not there", "metrics-path", web, trusting, path="/metric"),
        Fault("landing page", "metrics-path", web, trusting, path="/"),
        Fault("stream of rubbish", "metrics-path", server="rubbish", scheme="http"),
        Fault(
            "metrics with a page's header",
            "metrics-content-type",
            server="mislabelled",
            scheme="http",
            suites=("sid",),
        ),
        # And a correct one, so that no diagnosis is made without a fault.
        Fault("right", "", mutual + users, kit.showing(kit.client) | kit.login()),
    ]


def start_faults(kit: Kit) -> list[StartFault]:
    good = kit.good
    crt, key = Path(good.crt).read_bytes(), Path(good.key).read_bytes()
    pair = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
    both = {"server.crt": crt, "server.key": key}
    locked = key_pem(good.private, b"secret")
    user = "basic_auth_users:\n  prometheus: "
    return [
        StartFault(
            "key of another", "web-pair", pair, both | {"server.key": Path(kit.client.key).read_bytes()}
        ),
        StartFault("switched", "web-pair-switched", pair, {"server.crt": key, "server.key": crt}),
        StartFault("certificate missing", "web-pair-file", pair, {"server.key": key}),
        StartFault(
            "relative to the wrong folder", "web-pair-file", pair.replace("server.", "tls/server."), both
        ),
        StartFault("certificate in DER", "web-not-pem", pair, both | {"server.crt": der(good)}),
        StartFault("certificate empty", "web-not-pem", pair, both | {"server.crt": b""}),
        StartFault(
            "certificate with a byte order mark",
            "web-not-pem",
            pair,
            both | {"server.crt": b"\xef\xbb\xbf" + crt},
        ),
        StartFault("key in the certificate's file", "web-pair-switched", pair, both | {"server.crt": key}),
        StartFault("key encrypted", "web-key-encrypted", pair, both | {"server.key": locked}),
        StartFault("key not readable", "web-pair-rights", pair, both, closed=("server.key",)),
        StartFault("web.yml not readable", "web-file-rights", pair, both, closed=("web.yml",)),
        StartFault("web.yml missing", "web-file-absent", "", flags=("--web.config.file=nowhere.yml",)),
        StartFault(
            "key_file left out", "web-incomplete", "tls_server_config:\n  cert_file: server.crt\n", both
        ),
        StartFault(
            "cert_file left out", "web-incomplete", "tls_server_config:\n  key_file: server.key\n", both
        ),
        StartFault(
            "not indented",
            "web-indent",
            "tls_server_config:\ncert_file: server.crt\nkey_file: server.key\n",
            both,
        ),
        StartFault(
            "indented unevenly",
            "web-yaml",
            "tls_server_config:\n  cert_file: server.crt\n    key_file: server.key\n",
            both,
        ),
        StartFault("tab", "web-yaml", "tls_server_config:\n\tcert_file: server.crt\n", both),
        StartFault(
            "space of a web page",
            "web-nbsp",
            f"tls_server_config:\n  cert_file: server.crt\n{NBSP}{NBSP}key_file: server.key\n",
            both,
        ),
        StartFault("misspelt", "web-field", pair.replace("key_file", "keyfile"), both),
        StartFault("client's block", "web-client-block", "tls_config:\n  ca_file: ca.crt\n", both),
        StartFault("block twice", "web-duplicate", pair + pair, both),
        StartFault(
            "client_auth_type misspelt",
            "web-client-auth",
            pair + "  client_auth_type: RequireAndVerify\n",
            both,
        ),
        StartFault(
            "client CA without policy", "web-client-policy", pair + f"  client_ca_file: {kit.ca.crt}\n", both
        ),
        StartFault(
            "client CA missing",
            "web-client-ca-file",
            pair + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: nowhere.crt\n",
            both,
        ),
        StartFault("TLS version misspelt", "web-tls-version", pair + "  min_version: TLS1.2\n", both),
        StartFault(
            "cipher in OpenSSL's name",
            "web-cipher",
            pair + "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
            both,
        ),
        StartFault("curve in OpenSSL's name", "web-curve", pair + "  curve_preferences: [secp256r1]\n", both),
        StartFault(
            "cipher that HTTP/2 needs left out",
            "web-cipher",
            pair + "  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]\n",
            both,
        ),
        StartFault(
            "header not allowed",
            "web-header",
            pair + "http_server_config:\n  headers:\n    Server: me\n",
            both,
        ),
        StartFault(
            "header's value",
            "web-header",
            pair + "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
            both,
        ),
        StartFault("password in clear", "web-hash", user + "secret\n"),
        StartFault("long password in clear", "web-hash", user + "s" * 64 + "\n"),
        StartFault("MD5 hash", "web-hash", user + "'$apr1$K2.XJf8m$q3k2Vb4Bq3mS8yY5vE0r1.'\n"),
        StartFault("SHA hash", "web-hash", user + "'{SHA}" + base64.b64encode(b"0" * 20).decode() + "'\n"),
        StartFault("SHA-512 hash", "web-hash", user + "'$6$salt$" + "a" * 86 + "'\n"),
        StartFault("empty hash", "web-hash", user + "''\n"),
        StartFault("hash cut off", "web-hash", user + f"'{hashed(PASSWORD)[:40]}'\n"),
        StartFault(
            "impossible cost", "web-hash", user + "'" + hashed(PASSWORD).replace("$04$", "$99$") + "'\n"
        ),
        StartFault("users as a list", "web-users-shape", "basic_auth_users:\n  - prometheus: x\n"),
        StartFault(
            "no space after the colon",
            "web-users-shape",
            f"basic_auth_users:\n  prometheus:{hashed(PASSWORD)}\n",
        ),
        StartFault(
            "user twice",
            "web-duplicate",
            user + f"'{hashed(PASSWORD)}'\n  prometheus: '{hashed(PASSWORD)}'\n",
        ),
        StartFault(
            "field too new",
            "web-too-new",
            pair + "  client_allowed_sans: [a.lab]\n",
            both,
            suites=("bookworm",),
        ),
        StartFault(
            "rate limit too new",
            "web-too-new",
            "rate_limit:\n  interval: 1s\n",
            suites=("bookworm", "trixie"),
        ),
        StartFault("old name of the flag", "flag-name", "", flags=("--web.config=web.yml",)),
        StartFault("flag misspelt", "flag-name", "", flags=("--web-config.file=web.yml",)),
        StartFault(
            "quotes within quotes", "flag-quotes", "", flags=("--web.config.file=web.yml --log.level=info",)
        ),
        StartFault("port taken", "port-taken", "", flags=("--web.listen-address=127.0.0.1:{taken}",)),
        StartFault(
            "address not here", "address-not-here", "", flags=("--web.listen-address=192.0.2.1:{taken}",)
        ),
    ]


COSTLY = "$2y$15$RGAxxYeYrxV.nZelbYmqT.Q6xRmp7fOOxAyR1mAiquriusBMidmiW"
"""`PASSWORD` hashed at cost 15, which takes seconds: it is not made anew by every process that imports this."""


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))

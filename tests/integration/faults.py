"""The fault laboratory: faults as people make them, put in place for real between real programs.

Each fault names its true cause, an id of assets/faults.yaml. A scrape fault has a server of its own (a
node_exporter with its web.yml, or something that only answers like one) and a scrape job of its own; a start
fault is a web.yml or a flag with which the real program does not start.
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


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault between a server and its clients.

    `web`: the server's web.yml, None for none. `after`: what is done to its files once it runs. `server`: what
    answers, '' for node_exporter. `host`: by which name or address it is scraped.
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
        """Whether 'too late' is what is to be said of it, and not only what a busy machine makes of it."""
        return self.passing or self.server in ("silent", "full", "late")


@dataclass(frozen=True, kw_only=True)
class StartFault:
    """One fault with which a program does not start. `says`: other ids that its texts may honestly give."""

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
    """What the faults are made of."""

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
        """A job's tls_config that is right but for what `more` says."""
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
        Fault(name="wrong CA", cause="server-ca-other", web=web, job=kit.trusting(kit.other.crt)),
        Fault(name="no CA", cause="server-ca-not-given", web=web),
        Fault(name="CA made anew", cause="server-ca-renewed", web=web, job=kit.trusting(kit.namesake.crt)),
        Fault(name="self-signed", cause="server-self-signed", web=tls(own), job=trusting),
        Fault(
            name="self-signed, CN only", cause="server-cn-only", web=tls(own_cn), job=kit.trusting(own_cn.crt)
        ),
        Fault(name="chain incomplete", cause="server-chain-incomplete", web=tls(below), job=trusting),
        Fault(
            name="issuer is no CA",
            cause="server-issuer-no-ca",
            web=tls(by_no_ca).replace(by_no_ca.crt, chained),
            job=trusting,
        ),
        Fault(
            name="expired", cause="server-expired", web=tls(leaf("expired", begin=-9, days=3)), job=trusting
        ),
        Fault(name="not yet valid", cause="server-not-yet", web=tls(leaf("soon", begin=9)), job=trusting),
        Fault(name="CA expired", cause="server-ca-expired", web=tls(late), job=kit.trusting(kit.old_ca.crt)),
        Fault(name="CN only", cause="server-cn-only", web=tls(cn_only), job=trusting),
        Fault(
            name="CN of another, no SAN",
            cause="server-no-names",
            web=tls(leaf("cnother", common_name="node1.lab", names=())),
            job=trusting,
        ),
        Fault(
            name="wrong name", cause="server-name", web=tls(leaf("node1", names=("node1.lab",))), job=trusting
        ),
        Fault(
            name="wrong server_name",
            cause="server-name",
            web=web,
            job=kit.trusting(server_name="prometheus.lab"),
        ),
        Fault(
            name="no address in the SAN",
            cause="server-ip",
            web=tls(leaf("noip", names=("localhost",))),
            job=trusting,
            host="127.0.0.1",
        ),
        Fault(
            name="another address in the SAN",
            cause="server-ip",
            web=tls(leaf("otherip", names=("192.0.2.9",))),
            job=trusting,
            host="127.0.0.1",
        ),
        Fault(
            name="client certificate on the server",
            cause="server-usage",
            web=tls(leaf("clientonly", use=("client",))),
            job=trusting,
        ),
        # The server does not take the client's certificate.
        Fault(name="no client certificate", cause="client-cert-none", web=mutual, job=trusting),
        Fault(
            name="no client certificate, TLS 1.2",
            cause="client-cert-none",
            web=mutual + "  max_version: TLS12\n",
            job=trusting,
        ),
        Fault(
            name="client certificate of another CA",
            cause="client-cert-ca",
            web=mutual,
            job=kit.showing(leaf("stranger", issuer=kit.other, use=("client",))),
        ),
        Fault(
            name="wrong client CA at the server",
            cause="client-cert-ca",
            web=mutual.replace(kit.ca.crt, kit.other.crt),
            job=kit.showing(kit.client),
        ),
        Fault(
            name="client certificate expired",
            cause="client-cert-expired",
            web=mutual,
            job=kit.showing(leaf("gone", use=("client",), begin=-9, days=3)),
        ),
        Fault(
            name="client certificate not yet valid",
            cause="client-cert-not-yet",
            web=mutual,
            job=kit.showing(leaf("coming", use=("client",), begin=9)),
        ),
        Fault(
            name="server certificate as client's",
            cause="client-cert-usage",
            web=mutual,
            job=kit.showing(kit.good),
        ),
        Fault(
            name="name not allowed",
            cause="client-cert-san",
            web=mutual + "  client_allowed_sans: [other.lab]\n",
            job=kit.showing(kit.client),
            suites=NEWER,
        ),
        Fault(
            name="allowed names, certificate optional",
            cause="allowed-sans-panic",
            web=mutual.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
            + "  client_allowed_sans: [prometheus.lab]\n",
            job=trusting,
            suites=NEWER,
        ),
        # The client's own files.
        Fault(
            name="CA file missing",
            cause="client-ca-file",
            web=web,
            job=kit.trusting(shop.file("nowhere.crt")),
            hidden=True,
        ),
        Fault(
            name="CA file in DER", cause="client-ca-not-pem", web=web, job=kit.trusting(derca), hidden=True
        ),
        Fault(name="CA file empty", cause="client-ca-not-pem", web=web, job=kit.trusting(empty), hidden=True),
        Fault(
            name="key for a CA file", cause="client-ca-not-pem", web=web, job=kit.trusting(keyca), hidden=True
        ),
        Fault(
            name="client key of another",
            cause="client-pair",
            web=mutual,
            job=kit.trusting(cert_file=kit.client.crt, key_file=kit.good.key),
            hidden=True,
        ),
        Fault(
            name="client key encrypted",
            cause="client-key-encrypted",
            web=mutual,
            job=kit.trusting(cert_file=kit.client.crt, key_file=locked),
            hidden=True,
        ),
        Fault(
            name="client certificate missing",
            cause="client-file",
            web=mutual,
            job=kit.trusting(cert_file=shop.file("nowhere.crt"), key_file=kit.client.key),
            hidden=True,
        ),
        Fault(
            name="client certificate and key switched",
            cause="client-pair-switched",
            web=mutual,
            job=kit.trusting(cert_file=kit.client.key, key_file=kit.client.crt),
            hidden=True,
        ),
        Fault(
            name="password file missing",
            cause="password-file",
            web=web + users,
            job=trusting | kit.login(password_file=shop.file("nowhere")),
        ),
        # Passwords.
        Fault(name="no password", cause="password-none", web=web + users, job=trusting),
        Fault(
            name="wrong password",
            cause="password-wrong",
            web=web + users,
            job=trusting | kit.login(password_file=wrong),
        ),
        Fault(
            name="unknown user", cause="password-user", web=web + users, job=trusting | kit.login("grafana")
        ),
        Fault(
            name="hash made with a line end",
            cause="password-newline",
            web=web + f"basic_auth_users: {{prometheus: '{newline}'}}\n",
            job=trusting | kit.login(),
        ),
        Fault(name="no password, no TLS", cause="password-none", web=users, scheme="http"),
        Fault(
            name="hash too costly",
            cause="password-cost",
            web=web + f"basic_auth_users: {{prometheus: '{COSTLY}', second: '{COSTLY}'}}\n",
            job=trusting | kit.login(),
            passing=True,
        ),
        # http and https.
        Fault(name="http to https", cause="plain-http-to-tls", web=web, scheme="http"),
        Fault(name="https to http", cause="tls-to-plain-http", web=None, job=trusting),
        Fault(
            name="TLS versions apart",
            cause="tls-version",
            web=web + "  min_version: TLS10\n  max_version: TLS11\n",
            job=trusting,
        ),
        Fault(
            name="ciphers apart",
            cause="tls-cipher",
            web=web + "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
            job=trusting,
        ),
        # The server's files, changed while it runs.
        Fault(
            name="web.yml broken while it runs",
            cause="web-field",
            web=web,
            job=trusting,
            after=lambda path: _append(path, "broken: true\n"),
        ),
        Fault(
            name="web.yml with a tab while it runs",
            cause="web-yaml",
            web=web,
            job=trusting,
            after=lambda path: _append(path, "\tmin_version: TLS12\n"),
        ),
        Fault(
            name="TLS taken out while it runs",
            cause="web-tls-gone",
            web=web,
            job=trusting,
            after=lambda path: _write(path, "{}\n"),
        ),
        Fault(
            name="key of another while it runs",
            cause="web-pair",
            web=web,
            job=trusting,
            after=lambda path: _replace(path, kit.good.key, kit.client.key),
        ),
        Fault(
            name="key gone while it runs",
            cause="web-pair-file",
            web=web,
            job=trusting,
            after=lambda path: _replace(path, kit.good.key, shop.file("nowhere.key")),
        ),
        Fault(
            name="users broken while it runs, no TLS",
            cause="web-field",
            web=users,
            scheme="http",
            job=kit.login(),
            after=lambda path: _append(path, "broken: true\n"),
        ),
        # The way there.
        Fault(name="nothing listens", cause="service-down", server="nothing", job=trusting),
        Fault(name="listens elsewhere", cause="listens-elsewhere", web=web, host="127.0.0.2", job=trusting),
        Fault(name="name not known", cause="name-unknown", web=web, host="nowhere.invalid", job=trusting),
        Fault(name="no answer to a greeting", cause="port-silent", server="silent", job=trusting),
        Fault(name="packets dropped", cause="packets-dropped", server="full", job=trusting),
        Fault(name="answers too late", cause="slow-answer", server="late", scheme="http"),
        Fault(name="not this program: SSH", cause="port-other", server="ssh", job=trusting),
        Fault(name="not this program: SSH, http", cause="port-other", server="ssh", scheme="http"),
        Fault(name="hangs up at once", cause="port-hangs-up", server="closes", job=trusting),
        Fault(
            name="proxy is down",
            cause="proxy-down",
            web=web,
            job=trusting | {"proxy_url": "http://127.0.0.1:1"},
        ),
        Fault(
            name="proxy refuses",
            cause="proxy-refuses",
            server="proxy",
            job=trusting | {"proxy_url": "http://127.0.0.1:{port}"},
        ),
        # The wrong page.
        Fault(name="path not there", cause="metrics-path", web=web, job=trusting, path="/metric"),
        Fault(name="landing page", cause="metrics-path", web=web, job=trusting, path="/"),
        Fault(name="stream of rubbish", cause="metrics-path", server="rubbish", scheme="http"),
        Fault(
            name="metrics with a page's header",
            cause="metrics-content-type",
            server="mislabelled",
            scheme="http",
            suites=("sid",),
        ),
        # And one that is right, so that nothing is taken for a fault that is none.
        Fault(name="right", cause="", web=mutual + users, job=kit.showing(kit.client) | kit.login()),
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
            name="key of another",
            cause="web-pair",
            web=pair,
            files=both | {"server.key": Path(kit.client.key).read_bytes()},
        ),
        StartFault(
            name="switched", cause="web-pair-switched", web=pair, files={"server.crt": key, "server.key": crt}
        ),
        StartFault(name="certificate missing", cause="web-pair-file", web=pair, files={"server.key": key}),
        StartFault(
            name="relative to the wrong folder",
            cause="web-pair-file",
            web=pair.replace("server.", "tls/server."),
            files=both,
        ),
        StartFault(
            name="certificate in DER", cause="web-not-pem", web=pair, files=both | {"server.crt": der(good)}
        ),
        StartFault(name="certificate empty", cause="web-not-pem", web=pair, files=both | {"server.crt": b""}),
        StartFault(
            name="certificate with a byte order mark",
            cause="web-not-pem",
            web=pair,
            files=both | {"server.crt": b"\xef\xbb\xbf" + crt},
        ),
        StartFault(
            name="key in the certificate's file",
            cause="web-pair-switched",
            web=pair,
            files=both | {"server.crt": key},
        ),
        StartFault(
            name="key encrypted", cause="web-key-encrypted", web=pair, files=both | {"server.key": locked}
        ),
        StartFault(
            name="key not readable", cause="web-pair-rights", web=pair, files=both, closed=("server.key",)
        ),
        StartFault(
            name="web.yml not readable", cause="web-file-rights", web=pair, files=both, closed=("web.yml",)
        ),
        StartFault(
            name="web.yml missing", cause="web-file-absent", web="", flags=("--web.config.file=nowhere.yml",)
        ),
        StartFault(
            name="key_file left out",
            cause="web-incomplete",
            web="tls_server_config:\n  cert_file: server.crt\n",
            files=both,
        ),
        StartFault(
            name="cert_file left out",
            cause="web-incomplete",
            web="tls_server_config:\n  key_file: server.key\n",
            files=both,
        ),
        StartFault(
            name="not indented",
            cause="web-indent",
            web="tls_server_config:\ncert_file: server.crt\nkey_file: server.key\n",
            files=both,
        ),
        StartFault(
            name="indented unevenly",
            cause="web-yaml",
            web="tls_server_config:\n  cert_file: server.crt\n    key_file: server.key\n",
            files=both,
        ),
        StartFault(
            name="tab", cause="web-yaml", web="tls_server_config:\n\tcert_file: server.crt\n", files=both
        ),
        StartFault(
            name="space of a web page",
            cause="web-nbsp",
            web=f"tls_server_config:\n  cert_file: server.crt\n{NBSP}{NBSP}key_file: server.key\n",
            files=both,
        ),
        StartFault(name="misspelt", cause="web-field", web=pair.replace("key_file", "keyfile"), files=both),
        StartFault(
            name="client's block",
            cause="web-client-block",
            web="tls_config:\n  ca_file: ca.crt\n",
            files=both,
        ),
        StartFault(name="block twice", cause="web-duplicate", web=pair + pair, files=both),
        StartFault(
            name="client_auth_type misspelt",
            cause="web-client-auth",
            web=pair + "  client_auth_type: RequireAndVerify\n",
            files=both,
        ),
        StartFault(
            name="client CA without policy",
            cause="web-client-policy",
            web=pair + f"  client_ca_file: {kit.ca.crt}\n",
            files=both,
        ),
        StartFault(
            name="client CA missing",
            cause="web-client-ca-file",
            web=pair + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: nowhere.crt\n",
            files=both,
        ),
        StartFault(
            name="TLS version misspelt",
            cause="web-tls-version",
            web=pair + "  min_version: TLS1.2\n",
            files=both,
        ),
        StartFault(
            name="cipher in OpenSSL's name",
            cause="web-cipher",
            web=pair + "  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n",
            files=both,
        ),
        StartFault(
            name="curve in OpenSSL's name",
            cause="web-curve",
            web=pair + "  curve_preferences: [secp256r1]\n",
            files=both,
        ),
        StartFault(
            name="cipher that HTTP/2 needs left out",
            cause="web-cipher",
            web=pair + "  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]\n",
            files=both,
        ),
        StartFault(
            name="header not allowed",
            cause="web-header",
            web=pair + "http_server_config:\n  headers:\n    Server: me\n",
            files=both,
        ),
        StartFault(
            name="header's value",
            cause="web-header",
            web=pair + "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
            files=both,
        ),
        StartFault(name="password in clear", cause="web-hash", web=user + "secret\n"),
        StartFault(name="long password in clear", cause="web-hash", web=user + "s" * 64 + "\n"),
        StartFault(name="MD5 hash", cause="web-hash", web=user + "'$apr1$K2.XJf8m$q3k2Vb4Bq3mS8yY5vE0r1.'\n"),
        StartFault(
            name="SHA hash",
            cause="web-hash",
            web=user + "'{SHA}" + base64.b64encode(b"0" * 20).decode() + "'\n",
        ),
        StartFault(name="SHA-512 hash", cause="web-hash", web=user + "'$6$salt$" + "a" * 86 + "'\n"),
        StartFault(name="empty hash", cause="web-hash", web=user + "''\n"),
        StartFault(name="hash cut off", cause="web-hash", web=user + f"'{hashed(PASSWORD)[:40]}'\n"),
        StartFault(
            name="impossible cost",
            cause="web-hash",
            web=user + "'" + hashed(PASSWORD).replace("$04$", "$99$") + "'\n",
        ),
        StartFault(
            name="users as a list", cause="web-users-shape", web="basic_auth_users:\n  - prometheus: x\n"
        ),
        StartFault(
            name="no space after the colon",
            cause="web-users-shape",
            web=f"basic_auth_users:\n  prometheus:{hashed(PASSWORD)}\n",
        ),
        StartFault(
            name="user twice",
            cause="web-duplicate",
            web=user + f"'{hashed(PASSWORD)}'\n  prometheus: '{hashed(PASSWORD)}'\n",
        ),
        StartFault(
            name="field too new",
            cause="web-too-new",
            web=pair + "  client_allowed_sans: [a.lab]\n",
            files=both,
            suites=("bookworm",),
        ),
        StartFault(
            name="rate limit too new",
            cause="web-too-new",
            web="rate_limit:\n  interval: 1s\n",
            suites=("bookworm", "trixie"),
        ),
        StartFault(name="old name of the flag", cause="flag-name", web="", flags=("--web.config=web.yml",)),
        StartFault(name="flag misspelt", cause="flag-name", web="", flags=("--web-config.file=web.yml",)),
        StartFault(
            name="quotes within quotes",
            cause="flag-quotes",
            web="",
            flags=("--web.config.file=web.yml --log.level=info",),
        ),
        StartFault(
            name="port taken", cause="port-taken", web="", flags=("--web.listen-address=127.0.0.1:{taken}",)
        ),
        StartFault(
            name="address not here",
            cause="address-not-here",
            web="",
            flags=("--web.listen-address=192.0.2.1:{taken}",),
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

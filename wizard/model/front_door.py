"""A reverse proxy in front of components, as a person wants it: names, paths, who may log in, what is hardened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ProxyProgram: TypeAlias = Literal["nginx", "apache", "caddy", "haproxy", "exporter_exporter"]
Blocked: TypeAlias = Literal["lifecycle", "admin_api"]
GRAFANA: Final = "grafana"
"""What a route leads to that leads to Grafana, which is no component of a stack."""
EXPORTERS: Final = "exporter_exporter"
"""The proxy that serves exporters alone."""
EXPORTERS_PORT: Final = 9999
"""Its usual port."""
SIGN_IN_PATH: Final = "/oauth2"
"""Below it is what a front door needs for signing in itself: as in oauth2-proxy, so that all doors have the same."""
CALLBACK: Final = f"{SIGN_IN_PATH}/callback"
SIGN_OUT: Final = f"{SIGN_IN_PATH}/sign_out"
SIGNED_OUT: Final = f"{SIGN_IN_PATH}/signed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRoute:
    """One component behind a front door."""

    to: str
    """The component, or `GRAFANA`."""
    path: str = "/"
    """The path below which it is served, e.g. '/prometheus'; '/' where it has the whole name."""
    login: Literal["", "own", "door"] = ""
    """Who asks for the login of Grafana: itself, or the front door before it does. '' for what is usual."""
    host: str = ""
    """Its host; '' for the front door's own."""
    address: str = ""
    """host:port at which the proxy asks it; '' for the address of its host, or the loopback address."""

    @property
    def has_own_login(self) -> bool:
        """Whether what is behind it asks for the login, and the front door does not."""
        return self.to == GRAFANA and self.login != "door"

    @property
    def prefix(self) -> str:
        """The path as it stands before others: '/prometheus', or '' for the whole name."""
        bare = self.path.strip("/")
        return f"/{bare}" if bare else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How people sign in at an OpenID provider, and who of its accounts may pass.

    With several of `email_domains`, `groups` and `claims`, an account must fulfil each; one value of each is enough.
    """

    issuer: str = ""
    """URL of the provider, below which it has /.well-known/openid-configuration."""
    client_id: str = ""
    client_secret_file: str = ""
    """Where the secret of the client is, on the computer on which Firescreen runs; an absolute path, as `ca_file`."""
    ca_file: str = ""
    """The CA of the provider's own certificate; '' for one that every system trusts."""
    email_domains: tuple[str, ...] = ()
    """'*' for every account of the provider."""
    groups: tuple[str, ...] = ()
    groups_claim: str = "groups"
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Further claims, each with the values that may pass."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    session_hours: int = 8

    @property
    def domains(self) -> tuple[str, ...]:
        """The e-mail domains that may pass; () for any."""
        return () if "*" in self.email_domains else self.email_domains

    @property
    def asked(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Every claim with the values of which an account must have one, groups included."""
        groups = ((self.groups_claim, self.groups),) if self.groups else ()
        return (*groups, *self.claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """One name under which a reverse proxy serves components, over TLS, to those who authenticate.

    With users and client certificates, either of the two opens it.
    """

    host: str
    proxy: ProxyProgram
    name: str
    """The DNS name that people and machines use, e.g. noc.example.net; with `EXPORTERS` the name of its host."""
    routes: tuple[DoorRoute, ...]
    port: int = 443
    people: tuple[str, ...] = ()
    """Users with a password, for people."""
    machines: tuple[str, ...] = ()
    """Users with a password, for programs."""
    sign_in: SignIn | None = None
    """How people sign in at an OpenID provider; None for people with a password. Machines log in as they do."""
    client_cert: bool = False
    """Whether programs show a client certificate of the CA."""
    cert_file: str = ""
    """A certificate that is there, with its chain; '' for one of the CA. An absolute path on the host, as the others."""
    key_file: str = ""
    ca_file: str = ""
    """What clients check `cert_file` against."""
    site: str = ""
    """The file of a site that is there and has this name and TLS: the routes are put into it. '' for a site of our own."""
    block: tuple[Blocked, ...] = ("lifecycle", "admin_api")
    max_body_size: int = 16
    """MB that a request may have: remote_write and pushes are larger than a proxy's usual 1 MB."""
    hsts_days: int = 0
    """How long browsers use nothing but https for the name; 0 for no such header."""
    headers: bool = True
    """Whether responses forbid frames of other sites and guesses of their type."""
    timeout: int = 130
    """Seconds that a response may take: longer than the 2 minutes of Prometheus' own query.timeout."""

    rate_limit: int = 0
    """Requests a second that one address may send, over 10 s; 0 for any number."""
    cors: tuple[str, ...] = ()
    """The origins, e.g. 'https://grafana.example.net', whose pages may read responses in a browser."""

    @property
    def serves_exporters(self) -> bool:
        """Whether it is the one port for the exporters of its host: it has no name, no paths and no users."""
        return self.proxy == EXPORTERS

    @property
    def component_routes(self) -> tuple[DoorRoute, ...]:
        """Its routes to components of the stack."""
        return tuple(each for each in self.routes if each.to != GRAFANA)

    @property
    def grafana(self) -> DoorRoute | None:
        """Its route to Grafana; None where it has none."""
        return next((each for each in self.routes if each.to == GRAFANA), None)

    @property
    def users(self) -> tuple[str, ...]:
        """Everyone with a password, people first."""
        return tuple(dict.fromkeys((*self.people, *self.machines)))

    @property
    def key(self) -> str:
        """`host/name`, with `EXPORTERS` `host/proxy`: the way messages name it."""
        return f"{self.host}/{self.proxy if self.serves_exporters else self.name}"

    @property
    def instance(self) -> str:
        """Its name, with the port where that is not the usual one: what its files are called by."""
        return self.name if self.port == 443 else f"{self.name}-{self.port}"

    @property
    def certificate(self) -> str:
        """`host/proxy/name`, with `EXPORTERS` its key: what its certificate is called where it is to be replaced."""
        return self.key if self.serves_exporters else f"{self.host}/{self.proxy}/{self.instance}"

    @property
    def root(self) -> str:
        """Its URL, without a slash at the end."""
        return f"https://{self.authority}"

    @property
    def authority(self) -> str:
        """Its name, with the port where that is not the usual one."""
        return self.name if self.port == 443 else f"{self.name}:{self.port}"

    @property
    def callback(self) -> str:
        """The redirect URI that the OpenID provider has to know."""
        return f"{self.root}{CALLBACK}"

    @property
    def signed_out(self) -> str:
        """Where a person is after signing out; the OpenID provider has to know it too."""
        return f"{self.root}{SIGNED_OUT}"

    def host_of(self, route: DoorRoute) -> str:
        """The host of what a route leads to."""
        return route.host or self.host

    def url(self, route: DoorRoute) -> str:
        """Where a component is served, without a slash at the end."""
        return f"{self.root}{route.prefix}"

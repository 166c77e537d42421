"""The wanted settings of a reverse proxy in front of components (a "front door"): names, paths, logins, hardening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ProxyProgram: TypeAlias = Literal["nginx", "apache", "caddy", "haproxy", "exporter_exporter"]
Blocked: TypeAlias = Literal["lifecycle", "admin_api"]
GRAFANA: Final = "grafana"
"""`DoorRoute.to` of a route to Grafana, which is no component of a stack."""
EXPORTERS: Final = "exporter_exporter"
"""The proxy that only serves exporters."""
EXPORTERS_PORT: Final = 9999
"""Its default port."""
SIGN_IN_PATH: Final = "/oauth2"
"""The path prefix of a front door's own pages for signing in; that of oauth2-proxy, so that it is the same for all."""
CALLBACK: Final = f"{SIGN_IN_PATH}/callback"
SIGN_OUT: Final = f"{SIGN_IN_PATH}/sign_out"
SIGNED_OUT: Final = f"{SIGN_IN_PATH}/signed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRoute:
    """One component behind a front door."""

    to: str
    """The component, or `GRAFANA`."""
    path: str = "/"
    """The path prefix, e.g. '/prometheus'; '/' if the component has the name for itself."""
    login: Literal["", "own", "door"] = ""
    """What authenticates users of Grafana: 'own' Grafana itself, 'door' the front door before it; '' for the default."""
    host: str = ""
    """The component's host; '' for the host of the front door."""
    address: str = ""
    """host:port to which the proxy connects; '' for the address of the component's host, or the loopback address."""

    @property
    def has_own_login(self) -> bool:
        """Whether the component behind it authenticates users itself, and the front door does not."""
        return self.to == GRAFANA and self.login != "door"

    @property
    def prefix(self) -> str:
        """The path without a trailing slash: '/prometheus', or '' for '/'."""
        bare = self.path.strip("/")
        return f"/{bare}" if bare else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How people sign in at an OpenID provider, and which of its accounts are accepted.

    If several of `email_domains`, `groups` and `claims` are set, an account must match each of them with one value.
    """

    issuer: str = ""
    """URL of the provider; the URL with /.well-known/openid-configuration appended exists."""
    client_id: str = ""
    client_secret_file: str = ""
    """Absolute path of the client secret on the computer where Firescreen runs; so is `ca_file`."""
    ca_file: str = ""
    """The CA of the provider's certificate; '' for a public one."""
    email_domains: tuple[str, ...] = ()
    """'*' for every account of the provider."""
    groups: tuple[str, ...] = ()
    groups_claim: str = "groups"
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Further claims, each with the accepted values."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    session_hours: int = 8

    @property
    def domains(self) -> tuple[str, ...]:
        """The accepted e-mail domains; () for any."""
        return () if "*" in self.email_domains else self.email_domains

    @property
    def asked(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Every required claim with its accepted values, including groups."""
        groups = ((self.groups_claim, self.groups),) if self.groups else ()
        return (*groups, *self.claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """One DNS name under which a reverse proxy serves components over TLS to authenticated clients.

    If users and client certificates are both set, either is enough.
    """

    host: str
    proxy: ProxyProgram
    name: str
    """The DNS name, e.g. noc.example.net; with `EXPORTERS` the name of its host."""
    routes: tuple[DoorRoute, ...]
    port: int = 443
    people: tuple[str, ...] = ()
    """Users with a password, for people."""
    machines: tuple[str, ...] = ()
    """Users with a password, for programs."""
    sign_in: SignIn | None = None
    """How people sign in at an OpenID provider; None if people use a password. Programs are not affected."""
    client_cert: bool = False
    """Whether programs authenticate with a client certificate of the CA."""
    cert_file: str = ""
    """An existing certificate with its chain; '' for one of Firescreen's CA. An absolute path on the host, like the
    other files."""
    key_file: str = ""
    ca_file: str = ""
    """The CA against which clients verify `cert_file`."""
    site: str = ""
    """The file of an existing site with this name and TLS, to which the routes are added; '' for a new site."""
    block: tuple[Blocked, ...] = ("lifecycle", "admin_api")
    max_body_size: int = 16
    """Maximum size of a request in MB: remote_write and pushes need more than the default of 1 MB of some proxies."""
    hsts_days: int = 0
    """Days of Strict-Transport-Security; 0 for no such header."""
    headers: bool = True
    """Whether responses have X-Frame-Options and X-Content-Type-Options."""
    timeout: int = 130
    """Seconds that a response may take: longer than the 2 minutes of Prometheus' query.timeout."""

    rate_limit: int = 0
    """Maximum requests per second from one address, averaged over 10 s; 0 for no limit."""
    cors: tuple[str, ...] = ()
    """The origins, e.g. 'https://grafana.example.net', whose pages may read responses in a browser."""

    @property
    def serves_exporters(self) -> bool:
        """Whether it is an exporter_exporter, one port for all exporters of its host, without name, paths and users."""
        return self.proxy == EXPORTERS

    @property
    def component_routes(self) -> tuple[DoorRoute, ...]:
        """Its routes to components of the stack."""
        return tuple(each for each in self.routes if each.to != GRAFANA)

    @property
    def grafana(self) -> DoorRoute | None:
        """Its route to Grafana; None if it has none."""
        return next((each for each in self.routes if each.to == GRAFANA), None)

    @property
    def users(self) -> tuple[str, ...]:
        """All users with a password, people first."""
        return tuple(dict.fromkeys((*self.people, *self.machines)))

    @property
    def key(self) -> str:
        """`host/name`, or `host/proxy` with `EXPORTERS`; its name in messages."""
        return f"{self.host}/{self.proxy if self.serves_exporters else self.name}"

    @property
    def instance(self) -> str:
        """The base name of its files: its name, and the port if that is not 443."""
        return self.name if self.port == 443 else f"{self.name}-{self.port}"

    @property
    def certificate(self) -> str:
        """Its certificate's name in `Answers.renew`: `host/proxy/name`, or with `EXPORTERS` its key."""
        return self.key if self.serves_exporters else f"{self.host}/{self.proxy}/{self.instance}"

    @property
    def root(self) -> str:
        """Its URL without a trailing slash."""
        return f"https://{self.authority}"

    @property
    def authority(self) -> str:
        """Its name, and the port if that is not 443."""
        return self.name if self.port == 443 else f"{self.name}:{self.port}"

    @property
    def callback(self) -> str:
        """The redirect URI to register at the OpenID provider."""
        return f"{self.root}{CALLBACK}"

    @property
    def signed_out(self) -> str:
        """The URL after signing out, to be registered at the OpenID provider too."""
        return f"{self.root}{SIGNED_OUT}"

    def host_of(self, route: DoorRoute) -> str:
        """The host of a route's component."""
        return route.host or self.host

    def url(self, route: DoorRoute) -> str:
        """The URL of a route, without a trailing slash."""
        return f"{self.root}{route.prefix}"

"""How a Prometheus logs in where it is the client, in place of a user and password: by OAuth2, or with a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

LoginPlace: TypeAlias = Literal["job", "alertmanagers", "remote_write", "remote_read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """A client of a token endpoint (grant type client_credentials); paths are absolute, on the host of Prometheus."""

    client_id: str
    client_secret_file: str
    token_url: str
    scopes: tuple[str, ...] = ()
    endpoint_params: tuple[tuple[str, str], ...] = ()
    """Further parameters of the request for a token, e.g. audience."""
    ca_file: str = ""
    """What the certificate of the token endpoint is verified against; '' for the public CAs of the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A token that is sent as it is, from a file on the host of Prometheus."""

    credentials_file: str
    type: str = "Bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLogin:
    """The login of one job, or of one other place where Prometheus is a client."""

    host: str
    """Of the Prometheus."""
    place: LoginPlace
    name: str
    """The job's name; of remote_write and remote_read the name or URL; of alertmanagers the number, from 1 on."""
    way: OAuth2 | Authorization

    @property
    def key(self) -> str:
        """The way messages name it."""
        return f"{self.host}: {self.place} {self.name}"

    @property
    def secret_file(self) -> str:
        """The file that Prometheus reads the secret or the token from."""
        return self.way.client_secret_file if isinstance(self.way, OAuth2) else self.way.credentials_file

    @property
    def setting(self) -> str:
        """The key in the configuration of Prometheus."""
        return "oauth2" if isinstance(self.way, OAuth2) else "authorization"

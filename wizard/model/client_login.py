"""How a Prometheus authenticates as a client without user and password: by OAuth2, or with a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

LoginPlace: TypeAlias = Literal["job", "alertmanagers", "remote_write", "remote_read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """OAuth2 with grant type client_credentials; paths are absolute, on the host of Prometheus."""

    client_id: str
    client_secret_file: str
    token_url: str
    scopes: tuple[str, ...] = ()
    endpoint_params: tuple[tuple[str, str], ...] = ()
    """Further parameters of the token request, e.g. audience."""
    ca_file: str = ""
    """The CA against which the token endpoint's certificate is verified; '' for the public CAs of the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A static token from a file on the host of Prometheus."""

    credentials_file: str
    type: str = "Bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLogin:
    """The login of one scrape job, or of another place where Prometheus is a client."""

    host: str
    """The host of the Prometheus."""
    place: LoginPlace
    name: str
    """The job's name; the name or URL of a remote_write or remote_read; the number of an alertmanagers entry, from 1."""
    way: OAuth2 | Authorization

    @property
    def key(self) -> str:
        """The login's name in messages."""
        return f"{self.host}: {self.place} {self.name}"

    @property
    def secret_file(self) -> str:
        """The file from which Prometheus reads the secret or the token."""
        return self.way.client_secret_file if isinstance(self.way, OAuth2) else self.way.credentials_file

    @property
    def setting(self) -> str:
        """The key in Prometheus' configuration."""
        return "oauth2" if isinstance(self.way, OAuth2) else "authorization"

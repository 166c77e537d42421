"""The names that a server's certificate has to hold, and those that it may."""

from __future__ import annotations

from urllib.parse import urlsplit

from wizard.model import Facts, Stack
from wizard.steps import layout
from wizard.steps.layout import LOOPBACK, Server


def certificate_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """Names and addresses for the certificate: what the person said, or what the real targets are.

    Every target of a job or other client that means this server, its own names, and where it listens.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    for scraper in layout.scrapers(stack, facts):
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            found |= dict.fromkeys(address.rpartition(":")[0].strip("[]") for address in asked)
            if asked and place.tls.get("server_name"):
                found[place.tls["server_name"]] = None
    address = server.address.rpartition(":")[0].strip("[]")
    practice = server.host.spec.connect == "practice"
    for name in (address, server.host.spec.address, server.spec.host if practice else "", *server.host.names):
        if name and not (practice and name in LOOPBACK):
            found[name] = None
    # The names that mean it everywhere first: so a certificate is spoken of.
    return tuple(sorted(found, key=lambda name: name in LOOPBACK))


def needed_names(stack: Stack, facts: Facts, server: Server) -> tuple[str, ...]:
    """The names without which a certificate does not serve: what the person said, or what clients ask for.

    One that is there already need not be good for every name of its host.
    """
    if server.spec.names:
        return server.spec.names
    found: dict[str, None] = {}
    for scraper in layout.scrapers(stack, facts):
        for place in scraper.places():
            asked = [address for address in place.addresses if scraper.means(address, server)]
            name = place.tls.get("server_name")  # checked in place of the address
            found |= dict.fromkeys([name] if asked and name else map(_bare, asked))
            urls = (urlsplit(target.param_target) for target in place.targets)
            found |= {
                url.hostname: None for url in urls if url.hostname and scraper.means(url.netloc, server)
            }
    return tuple(found) or (_bare(server.address),)


def _bare(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")

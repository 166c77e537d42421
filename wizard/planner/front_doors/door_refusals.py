"""Reasons why a proxy cannot serve a front door beside its other sites; raised before anything is planned. Pure."""

from __future__ import annotations

from wizard.config_files import proxies, web_config
from wizard.errors import InputError
from wizard.model import Facts
from wizard.planner.front_doors.door_facts import HEAD, Backend, KnownDoor


def refuse_unfit(facts: Facts, known: KnownDoor) -> None:
    """Refuses a proxy that cannot serve our site beside the others.

    Raises:
        InputError: the main configuration does not include the site, a file of another program is at its path, or another
            site has its name.
    """
    door, place = known.door, f"{known.door.host}:{known.service.config_file}"
    if known.service.config_file != known.proxy.main:
        _refuse_other_configuration(known, place)
    _refuse_settings(known)
    if known.proxy.only_port not in (0, door.port):
        raise InputError(
            f"a front door in {known.proxy.title} listens on port {known.proxy.only_port}, and {door.name} has port {door.port}",
            where=door.key,
            todo=f"Use port: {known.proxy.only_port}, or another proxy",
        )
    for path, source in known.proxy.needed:
        if known.host.files.get(path) is None and known.host.files.get(source) is None:
            raise InputError(
                f"{known.proxy.title} on {door.host} lacks a file that a front door needs",
                where=f"{door.host}:{source}",
                todo=f"Install {known.proxy.title} as Debian packages it",
            )
    if not known.main:
        raise InputError(
            f"{known.title}: its main configuration is not there",
            where=place,
            todo=f"Use {known.proxy.title} with its configuration at {known.proxy.main}",
        )
    _refuse_unfit_main(known, place)
    for backend in known.backends:
        _refuse_password(facts, backend)
    if door.site:
        return
    found = facts.proxies.get(door.host)
    for site in found.sites if found is not None else ():
        if (site.name.lower(), site.port, site.program) == (door.name, door.port, known.proxy.name) and (
            not known.owns(site.file, site.line)
        ):
            raise InputError(
                f"another site of {known.proxy.title} has the name {door.name} on port {door.port} already",
                where=f"{door.host}:{site.file}:{site.line}",
                todo=f"Choose another name for the front door, take that site away, or put the routes into it: site: {site.file}",
            )


def _refuse_password(facts: Facts, backend: Backend) -> None:
    """Refuses a component that demands a password of everybody, the proxy included. No plan takes users away.

    Raises:
        InputError: see `refuse_unfit`.
    """
    host, path = backend.server.spec.host, backend.service.web_config
    state = facts.hosts[host].files.get(path) if path else None
    if state is None or not web_config.parse(state.content).users:
        return
    raise InputError(
        f"{backend.component} on {host} demands a password by its web configuration, and the front door "
        f"{backend.door.name} shows it a client certificate alone",
        where=f"{host}:{path}",
        todo="Take basic_auth_users out of that file first (firescreen undo, if Firescreen added it), then plan again",
    )


def _refuse_settings(known: KnownDoor) -> None:
    """Refuses settings that the proxy, or a person's own site, does not support.

    Raises:
        InputError: see `refuse_unfit`.
    """
    door = known.door
    if door.rate_limit and known.proxy.cannot("rate_limit"):
        raise InputError(
            f"{known.proxy.title} cannot do rate_limit: {known.proxy.cannot('rate_limit')}",
            where=door.key,
            todo="Leave rate_limit out, or use nginx or HAProxy",
        )
    site = known.host.files.get(door.site) if door.site else None
    if door.cors and known.proxy.name == "nginx" and site is not None and b"add_header" in site.content:
        raise InputError(
            "nginx takes the add_header lines of a site away from a location that has some of its own, as cors needs them",
            where=f"{door.host}:{door.site}",
            todo="Leave cors out, or use a front door with a name of its own",
        )


def _refuse_other_configuration(known: KnownDoor, place: str) -> None:
    """Refuses a proxy with another configuration: a reload reads the usual file, and the running one would be lost."""
    title, main = known.proxy.title, known.proxy.main
    if known.service.config_file.endswith(".json"):
        raise InputError(
            f"{title} runs with a JSON configuration that is not what {main} says: its API was given it, or {main} has "
            "changed since it was read. A reload would drop it",
            where=place,
            todo=f"Write into {main} what is to be served, run {title} with that file, then plan again; "
            f"`systemctl reload {known.proxy.unit}` has it read the file",
        )
    raise InputError(
        f"{title} runs with another configuration than {main}, where front doors are written",
        where=place,
        todo=f"Run it with {main}, or use another proxy",
    )


def _refuse_unfit_main(known: KnownDoor, place: str) -> None:
    """Refuses a main configuration, or a file at our site's path, that prevents our site from being included.

    Raises:
        InputError: see `refuse_unfit`.
    """
    door, shared = known.door, known.proxy.shared
    if door.site and not (door.rate_limit and known.outside):
        return
    if shared is not None:
        line = shared.others_ports(known.main).get(door.port)
        if line is not None:
            raise InputError(
                f"a section of {known.proxy.title} listens on port {door.port} already, and would take the requests of "
                f"{door.name}",
                where=f"{place}:{line}",
                todo=f"Give the front door another port, e.g. port: 8443, or put the routes into that section: site: {known.site}",
            )
        return
    included = proxies.includes(
        known.proxy.name, known.service.config_file, known.main.encode("utf-8", "surrogateescape")
    )
    if known.proxy.included not in included and not known.proxy.import_line:
        raise InputError(
            f"{known.proxy.title} does not include {known.proxy.included}, where the front door would be written",
            where=place,
            todo=f"Add `include {known.proxy.included};` to its http block",
        )
    ours = known.outside or known.site
    present = known.host.files.get(ours)
    if present is not None and not present.content.startswith(HEAD):
        raise InputError(
            "a file that Firescreen did not write is in the place of the front door's configuration",
            where=f"{door.host}:{ours}",
            todo="Rename it, then plan again",
        )

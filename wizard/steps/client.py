"""The client's end: what each Prometheus must have and say to be let in by a server that is protected.

Derived from the same model as the server's end, so the two cannot disagree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from wizard import pki
from wizard.components import component as find_component
from wizard.configs import prometheus as scrape
from wizard.errors import ConfigError
from wizard.model import Facts, FileState, Finding, PlannedStep, Stack, WriteFile
from wizard.steps import layout, material, words
from wizard.steps.layout import Scraper
from wizard.steps.server import ServerPlan
from wizard.trust import relations


@dataclass(frozen=True, slots=True)
class Target:
    """A server as one Prometheus scrapes it."""

    plan: ServerPlan
    scraper: Scraper
    job: str
    address: str
    """As the job names it: host:port."""
    known: bool = True
    """Whether a job scraped it before; False for one that is added."""


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """What one Prometheus needs."""

    scraper: Scraper
    trust: tuple[PlannedStep, ...]
    """CA bundles and passwords: harmless before the servers ask for them."""
    later: tuple[PlannedStep, ...]
    """What waits until the connection is encrypted: the password in place of its placeholder."""
    job: PlannedStep | None
    """The edit of prometheus.yml."""
    targets: tuple[Target, ...]
    warnings: tuple[Finding, ...] = field(default=())


def plan_client(
    stack: Stack, facts: Facts, forge: material.Forge, scraper: Scraper, plans: Sequence[ServerPlan]
) -> ClientPlan:
    """What one Prometheus needs to scrape these servers.

    Raises:
        ConfigError: its configuration cannot be edited without a guess.
    """
    name = scraper.host.spec.name
    before = facts.file(name, scraper.service.config_file)
    if before is None:
        raise ConfigError(
            "Prometheus runs with a configuration file that is not there",
            where=f"{name}:{scraper.service.config_file}",
            todo="put it back, or take this Prometheus out of the stack",
        )
    content = before.content
    trust: list[PlannedStep] = []
    later: list[PlannedStep] = []
    targets: list[Target] = []
    warnings: list[Finding] = []
    pinned: dict[str, str] = {}
    user = stack.users[0]
    for plan in plans:
        jobs = scrape.job_for(content, scraper.names_of(plan.server), plan.server.port)
        if not jobs and any(not job.static for job in scrape.jobs(content)):
            warnings.append(_discovery_warning(scraper, plan))
        with_password = "basic_auth" in plan.server.spec.protect
        trust_file = scraper.trust_file(plan.server, own_ca=plan.own_ca)
        password_file = scraper.password_file(user) if with_password else ""
        for found, address in _jobs(content, jobs, scraper, plan):
            login = (user.name, password_file) if with_password else ("", "")
            content, job, known = _placed(
                content, found, address, scraper, plans=plans, plan=plan, login=login
            )
            ca_file = _kept_trust(scraper, job, plan) or trust_file
            if pinned.setdefault(job.name, ca_file) != ca_file:
                raise ConfigError(
                    f"job {job.name} has targets with certificates of their own, and a job trusts one file",
                    where=scraper.service.config_file,
                    todo="let your own CA sign them (issued_by: ca)",
                )
            content = scrape.secure_job(
                content,
                job=job.name,
                scheme="https",
                ca_file=ca_file,
                username=login[0],
                password_file=login[1],
            )
            targets.append(Target(plan, scraper, job.name, address, known=known))
            if ca_file == trust_file:
                trust += _trust_step(facts, scraper, plan, trust_file)
        if with_password:
            ready, rest = _password_steps(facts, forge, scraper, password_file, turning=not plan.was_tls)
            trust += ready
            later += rest
    job_step = _job_step(scraper, before, content)
    return ClientPlan(scraper, _once(trust), _once(later), job_step, tuple(targets), tuple(warnings))


def _job_step(scraper: Scraper, before: FileState, content: bytes) -> PlannedStep | None:
    if content == before.content:
        return None
    after = replace(before, content=content)
    path = scraper.service.config_file
    return PlannedStep(
        id=f"job:{scraper.host.spec.name}",
        title="Tell Prometheus to scrape over TLS",
        host=scraper.host.spec.name,
        why=(
            "A scrape job speaks plain http until it is told otherwise. With scheme, CA and password in the job, "
            "Prometheus checks whom it talks to and is let in. Only the lines shown change."
        ),
        changes=(
            WriteFile(
                host=scraper.host.spec.name,
                path=path,
                before=before,
                after=after,
                why="Every other byte of the file stays as it is.",
                check="prometheus-config",
                by_hand=words.patch(path, before, after),
            ),
        ),
    )


def _placed(
    content: bytes,
    name: str,
    address: str,
    scraper: Scraper,
    *,
    plan: ServerPlan,
    plans: Sequence[ServerPlan],
    login: tuple[str, str],
) -> tuple[bytes, scrape.ScrapeJob, bool]:
    """The configuration with a job for the server alone or with others that turn too; whether it was there."""
    existing = next((job for job in scrape.jobs(content) if job.name == name), None)
    if existing is None:
        content = scrape.add_job(content, job=name, target=address, scheme="https")
    else:
        fits = existing.scheme == "https" and bool(_kept_trust(scraper, existing, plan))
        said = (existing.basic_auth.get("username", ""), existing.basic_auth.get("password_file", ""))
        if not (fits and login in (said, ("", ""))):
            content, name = _apart(content, existing, scraper, plan, plans)
    job = next(job for job in scrape.jobs(content) if job.name == name)
    return content, job, existing is not None


def _once(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    return tuple({step.id: step for step in steps}.values())


def _jobs(
    content: bytes,
    jobs: Sequence[scrape.ScrapeJob],
    scraper: Scraper,
    plan: ServerPlan,
) -> tuple[tuple[str, str], ...]:
    """(job, target address) of each job that scrapes the server, or of the one to add."""
    found = [(job.name, target) for job in jobs for target in job.targets if _means(target, scraper, plan)]
    if found:
        return tuple(dict(found).items())
    names = {job.name for job in scrape.jobs(content)}
    component = plan.server.spec.name
    name = _free_name(component, f"{component}-{plan.server.spec.host}", names)
    return ((name, plan.server.address),)


def _free_name(first: str, second: str, taken: set[str]) -> str:
    """A job name that is not taken: one of two, or the second with a number."""
    numbered = (f"{second}-{number}" for number in count(2))
    return next(name for name in chain((first, second), numbered) if name not in taken)


def _means(target: str, scraper: Scraper, plan: ServerPlan) -> bool:
    name, _, port = target.rpartition(":")
    return port == str(plan.server.port) and name.strip("[]") in scraper.names_of(plan.server)


def _apart(
    content: bytes,
    job: scrape.ScrapeJob,
    scraper: Scraper,
    plan: ServerPlan,
    plans: Sequence[ServerPlan],
) -> tuple[bytes, str]:
    """Moves the server's targets into a job of their own if there are others: a job has one scheme and one login."""
    ours = [target for target in job.targets if any(_means(target, scraper, other) for other in plans)]
    if len(ours) == len(job.targets):
        return content, job.name
    mine = [target for target in job.targets if _means(target, scraper, plan)]
    names = {other.name for other in scrape.jobs(content)}
    new = _free_name(f"{job.name}-https", f"{job.name}-{plan.server.spec.host}-https", names)
    return scrape.split_job(content, job=job.name, targets=mine, new_job=new), new


def _kept_trust(scraper: Scraper, job: scrape.ScrapeJob, plan: ServerPlan) -> str:
    """The CA file that the job names already, if it vouches for the server's certificate."""
    named = job.tls.get("ca_file", "")
    if not named:
        return ""
    state = scraper.host.files.get(posixpath.join(scraper.folder, named))
    if state is None:
        return ""
    return named if relations.vouches(state.content, plan.certificate) else ""


def _trust_step(facts: Facts, scraper: Scraper, plan: ServerPlan, path: str) -> tuple[PlannedStep, ...]:
    before = scraper.host.files.get(path)
    if before is not None and before.content == plan.trust:
        return ()
    name = scraper.host.spec.name
    after = FileState(plan.trust, 0o644, scraper.owner, scraper.service.group)
    source = layout.ca_pair(facts)[0] if plan.own_ca else plan.certificate_file
    what = "your CA's certificate" if plan.own_ca else f"{plan.server.spec.name}'s certificate"
    return (
        PlannedStep(
            id=f"trust:{name}:{path}",
            title=f"Give Prometheus {what}",
            host=name,
            why=(
                "Prometheus can only tell the real server from an impostor if it knows what to check the "
                "certificate against. This file is public; it opens nothing."
            ),
            changes=(
                WriteFile(
                    host=name,
                    path=path,
                    before=before,
                    after=after,
                    why=f"Prometheus checks {plan.server.key} against it.",
                    about=pki.describe(plan.trust),
                    by_hand=words.copy(source, path, after),
                ),
            ),
        ),
    )


PLACEHOLDER = b"not-yet"


def _password_steps(
    facts: Facts, forge: material.Forge, scraper: Scraper, path: str, *, turning: bool
) -> tuple[tuple[PlannedStep, ...], tuple[PlannedStep, ...]]:
    """The password for Prometheus before the servers ask for it, and what has to wait.

    If the connection is yet to be encrypted, a placeholder stands in until it is: Prometheus sends what the file
    holds, over plain http too.
    """
    given = forge.credentials()[0]
    before = scraper.host.files.get(path)
    content = given.password.reveal().encode()
    if before is not None and before.content.strip() == content:
        return (), ()
    name = scraper.host.spec.name
    after = FileState(content, 0o640, scraper.owner, scraper.service.group)
    waiting = replace(after, content=PLACEHOLDER)
    ready: tuple[PlannedStep, ...] = ()
    if turning:
        ready = (
            PlannedStep(
                id=f"password-file:{name}",
                title="Prepare the file for the password",
                host=name,
                why=(
                    "Prometheus reads this file at every scrape. As long as it still speaks plain http, anyone on "
                    "the way could read what it sends, so the file holds a placeholder until the connection is "
                    "encrypted."
                ),
                changes=(
                    WriteFile(
                        host=name,
                        path=path,
                        before=before,
                        after=waiting,
                        why="Readable for root and the group that Prometheus runs with, for nobody else.",
                        by_hand=words.placeholder(PLACEHOLDER.decode(), path, waiting),
                    ),
                ),
            ),
        )
    step = PlannedStep(
        id=f"password:{name}",
        title="Give Prometheus the password",
        host=name,
        why=(
            "The server keeps a hash; the client has to send the password itself. In a file of its own it stays "
            "out of prometheus.yml, which many people read."
        ),
        changes=(
            WriteFile(
                host=name,
                path=path,
                before=waiting if turning else before,
                after=after,
                why="Readable for root and the group that Prometheus runs with, for nobody else.",
                secret=True,
                by_hand=words.copy(layout.user_files(facts, given.user)[0], path, after),
            ),
        ),
    )
    return (ready, (step,)) if turning else ((step,), ())


def _discovery_warning(scraper: Scraper, plan: ServerPlan) -> Finding:
    title = find_component(plan.server.spec.name).title
    return Finding(
        severity="warning",
        id="targets-from-discovery",
        host=scraper.host.spec.name,
        component="prometheus",
        what=f"no job names {plan.server.address}, and some jobs take their targets from files or discovery",
        why=f"If one of those finds {title} on {plan.server.spec.host}, it will be refused after this.",
        mend="look at the targets page afterwards, and give that job the same scheme, CA and password",
    )

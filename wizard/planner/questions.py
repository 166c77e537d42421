"""The questions, as data: one schema for the screen, the command line and the stack file.

Every question has a default that can be taken without a thought, one line of why, and more for who asks.
"""

from __future__ import annotations

from wizard import passwords
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.model import BrokenClient, ComponentSpec, Facts, Question, RateLimit, Setting, Stack
from wizard.planner import paths
from wizard.planner.broken_clients import broken_clients
from wizard.planner.certificate_names import certificate_names

LEVELS: tuple[tuple[str, str, str], ...] = (
    ("", "leave it as it is", "Nothing about it is changed."),
    ("tls", "encrypted", "Nobody on the way can read or alter the answers; anyone may still ask."),
    (
        "tls+basic_auth",
        "encrypted + password",
        "Nobody can read along, and only who knows the password gets an answer.",
    ),
    (
        "tls+client_cert",
        "encrypted + only my clients",
        "Only who shows a certificate that you signed gets an answer; there is no password to leak.",
    ),
    (
        "tls+basic_auth+client_cert",
        "encrypted + password + only my clients",
        "Both: a certificate that you signed, and the password.",
    ),
)


HEADERS = {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff"}
"""What is offered as the usual headers."""


def questions(stack: Stack, facts: Facts) -> tuple[Question, ...]:
    """What to ask for this stack, in order; `default` is what the stack says now."""
    asked = [_level(stack, component) for component in stack.components]
    protected = [component for component in stack.components if component.protect]
    if not protected:
        return tuple(asked)
    asked += [_broken_question(stack, client) for client in broken_clients(stack, facts)]
    if any("basic_auth" in component.protect for component in protected):
        asked += _user_questions(stack)
    asked.append(
        Question(
            setting=Setting("certificates", "issued_by"),
            title="Where certificates come from",
            why="With a CA of your own, Prometheus needs one file, however many servers you add.",
            more=(
                "A certificate authority (CA) is a key that signs certificates. Prometheus is given the CA's "
                "certificate and from then on believes every server that the CA signed. Self-signed means that "
                "each server signs for itself, and Prometheus needs a copy of each certificate (this is what "
                "many walk-throughs do)."
            ),
            kind="choice",
            default=stack.certificates.issued_by,
            choices=(
                ("ca", "my own CA"),
                ("self-signed", "self-signed, one for each server"),
                ("shared", "self-signed, one shared by all nodes"),
                ("files", "files that I already have"),
            ),
        )
    )
    if stack.certificates.issued_by == "files":
        asked += [question for component in protected for question in _file_questions(stack, component)]
    for component in protected:
        if "client_cert" in component.protect:
            asked += _client_questions(stack, component)
    for server in paths.servers(stack, facts):
        asked.append(
            Question(
                setting=Setting("components", "names", server.key),
                title=f"Names and addresses of {server.title} {_on(stack, server.spec.host)}",
                why="The certificate is good for these and for no other: they are what Prometheus asks for.",
                more=(
                    "A certificate lists the names and addresses it speaks for (SAN). Go programs, Prometheus "
                    "among them, look at nothing else: the old 'common name' does not count. Add every name under "
                    "which anyone will ask this server. Separate them with spaces or commas."
                ),
                kind="names",
                default=" ".join(certificate_names(stack, facts, server)),
            )
        )
    asked += _certificate_questions(stack)
    for component in protected:
        asked += _tuning_questions(stack, facts, component)
    return tuple(asked)


def _broken_question(stack: Stack, client: BrokenClient) -> Question:
    """Whether a client may be rejected after the run."""
    return Question(
        setting=Setting("accept_broken", of=client.key),
        title=f"{client.client} on {client.host} will be rejected by {client.server}",
        why=f"Firescreen does not change {client.client}, and applies nothing until you accept that.",
        more=(
            f"It asks {client.server} in {', '.join(client.where)}. It is answered with an error from the run on, until "
            f"this is changed there: {'; '.join(client.lines)}"
        ),
        kind="choice",
        default="yes" if client.key in stack.accept_broken else "",
        choices=(
            ("", "not accepted: nothing is applied"),
            ("yes", "accepted: I change it myself"),
        ),
    )


def _level(stack: Stack, component: ComponentSpec) -> Question:
    return Question(
        setting=Setting("components", "protect", component.key),
        title=f"How to protect {component.name} {_on(stack, component.host)}",
        why="Encrypted: nobody can read along, anyone may still ask. With a password, only who knows it is answered.",
        more=(
            "Encryption (TLS) alone keeps others from reading along and proves to Prometheus that it talks to "
            "the right server. A password (basic authentication) on top lets only those in who know it. A "
            "password without TLS would cross the network readably, so it is not offered. A client certificate "
            "goes further: the server lets in only programs that show a certificate of yours (mutual TLS). "
            "Browsers and scripts then need one too."
        ),
        kind="choice",
        default="+".join(kind for kind in ("tls", "basic_auth", "client_cert") if kind in component.protect),
        choices=tuple((value, words) for value, words, _ in LEVELS),
    )


def _client_questions(stack: Stack, component: ComponentSpec) -> list[Question]:
    where = f"{component.name} {_on(stack, component.host)}"
    return [
        Question(
            setting=Setting("components", "client_auth_type", component.key),
            title=f"How strictly {where} looks at client certificates",
            why="Only the first keeps out whoever has no certificate of yours.",
            more=(
                "RequireAndVerifyClientCert lets in only who shows a certificate that it can check. "
                "VerifyClientCertIfGiven sounds nearly as good, and lets in everyone who shows none. "
                "RequireAnyClientCert takes any certificate, also one made a minute ago; RequestClientCert asks, "
                "and lets in everybody. They are for the days of a change, not for staying."
            ),
            kind="choice",
            default=component.client_auth_type,
            choices=(
                ("RequireAndVerifyClientCert", "only certificates that are trusted"),
                ("VerifyClientCertIfGiven", "check it if there is one; let in who has none"),
                ("RequireAnyClientCert", "any certificate will do"),
                ("RequestClientCert", "ask, and let everyone in"),
            ),
            priority="low",
        ),
        Question(
            setting=Setting("components", "client_allowed_sans", component.key),
            title=f"Clients that {where} lets in",
            why="Leave it empty for every client with a certificate that you signed.",
            more=(
                "Names that a client's certificate must hold one of (SAN): exact, without wildcards. The names of the "
                "clients in this stack are added by themselves. It needs a program from 2023 or newer."
            ),
            kind="names",
            default=" ".join(component.client_allowed_sans),
            priority="low",
        ),
    ]


def _file_questions(stack: Stack, component: ComponentSpec) -> list[Question]:
    where = f"{component.name} {_on(stack, component.host)}"
    texts = (
        ("cert_file", f"Certificate of {where}", "Full path on that host; it stays where it is.", ""),
        ("key_file", f"Key of {where}", "Full path on that host; the service must be able to read it.", ""),
        (
            "ca_file",
            f"CA that signed the certificate of {where}",
            "Full path on that host; leave it empty if the certificate signs itself.",
            "Clients get a copy of it: it is what they check the server against.",
        ),
    )
    return [
        Question(
            setting=Setting("components", f"files.{name}", component.key),
            title=title,
            why=why,
            more=more
            or "It is checked before anything is touched: pair, names, dates, purpose, and who may read it.",
            kind="text",
            default=getattr(component.files, name),
        )
        for name, title, why, more in texts
    ]


def _tuning_questions(stack: Stack, facts: Facts, component: ComponentSpec) -> list[Question]:
    """What few people change; only what the version that runs there knows."""
    where = f"{component.name} {_on(stack, component.host)}"
    known = facts.hosts.get(component.host)
    service = known.service(component.name, component.unit) if known is not None else None
    toolkit = find_component(component.name).toolkit(service.version if service is not None else "")
    asked = [
        Question(
            setting=Setting("components", "min_version", component.key),
            title=f"Oldest TLS that {where} speaks",
            why="TLS 1.2 is what every client of the last ten years can do.",
            more="TLS 1.3 alone is fine where only Prometheus asks; older browsers and scripts may not know it.",
            kind="choice",
            default=component.min_version,
            choices=(("", "TLS 1.2"), ("TLS13", "TLS 1.3 only")),
            priority="low",
        )
    ]
    if not web_config.unsupported(toolkit, headers=HEADERS):
        asked.append(
            Question(
                setting=Setting("components", "headers", component.key),
                title=f"Headers for browsers in the answers of {where}",
                why="They keep its pages out of other sites' frames and from being guessed at.",
                more="X-Frame-Options: deny and X-Content-Type-Options: nosniff. Prometheus itself ignores them.",
                kind="choice",
                default="usual" if component.headers else "",
                choices=(("", "none of ours"), ("usual", "the usual two")),
                priority="low",
            )
        )
    limit = component.rate_limit
    if not web_config.unsupported(toolkit, rate_limit=RateLimit("1s", 1)):
        asked.append(
            Question(
                setting=Setting("components", "rate_limit", component.key),
                title=f"Most requests that {where} answers",
                why="Empty for no limit; '100ms 20' is one each 100 ms, and 20 at once.",
                more=(
                    "Beyond it the answer is 429 Too Many Requests, also for Prometheus: leave room for every "
                    "Prometheus that scrapes it. It is read at the start of the program only."
                ),
                kind="text",
                default=f"{limit.interval} {limit.burst}" if limit is not None else "",
                priority="low",
            )
        )
    return asked


def _on(stack: Stack, host: str) -> str:
    """Where a component is, as a person says it."""
    return "on this machine" if stack.host(host).connect == "local" else f"on {host}"


def _user_questions(stack: Stack) -> list[Question]:
    user = stack.users[0]
    return [
        Question(
            setting=Setting("users", "name"),
            title="User name",
            why="Prometheus introduces itself with this name.",
            more="Any name without a colon or a space. The servers write it down beside the password's hash.",
            kind="text",
            default=user.name,
            priority="low",
        ),
        Question(
            setting=Setting("users", "password"),
            title="Password",
            why="Leave it empty and a strong one is made for you; Prometheus reads it from a file.",
            more=(
                "Only programs use this password, so nobody has to remember it: a generated one is best. It is "
                "kept in a file that only you can read, and Prometheus gets a copy. At most 72 bytes."
            ),
            kind="password",
            default="",
        ),
        Question(
            setting=Setting("users", "more"),
            title="Further users",
            why="People or programs that ask too, each with a password of its own.",
            more=(
                "Names, separated by spaces. Each gets a generated password in a file of your workspace, and is let "
                "in by every server with a password. Prometheus itself uses the first user."
            ),
            kind="names",
            default=" ".join(each.name for each in stack.users[1:]),
            priority="low",
        ),
        Question(
            setting=Setting("users", "cost"),
            title="Cost of the password's hash",
            why=f"How slow guessing is made. 10 takes {_cost(10)} here for each check, 12 takes {_cost(12)}.",
            more=(
                "bcrypt is slow on purpose; each step up doubles the time. Prometheus' servers check unknown "
                "users at cost 10, so with any other cost an attacker can tell by the time which users exist. "
                "Above 13, a check can outlast the scrape's time limit."
            ),
            kind="number",
            default=str(user.cost),
            priority="low",
        ),
    ]


def _cost(cost: int) -> str:
    seconds = passwords.cost_seconds(cost)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _certificate_questions(stack: Stack) -> list[Question]:
    return [
        Question(
            setting=Setting("certificates", "days"),
            title="Lifetime in days",
            why="When it is over, Prometheus refuses the server: renew before. A year is a good habit.",
            more="Some walk-throughs use 80 years. A lost key would stay useful for as long.",
            kind="number",
            default=str(stack.certificates.days),
            priority="low",
        ),
        Question(
            setting=Setting("certificates", "key"),
            title="Kind of key",
            why="EC P-256 is small, fast and understood everywhere.",
            more="RSA is for very old clients; Ed25519 is modern, but some browsers do not know it.",
            kind="choice",
            default=stack.certificates.key,
            choices=(
                ("ec-p256", "EC P-256"),
                ("rsa-2048", "RSA 2048"),
                ("rsa-4096", "RSA 4096 (slow to make)"),
                ("ed25519", "Ed25519"),
            ),
            priority="low",
        ),
        Question(
            setting=Setting("certificates", "passphrase"),
            title="Passphrase for the CA's key",
            why="Leave it empty to keep the key unencrypted in a folder that only you can read.",
            more="With a passphrase, nobody can sign with a stolen copy. It is asked for at each new certificate.",
            kind="password",
            default="",
            priority="low",
        ),
    ]

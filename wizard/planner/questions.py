"""The questions as data: one schema for the screens, the command line and the stack file.

Every question has a default that is safe to accept, one line of why, and more text on request.
"""

from __future__ import annotations

from wizard import passwords
from wizard.components import Component
from wizard.components import component as find_component
from wizard.config_files import web_config
from wizard.model import EXPORTERS, BrokenClient, ComponentSpec, Facts, Question, RateLimit, Setting, Stack
from wizard.planner import paths
from wizard.planner.broken_clients import broken_clients
from wizard.planner.certificate_names import certificate_names, missing_names
from wizard.planner.front_doors import door_questions
from wizard.planner.server_facts import Server
from wizard.redact import plain

LEVELS: tuple[tuple[str, str, str], ...] = (
    ("", "keep as is", "Nothing about it is changed."),
    ("tls", "TLS", "Traffic is encrypted, but everyone who reaches the port can still read the metrics."),
    (
        "tls+basic_auth",
        "TLS + password",
        "Traffic is encrypted, and clients must send a user name and password.",
    ),
    (
        "tls+client_cert",
        "mutual TLS",
        "Traffic is encrypted, and clients must show a certificate of your CA. No password can leak.",
    ),
    (
        "tls+basic_auth+client_cert",
        "mutual TLS + password",
        "Clients must show a certificate of your CA, and send user name and password.",
    ),
)


def level_name(component: ComponentSpec) -> str:
    """The title of a component's protection; 'keep as is' for no change."""
    return next(name for key, name, _ in LEVELS if set(key.split("+")) - {""} == set(component.protect))


HEADERS = {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff"}
"""The proposed headers."""


def questions(stack: Stack, facts: Facts) -> tuple[Question, ...]:
    """The questions for this stack, in order; `default` is the stack's present value."""
    result = [
        _level(stack, component)
        for component in stack.components
        if not stack.doors_to(component.host, component.name)
    ]
    result += door_questions.questions(stack, facts)
    protected = [component for component in stack.components if component.protect]
    if not stack.changes_hosts:
        return tuple(result)
    result += [_broken_question(stack, client) for client in broken_clients(stack, facts)]
    if stack.asks_password:
        result += _user_questions(stack)
    result.append(
        Question(
            setting=Setting("certificates", "issued_by"),
            title="Issuer of the certificates",
            why="With a CA of your own, Prometheus needs one file, however many servers you add.",
            more=(
                "A certificate authority (CA) signs certificates with its key. A client with the CA certificate "
                "trusts every server whose certificate the CA has signed. A self-signed certificate is signed "
                "with its own key, and Prometheus needs a copy of each one (as in many tutorials)."
            ),
            kind="choice",
            default=stack.certificates.issued_by,
            choices=(
                ("ca", "my own CA"),
                ("self-signed", "self-signed, one for each server"),
                ("shared", "self-signed, one shared by all nodes"),
                ("files", "files that exist already"),
            ),
        )
    )
    if stack.certificates.issued_by == "files":
        result += [question for component in protected for question in _file_questions(stack, component)]
    for component in protected:
        if "client_cert" in component.protect:
            result += _client_questions(stack, component)
    for server in (each for each in paths.servers(stack, facts) if each.component != EXPORTERS):
        result.append(
            Question(
                setting=Setting("components", "names", server.key),
                title=f"Names and addresses of {server.title} {_on(stack, server.spec.host)}",
                why="The certificate is valid for these names only. Prometheus connects with one of them.",
                more=(
                    "A certificate lists the names and addresses that it is valid for (SAN). Go programs such as "
                    "Prometheus ignore the old 'common name'. Add every name and address that clients use for this "
                    "server, separated by spaces or commas."
                ),
                kind="names",
                default=" ".join(certificate_names(stack, facts, server)),
                warning=_left_out(stack, facts, server),
            )
        )
    result += _certificate_questions(stack)
    for component in protected:
        result += _tuning_questions(stack, facts, component)
    return tuple(result)


def _left_out(stack: Stack, facts: Facts, server: Server) -> str:
    """The clients that would reject a certificate with the chosen names, as a text; '' for none."""
    missing = missing_names(stack, facts, server)
    if not missing:
        return ""
    client = next(iter(missing.values()))
    return (
        f"{client} connects to {plain(' and '.join(missing))}: without that name it rejects the certificate"
    )


def _broken_question(stack: Stack, client: BrokenClient) -> Question:
    """The question whether a client may be rejected after the run."""
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
        title=f"Protection of {component.name} {_on(stack, component.host)}",
        why="TLS encrypts the traffic. With a password, clients must send it as well.",
        more=(
            "TLS encrypts the traffic, and Prometheus verifies the certificate of the server. With a password "
            "(basic authentication) the server answers only clients that send it. A password without TLS would "
            "cross the network unencrypted, so it is not offered. With mutual TLS the server accepts only "
            "clients with a certificate of your CA. Browsers and scripts then need one too."
        ),
        kind="choice",
        default="+".join(kind for kind in ("tls", "basic_auth", "client_cert") if kind in component.protect),
        choices=tuple((value, words) for value, words, _ in LEVELS),
        cost=protection_cost(find_component(component.name)),
    )


def protection_cost(component: Component) -> str:
    """What the protection of a component interrupts, and which other clients need credentials, as a text."""
    seconds = f"{component.restart_seconds:.0f} s"
    missed = (
        f"no scrapes for about {seconds}" if component.name == "prometheus" else f"down for about {seconds}"
    )
    *others, last = component.other_clients or ("",)
    listed = f"{', '.join(others)} and {last}" if others else last
    needed = f" {listed[:1].upper()}{listed[1:]} need new settings too." if listed else ""
    return f"{component.title} restarts: {missed}.{needed}"


def _client_questions(stack: Stack, component: ComponentSpec) -> list[Question]:
    where = f"{component.name} {_on(stack, component.host)}"
    return [
        Question(
            setting=Setting("components", "client_auth_type", component.key),
            title=f"How strictly {where} checks client certificates",
            why="Only the first rejects every client without a certificate of your CA.",
            more=(
                "RequireAndVerifyClientCert accepts only clients with a certificate that it trusts. "
                "VerifyClientCertIfGiven also accepts clients without a certificate. RequireAnyClientCert accepts "
                "any certificate, RequestClientCert every client. The last three are for a migration only."
            ),
            kind="choice",
            default=component.client_auth_type,
            choices=(
                ("RequireAndVerifyClientCert", "only trusted certificates"),
                (
                    "VerifyClientCertIfGiven",
                    "verify a certificate if there is one; accept clients without one",
                ),
                ("RequireAnyClientCert", "accept any certificate"),
                ("RequestClientCert", "request one, and accept every client"),
            ),
            priority="low",
        ),
        Question(
            setting=Setting("components", "client_allowed_sans", component.key),
            title=f"Clients that {where} accepts",
            why="Leave it empty to accept every client with a certificate of your CA.",
            more=(
                "The certificate of a client must have one of these names (SAN): exact, without wildcards. The names of "
                "the clients in this stack are added automatically. Needs a component from 2023 or newer."
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
    """Settings that few people change; only those that the running version supports."""
    where = f"{component.name} {_on(stack, component.host)}"
    host = facts.hosts.get(component.host)
    service = host.service(component.name, component.unit) if host is not None else None
    toolkit = find_component(component.name).toolkit(service.version if service is not None else "")
    result = [
        Question(
            setting=Setting("components", "min_version", component.key),
            title=f"Oldest TLS that {where} speaks",
            why="Every client of the last ten years supports TLS 1.2.",
            more="TLS 1.3 only is fine where Prometheus is the only client; older browsers and scripts may not support it.",
            kind="choice",
            default=component.min_version,
            choices=(("", "TLS 1.2"), ("TLS13", "TLS 1.3 only")),
            priority="low",
        )
    ]
    if not web_config.unsupported_settings(toolkit, headers=HEADERS):
        result.append(
            Question(
                setting=Setting("components", "headers", component.key),
                title=f"Headers for browsers in the answers of {where}",
                why="They forbid other sites to frame its pages, and browsers to guess content types.",
                more="X-Frame-Options: deny and X-Content-Type-Options: nosniff. Prometheus itself ignores them.",
                kind="choice",
                default="usual" if component.headers else "",
                choices=(("", "none"), ("usual", "the usual two")),
                priority="low",
            )
        )
    limit = component.rate_limit
    if not web_config.unsupported_settings(toolkit, rate_limit=RateLimit("1s", 1)):
        result.append(
            Question(
                setting=Setting("components", "rate_limit", component.key),
                title=f"Most requests that {where} answers",
                why="Empty for no limit; '100ms 20' is one each 100 ms, and 20 at once.",
                more=(
                    "Further requests are answered with 429 Too Many Requests, also those of Prometheus: leave room for "
                    "every Prometheus that scrapes it. The setting is read at the start of the component only."
                ),
                kind="text",
                default=f"{limit.interval} {limit.burst}" if limit is not None else "",
                priority="low",
            )
        )
    return result


def _on(stack: Stack, host: str) -> str:
    """The place of a component in a sentence."""
    return "on this machine" if stack.host(host).connect == "local" else f"on {host}"


def _user_questions(stack: Stack) -> list[Question]:
    user = stack.users[0]
    return [
        Question(
            setting=Setting("users", "name"),
            title="User name",
            why="Prometheus sends this name with the password.",
            more="Any name without a colon or a space. The web configuration has it beside the hash of the password.",
            kind="text",
            default=user.name,
            priority="low",
        ),
        Question(
            setting=Setting("users", "password"),
            title="Password",
            why="Leave it empty to generate a strong one; Prometheus reads it from a file.",
            more=(
                "Only programs use this password, so nobody has to remember it: a generated one is best. It is stored "
                "in a file that only you can read, and Prometheus gets a copy. At most 72 bytes."
            ),
            kind="password",
            default="",
        ),
        Question(
            setting=Setting("users", "more"),
            title="Further users",
            why="People or programs that are clients too, each with a separate password.",
            more=(
                "Names, separated by spaces. Each gets a generated password in a file of your workspace. Every server "
                "with basic authentication accepts them. Prometheus itself uses the first user."
            ),
            kind="names",
            default=" ".join(each.name for each in stack.users[1:]),
            priority="low",
        ),
        Question(
            setting=Setting("users", "cost"),
            title="Cost of the bcrypt hash",
            why=f"A higher cost makes guessing slower. One check takes {_cost(10)} here with 10, {_cost(12)} with 12.",
            more=(
                "bcrypt is slow on purpose; each step doubles the time. Servers check unknown users with cost 10, so "
                "with any other cost the response time tells an attacker which users exist. Above 13, a check can "
                "take longer than the scrape timeout."
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
            why="Prometheus does not trust an expired certificate: renew it before. A year is usual.",
            more="Some tutorials use 80 years. A stolen key would be usable for as long.",
            kind="number",
            default=str(stack.certificates.days),
            priority="low",
        ),
        Question(
            setting=Setting("certificates", "key"),
            title="Key type",
            why="EC P-256 is small, fast and supported everywhere.",
            more="RSA is for very old clients; Ed25519 is modern, but some browsers do not support it.",
            kind="choice",
            default=stack.certificates.key,
            choices=(
                ("ec-p256", "EC P-256"),
                ("rsa-2048", "RSA 2048"),
                ("rsa-4096", "RSA 4096 (slow to generate)"),
                ("ed25519", "Ed25519"),
            ),
            priority="low",
        ),
        Question(
            setting=Setting("certificates", "passphrase"),
            title="Passphrase for the CA's key",
            why="Leave it empty to store the key unencrypted in a folder that only you can read.",
            more="Without the passphrase nobody can sign with a stolen copy. You have to enter it for each new certificate.",
            kind="password",
            default="",
            priority="low",
        ),
    ]

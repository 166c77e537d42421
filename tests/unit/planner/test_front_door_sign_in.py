"""Sign-in at a front door: obstacles are reported, the secret is shown nowhere, and one restart is enough."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.planner import plan_cases
from wizard import planner
from wizard.errors import FirescreenError, InputError
from wizard.model import (
    WORKSPACE,
    Answers,
    DoorRoute,
    Facts,
    FileState,
    FrontDoor,
    Plan,
    RunService,
    Setting,
    SignIn,
    Stack,
    WriteFile,
)

CASE = "front-door-sign-in"
SECRET_FILE = "/home/ada/client-secret"
SECRETS = "/etc/apache2/firescreen/noc.example.net-sign-in.conf"
SITE = "/etc/apache2/sites-enabled/firescreen-noc.example.net.conf"


def plan_for(stack: Stack, facts: Facts) -> Plan:
    return planner.plan(stack, plan_cases.with_requested_files(stack, facts), Answers())


def with_door(stack: Stack, **changed: object) -> Stack:
    return replace(stack, front_doors=(replace(stack.front_doors[0], **changed),))  # type: ignore[arg-type]


def settings(stack: Stack, **changed: object) -> Stack:
    found = stack.front_doors[0].sign_in
    assert found is not None
    return with_door(stack, sign_in=replace(found, **changed))  # type: ignore[arg-type]


def with_file(
    facts: Facts, path: str, content: str | None, mode: int = 0o600, host: str = WORKSPACE
) -> Facts:
    known = facts.hosts[host]
    state = FileState(content.encode(), mode, "ada", "ada") if content is not None else None
    return replace(facts, hosts={**facts.hosts, host: replace(known, files={**known.files, path: state})})


def written_content(plan: Plan, path: str) -> str:
    return next(
        change.after.content.decode()
        for change in plan.changes
        if isinstance(change, WriteFile) and change.path == path and change.after is not None
    )


Change = Callable[[Stack, Facts], tuple[Stack, Facts]]
MODULE = "/etc/apache2/mods-available/auth_openidc.load"
REFUSED: dict[str, tuple[Change, str, str]] = {
    "no module": (
        lambda stack, facts: (stack, with_file(facts, MODULE, None, host="web1")),
        "lacks mod_auth_openidc",
        "apt install libapache2-mod-auth-openidc",
    ),
    "no secret": (
        lambda stack, facts: (stack, with_file(facts, SECRET_FILE, None)),
        "does not exist",
        "mode 0600",
    ),
    "a secret that others read": (
        lambda stack, facts: (stack, with_file(facts, SECRET_FILE, "x" * 20, 0o644)),
        "others can read",
        f"chmod 600 {SECRET_FILE}",
    ),
    "two lines": (
        lambda stack, facts: (stack, with_file(facts, SECRET_FILE, "one\ntwo\n")),
        "one line",
        "nothing but the secret",
    ),
    "a command": (
        lambda stack, facts: (stack, with_file(facts, SECRET_FILE, "exec:/bin/id")),
        "one line",
        "nothing but the secret",
    ),
    "no CA": (
        lambda stack, facts: (stack, with_file(facts, "/home/ada/company-ca.pem", "hello")),
        "CA of the OpenID provider",
        "PEM",
    ),
    "nothing set": (
        lambda stack, facts: (settings(stack, issuer="", client_id=""), facts),
        "issuer and client_id",
        "https://noc.example.net/oauth2/callback",
    ),
    "nobody is meant": (
        lambda stack, facts: (settings(stack, email_domains=(), groups=(), claims=()), facts),
        "every account of",
        "* as a domain",
    ),
    "a frontend that is there": (
        lambda stack, facts: (with_door(stack, proxy="haproxy", site="/etc/haproxy/haproxy.cfg"), facts),
        "cannot sign in",
        "a port of its own",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_obstacles_to_signing_in_are_reported(name: str) -> None:
    case = plan_cases.case(CASE)
    change, what, todo = REFUSED[name]
    with pytest.raises(FirescreenError) as refused:
        plan_for(*change(case.stack, case.facts))
    assert what in refused.value.what
    assert todo in refused.value.todo
    assert refused.value.where


def test_the_secret_is_in_one_file_and_is_shown_nowhere() -> None:
    case = plan_cases.case(CASE)
    plan = plan_for(case.stack, case.facts)
    secret = 'a-client-secret-"quoted"-\\n'
    assert secret in [each.reveal() for each in plan.secrets]
    text = written_content(plan, SECRETS)
    assert 'OIDCClientSecret "a-client-secret-\\"quoted\\"-\\\\n"' in text
    key = text.partition('OIDCCryptoPassphrase "')[2].partition('"')[0]
    assert len(key) >= 32
    (change,) = (each for each in plan.changes if isinstance(each, WriteFile) and each.path == SECRETS)
    assert change.after is not None
    assert (change.after.mode, change.after.owner, change.secret) == (0o600, "root", True)
    for each in plan.changes:
        for shown in (each.diff(), *each.commands()):
            assert key not in shown
            assert "a-client-secret" not in shown
    assert (
        key
        != written_content(plan_for(case.stack, case.facts), SECRETS).partition('OIDCCryptoPassphrase "')[2][
            :-2
        ]
    )


def test_sessions_survive_a_new_client_secret() -> None:
    case = plan_cases.case(CASE)
    plan = plan_for(case.stack, case.facts)
    after = plan_cases.facts_after_plan(plan, plan.facts)
    again = plan_for(case.stack, with_file(after, SECRET_FILE, "another-secret"))
    assert [change.path for change in again.changes] == [SECRETS, "apache2.service"] or [
        change.path for change in again.changes if isinstance(change, WriteFile)
    ] == [SECRETS]
    old, new = (written_content(each, SECRETS) for each in (plan, again))
    assert old.partition("OIDCCryptoPassphrase")[2] == new.partition("OIDCCryptoPassphrase")[2]
    assert "another-secret" in new


def test_only_a_new_module_requires_a_restart() -> None:
    case = plan_cases.case(CASE)
    plan = plan_for(case.stack, case.facts)
    assert actions(plan) == ["restart"]
    after = plan_cases.facts_after_plan(plan, plan.facts)
    assert actions(plan_for(settings(case.stack, session_hours=2), after)) == ["reload"]


def actions(plan: Plan) -> list[str]:
    return [
        change.action
        for change in plan.changes
        if isinstance(change, RunService) and change.service.component == "apache"
    ]


def test_browsers_are_redirected_to_the_provider_and_programs_get_401() -> None:
    case = plan_cases.case(CASE)
    probes = {each.client: each for each in plan_for(case.stack, case.facts).probes}
    page = probes["page, not signed in"]
    assert (page.kind, page.expect, page.user) == ("sign_in", "302", "")
    assert "redirect_uri=https%3A%2F%2Fnoc.example.net%2Foauth2%2Fcallback" in page.holds
    assert "client_id=firescreen" in page.holds
    assert probes["no password"].expect == probes["wrong password"].expect == "401"
    assert probes["API"].user == "script"
    certificate = with_door(case.stack, machines=(), client_cert=True)
    probes = {each.client: each for each in plan_for(certificate, case.facts).probes}
    assert probes["no client certificate"].expect == "401"
    assert probes["API"].cert_file
    assert "AuthType Basic" not in written_content(plan_for(certificate, case.facts), SITE)


def test_any_account_may_sign_in_only_if_the_stack_file_says_so() -> None:
    case = plan_cases.case(CASE)
    everyone = settings(case.stack, email_domains=("*",), groups=(), claims=(), ca_file="")
    text = written_content(plan_for(everyone, case.facts), SITE)
    assert "Require claim" not in text
    assert "OIDCCABundlePath" not in text
    door = FrontDoor(host="a", proxy="apache", name="a.example.net", routes=(), sign_in=SignIn(groups=("x",)))
    assert door.sign_in is not None
    assert door.sign_in.asked == (("groups", ("x",)),)
    assert door.sign_in.domains == ()
    with pytest.raises(InputError):
        plan_for(settings(case.stack, client_secret_file=""), case.facts)


@pytest.mark.parametrize(
    ("name", "own", "all_paths"),
    [
        (CASE, 'ProxyPass "/oauth2/" "!"', 'ProxyPass "/" "http'),
        ("front-door-sign-in-nginx", "location /oauth2/ {", "location / {"),
        ("front-door-sign-in-caddy", "reverse_proxy /oauth2/*", "reverse_proxy /* 127.0.0.1:9091"),
    ],
)
def test_a_component_at_the_root_path_leaves_the_sign_in_path_free(
    name: str, own: str, all_paths: str
) -> None:
    case = plan_cases.case(name)
    plan = plan_for(with_door(case.stack, routes=(DoorRoute(to="pushgateway"),)), case.facts)
    text = next(
        change.after.content.decode()
        for change in plan.changes
        if isinstance(change, WriteFile)
        and change.content_kind == "proxy-config"
        and change.after is not None
    )
    assert 0 < text.index(own) < text.index(all_paths)


# -- the questions -------------------------------------------------------------------------------------------

DOOR = "web1/apache"


def question_defaults(stack: Stack, facts: Facts) -> dict[str, str]:
    looked = plan_cases.with_requested_files(stack, facts)
    return {each.key: each.default for each in planner.questions(stack, looked)}


def answer_setting(stack: Stack, name: str, value: str) -> Stack:
    return planner.answer(stack, Setting("front_doors", name, DOOR), value)


def in_apache(facts: Facts) -> Facts:
    proxies = tuple(replace(each, active=each.component == "apache") for each in facts.hosts["web1"].proxies)
    return replace(facts, hosts={**facts.hosts, "web1": replace(facts.hosts["web1"], proxies=proxies)})


def test_sign_in_settings_have_questions_that_can_be_answered() -> None:
    case = plan_cases.case("front-door-apache")
    facts = in_apache(plan_cases.case(CASE).facts)
    stack = answer_setting(case.stack, "access", "sign_in")
    door = stack.front_doors[0]
    assert (door.people, door.machines, door.client_cert, door.sign_in) == ((), ("admin",), False, SignIn())
    for name, value in (
        ("issuer", " https://id.example.net/realms/company/.well-known/openid-configuration "),
        ("client_id", "firescreen"),
        ("client_secret_file", SECRET_FILE),
        ("email_domains", "example.net, example.org"),
        ("groups", "net ops, admins"),
    ):
        stack = answer_setting(stack, f"sign_in.{name}", value)
    found = stack.front_doors[0].sign_in
    assert found == SignIn(
        issuer="https://id.example.net/realms/company",
        client_id="firescreen",
        client_secret_file=SECRET_FILE,
        email_domains=("example.net", "example.org"),
        groups=("net ops", "admins"),
    )
    shown = question_defaults(stack, facts)
    assert shown[f"front_doors.{DOOR}.access"] == "sign_in"
    assert shown[f"front_doors.{DOOR}.sign_in.groups"] == "net ops, admins"
    assert plan_for(stack, facts).steps
    back = answer_setting(stack, "access", "password").front_doors[0]
    assert (back.sign_in, back.users) == (None, ("admin",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "http://id.example.net"),
        ("issuer", "https://a@id.example.net"),
        ("client_id", 'a "b'),
        ("client_secret_file", "secret"),
        ("ca_file", "./ca.pem"),
        ("email_domains", "@example.net"),
        ("email_domains", "example"),
        ("groups", 'a, "b"'),
    ],
)
def test_an_invalid_answer_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError) as refused:
        answer_setting(plan_cases.case(CASE).stack, f"sign_in.{name}", value)
    assert refused.value.todo


# -- oauth2-proxy --------------------------------------------------------------------------------------------

CONFIG = "/etc/oauth2-proxy.cfg"
OWN_UNIT = "/usr/lib/systemd/system/oauth2-proxy.service"


def oauth2_proxy_stack(**changed: object) -> Stack:
    stack = plan_cases.case("front-door-sign-in-nginx").stack
    return settings(stack, **changed) if changed else stack


def test_oauth2_proxy_is_restarted_before_the_reverse_proxy_uses_it() -> None:
    case = plan_cases.case("front-door-sign-in-nginx")
    plan = plan_for(case.stack, case.facts)
    given = tomllib.loads(written_content(plan, CONFIG))
    assert given["redirect_url"] == "https://noc.example.net/oauth2/callback"
    assert (given["allowed_groups"], given["email_domains"]) == (["admins"], ["*"])
    assert (given["cookie_secure"], given["cookie_httponly"], given["upstreams"]) == (
        True,
        True,
        ["static://202"],
    )
    assert given["insecure_oidc_skip_nonce"] is False
    assert len(base64.urlsafe_b64decode(given["cookie_secret"] + "=")) == 32
    (change,) = (each for each in plan.changes if isinstance(each, WriteFile) and each.path == CONFIG)
    assert change.after is not None
    assert (change.after.rights, change.secret) == ("0640 root:oauth2-proxy", True)
    units = [each.service.unit for each in plan.changes if isinstance(each, RunService)]
    assert units.index("oauth2-proxy") < units.index("nginx")
    after = plan_cases.facts_after_plan(plan, plan.facts)
    again = plan_for(oauth2_proxy_stack(session_hours=2, email_domains=("example.net",)), after)
    assert [each.service.unit for each in again.changes if isinstance(each, RunService)] == [
        "oauth2-proxy",
        "nginx",
    ]
    assert tomllib.loads(written_content(again, CONFIG))["cookie_secret"] == given["cookie_secret"]


@pytest.mark.parametrize(
    ("path", "content", "changed", "what"),
    [
        (OWN_UNIT, None, {}, "lacks oauth2-proxy"),
        (OWN_UNIT, "[Service]\nExecStart=/usr/local/bin/oauth2-proxy\n", {}, "lacks oauth2-proxy"),
        (CONFIG, 'provider = "google"\n', {}, "configured already"),
        (CONFIG, None, {"claims": (("a", ("b",)),)}, "no other claims"),
    ],
)
def test_settings_that_oauth2_proxy_lacks_are_refused(
    path: str, content: str | None, changed: dict[str, object], what: str
) -> None:
    facts = with_file(plan_cases.case("front-door-sign-in-nginx").facts, path, content, host="web1")
    with pytest.raises(InputError) as refused:
        plan_for(oauth2_proxy_stack(**changed), facts)
    assert what in refused.value.what
    assert refused.value.where
    assert refused.value.todo


def test_one_oauth2_proxy_serves_one_name() -> None:
    case = plan_cases.case("front-door-sign-in-nginx")
    first = case.stack.front_doors[0]
    second = replace(first, name="alerts.example.net", routes=(DoorRoute(to="alertmanager"),))
    with pytest.raises(InputError, match="which serves one name"):
        plan_for(replace(case.stack, front_doors=(first, second)), case.facts)

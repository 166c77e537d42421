"""An error text is explained with the help of a stack's hosts, or alone where they are unreachable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.engine.loopback import serving
from tests.unit.engine.memory import Site
from wizard.engine import error_explanation
from wizard.errors import ServiceError, UnreachableError
from wizard.model import ComponentSpec, FileState, Stack

Make = Callable[..., Site]
CONFIG = "/etc/prometheus/prometheus.yml"


@pytest.fixture
def pair(make_site: Make) -> Site:
    site = make_site("srv1", "prom", "away")
    site.connections["away"].faults["script", "*"] = UnreachableError("no answer")
    site.connections["prom"].files |= {
        CONFIG: FileState(b"scrape_config_files: ['more/*.yml']\nscrape_configs: []\n"),
        "/etc/prometheus/more/a.yml": FileState(
            b"scrape_configs:\n- job_name: node\n  scheme: https\n  static_configs: [{targets: ['srv1:9100']}]\n"
        ),
        "/etc/prometheus/more/a.txt": FileState(b""),
    }
    return site


def stack(site: Site) -> Stack:
    return Stack(
        hosts=site.specs,
        components=(
            ComponentSpec(host="srv1", name="node_exporter"),
            ComponentSpec(host="prom", name="prometheus"),
        ),
    )


def running(site: Site, listen: str = "srv1:9100") -> None:
    site.manager.services = {
        "srv1": (site.service("srv1", listen=listen),),
        "prom": (site.service("prom", "prometheus", listen="prom:9090", config_file=CONFIG),),
    }


def explain(site: Site, text: str) -> tuple[str, str]:
    found = site.engine().explain(text, stack(site))
    assert found is not None
    return found.id, found.fault


def test_an_unknown_text_is_not_explained(pair: Site) -> None:
    assert pair.engine().explain("all is well", stack(pair)) is None


def test_a_text_with_one_cause_is_explained_without_questions(pair: Site) -> None:
    def nobody() -> Stack:
        raise AssertionError("it need not be known")

    found = error_explanation.explain("pq: SSL is not enabled on the server", nobody, lambda of: pair.hosts())
    assert found is not None
    assert found.questions == ()


def test_the_hosts_tell_which_cause_it_is(pair: Site) -> None:
    with serving(lambda path, headers: (200, b"up 1\n")) as place:
        running(pair, place)
        text = f'Get "https://{place}/metrics": http: server gave HTTP response to HTTPS client'
        assert explain(pair, text)[0] == "tls-to-plain-http"


def test_a_job_that_a_text_names_leads_to_its_target(pair: Site) -> None:
    running(pair)
    text = (
        'level=warn scrape_pool=node target=x msg="server returned HTTP status 401 Unauthorized" '
        'err="server returned HTTP status 401 Unauthorized"'
    )
    found = error_explanation._evidence(
        text, tuple(error_explanation._served_components(stack(pair), pair.hosts())), pair.hosts()
    )
    assert found is not None
    assert found.service is not None
    assert found.service.host == "srv1"
    assert found.url == "https://srv1:9100/metrics"


def test_the_target_of_the_recognised_record_is_probed(pair: Site) -> None:
    running(pair)
    served = tuple(error_explanation._served_components(stack(pair), pair.hosts()))
    text = (
        'level=info msg="asked http://elsewhere:9100/metrics"\n'
        'level=error err="Get \\"http://srv1:9100/metrics\\": context deadline exceeded"\n'
    )
    other = text.replace("srv1", "prom").replace("9100", "9090")
    matched = "context deadline exceeded"
    for log in (text + other.replace(matched, "EOF"), other.replace(matched, "EOF") + text):
        found = error_explanation._evidence(log, served, pair.hosts(), matched=matched)
        assert found is not None
        assert found.service is not None
        assert found.service.host == "srv1"


def test_a_line_of_a_services_log_leads_to_the_service(pair: Site) -> None:
    running(pair)
    served = tuple(error_explanation._served_components(stack(pair), pair.hosts()))
    line = "2026-11-29T09:00:00Z node_exporter-srv1 says hello"
    found = error_explanation._evidence(line, served, pair.hosts())
    assert found is not None
    assert found.service is not None
    assert found.service.host == "srv1"
    assert found.log() == ("node_exporter-srv1 says hello",)
    assert error_explanation._evidence("nobody wrote this line here", served, pair.hosts()) is None


def test_a_log_that_may_not_be_read_says_nothing(pair: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    running(pair)

    def refused(*_: object) -> tuple[str, ...]:
        raise ServiceError("no rights")

    monkeypatch.setattr(pair.manager, "logs", refused)
    first = next(error_explanation._served_components(stack(pair), pair.hosts()))
    assert first.log() == ()


def test_an_address_outside_the_stack_is_not_probed(pair: Site) -> None:
    running(pair)
    served = tuple(error_explanation._served_components(stack(pair), pair.hosts()))
    assert error_explanation._evidence("dial tcp 192.0.2.200:1: refused", served, pair.hosts()) is None


def test_a_configuration_that_cannot_be_read_names_no_target(pair: Site) -> None:
    running(pair)
    pair.connections["prom"].files[CONFIG] = FileState(b"scrape_config_files: [")
    served = tuple(error_explanation._served_components(stack(pair), pair.hosts()))
    found = error_explanation._evidence("dial tcp srv1:9100: refused", served, pair.hosts())
    assert found is not None
    assert not found.known
    del pair.connections["prom"].files[CONFIG]
    assert error_explanation._client_evidence(served[1], ("srv1:9100",), "") is None
    assert error_explanation._client_evidence(replace(served[0]), ("srv1:9100",), "") is None


def test_with_unreachable_hosts_the_text_alone_is_explained(
    pair: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "dial tcp srv1:9100: connect: connection refused"

    def raise_unreachable(of: Stack) -> object:
        raise UnreachableError("no answer")

    found = error_explanation.explain(text, lambda: stack(pair), raise_unreachable)  # type: ignore[arg-type]
    assert found is not None
    assert found.fault == ""

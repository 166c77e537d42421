"""A data source of Grafana gets TLS in the style of its file, and nothing else in the file changes."""

from __future__ import annotations

import difflib
import io
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from wizard.config_files import grafana
from wizard.errors import ConfigError

ALL = {
    "ca": "/etc/grafana/ca.pem",
    "cert": "/etc/grafana/c.pem",
    "key": "/etc/grafana/k.pem",
    "user": "grafana",
    "password_file": "/etc/grafana/password",
    "server_name": "srv1",
}
WANTED = {
    "basicAuth": True,
    "basicAuthUser": "grafana",
    "jsonData": {"tlsAuthWithCACert": True, "tlsAuth": True, "serverName": "srv1"},
    "secureJsonData": {
        "tlsCACert": "$__file{/etc/grafana/ca.pem}",
        "tlsClientCert": "$__file{/etc/grafana/c.pem}",
        "tlsClientKey": "$__file{/etc/grafana/k.pem}",
        "basicAuthPassword": "$__file{/etc/grafana/password}",
    },
}

AWKWARD = {
    "documented": """\
# config file version
apiVersion: 1

deleteDatasources:
  - name: Old
    orgId: 1

datasources:
  # the metrics
  - name: Prometheus
    type: prometheus
    access: proxy
    url: http://localhost:9090   # here
    isDefault: true
    jsonData:
      httpMethod: POST
      timeInterval: 15s
    editable: false
  # the logs
  - name: Loki
    type: loki
    url: http://localhost:3100
""",
    "dash-at-0": "apiVersion: 1\ndatasources:\n- {name: Loki, type: loki}\n- name: 'Prometheus'\n  type: prometheus\n"
    '  url: "http://localhost:9090"\n  secureJsonData:\n    # secret\n    basicAuthPassword: clear\n',
    "settings": """\
datasources:
    -   url: 'http://prometheus.lab/prom/'
        name: Prometheus
        basicAuth: false
        basicAuthUser: old
        basicAuthPassword: clear
        jsonData: {tlsSkipVerify: true, tlsAuth: "false"}
        secureJsonData:
            httpHeaderValue1: x
            tlsCACert: |
                -----BEGIN CERTIFICATE-----
                AAAA
                -----END CERTIFICATE-----
        version: 3
""",
    "flow": "{apiVersion: 1, datasources: [{name: Prometheus, url: 'http://localhost:9090'}, {name: b}]}\n",
    "json": '{"datasources": [{"name": "Prometheus", "url": "http://localhost:9090", "jsonData": {}}]}\n',
    "crlf-no-end": "\ufeffdatasources:\r\n  - name: Prometheus\r\n    url: http://localhost:9090\r\n    jsonData:",
    "empty-parts": "datasources:\n- name: Prometheus\n  url: http://[::1]:9090\n  jsonData: ~\n  secureJsonData: {}\n",
    "variable-port": "datasources:\n- name: Prometheus\n  url: http://localhost:$PORT/x\n",
    "https-already": "datasources:\n- name: Prometheus\n  url: https://localhost:9090\n  # end\n",
}
TOUCHED = re.compile(
    r"url:|basicAuth|jsonData|secureJsonData|tls|serverName|CERTIFICATE|AAAA|datasources\"?: \[",
    re.IGNORECASE,
)


def data(content: bytes) -> Any:
    """Returns the file as another YAML parser reads it."""
    return YAML(typ="safe", pure=True).load(io.StringIO(content.decode("utf-8-sig")))


def the_source(root: Any) -> dict[str, Any]:
    (found,) = [each for each in root["datasources"] if each["name"] == "Prometheus"]
    return dict(found)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_data_source_is_secured(name: str) -> None:
    before = AWKWARD[name].encode()
    after = grafana.secure_datasource(before, name="Prometheus", **ALL)
    assert grafana.secure_datasource(after, name="Prometheus", **ALL) == after

    old, new = data(before), data(after)
    was, now = the_source(old), the_source(new)
    for key, value in WANTED.items():
        if isinstance(value, dict):
            kept = {**(was.pop(key, None) or {})}
            kept.update({"tlsSkipVerify": False} if "tlsSkipVerify" in kept else {})
            assert now.pop(key) == {**kept, **value}
        else:
            was.pop(key, None)
            assert now.pop(key) == value
    url = grafana.datasources(after)[
        [each.name for each in grafana.datasources(after)].index("Prometheus")
    ].url
    assert url == now.pop("url")
    assert url.startswith("https://")
    was.pop("url")
    was.pop("basicAuthPassword", None)
    assert was == now
    for root in (old, new):
        root["datasources"] = [each for each in root["datasources"] if each["name"] != "Prometheus"]
    assert old == new

    lines, changed = (each.decode().splitlines(keepends=True) for each in (before, after))
    for line in difflib.ndiff(lines, changed):
        if line.startswith("- "):
            assert TOUCHED.search(line), line
    assert before.endswith(b"\n") == after.endswith(b"\n")
    assert before.startswith(b"\xef\xbb\xbf") == after.startswith(b"\xef\xbb\xbf")
    assert (b"\r\n" in before) == (after.count(b"\r\n") == after.count(b"\n") > 0)


def test_a_secured_data_source_keeps_the_style_of_the_file() -> None:
    after = grafana.secure_datasource(
        AWKWARD["documented"].encode(),
        name="Prometheus",
        ca=ALL["ca"],
        user="grafana",
        password_file=ALL["password_file"],
    ).decode()
    assert (
        """\
    url: https://localhost:9090   # here
    isDefault: true
    jsonData:
      httpMethod: POST
      timeInterval: 15s
      tlsAuthWithCACert: true
    editable: false
    basicAuth: true
    basicAuthUser: grafana
    secureJsonData:
      tlsCACert: '$__file{/etc/grafana/ca.pem}'
      basicAuthPassword: '$__file{/etc/grafana/password}'
  # the logs
"""
        in after
    )


def test_a_default_port_is_written_out() -> None:
    after = grafana.secure_datasource(AWKWARD["settings"].encode(), name="Prometheus", ca=ALL["ca"])
    assert grafana.datasources(after)[0].url == "https://prometheus.lab:80/prom/"
    assert data(after)["datasources"][0]["basicAuth"] is False


def test_data_sources_are_listed() -> None:
    found = grafana.datasources(AWKWARD["documented"].encode())
    assert [(each.name, each.type, each.url, each.access, each.line) for each in found] == [
        ("Prometheus", "prometheus", "http://localhost:9090", "proxy", 10),
        ("Loki", "loki", "http://localhost:3100", "proxy", 20),
    ]
    assert grafana.datasources(b"apiVersion: 1\n") == ()
    assert grafana.datasources(b"") == ()
    (hidden,) = grafana.datasources(b"datasources: [{name: a, url: 'http://u:canary@h'}]\n")
    assert "canary" not in repr(hidden)


def test_a_dollar_sign_is_escaped() -> None:
    after = grafana.secure_datasource(AWKWARD["flow"].encode(), name="Prometheus", user="a$b")
    assert the_source(data(after))["basicAuthUser"] == "a$$b"
    assert grafana.secure_datasource(after, name="Prometheus", user="a$b") == after


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("datasources: [{name: P, url: '${URL}'}]", {}, "does not begin with http"),
        (
            "datasources: [{name: P, url: 'http://${HOST}:9090'}]",
            {"ca": "relative.pem"},
            "cannot read a secret",
        ),
        ("datasources: [{name: P, url: 'http://h:1'}]", {"ca": "/a}b"}, "cannot read a secret"),
        ("datasources: [{name: P, url: 'http://h:1'}, {name: P}]", {}, "there are 2"),
        ("datasources: [{name: Q}]", {}, "there is no data source"),
        ("datasources: [{name: P, url: 'http://u:p@h:1'}]", {}, "a user name in its url"),
        ("datasources: [{name: P, url: 'http://h:1', jsonData: {oauthPassThru: true}}]", {}, "oauthPassThru"),
        (
            "datasources: [{name: P, url: 'http://h:1', jsonData: {httpHeaderName1: Authorization}}]",
            {},
            "httpHeaderName1",
        ),
        (
            "datasources: [{name: P, url: 'http://h:1', jsonData: &j {}}, {name: Q, jsonData: *j}]",
            {"ca": "/ca"},
            "elsewhere",
        ),
        ("datasources: {name: P}", {}, "list of data sources"),
        ("- name: P", {}, "list of data sources"),
    ],
)
def test_ambiguous_data_sources_are_refused(text: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grafana.secure_datasource(text.encode(), name="P", user="u", **given)
    assert words in caught.value.what
    assert caught.value.where
    assert caught.value.todo

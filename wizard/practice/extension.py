"""Adds scrape jobs for new components to the practice stack's prometheus.yml, which a person may have edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from wizard.config_files import prometheus as configuration
from wizard.config_files.yaml_edit.editor import Editor, Inline, Plain, Value, load
from wizard.practice.record import PracticeHost

_JOBS = {"srv1": "node"}
"""Job names that differ from the host's name."""


def add_hosts(content: bytes, added: Sequence[PracticeHost], *, prometheus: PracticeHost) -> bytes:
    """The file with scrape jobs for `added`; hosts that it already scrapes are left alone.

    No other byte changes. For an Alertmanager, `alerting` and `rule_files` are added too, unless the file has them.

    Raises:
        ConfigError: it is not a prometheus.yml, or cannot be extended without changing something else.
    """
    for host in added:
        known = configuration.jobs(content)
        name = _JOBS.get(host.name, host.name)
        if not any(job.name == name or (host.listen in job.targets and not job.rewritten) for job in known):
            content = configuration.add_job(content, job=name, target=host.listen)
            if host.component == "pushgateway":
                content = _add_missing_keys(
                    content, ("scrape_configs", len(known)), {"honor_labels": Plain("true")}
                )
        if host.component == "blackbox_exporter" and all(job.name != "blackbox-http" for job in known):
            content = _add_probe_job(content, host, target=f"http://{prometheus.listen}/-/ready")
        if host.component == "alertmanager":
            alertmanagers = [{"static_configs": [{"targets": [host.listen]}]}]
            wanted: dict[str, Value] = {
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": alertmanagers},
            }
            content = _add_missing_keys(content, (), wanted)
    return content


def _add_missing_keys(content: bytes, path: tuple[str | int, ...], values: Mapping[str, Value]) -> bytes:
    """`content` with the keys added that the mapping at `path` does not have."""
    document = load(content, "prometheus.yml")
    present = _keys(document.root, path)
    editor = Editor(document)
    editor.insert(path, {key: value for key, value in values.items() if key not in present})
    return editor.apply().content


def _keys(node: Node | None, path: tuple[str | int, ...]) -> set[str]:
    """The keys of the mapping at `path`; an empty set if there is no mapping."""
    for step in path:
        if isinstance(node, SequenceNode) and isinstance(step, int):
            node = node.value[step]
        elif isinstance(node, MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
    return {key.value for key, _ in node.value} if isinstance(node, MappingNode) else set()


def _add_probe_job(content: bytes, host: PracticeHost, *, target: str) -> bytes:
    """`content` with a job that probes `target` through the blackbox exporter."""
    value: dict[str, Value] = {
        "job_name": "blackbox-http",
        "metrics_path": "/probe",
        "params": {"module": Inline(["http_2xx"])},
        "static_configs": [{"targets": [target]}],
        "relabel_configs": [
            {"source_labels": Inline(["__address__"]), "target_label": "__param_target"},
            {"source_labels": Inline(["__param_target"]), "target_label": "instance"},
            {"target_label": "__address__", "replacement": host.listen},
        ],
    }
    editor = Editor(load(content, "prometheus.yml"))
    editor.append(("scrape_configs",), value, spaced=True)
    return editor.apply().content

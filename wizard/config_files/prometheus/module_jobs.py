"""Edits of a scrape job that will scrape its exporters through exporter_exporter: at one port, each by its module."""

from __future__ import annotations

from ruamel.yaml.nodes import SequenceNode

from wizard.config_files.prometheus import url_paths
from wizard.config_files.prometheus.scrape_jobs import NAME, discovery, index_of, job_list
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import load
from wizard.config_files.yaml_edit.editor import Editor
from wizard.config_files.yaml_edit.emitter import Inline, Value

PROXY_PATH = "/proxy"
"""The path at which exporter_exporter serves its modules, unless a flag changes it."""


def through_module(content: bytes, *, job: str, module: str, old_port: int, new_port: int) -> bytes:
    """Makes a job scrape all its targets through a module, at another port of the same hosts.

    The targets stay as written, whatever their source: two rules after those of the job keep their label
    `instance` and change the port. The job's other `params` are passed on.

    Raises:
        ConfigError: no such job, or an edit that would change more than this.
    """
    content = url_paths.set_metrics_path(content, job=job, path=PROXY_PATH)
    document = load(content, NAME)
    index = index_of(content, job)
    listed = job_list(document)
    assert listed is not None
    node, path = listed.value[index], ("scrape_configs", index)
    editor = Editor(document)
    params = fields.own(node, "params")
    modules = fields.own(params, "module") if params is not None else None
    if params is None:
        editor.insert(path, {"params": {"module": [module]}})
    elif modules is None:
        editor.insert((*path, "params"), {"module": [module]})
    else:
        # exporter_exporter takes the first value for itself, and passes the others on.
        editor.prepend((*path, "params", "module"), module)
    rules: list[dict[str, Value]] = [
        {
            "source_labels": ["instance", "__address__"],
            "regex": ";(.+)",
            "target_label": "instance",
        },
        {
            "source_labels": ["__address__"],
            "regex": f"(.+):{old_port}",
            "target_label": "__address__",
            "replacement": f"$1:{new_port}",
        },
    ]
    here = fields.own(node, "relabel_configs")
    if isinstance(here, SequenceNode) and here.value:
        for rule in rules:
            editor.append((*path, "relabel_configs"), Inline(rule))
    elif here is None:
        editor.insert(path, {"relabel_configs": [Inline(rule) for rule in rules]})
    else:
        editor.put((*path, "relabel_configs"), [Inline(rule) for rule in rules])
    return editor.apply().content


def asked_module(content: bytes, job: str) -> str:
    """The module of a blackbox exporter in the `params` of a job, or ''.

    Raises:
        ConfigError: no such job.
    """
    listed = job_list(load(content, NAME))
    assert listed is not None
    return discovery(fields.fields([listed.value[index_of(content, job)]])).params.get("module", "")

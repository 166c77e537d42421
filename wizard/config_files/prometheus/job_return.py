"""Scrape jobs on their return from https to http: their configuration of before, with the TLS settings of now."""

from __future__ import annotations

from wizard.config_files import prometheus

_SETTINGS = ("ca_file", "cert_file", "key_file", "server_name")


def with_tls_of(before: bytes, now: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A prometheus.yml of before whose jobs, until their targets are scraped by http again, can scrape them by https.

    Args:
        before: its jobs are to come back.
        now: those of the same name that use https say with which CA and which client certificate.

    Returns:
        The text, and the names of the jobs that leave https.

    Raises:
        ConfigError: one of the two cannot be read, or an edit would reach beyond a job.
    """
    secured = {job.name: job for job in prometheus.jobs(now) if job.scheme == "https"}
    names = [job.name for job in prometheus.jobs(before) if job.scheme != "https" and job.name in secured]
    for name in names:
        tls = secured[name].tls
        settings = {key: tls[key] for key in _SETTINGS if tls.get(key)}
        before = prometheus.secure_job(before, job=name, scheme="", **settings)
    return before, tuple(names)

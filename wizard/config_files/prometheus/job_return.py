"""Scrape jobs that change back from https to http: the earlier configuration with the present TLS settings."""

from __future__ import annotations

from wizard.config_files import prometheus

_SETTINGS = ("ca_file", "cert_file", "key_file", "server_name")


def with_tls_of(before: bytes, now: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The earlier prometheus.yml, with TLS settings for jobs whose targets use https until they are scraped by http.

    Args:
        before: the file to return to.
        now: the present file: its https jobs of the same name have the CA and the client certificate.

    Returns:
        The text, and the names of the jobs that change from https to http.

    Raises:
        ConfigError: one of the two cannot be parsed, or an edit would change more than a job.
    """
    secured = {job.name: job for job in prometheus.jobs(now) if job.scheme == "https"}
    names = [job.name for job in prometheus.jobs(before) if job.scheme != "https" and job.name in secured]
    for name in names:
        tls = secured[name].tls
        settings = {key: tls[key] for key in _SETTINGS if tls.get(key)}
        before = prometheus.secure_job(before, job=name, scheme="", **settings)
    return before, tuple(names)

"""Finds settings in a prometheus.yml that cannot work although `promtool check config` calls them SUCCESS.

Tested with promtool 2.42: a missing or invalid ca_file, a certificate and key that do not match, a
missing password_file, `scheme: HTTPS`, and everything in a second YAML document.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from ruamel.yaml.nodes import Node, SequenceNode

from wizard.config_files.prometheus.scrape_jobs import CLIENT_AUTH, OTHER_AUTH, client_blocks, job_list
from wizard.config_files.web_config import pem
from wizard.config_files.web_config.pem import Read
from wizard.config_files.yaml_edit import fields
from wizard.config_files.yaml_edit.document import Document, load
from wizard.config_files.yaml_edit.libyaml import second_document
from wizard.errors import ConfigError

UNSEEN = b"not looked at"
"""The content of a file whose path is unknown."""


def check(content: bytes, *, read: Read | None = None, folder: str = "") -> tuple[str, ...]:
    """Finds what would not work, one sentence each: `line N: what (what to do)`.

    Only the beginning has a line number, so that findings of two versions can be compared without it.

    Args:
        content: the file.
        read: returns the content of a file named in it, as Prometheus' host sees it. Without it, files are not
            checked.
        folder: absolute path of the file's folder; without it, relative paths are not checked.
    """
    try:
        document = load(content)
        listed = job_list(document)
    except ConfigError as problem:
        return (str(problem),)
    found = list(_names(document, listed))
    for label, node, ways in _clients(document, listed):
        found += client(document, label, node, ways=ways, read=_from(folder, read))
    extra = second_document(document.parsed)
    if extra:
        found.append(
            f"line {extra}: a second YAML document begins here and Prometheus ignores it (remove the ---)"
        )
    return tuple(found)


def _names(document: Document, listed: SequenceNode | None) -> Iterator[str]:
    seen: set[str] = set()
    for node in listed.value if listed is not None else ():
        name = fields.value(fields.fields([node]), "job_name")
        if not name:
            yield f"{_line(document, node)}: this scrape job has no job_name (give it one)"
        elif name in seen:
            yield (
                f"{_line(document, node)}: there is a scrape job {name!r} further up already "
                "(give each its own job_name)"
            )
        seen.add(name)


def _clients(document: Document, listed: SequenceNode | None) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
    """Yields every block that makes Prometheus a client: its name, and its kinds of authentication."""
    for node in listed.value if listed is not None else ():
        yield f"job {fields.value(fields.fields([node]), 'job_name')!r}", node, OTHER_AUTH
    for kind, _, block in client_blocks(document):
        yield kind, block, CLIENT_AUTH


def client(
    document: Document, label: str, node: Node, *, ways: Sequence[str], read: Read | None
) -> Iterator[str]:
    """Finds errors in one client block; `label` begins each, `ways` compete with basic_auth."""
    mapping = fields.fields([node])
    scheme = fields.value(mapping, "scheme")
    if scheme not in ("", "http", "https"):
        yield (
            f"{_line(document, mapping['scheme'][-1])}: {label}: there is no scheme {scheme!r} "
            f"(write {'https' if scheme.lower() == 'https' else 'http or https'})"
        )
    logins = [key for key in ("basic_auth", *ways) if fields.is_given(mapping, key)]
    if len(logins) > 1:
        yield (
            f"{_line(document, mapping[logins[1]][-1])}: {label}: {logins[0]} and {logins[1]} exclude each other "
            "(keep one)"
        )
    yield from _tls(document, label, fields.inner(mapping, "tls_config"), node, read)
    oauth = fields.inner(mapping, "oauth2")
    yield from _tls(document, f"{label}: oauth2", fields.inner(oauth, "tls_config"), node, read)
    if read is None:
        return
    basic = fields.inner(mapping, "basic_auth")
    for key, holder in (
        ("password_file", basic),
        ("username_file", basic),
        ("bearer_token_file", mapping),
        ("credentials_file", fields.inner(mapping, "authorization")),
        ("client_secret_file", oauth),
    ):
        path = fields.value(holder, key)
        content = read(path) if path else b"none needed"
        if content is None:
            yield (
                f"{_line(document, holder[key][-1])}: {label}: {key} {path} does not exist "
                "(create it, mode 0640, readable for the service)"
            )
        elif not content.strip():
            yield f"{_line(document, holder[key][-1])}: {label}: {key} {path} is empty (write it)"


def _from(folder: str, read: Read | None) -> Read | None:
    """`read` with relative paths too; without a folder, these are assumed to be good."""
    if read is None:
        return None

    def absolute(path: str) -> bytes | None:
        if path.startswith("/"):
            return read(path)
        return read(posixpath.normpath(posixpath.join(folder, path))) if folder else UNSEEN

    return absolute


def _tls(document: Document, label: str, tls: fields.Fields, node: Node, read: Read | None) -> Iterator[str]:
    skip = fields.value(tls, "insecure_skip_verify")
    if fields.truth(skip):
        beside = " and the ca_file is never looked at" if fields.value(tls, "ca_file") else ""
        yield (
            f"{_line(document, tls['insecure_skip_verify'][-1])}: {label}: insecure_skip_verify accepts every "
            f"certificate{beside} (remove it)"
        )
    for one, other in (("cert", "key"), ("key", "cert")):
        if any(_texts_of(tls, one)) and not any(_texts_of(tls, other)):
            yield f"{_line(document, node)}: {label}: tls_config has a {one} and no {other} (give both)"
    if read is not None:
        yield from _files(document, label, tls, read)


def _files(document: Document, label: str, tls: fields.Fields, read: Read) -> Iterator[str]:
    contents: dict[str, bytes] = {}
    for key in ("ca_file", "cert_file", "key_file"):
        path = fields.value(tls, key)
        content = read(path) if path else UNSEEN
        if content == UNSEEN:
            continue
        if content is None:
            yield f"{_line(document, tls[key][-1])}: {label}: {key} {path} does not exist (copy it there)"
        else:
            contents[key] = content
    if "ca_file" in contents:
        wrong = pem.bundle(contents["ca_file"])
        if wrong:
            path = fields.value(tls, "ca_file")
            yield f"{_line(document, tls['ca_file'][-1])}: {label}: ca_file {path} {wrong} (copy the CA there)"
    if "cert_file" in contents and "key_file" in contents:
        wrongs = pem.pair(contents["cert_file"], contents["key_file"])
        for key, wrong in zip(("cert_file", "key_file"), wrongs, strict=True):
            if wrong:
                path = fields.value(tls, key)
                yield f"{_line(document, tls[key][-1])}: {label}: {key} {path} {wrong} (copy both files again)"


def _texts_of(tls: fields.Fields, kind: str) -> list[str]:
    return [text for text in (fields.value(tls, kind + end) for end in ("", "_file", "_ref")) if text]


def _line(document: Document, node: Node) -> str:
    return f"line {node.start_mark.line + document.first_line}"

"""Byte order marks: Go ignores a PEM block behind one, so that certificate is neither served nor trusted."""

from __future__ import annotations

import codecs

import pytest

from wizard.certificates import issue, signatures
from wizard.errors import CertificateError
from wizard.model import FileState
from wizard.planner.certificates import as_go_reads, bundle, needed_file

KEY = issue.new_key("ec-p256")
CA = issue.new_ca(name="ca", key_pem=KEY, days=9)
OTHER = issue.new_ca(name="other", key_pem=KEY, days=9)


@pytest.mark.parametrize("what", ["certificate", "key", "CA certificate"])
@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + CA,
        CA.decode().encode("utf-16"),
        codecs.BOM_UTF16_BE + CA.decode().encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be"],
)
def test_a_users_file_with_a_mark_is_refused_with_a_remedy(content: bytes, what: str) -> None:
    with pytest.raises(CertificateError) as refused:
        needed_file({"/x.pem": FileState(content)}, "srv1", "/x.pem", what)
    assert "byte order mark" in refused.value.what
    assert refused.value.where == "srv1:/x.pem"
    assert "/x.pem" in refused.value.todo
    assert needed_file({"/x.pem": FileState(CA)}, "srv1", "/x.pem", what) == CA


def test_a_certificate_behind_a_mark_is_no_trust_anchor() -> None:
    marked = codecs.BOM_UTF8 + CA + OTHER
    assert as_go_reads(CA + OTHER) == CA + OTHER
    assert as_go_reads(marked) == OTHER
    assert as_go_reads(codecs.BOM_UTF8 + CA) == b""
    assert not signatures.vouches(as_go_reads(marked), CA)
    assert signatures.vouches(as_go_reads(marked), OTHER)
    # The file that is written instead contains every block and no mark.
    assert bundle([marked, CA]) == CA + OTHER

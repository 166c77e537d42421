"""Go's `crypto/x509` and the part of `crypto/tls` that judges a certificate, as functions on bytes.

The rules and the words are those of Go's own sources (`src/crypto/x509`: parser.go, verify.go, constraints.go,
cert_pool.go; `src/net/url`; `encoding/pem`), which every Prometheus component is built with. What is laxer or stricter
in other X.509 libraries is read here by a reader of our own; only keys and signatures are left to `cryptography`.
"""

from wizard.certificates.go.certificate import Certificate, distinguished_name, parse
from wizard.certificates.go.chains import Purpose, verify
from wizard.certificates.go.der import ParseError, dotted_oid
from wizard.certificates.go.hostnames import hostname_fault, matches_name
from wizard.certificates.go.pem import blocks, certificates
from wizard.certificates.go.pool import Pool
from wizard.certificates.go.quoted_text import address_text

__all__ = [
    "Certificate",
    "ParseError",
    "Pool",
    "Purpose",
    "address_text",
    "blocks",
    "certificates",
    "distinguished_name",
    "dotted_oid",
    "hostname_fault",
    "matches_name",
    "parse",
    "verify",
]

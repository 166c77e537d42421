"""Go's `crypto/x509`, and the part of `crypto/tls` that verifies certificates, as functions on bytes.

Rules and messages are those of Go's own sources (`src/crypto/x509`: parser.go, verify.go, constraints.go, cert_pool.go;
`src/net/url`; `encoding/pem`), with which every Prometheus component is built. Other X.509 libraries are laxer or
stricter in places, so certificates are parsed here; only keys and signatures are left to `cryptography`.
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

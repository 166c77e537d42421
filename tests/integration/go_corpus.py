"""About 10,000 chains, the same in every run: what a server could send, with the CA file that a client could have.

Each family varies one part of the rules (after x509-limbo's and Go's own test data); the last ones damage
octets.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration import go_certificates as g
from tests.integration.go_certificates import (
    ANY,
    CLIENT,
    NOW,
    NULL,
    SERVER,
    Maker,
    Pair,
    authority,
    basic,
    bits,
    boolean,
    cn,
    constraints,
    curve,
    directory,
    dns,
    edwards,
    email,
    integer,
    ip,
    issuer_id,
    leaf,
    name,
    names,
    octets,
    oid,
    own_id,
    pem,
    policies,
    policy_constraints,
    purposes,
    rsa_pair,
    seq,
    tlv,
    uri,
    usage,
    utc,
    utf8,
)


@dataclass(frozen=True)
class Case:
    """A case for a verifier; `chain` is in DER, leaf first, `roots` the CA file."""

    kind: str
    chain: tuple[bytes, ...]
    roots: bytes
    name: str = "localhost"
    client: bool = False

    def line(self) -> str:
        """Returns the case in the format of the Go helper."""
        return json.dumps(
            {
                "Chain": [base64.b64encode(der).decode() for der in self.chain],
                "Roots": base64.b64encode(self.roots).decode(),
                "Name": self.name,
                "Now": int(NOW.timestamp()),
                "Client": self.client,
            }
        )


ROOT = authority("root", edwards(1))
MIDDLE = authority("middle", edwards(2), parent=ROOT)
LEAF = leaf(MIDDLE, edwards(3))
Random = random.Random


def corpus(seed: int = 20260601) -> Iterator[Case]:
    """Returns all cases. RSA and DSA keys are new in each run, everything else is the same."""
    for family, count in FAMILIES.items():
        rng = Random(f"{seed} {family.__name__}")
        for _ in range(count):
            yield family(rng)
    yield from fixed_cases()


def plain(
    kind: str, *below: Maker, root: Maker = ROOT, hostname: str = "localhost", client: bool = False
) -> Case:
    """Returns a case with the chain below one root, the only certificate in the CA file."""
    return Case(kind, tuple(each.der() for each in below), pem(root.der()), hostname, client)


# ---------------------------------------------------------------------------------------------------------
# Paths
# ---------------------------------------------------------------------------------------------------------


def paths(rng: Random) -> Case:
    """Builds a small graph of CAs with twins, cross-signing, loops, and sometimes a fault."""
    labels = [f"ca{number}" for number in range(rng.randint(1, 4))]
    made: list[Maker] = []
    roots: list[Maker] = []
    for number, label in enumerate(labels):
        for _ in range(rng.choice((1, 1, 2))):
            key = edwards(10 + number * 3 + rng.randrange(2))
            parent = rng.choice(made or [None])
            if number == 0 or rng.random() < 0.25:
                parent = None
            one = _oddity(rng, authority(label, key, parent=parent))
            made.append(one)
            if parent is None or rng.random() < 0.15:
                roots.append(one)
    if len(made) > 1 and rng.random() < 0.3:
        # Cross-signing: an earlier CA is signed again by a later one.
        first, other = rng.sample(made, 2)
        made.append(first.but(issuer=other.subject, signer=other.key).also(issuer_id(other.key.identifier)))
    end = _leaf_oddity(rng, leaf(made[-1], edwards(50)))
    if rng.random() < 0.06:
        roots.append(end)
    sent = [one for one in made if rng.random() < 0.9]
    rng.shuffle(sent)
    if rng.random() < 0.1:
        sent.append(end)
    rng.shuffle(roots)
    if rng.random() < 0.05:
        roots = []
    name_asked = rng.choice(("localhost", "localhost", "localhost", "127.0.0.1", "other.example"))
    client = rng.random() < 0.15
    return Case(
        "paths",
        (end.der(), *(one.der() for one in sent)),
        b"".join(pem(one.der()) for one in roots),
        "" if client else name_asked,
        client,
    )


def _oddity(rng: Random, one: Maker) -> Maker:
    odd = rng.random()
    if odd < 0.55:
        return one
    past, future = utc(NOW - timedelta(days=1)), utc(NOW + timedelta(days=1))
    changes: list[Callable[[], Maker]] = [
        lambda: one.but(not_after=past),
        lambda: one.but(not_before=future),
        lambda: one.also(basic(length=rng.randrange(3))),
        lambda: one.also(basic(ca=False)),
        lambda: one.without("2.5.29.19"),
        lambda: one.without("2.5.29.15"),
        lambda: one.also(usage(0x80, 7)),
        lambda: one.also(usage(0x00, 0)),
        lambda: one.also(("2.5.29.15", False, bits(b""))),
        lambda: one.without("2.5.29.14"),
        lambda: one.without("2.5.29.35"),
        lambda: one.also(own_id(b"another")),
        lambda: one.also(issuer_id(b"another")),
        lambda: one.also(("2.5.29.35", False, seq())),
        lambda: one.also(("2.5.29.35", False, seq(tlv(0x82, b"\x05")))),
        lambda: one.also(("2.5.29.35", False, seq(tlv(0xA1, directory(cn("x"))), tlv(0x82, b"\x05")))),
        lambda: one.also(purposes(rng.choice((SERVER, CLIENT, ANY, "1.3.6.1.5.5.7.3.3")))),
        lambda: one.also(purposes()),
        lambda: one.but(spoil=True),
        lambda: one.but(signer=edwards(99)),
        lambda: one.but(version=b"", extensions=()),
        lambda: one.but(version=tlv(0xA0, integer(1)), extensions=()),
        lambda: one.also(("1.2.3.4", True, b"\x05\x00")),
        lambda: one.but(subject=name(("2.5.4.10", utf8("Some Org")))),
        lambda: one.but(subject=seq()),
        lambda: one.also(names(dns("ca.example"))),
        lambda: one.but(key=curve(rng.randrange(3))).also(own_id(b"ec")),
    ]
    found = rng.choice(changes)()
    return found if rng.random() < 0.8 else _oddity(rng, found)


def _leaf_oddity(rng: Random, one: Maker) -> Maker:
    changes: list[Callable[[], Maker]] = [
        lambda: one,
        lambda: one,
        lambda: one,
        lambda: one.but(not_after=utc(NOW - timedelta(seconds=1))),
        lambda: one.but(not_after=utc(NOW)),
        lambda: one.but(not_before=utc(NOW + timedelta(seconds=1))),
        lambda: one.but(not_before=utc(NOW)),
        lambda: one.also(purposes(rng.choice((SERVER, CLIENT, ANY, "1.3.6.1.5.5.7.3.9")))),
        lambda: one.also(purposes()),
        lambda: one.without("2.5.29.37"),
        lambda: one.also(issuer_id(b"another")),
        lambda: one.without("2.5.29.35"),
        lambda: one.also(basic()),
        lambda: one.also(("1.2.3.5", True, b"")),
        lambda: one.also(("1.2.3.5", False, b"")),
        lambda: one.but(spoil=True),
        lambda: one.but(issuer=None, signer=None),
        lambda: one.but(issuer=cn("nobody")),
        lambda: one.but(version=b"", extensions=()),
    ]
    return rng.choice(changes)()


def long_paths(rng: Random) -> Case:
    """Builds up to fourteen CAs of the same name, which a verifier could try in millions of orders."""
    count = rng.randint(2, 14)
    same = rng.random() < 0.7
    cas = []
    for number in range(count):
        label = "same" if same else f"step{number}"
        signer = edwards(200 + (number + 1 if rng.random() < 0.8 else rng.randrange(count)))
        issuer = cn("same" if same else f"step{number + 1}")
        cas.append(
            authority(label, edwards(200 + number))
            .but(issuer=issuer, signer=signer)
            .also(*(() if rng.random() < 0.5 else (issuer_id(signer.identifier),)))
        )
        if rng.random() < 0.3:
            cas[-1] = cas[-1].without("2.5.29.14")
    end = leaf(cas[0], edwards(50))
    top = authority("same" if same else f"step{count}", edwards(200 + count))
    root = top if rng.random() < 0.6 else authority("same", edwards(300))
    rng.shuffle(cas)
    return plain("long paths", end, *cas, root=root)


# ---------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------

DOMAINS = (
    "", "localhost", ".localhost", "bad.localhost", ".bad.localhost", "a.bad.localhost", "LOCALHOST", "com",
    "example.com", ".example.com", "Example.COM", "a.example.com", "b.example.com", "a-a.example.com", "a.b.example.com",
    "host", "xn--e1afmkfd.localhost", "*.localhost", "local", "1.localhost", "example.com.", ".", "a..b", "a b", "-",
)  # fmt: skip
SAN_DOMAINS = (
    "localhost", "*.localhost", "*.example.com", "a.example.com", "A.B.EXAMPLE.com", "example.com", "x.bad.localhost",
    "*.bad.localhost", "*", "*.com", "foo", "good.localhost", "", ".localhost", "localhost.", "a..b", "a b.c", "*.a.*",
    "a-a.example.com", "notexample.com",
)  # fmt: skip
MAILBOXES = (
    "a@example.com", "A@example.com", "a@EXAMPLE.com", "b@a.example.com", '"quoted local"@example.com', "@example.com",
    "a@", "a", "a@b@example.com", "a..b@example.com", ".a@example.com", '"a\\"b"@localhost', "a\\@b@localhost", "",
    "a@localhost", "x@bad.localhost",
)  # fmt: skip
URIS = (
    "https://localhost/", "https://a.example.com:8443/x?y#z", "https://127.0.0.1/", "https://[::1]/", "https://[::1]:80/",
    "mailto:a@example.com", "urn:x:y", "spiffe://example.com/a", "//example.com/x", "/only/path", "https://user:pw@localhost/",
    "https://LOCALHOST", "http://a:b:c/", "http://a:b/", "x://a:1:2/", "https://*.example.com/", "https://exa mple.com/",
    "%zz", "https://a%41.com/", "https://a/%zz", "", "*", ":x", "1x:y", "https://bad.localhost/", "https://a..b/",
    "https://a./", "https://x y@localhost/", "https://[fe80::1%25eth0]/", "https://[127.0.0.1]/", "https://[::1", "a[b]://c",
    "https://a[b]/", "https://localhost/a b", "https://localhost/#%zz", "https://localhost/\x7f", "HTTPS://localhost/%41",
    "https:///path", "https://localhost?", "https://localhost??", "x:?q", "https://@localhost/", "https://localhost:/",
)  # fmt: skip
ADDRESSES = (
    b"\x7f\0\0\1", b"\x0a\0\0\1", b"\x0a\xff\0\1", b"\xc0\xa8\1\1", bytes(15) + b"\1", b"\xfe\x80" + bytes(13) + b"\1",
    bytes(10) + b"\xff\xff\x7f\0\0\1", b"\x20\1\x0d\xb8" + bytes(12), b"\x7f\0\0", bytes(5), b"",
)  # fmt: skip
NETWORKS = (
    b"\x7f\0\0\0\xff\0\0\0", b"\x7f\0\0\1\xff\0\0\0", b"\x7f\0\0\1\xff\xff\xff\xff", b"\x0a\0\0\0\xff\0\0\0",
    b"\x0a\x80\0\0\xff\x80\0\0", b"\x0a\0\0\0\xff\xff\0\0", bytes(8), bytes(32), b"\0\0\0\0\xff\0\xff\0",
    b"\x20\1\x0d\xb8" + bytes(12) + b"\xff\xff\xff\xff" + bytes(12), bytes(15) + b"\1" + b"\xff" * 16,
    bytes(10) + b"\xff\xff\x7f\0\0\0" + b"\xff" * 13 + bytes(3), b"\x7f\0\0\0", bytes(9), b"\x7f\1\2\3\xff\xff\xff\0",
)  # fmt: skip


def _pick(rng: Random, options: Sequence[str], make: Callable[[str], bytes]) -> bytes:
    return make(rng.choice(options))


def _subtree(rng: Random) -> bytes:
    kinds: list[Callable[[], bytes]] = [
        lambda: _pick(rng, DOMAINS[:19] if rng.random() < 0.93 else DOMAINS, dns),
        lambda: _pick(rng, DOMAINS[:19] if rng.random() < 0.93 else DOMAINS, dns),
        lambda: ip(rng.choice(NETWORKS)),
        lambda: _pick(rng, (*MAILBOXES[:4], *DOMAINS[:17]) if rng.random() < 0.9 else MAILBOXES, email),
        lambda: _pick(rng, DOMAINS[:17] if rng.random() < 0.9 else (*DOMAINS, "127.0.0.1"), uri),
        lambda: directory(cn("leaf")),
        lambda: tlv(0x88, b"\x2a\x03"),
        lambda: tlv(0xA0, oid("1.2.3"), tlv(0xA0, utf8("x"))),
    ]
    weights = (5, 5, 4, 3, 3, 0.5, 0.2, 0.2)
    found = rng.choices(kinds, weights)[0]()
    return found + tlv(0x80, b"\0") if rng.random() < 0.03 else found


def _entry(rng: Random) -> bytes:
    kinds: list[Callable[[], bytes]] = [
        lambda: _pick(rng, SAN_DOMAINS[:12] if rng.random() < 0.93 else SAN_DOMAINS, dns),
        lambda: ip(rng.choice(ADDRESSES[:6] if rng.random() < 0.9 else ADDRESSES)),
        lambda: _pick(rng, MAILBOXES[:5] if rng.random() < 0.7 else MAILBOXES, email),
        lambda: _pick(rng, URIS[:2] if rng.random() < 0.6 else URIS, uri),
        lambda: directory(cn("leaf")),
        lambda: tlv(0x88, b"\x2a\x03"),
        lambda: tlv(0xA0, oid("1.2.3"), tlv(0xA0, utf8("x"))),
        lambda: tlv(0x8A, b"?"),
    ]
    return rng.choices(kinds, (6, 3, 2, 2, 0.3, 0.2, 0.2, 0.2))[0]()


def name_constraints(rng: Random) -> Case:
    """Builds one or two CAs with name constraints of all kinds, and a leaf with names of all kinds."""
    most = rng.choice((2, 2, 4, 9, 30))

    def limits() -> g.Extension:
        sides = [[_subtree(rng) for _ in range(rng.randint(1, most))] for _ in range(2)]
        which = rng.random()
        permitted = None if which < 0.4 else sides[0]
        excluded = None if 0.4 <= which < 0.75 else sides[1]
        return constraints(permitted, excluded, critical=rng.random() < 0.8)

    root, middle = ROOT, MIDDLE
    if rng.random() < 0.75:
        middle = middle.also(limits())
    else:
        root = root.also(limits())
    if rng.random() < 0.15:
        root = root.also(limits())
    if rng.random() < 0.15:
        middle = middle.also(names(*(_entry(rng) for _ in range(2))))
    entries = [dns("localhost")] + [_entry(rng) for _ in range(rng.choice((0, 1, 1, 2, 4)))]
    rng.shuffle(entries)
    end = leaf(middle, edwards(3), names(*entries))
    if rng.random() < 0.04:
        end = end.without("2.5.29.17")
    return plain("name constraints", end, middle, root=root)


def single_constraint(rng: Random) -> Case:
    """Tests one name constraint against one name of its kind."""
    kind = rng.randrange(4)
    domains = DOMAINS[:19]
    if kind == 0:
        limit, entry = _pick(rng, domains, dns), _pick(rng, SAN_DOMAINS, dns)
    elif kind == 1:
        limit, entry = ip(rng.choice(NETWORKS[:11])), ip(rng.choice(ADDRESSES[:8]))
    elif kind == 2:
        limit, entry = _pick(rng, (*domains, *MAILBOXES[:6]), email), _pick(rng, MAILBOXES, email)
    else:
        limit, entry = _pick(rng, domains, uri), _pick(rng, URIS, uri)
    sides = ([limit], None) if rng.random() < 0.5 else (None, [limit])
    middle = MIDDLE.also(constraints(*sides))
    return plain("single constraint", leaf(middle, edwards(3), names(dns("localhost"), entry)), middle)


HOSTS = (
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost", "127.0.0.1", "[127.0.0.1]", "::1", "[::1]",
    "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "fe80::1%eth0", "[fe80::1%eth0]", "fe80::1", "node_1.example", "-a.example",
    "a-.example", "*", "*.localhost", "a..b", ".", "127.0.0.01", "127.1", "1.2.3", "xn--bcher-kva.example", "bücher.example",
    "a b", "[localhost]", "host:9100", "foo.example.com", "FOO.Example.com.", "example.com", "[", "[]", "K.example",
)  # fmt: skip
PATTERNS = (
    "localhost", "*", "*.localhost", "*.*.localhost", "a.*", "LOCALHOST", "localhost.", "*.", "127.0.0.1", "::1", "node_1.example",
    "-a.example", "a-.example", "*a.localhost", "a*.localhost", "*.example", "foo.example.com", "*.example.com", "*.com", "",
    ".", "a..b", "xn--bcher-kva.example", "example.com", "*.example.com.", "a b", "host:9100", "k.example", "[localhost]",
)  # fmt: skip


def hostnames(rng: Random) -> Case:
    """Tests requested names against names in SANs, or in the CN alone."""
    host = rng.choice(HOSTS)
    near = [one for one in PATTERNS if one and one.strip("*.").lower() in host.lower()]
    entries = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        odd = rng.random()
        if odd < 0.2:
            entries.append(ip(rng.choice(ADDRESSES[:6])))
        else:
            entries.append(dns(rng.choice(near if near and odd < 0.7 else PATTERNS)))
    end = leaf(MIDDLE, edwards(3), names(*entries), text=rng.choice((*PATTERNS, "leaf")))
    if not entries or rng.random() < 0.2:
        end = end.without("2.5.29.17")
    return plain("hostnames", end, MIDDLE, hostname=host)


def many_names(rng: Random) -> Case:
    """Builds leaves with numbers of names around Go's limit for names checked against constraints."""
    count = rng.choice((1, 2, 98, 99, 100, 101, 250))
    if rng.random() < 0.5:
        entries = [dns(f"host{number}.example") for number in range(count)]
    else:
        entries = [ip(bytes((10, 0, number >> 8, number & 255))) for number in range(count)]
    hostname = rng.choice(("localhost", "127.0.0.1", "host7.example", "10.0.0.7"))
    return plain("many names", leaf(MIDDLE, edwards(3), names(*entries)), MIDDLE, hostname=hostname)


# ---------------------------------------------------------------------------------------------------------
# Policies and purposes
# ---------------------------------------------------------------------------------------------------------

POLICIES = ("1.2.3.1", "1.2.3.2", "1.2.3.3", "2.5.29.32.0")


def policy_trees(rng: Random) -> Case:
    """Builds policies, mappings and policy constraints of CAs, two to five certificates deep."""
    chain = [ROOT]
    for number in range(rng.randint(0, 3)):
        parent = chain[-1]
        label, key = (f"p{number}", edwards(400 + number))
        if rng.random() < 0.12:
            label = "root" if parent is ROOT else f"p{number - 1}"
        chain.append(authority(label, key, *_policy_extensions(rng, ca=True), parent=parent))
    if rng.random() < 0.2:
        chain[0] = ROOT.also(*_policy_extensions(rng, ca=True))
    end = leaf(chain[-1], edwards(3), *_policy_extensions(rng, ca=False))
    if rng.random() < 0.15:
        end = end.also(purposes(CLIENT))
    return plain("policies", end, *chain[:0:-1], root=chain[0])


def _policy_extensions(rng: Random, *, ca: bool) -> list[g.Extension]:
    found: list[g.Extension] = []
    if rng.random() < 0.8:
        found.append(policies(*rng.sample(POLICIES, rng.choice((1, 1, 2, 3)))))
    if rng.random() < (0.5 if ca else 0.15):
        found.append(policy_constraints(rng.choice((None, 0, 0, 1, 2)), rng.choice((None, None, 0, 1))))
    if rng.random() < (0.3 if ca else 0.1):
        pairs = [
            (rng.choice(POLICIES[:3]), rng.choice(POLICIES[:3])) for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        if rng.random() < 0.1:
            pairs.append(("2.5.29.32.0", "1.2.3.1"))
        found.append(g.mappings(*pairs))
    if rng.random() < 0.15:
        found.append(g.inhibit_any(rng.choice((0, 0, 1, 2))))
    return found


def usages(rng: Random) -> Case:
    """Tests purposes of leaf and CAs, for servers and clients."""
    choices: tuple[tuple[g.Extension, ...], ...] = (
        (),
        (purposes(),),
        (purposes(SERVER),),
        (purposes(CLIENT),),
        (purposes(ANY),),
        (purposes(SERVER, CLIENT),),
        (purposes("1.3.6.1.5.5.7.3.4"),),
        (purposes("1.2.3.4.5"),),
        (purposes(CLIENT, critical=True),),
        (("2.5.29.37", False, b"\x30"),),
        (("2.5.29.37", False, seq(tlv(6, b"\x80\x01"))),),
        (("2.5.29.37", False, seq(tlv(6, b""))),),
    )
    root = ROOT.also(*rng.choice(choices[:9]))
    middle = MIDDLE.also(*rng.choice(choices if rng.random() < 0.3 else choices[:9]))
    end = leaf(middle, edwards(3)).without("2.5.29.37").also(*rng.choice(choices))
    client = rng.random() < 0.5
    return plain("usages", end, middle, root=root, hostname="" if client else "localhost", client=client)


# ---------------------------------------------------------------------------------------------------------
# Keys and signatures
# ---------------------------------------------------------------------------------------------------------


def _pairs() -> dict[str, Pair]:
    return {
        "P-224": curve(1, ec.SECP224R1),
        "P-256": curve(1),
        "P-384": curve(1, ec.SECP384R1),
        "P-521": curve(1, ec.SECP521R1),
        "P-192": curve(1, ec.SECP192R1),
        "secp256k1": curve(1, ec.SECP256K1),
        "brainpool": curve(1, ec.BrainpoolP256R1),
        "Ed25519": edwards(500),
        "Ed448": Pair(ed448.Ed448PrivateKey.generate()),
        "RSA-1024": rsa_pair(1),
        "RSA-2048": rsa_pair(1, 2048),
        "DSA": g.dsa_pair(),
    }


_KEYS: dict[str, Pair] = {}


def keys(rng: Random) -> Case:
    """Places keys of all kinds at each place of the chain, with old and new hashes."""
    if not _KEYS:
        _KEYS.update(_pairs())

    def pick() -> tuple[Pair, dict[str, object]]:
        kind = rng.choice(list(_KEYS)) if rng.random() < 0.6 else "P-256"
        pair = _KEYS[kind]
        if kind == "DSA":
            return pair, {"digest": rng.choice(("SHA1", "SHA256"))}
        if kind.startswith("RSA"):
            digest = rng.choice(("SHA1", "MD5", "SHA224", "SHA256", "SHA256", "SHA384", "SHA512"))
            if (
                digest in g.HASH_OIDS
                and rng.random() < 0.4
                and not (kind == "RSA-1024" and digest == "SHA512")
            ):
                return pair, {"digest": digest, "pss": True}
            return pair, {"digest": digest}
        if kind.startswith(("P-", "secp", "brain")):
            return pair, {"digest": rng.choice(("SHA1", "SHA256", "SHA256", "SHA384", "SHA512"))}
        return pair, {}

    (top, of_top), (mid, of_mid), (low, _) = pick(), pick(), pick()
    root = authority("root", top).but(**of_top)
    middle = authority("middle", mid, parent=root).but(**of_top)
    end = leaf(middle, low).but(**of_mid)
    if rng.random() < 0.15:
        end = end.but(spoil=True)
    return plain("keys", end, middle, root=root)


def key_encodings(rng: Random) -> Case:
    """Builds key infos and algorithm identifiers that do not fit their kind of key."""
    point = curve(1).private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    squeezed = curve(1).private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    ec_id, p256 = oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")
    rsa_id = oid("1.2.840.113549.1.1.1")
    modulus = (1 << 1023) + rng.getrandbits(1000) * 2 + 1

    def rsa_info(n: int, e: int, parameters: bytes = NULL, tail: bytes = b"") -> bytes:
        return seq(seq(rsa_id, parameters), bits(seq(integer(n), integer(e), tail)))

    infos = [
        seq(seq(ec_id, p256), bits(squeezed)),
        seq(seq(ec_id, p256), bits(b"\x05" + point[1:])),
        seq(seq(ec_id, p256), bits(point[:-1] + bytes((point[-1] ^ 1,)))),
        seq(seq(ec_id, p256), bits(point + b"\0")),
        seq(seq(ec_id, p256), bits(b"\x04" + b"\xff" * 64)),
        seq(seq(ec_id, p256), bits(b"")),
        seq(seq(ec_id, p256), bits(b"\0")),
        seq(seq(ec_id, oid("1.3.132.0.34")), bits(b"\x04" + bytes(96))),
        seq(seq(ec_id, oid("1.3.132.0.34")), bits(b"\x04" + b"\xff" * 96)),
        seq(seq(ec_id, oid("1.3.132.0.34")), bits(b"\x04" + bytes(95))),
        seq(seq(ec_id, oid("1.3.132.0.35")), bits(b"\x04" + b"\xff" * 132)),
        seq(seq(ec_id, oid("1.3.132.0.35")), bits(b"\x04" + bytes(132))),
        seq(seq(ec_id, oid("1.3.132.0.33")), bits(b"\x04" + bytes(56))),
        seq(seq(ec_id, oid("1.3.132.0.33")), bits(b"\x04" + b"\xff" * 56)),
        seq(seq(ec_id, NULL), bits(point)),
        seq(seq(ec_id), bits(point)),
        seq(seq(ec_id, p256), bits(point[:-1] + bytes((point[-1] & 0xF0,)), 4)),
        rsa_info(modulus, 65537, b""),
        rsa_info(modulus, 65537, tlv(5, b"\0")),
        rsa_info(modulus, 65537, seq()),
        rsa_info(modulus + 1, 65537),
        rsa_info(modulus, 2),
        rsa_info(modulus, 1),
        rsa_info(modulus, 0),
        rsa_info(modulus, -3),
        rsa_info(-modulus, 3),
        rsa_info(0, 3),
        rsa_info(modulus, 1 << 31 | 1),
        rsa_info(modulus, 1 << 63 | 1),
        rsa_info((1 << 511) + 5, 65537),
        rsa_info((1 << 1022) + 5, 65537),
        rsa_info((1 << 8192) + 5, 65537),
        rsa_info((1 << 8191) + 5, 65537),
        rsa_info(modulus, 65537, tail=integer(1)),
        seq(seq(rsa_id, NULL), bits(b"junk")),
        seq(seq(oid("1.3.101.112"), NULL), bits(bytes(32))),
        seq(seq(oid("1.3.101.112")), bits(bytes(31))),
        seq(seq(oid("1.3.101.112")), bits(b"\xff" * 32)),
        seq(seq(oid("1.3.101.110")), bits(bytes(32))),
        seq(seq(oid("1.2.3.4")), bits(b"anything")),
        seq(seq(oid("1.2.840.10040.4.1")), bits(integer(5))),
        seq(seq(oid("1.2.840.10040.4.1"), seq(integer(5), integer(5), integer(5))), bits(integer(5))),
        seq(seq(oid("1.2.840.10040.4.1"), seq(integer(5), integer(0), integer(5))), bits(integer(5))),
        seq(seq(oid("1.2.840.10040.4.1"), seq(integer(5), integer(5))), bits(b"")),
        seq(seq(oid("2.16.840.1.101.3.4.3.18")), bits(bytes(1952))),
        seq(seq(oid("2.16.840.1.101.3.4.3.18")), bits(bytes(12))),
        seq(seq(oid("2.16.840.1.101.3.4.3.17"), NULL), bits(bytes(1312))),
        seq(seq(tlv(6, b"\x80")), bits(b"")),
        seq(seq(), bits(b"")),
        seq(seq(oid("1.2.3.4"), b"\x05"), bits(b"")),
        seq(seq(oid("1.2.3.4"), b"\x05\x00\x05"), bits(b"")),
        seq(bits(b"")),
        seq(),
    ]
    info = rng.choice(infos)
    if rng.random() < 0.5:
        return plain("key encodings", leaf(MIDDLE, edwards(3)).but(info=info), MIDDLE)
    middle = MIDDLE.but(info=info)
    return plain("key encodings", leaf(middle, rng.choice((edwards(3), curve(4)))), middle)


def signature_encodings(rng: Random) -> Case:
    """Builds algorithm identifiers and signatures in unusual forms."""
    if not _KEYS:
        _KEYS.update(_pairs())
    identifiers = [
        seq(oid("1.3.101.112"), NULL),
        seq(oid("1.2.840.113549.1.1.11"), NULL),
        seq(oid("1.2.840.113549.1.1.11")),
        seq(oid("1.2.840.113549.1.1.5"), NULL),
        seq(oid("1.3.14.3.2.29"), NULL),
        seq(oid("1.2.840.113549.1.1.2"), NULL),
        seq(oid("1.2.840.113549.1.1.4"), NULL),
        seq(oid("1.2.840.10045.4.3.2")),
        seq(oid("1.2.840.10045.4.3.2"), NULL),
        seq(oid("1.2.840.10045.4.1")),
        seq(oid("2.16.840.1.101.3.4.3.2")),
        seq(oid("1.2.840.10040.4.3")),
        seq(oid("1.2.3.4")),
        seq(oid("2.16.840.1.101.3.4.3.17")),
        seq(oid("2.16.840.1.101.3.4.3.17"), NULL),
        seq(oid("1.2.840.113549.1.1.10")),
        seq(oid("1.2.840.113549.1.1.10"), NULL),
        g.pss_identifier("SHA256"),
        g.pss_identifier("SHA256", mask="SHA384"),
        g.pss_identifier("SHA256", salt=20),
        g.pss_identifier("SHA384", trailer=tlv(0xA3, integer(1))),
        g.pss_identifier("SHA384", trailer=tlv(0xA3, integer(2))),
        seq(),
        seq(tlv(6, b"")),
        seq(oid("1.2.3"), b"\x05"),
    ]
    pair = rng.choice((edwards(2), curve(2), _KEYS["RSA-2048"], _KEYS["RSA-1024"]))
    root = authority("root", pair)
    end = leaf(root, edwards(3))
    choice = rng.random()
    if choice < 0.6:
        end = end.but(inner=rng.choice(identifiers))
    elif choice < 0.75:
        end = end.but(outer=rng.choice(identifiers))
    else:
        signature = rng.choice(
            (
                b"",
                b"\0",
                bytes(64),
                bytes(128),
                bytes(256),
                b"\xff" * 64,
                seq(integer(0), integer(0)),
                seq(integer(1), integer(1)),
            )
        )
        end = end.but(
            signature_bits=rng.choice(
                (bits(signature), octets(signature), bits(b"\xf0", 4), tlv(3), tlv(3, b"\x09"))
            )
        )
    return plain("signature encodings", end, root=root)


# ---------------------------------------------------------------------------------------------------------
# Encodings
# ---------------------------------------------------------------------------------------------------------

TIMES = (
    tlv(0x17, b"200101000000Z"), tlv(0x17, b"2001010000Z"), tlv(0x17, b"200101000000+0100"), tlv(0x17, b"200101000000-0100"),
    tlv(0x17, b"200101000000+0000"), tlv(0x17, b"200101000000"), tlv(0x17, b"200230000000Z"), tlv(0x17, b"200229000000Z"),
    tlv(0x17, b"200101240000Z"), tlv(0x17, b"200101235960Z"), tlv(0x17, b"500101000000Z"), tlv(0x17, b"690101000000Z"),
    tlv(0x17, b"680101000000Z"), tlv(0x17, b"490101000000Z"), tlv(0x17, b"991231235959Z"), tlv(0x17, b"200101000000.5Z"),
    tlv(0x18, b"20200101000000Z"), tlv(0x18, b"20500101000000Z"), tlv(0x18, b"99991231235959Z"), tlv(0x18, b"00000101000000Z"),
    tlv(0x18, b"19000229000000Z"), tlv(0x18, b"20200101000000+0530"), tlv(0x18, b"20200101000000.123Z"), tlv(0x18, b"202001010000Z"),
    tlv(0x18, b"20200101000000"), tlv(0x17, b""), tlv(0x13, b"200101000000Z"), tlv(2, b"\x01"), tlv(0x17, b"20010100000xZ"),
    tlv(0x17, b"200101000000+2400"), tlv(0x17, b"200101000000+2500"), tlv(0x17, b"200101000000+0060"), tlv(0x18, b"20400101000000Z"),
    tlv(0x17, b"400101000000Z"), tlv(0x17, b"400101000000-2359"), tlv(0x18, b"00010101000000Z"), tlv(0x18, b"20400101000000+2359"),
)  # fmt: skip
SERIALS = (
    integer(0), integer(1), integer(-1), integer(-(1 << 70)), integer(1 << 159), integer(1 << 200), tlv(2), tlv(2, b"\0\1"),
    tlv(2, b"\xff\xff"), tlv(2, b"\0\x80"), tlv(2, b"\x80"), tlv(2, b"\0" * 3), octets(b"\1"),
)  # fmt: skip
VERSIONS = (
    b"", tlv(0xA0, integer(0)), tlv(0xA0, integer(1)), tlv(0xA0, integer(2)), tlv(0xA0, integer(3)), tlv(0xA0, integer(-1)),
    tlv(0xA0, tlv(2, b"\0\2")), tlv(0xA0, integer(1 << 70)), tlv(0xA0), tlv(0xA0, integer(2), NULL), tlv(0x80, b"\2"),
    tlv(0xA0, tlv(2)),
)  # fmt: skip
VALUES = (
    utf8("text"), utf8("bücher"), tlv(0x0C, b"\xff"), tlv(0x0C, b"\xed\xa0\x80"), tlv(0x13, b"plain *&"), tlv(0x13, b"a@b"),
    tlv(0x13, b"a_b"), tlv(0x16, b"a@b"), tlv(0x16, b"\xe4"), tlv(0x14, b"caf\xe9"), tlv(0x1E, b"\0a\0b"), tlv(0x1E, b"\0a\0"),
    tlv(0x1E, b"\xd8\0\xdc\0"), tlv(0x1E, b"\xff\xfe"), tlv(0x1E, b"\0a\0\0"), tlv(0x12, b"12 3"), tlv(0x12, b"1a"),
    tlv(0x1C, b"\0\0\0a"), tlv(0x1A, b"visible"), tlv(2, b"\x05"), tlv(2, b"\0\1"), tlv(2, b"\x01" * 9), NULL, tlv(5, b"x"),
    boolean(True), tlv(1, b"\1"), seq(utf8("x")), bits(b"\xf0", 4), bits(b"\xff", 4), octets(b"x"), oid("1.2.3"), tlv(6, b"\x80"),
    tlv(0x17, b"200101000000Z"), tlv(0x17, b"x"), tlv(0x04, b""), b"", b"\x0c", b"\x1f\x01\x00", tlv(0xA0, b"x"), utf8(""),
    utf8('quote " and \\ and \n'), utf8("\u200b\u00ad\U0001f600"),
)  # fmt: skip
SUBJECTS = (
    b"", seq(), tlv(0x31), seq(seq()), seq(tlv(0x31)), seq(tlv(0x31, seq())), seq(tlv(0x31, seq(oid("2.5.4.3")))),
    seq(tlv(0x31, oid("2.5.4.3"))), seq(tlv(0x31, seq(tlv(6, b"\x80\1"), utf8("x")))), seq(tlv(0x31, seq(oid("2.5.4.3"), utf8("x"), utf8("y")))),
    seq(tlv(0x31, seq(oid("2.5.4.3"), utf8("a")), seq(oid("2.5.4.10"), utf8("b")))), seq(NULL), cn("x"),
    name(("2.5.4.3", utf8("first")), ("2.5.4.3", utf8("last"))), name(("2.5.4.10", utf8("")), ("2.5.4.10", utf8("b"))),
)  # fmt: skip


def encodings(rng: Random) -> Case:
    """Encodes times, serial numbers, versions, names and identifiers correctly and incorrectly, on a leaf or a CA."""
    changes: list[Callable[[Maker], Maker]] = [
        lambda one: one.but(not_before=rng.choice(TIMES)),
        lambda one: one.but(not_after=rng.choice(TIMES)),
        lambda one: one.but(not_before=rng.choice(TIMES), not_after=rng.choice(TIMES)),
        lambda one: one.but(serial=rng.choice(SERIALS)),
        lambda one: one.but(version=rng.choice(VERSIONS)),
        lambda one: one.but(version=rng.choice(VERSIONS), extensions=()),
        lambda one: one.but(
            unique=rng.choice(
                (tlv(0x81, b"\0x"), tlv(0x82, b"\0x"), tlv(0x81, b"\0") + tlv(0x82, b"\0"), tlv(0xA1, b""))
            )
        ),
        lambda one: one.but(tail=rng.choice((NULL, tlv(0xA4, b""), b"\0"))),
        lambda one: one.but(after=rng.choice((NULL, b"\0", seq()))),
        lambda one: one.but(
            extensions_body=rng.choice(
                (
                    tlv(0xA3),
                    tlv(0xA3, seq()),
                    tlv(0xA3, seq(), NULL),
                    tlv(0xA3, NULL),
                    tlv(0x83, b""),
                    tlv(0xA3, seq(NULL)),
                    tlv(0xA3, seq(seq())),
                    tlv(0xA3, seq(seq(oid("1.2.3")))),
                    tlv(0xA3, seq(seq(oid("1.2.3"), tlv(1, b"\1"), octets(b"")))),
                    tlv(0xA3, seq(seq(oid("1.2.3"), NULL))),
                )
            )
        ),
    ]
    place = rng.choice(("leaf", "middle", "root"))
    root, middle = ROOT, MIDDLE
    change = rng.choice(changes)
    if place == "root":
        root = change(root)
    elif place == "middle":
        middle = change(middle)
    end = leaf(middle, edwards(3))
    if place == "leaf":
        end = change(end)
    return plain("encodings", end, middle, root=root)


def subjects(rng: Random) -> Case:
    """Builds distinguished names with values of all types, on CAs that an error then names."""
    if rng.random() < 0.3:
        subject = rng.choice(SUBJECTS)
    else:
        kinds = ("2.5.4.3", "2.5.4.10", "2.5.4.6", "1.2.3")
        subject = name(*((rng.choice(kinds), rng.choice(VALUES)) for _ in range(rng.choice((1, 1, 2, 3)))))
    root = ROOT.but(subject=subject, serial=rng.choice((integer(1), integer(1 << 80))))
    end = leaf(root, edwards(3))
    choice = rng.random()
    if choice < 0.5:
        end = end.but(spoil=True)
    elif choice < 0.65:
        end = leaf(ROOT, edwards(3)).but(subject=subject)
        root = ROOT
    return plain("subjects", end, root=root)


BAD_VALUES: dict[str, tuple[bytes, ...]] = {
    "2.5.29.19": (
        b"", seq(), seq(boolean(False)), seq(tlv(1, b"\1")), seq(boolean(True), integer(-1)), seq(boolean(True), integer(1 << 63)),
        seq(boolean(True), integer((1 << 63) - 1)), seq(boolean(True), tlv(2, b"\0\1")), seq(integer(0)), seq(boolean(True), integer(0), NULL),
        seq(boolean(True)) + NULL, NULL, seq(boolean(True), integer(1 << 64)), seq(boolean(True), tlv(2)), seq(utf8("x")),
    ),
    "2.5.29.15": (
        b"", bits(b""), bits(b"\x04"), bits(b"\x06\x80"), bits(b"\0\x80", 7), bits(b"\x05", 1), tlv(3), tlv(3, b"\x08\0"), octets(b"\6"),
        bits(b"\x86\x80\xff"), bits(b"\x02", 1), bits(b"", 3), bits(b"\xff") + NULL,
    ),
    "2.5.29.17": (
        b"", seq(), NULL, seq(b"\x82"), seq(tlv(0x82, b"\xff")), seq(tlv(0x81, b"\xff")), seq(tlv(0x86, b"\xff")), seq(tlv(0x87, b"123")),
        seq(tlv(0xA2, b"x")), seq(tlv(0x9F, b"x")), seq(dns("localhost")) + NULL, seq(dns("localhost"), tlv(0x88, b"*")), seq(utf8("localhost")),
        seq(tlv(0xA4, cn("x"))), seq(dns("localhost"), dns("\x80")), seq(tlv(0x82, b"local\0host")), seq(tlv(0x87, bytes(16))), seq(tlv(0x02, b"\1")),
    ),
    "2.5.29.30": (
        b"", seq(), seq(tlv(0xA0)), seq(tlv(0xA0), tlv(0xA1)), seq(tlv(0xA1, seq(dns("x")))), seq(tlv(0xA1, seq(dns("x"))), NULL),
        seq(tlv(0xA1, seq(dns("x")))) + NULL, seq(tlv(0xA1, seq(dns("x"))), tlv(0xA0, seq(dns("y")))), seq(tlv(0xA0, dns("x"))), seq(tlv(0xA0, seq())),
        seq(tlv(0xA0, seq(dns("\xff")))), seq(tlv(0xA0, seq(email("\xff")))), seq(tlv(0xA0, seq(uri("\xff")))), seq(tlv(0xA0, seq(uri("127.0.0.1")))),
        seq(tlv(0xA0, seq(dns("localhost"), tlv(0x80, b"\0"), tlv(0x81, b"\5")))), NULL,
    ),
    "2.5.29.31": (
        b"", seq(), seq(seq()), seq(NULL), seq(seq(tlv(0xA0))), seq(seq(tlv(0xA0, tlv(0xA0, uri("http://x"))))), seq(seq(tlv(0xA0, tlv(0xA1, b"")))),
        seq(seq(tlv(0xA0, tlv(0xA0, dns("x"))))), seq(seq(tlv(0xA0, tlv(0xA0, b"\x86")))), seq(seq(tlv(0x81, b""))), seq(seq(tlv(0xA0, uri("http://x")))), NULL,
        seq(seq(tlv(0xA0, tlv(0xA0, uri("\xff"))), NULL)), seq(seq(tlv(0xA0, tlv(0xA0, directory(cn("x")))))), seq(seq(tlv(0xA2, directory(cn("x"))))),
    ),
    "2.5.29.32": (
        b"", seq(), seq(seq()), seq(seq(oid("1.2.3")), seq(oid("1.2.3"))), seq(seq(tlv(6, b""))), seq(seq(tlv(6, b"\x80\1"))), seq(seq(tlv(6, b"\x81"))),
        seq(oid("1.2.3")), seq(seq(tlv(6, b"\x2a" + b"\xff" * 9 + b"\1"))), seq(seq(oid("1.2.3"), seq(seq(oid("1.2.4"), utf8("x"))))), NULL, seq(seq(NULL)),
        seq(seq(tlv(6, b"\x2a\x80\1"))),
    ),
    "2.5.29.33": (b"", seq(), seq(seq()), seq(seq(oid("1.2.3"))), seq(seq(oid("1.2.3"), NULL)), seq(seq(tlv(6), tlv(6))), seq(seq(oid("1.2.3"), oid("1.2.4"), NULL)), NULL),
    "2.5.29.36": (b"", seq(), seq(tlv(0x80, b"\0")), seq(tlv(0x80)), seq(tlv(0x80, b"\xff")), seq(tlv(0x80, b"\0\1")), seq(tlv(0x81, b"\1"), tlv(0x80, b"\0")), seq(tlv(0x80, b"\1" * 9)), seq(tlv(0x82, b"\1")), NULL, seq(tlv(0x80, b"\5"), tlv(0x81, b"\5"))),
    "2.5.29.54": (b"", integer(0), integer(5), integer(-1), tlv(2), tlv(2, b"\0\1"), integer(1 << 70), NULL, seq(integer(0)), integer(0) + NULL),
    "2.5.29.35": (b"", seq(), seq(tlv(0x80)), seq(tlv(0x80, b"x")), seq(tlv(0xA0, b"x")), seq(tlv(0x81, b"x")), seq(tlv(0x82, b"\1")), NULL, b"\x30\x01\x80", seq(tlv(0xA1, directory(cn("x"))), tlv(0x82, b"\1"))),
    "2.5.29.14": (b"", octets(b""), octets(b"x"), NULL, b"x", octets(b"x") + NULL),
    "1.3.6.1.5.5.7.1.1": (b"", seq(), seq(seq()), seq(seq(oid("1.3.6.1.5.5.7.48.1"))), seq(seq(oid("1.3.6.1.5.5.7.48.1"), uri("http://x"))), seq(seq(oid("1.3.6.1.5.5.7.48.2"), dns("x"))), seq(NULL), NULL, seq(seq(tlv(6, b"\x80"))), seq(seq(oid("1.3.6.1.5.5.7.48.1"), b"\x86")), seq(seq(oid("1.3.6.1.5.5.7.48.1"), uri("\xff")))),
    "2.5.29.37": (b"", seq(), NULL, seq(oid(SERVER)), seq(oid(SERVER), NULL), seq(tlv(6, b"\x2b\x06\x01\x05\x05\x07\x03\x81")), seq(tlv(6, b"\x8f\xff\xff\xff\x7f")), seq(tlv(6, b"\x87\xff\xff\xff\x7f"), oid(SERVER)), seq(oid(ANY)), b"\x30\x80\0\0"),
    "2.5.29.18": (b"", seq(dns("x")), b"junk"),
    "2.5.29.16": (b"", seq(), b"junk"),
    "1.3.6.1.4.1.11129.2.4.2": (b"", octets(b"x")),
    "1.3.6.1.5.5.7.1.24": (seq(integer(5)), b""),
}  # fmt: skip


def extension_values(rng: Random) -> Case:
    """Combines each extension with each value of a list, critical or not, once or twice, on a leaf or a CA."""
    kind = rng.choice(list(BAD_VALUES))
    extension: g.Extension = (kind, rng.random() < 0.4, rng.choice(BAD_VALUES[kind]))
    root, middle = ROOT, MIDDLE
    place = rng.choice(("leaf", "leaf", "middle", "root"))

    def change(one: Maker) -> Maker:
        changed = one.also(extension)
        if rng.random() < 0.08:
            changed = changed.but(extensions=(*changed.extensions, rng.choice(changed.extensions)))
        if rng.random() < 0.5:
            mixed = list(changed.extensions)
            rng.shuffle(mixed)
            changed = changed.but(extensions=tuple(mixed))
        return changed

    if place == "root":
        root = change(root)
    elif place == "middle":
        middle = change(middle)
    end = leaf(middle, edwards(3))
    if place == "leaf":
        end = change(end)
    return plain("extension values", end, middle, root=root)


# ---------------------------------------------------------------------------------------------------------
# Damage
# ---------------------------------------------------------------------------------------------------------


def damage(rng: Random) -> Case:
    """Changes, removes or inserts octets inside the signed part (which is signed again) or outside."""
    rich = leaf(MIDDLE, edwards(3)).also(
        policies("1.2.3.1", "2.5.29.32.0"),
        ("2.5.29.31", False, BAD_VALUES["2.5.29.31"][5]),
        ("1.3.6.1.5.5.7.1.1", False, BAD_VALUES["1.3.6.1.5.5.7.1.1"][4]),
        names(dns("localhost"), ip(b"\x7f\0\0\1"), email("a@localhost"), uri("https://localhost/x")),
        own_id(b"leaf"),
    )
    rich = rich.but(subject=name(("2.5.4.10", tlv(0x13, b"Org")), ("2.5.4.3", utf8("leaf"))))
    limited = MIDDLE.also(
        constraints(
            [dns("localhost"), ip(NETWORKS[0]), email("localhost"), uri("localhost")], [dns("bad.localhost")]
        ),
        policy_constraints(3, 2),
        g.inhibit_any(2),
        policies("1.2.3.1"),
    )
    target = rng.choice((rich, rich, limited))
    signer = target.signer
    assert signer is not None
    algorithm = signer.sign(b"")[0]
    body = target.body(algorithm)
    if rng.random() < 0.85:
        der = target.finished(_damaged(rng, body))
    else:
        der = _damaged(rng, target.finished(body))
    if target is limited:
        return Case("damage", (leaf(limited, edwards(3)).der(), der), pem(ROOT.der()))
    return Case("damage", (der, MIDDLE.der()), pem(ROOT.der()))


def _damaged(rng: Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2))):
        place = rng.randrange(len(found))
        kind = rng.random()
        if kind < 0.5:
            found[place] = rng.choice(
                (found[place] ^ (1 << rng.randrange(8)), rng.randrange(256), 0, 0xFF, 0x80)
            )
        elif kind < 0.65:
            del found[place]
        elif kind < 0.8:
            found.insert(place, rng.randrange(256))
        elif kind < 0.97:
            found[place] = (found[place] + rng.choice((-1, 1))) & 0xFF
        else:
            del found[place:]
            found += b"\0"
    return bytes(found)


def ca_files(rng: Random) -> Case:
    """Builds CA files with damaged blocks, headers, comments and other text around the certificate that is needed."""
    good = pem(ROOT.der())
    others = pem(authority("other", edwards(9)).der())
    lines = good.splitlines()
    pieces = [
        good,
        good,
        others,
        others.replace(b"M", b"!", 3),
        pem(ROOT.but(serial=integer(-5)).der()),
        pem(b"\x30\x03\x02\x01\x01"),
        pem(ROOT.der() + b"\0"),
        pem(ROOT.der(), "TRUSTED CERTIFICATE"),
        pem(ROOT.der(), "X509 CERTIFICATE"),
        pem(b"", "PRIVATE KEY"),
        b"# a comment\n",
        b"subject=CN = root\n\n",
        good.replace(b"\n", b"\r\n"),
        good.replace(b"-----BEGIN", b" -----BEGIN"),
        b"\xef\xbb\xbf" + good,
        good.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----  \t\n"),
        good.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nProc-Type: 4\n\n", 1),
        good[: len(good) // 2],
        good[len(good) // 2 :],
        good.rstrip(b"\n"),
        good.rstrip(b"\n") + b"x\n",
        b"\n".join((lines[0], b"".join(lines[1:-1]), lines[-1])) + b"\n",
        b"\n\n".join(lines) + b"\n",
        b"\n".join(b"  " + line if b"--" not in line else line for line in lines) + b"\n",
        b"\n".join((*lines[:-2], lines[-2].rstrip(b"="), lines[-1])) + b"\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nkey: value\n-----END CERTIFICATE-----\n",
        ROOT.der(),
        b"junk before " + good,
    ]
    text = b"".join(rng.choice(pieces) for _ in range(rng.choice((1, 2, 3, 4))))
    return Case("CA files", (LEAF.der(), MIDDLE.der()), text)


def fixed_cases() -> Iterator[Case]:
    """Returns cases that random choice may not produce."""
    crowd = [dns(f"host{number}.example.com") for number in range(10_000)]
    for hostname in ("localhost", "host9999.example.com"):
        yield plain("10,000 names", leaf(MIDDLE, edwards(3), names(*crowd)), MIDDLE, hostname=hostname)
    yield plain("10,000 names", leaf(MIDDLE, edwards(3)), MIDDLE.also(names(*crowd)))
    big = leaf(ROOT, edwards(3), names(dns("localhost"), *crowd)).but(issuer=None, signer=None)
    yield Case("10,000 names", (big.der(),), pem(big.der()))
    limits = [dns(f"d{number}.example.com") for number in range(600)]
    for sides in ((limits, None), (None, limits), ([*limits, dns("localhost")], None)):
        middle = MIDDLE.also(constraints(*sides))
        some = [dns(f"h.d{number}.example.com") for number in range(600)]
        yield plain(
            "many constraints", leaf(middle, edwards(3), names(*some)), middle, hostname="h.d5.example.com"
        )
    strange = x25519.X25519PrivateKey.from_private_bytes(bytes(32))
    yield plain("X25519", leaf(MIDDLE, Pair(strange)), MIDDLE)
    yield Case("empty", (b"",), pem(ROOT.der()))
    yield Case("junk", (b"junk",), pem(ROOT.der()))


FAMILIES: dict[Callable[[Random], Case], int] = {
    paths: 1900,
    long_paths: 100,
    name_constraints: 1500,
    single_constraint: 900,
    hostnames: 900,
    many_names: 60,
    policy_trees: 1100,
    usages: 250,
    keys: 500,
    key_encodings: 250,
    signature_encodings: 250,
    encodings: 600,
    subjects: 400,
    extension_values: 900,
    damage: 1000,
    ca_files: 300,
}

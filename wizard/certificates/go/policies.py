"""Checks a chain's certificate policies (RFC 5280, 6.1, with the graph of RFC 9618); wants no particular one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wizard.certificates.go.certificate import Certificate
from wizard.certificates.go.der import encode_oid

_ANY: Final = encode_oid("2.5.29.32.0")


@dataclass(slots=True, eq=False)
class _Node:
    """A policy at one depth, with its parents one depth above and its children one depth below."""

    policy: bytes
    expected: Sequence[bytes]
    parents: set[_Node] = field(default_factory=set)
    children: set[_Node] = field(default_factory=set)


class _Graph:
    """The graph of valid policies: one row for each certificate, from the one below the anchor down to the leaf."""

    def __init__(self) -> None:
        self.rows: list[dict[bytes, _Node]] = [{_ANY: _Node(_ANY, (_ANY,))}]

    @property
    def leaves(self) -> dict[bytes, _Node]:
        """The last row."""
        return self.rows[-1]

    def insert(self, policy: bytes, parents: Iterable[_Node], expected: Sequence[bytes] = ()) -> None:
        """Adds a policy to the last row."""
        node = _Node(policy, expected or (policy,))
        for parent in parents:
            parent.children.add(node)
            node.parents.add(parent)
        self.leaves[policy] = node

    def delete(self, policy: bytes) -> None:
        """Removes a policy from the last row."""
        node = self.leaves.pop(policy, None)
        if node is not None:
            for parent in node.parents:
                parent.children.discard(node)
            for child in node.children:
                child.parents.discard(node)

    def prune(self) -> None:
        """Removes policies without children, from the second last row up to the first below the anchor's."""
        for row in self.rows[-2:0:-1]:
            for policy, node in list(row.items()):
                if not node.children:
                    for parent in node.parents:
                        parent.children.discard(node)
                    del row[policy]

    def extend(self, policies: Sequence[bytes], *, any_counts: bool) -> None:
        """Adds the row of a certificate with these policies."""
        above = self.leaves
        expecting: dict[bytes, list[_Node]] = {}
        for node in above.values():
            for policy in node.expected:
                expecting.setdefault(policy, []).append(node)
        self.rows.append({})
        for policy in policies:
            if policy != _ANY:
                parents = expecting.get(policy) or ([above[_ANY]] if _ANY in above else [])
                if parents:
                    self.insert(policy, parents)
        if any_counts and _ANY in policies:
            for policy in [policy for policy in expecting if policy not in self.leaves]:
                self.insert(policy, expecting[policy])
        self.prune()

    def map(self, mappings: Sequence[tuple[bytes, bytes]], *, allowed: bool) -> bool:
        """Applies a certificate's policy mappings; False if one of them maps anyPolicy."""
        meant: dict[bytes, list[bytes]] = {}
        for issuers, subjects in mappings:
            if not allowed:
                self.delete(issuers)
            elif _ANY in (issuers, subjects):
                return False
            else:
                meant.setdefault(issuers, []).append(subjects)
        self.prune()
        for issuers, subjects_all in meant.items():
            if issuers in self.leaves:
                self.leaves[issuers].expected = subjects_all
            elif _ANY in self.leaves:
                self.insert(issuers, [self.leaves[_ANY]], subjects_all)
        return True

    def has_valid(self) -> bool:
        """Whether at least one policy, or anyPolicy, is valid for the whole chain."""
        if _ANY in self.leaves:
            return True
        for row in self.rows:
            for node in row.values():
                if node.policy != _ANY and [parent.policy for parent in node.parents] == [_ANY]:
                    return True
        return False


@dataclass(slots=True)
class _State:
    """For how many more certificates each of the three is still optional or allowed."""

    explicit: int
    mapping: int
    any_policy: int

    def step(self, certificate: Certificate) -> None:
        """Updates the counters after one certificate, for the certificates below it."""
        if certificate.issuer != certificate.subject:
            self.explicit = max(0, self.explicit - 1)
            self.mapping = max(0, self.mapping - 1)
            self.any_policy = max(0, self.any_policy - 1)
        extensions = certificate.extensions
        self.explicit = _least(self.explicit, extensions.explicit_policy)
        self.mapping = _least(self.mapping, extensions.inhibit_mapping)
        self.any_policy = _least(self.any_policy, extensions.inhibit_any)


def policies_valid(chain: Sequence[Certificate]) -> bool:
    """Whether a chain (leaf first, anchor last) has the policies that its CAs require."""
    if len(chain) == 1:
        return True
    count = len(chain) - 1
    graph: _Graph | None = _Graph()
    state = _State(count + 1, count + 1, count + 1)
    for place in range(count - 1, -1, -1):
        certificate = chain[place]
        extensions = certificate.extensions
        if not extensions.policies:
            graph = None
        if graph is None and not state.explicit:
            return False
        if graph is not None:
            itself = place > 0 and certificate.issuer == certificate.subject
            graph.extend(extensions.policies, any_counts=state.any_policy > 0 or itself)
            if (
                place
                and extensions.mappings
                and not graph.map(extensions.mappings, allowed=state.mapping > 0)
            ):
                return False
        if place:
            state.step(certificate)
    open_end = max(0, state.explicit - 1)
    if chain[0].extensions.explicit_policy == 0:
        open_end = 0
    return open_end > 0 or (graph is not None and graph.has_valid())


def _least(current: int, limit: int | None) -> int:
    return current if limit is None else min(current, limit)

"""The text about a host that was not tested yet, in the list of hosts."""

from __future__ import annotations

import pytest

from screens.hosts.text import detail
from screens.state import HostEntry
from wizard.model import HostSpec

SSH = HostSpec(name="web1", connect="ssh", address="192.0.2.4", user="ops", port=2222)


@pytest.mark.parametrize(
    ("spec", "source", "reached"),
    [
        (SSH, "added", "ssh -p 2222 ops@192.0.2.4"),
        (HostSpec(name="web2", connect="ssh"), "ssh", "ssh web2  from ~/.ssh/config"),
        (HostSpec(name="box", connect="incus", via="web1"), "incus", "incus exec box -- sh, on web1"),
        (HostSpec(name="here", connect="local"), "here", "directly, without a login"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_untested_host_shows_how_to_reach_it_and_what_a_test_does(
    spec: HostSpec, source: str, reached: str
) -> None:
    text = detail(HostEntry(spec=spec, source=source), "", no_color=False).plain
    assert reached in text.splitlines()[0]
    assert "not tested" in text and "Enter tests the host" in text and "changes nothing" in text
    assert ("host key" in text) == (spec.connect == "ssh")

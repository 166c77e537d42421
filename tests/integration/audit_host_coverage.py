"""The checks of the audit that tests in tests/hosts cover with real programs, and the generations of those programs.

Data only: those tests take their generations from it, and tests/unit/audit/test_evidence.py makes a table of
it.
"""

from __future__ import annotations

from collections.abc import Mapping

GENERATIONS = ("bookworm", "trixie", "sid")

SHOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    # check: the test that makes and repairs its fault, and the generations of the programs
    "EXP-02": ("test_gossip_and_a_way_past_a_proxy", GENERATIONS),
    "EXP-05": ("test_a_container_as_root_on_all_addresses", GENERATIONS),
    "API-08": ("test_gossip_and_a_way_past_a_proxy", GENERATIONS),
    "PRX-01": ("test_gossip_and_a_way_past_a_proxy", GENERATIONS),
    **{f"PRX-0{number}": ("test_gossip_and_a_way_past_a_proxy", GENERATIONS) for number in (2, 3, 4, 5)},
    "CTR-01": ("test_a_container_as_root_on_all_addresses", GENERATIONS),
    "CVE-01": ("test_versions_with_known_vulnerabilities", GENERATIONS),
    "CVE-02": ("test_versions_with_known_vulnerabilities", GENERATIONS),
    "CVE-03": ("test_what_a_grafana_is_told_by_its_files_its_unit_and_its_package", ()),
    "GRF-01": ("test_what_a_grafana_is_told_by_its_files_its_unit_and_its_package", ()),
}
"""No generation: Grafana is in no suite of Debian; its files, unit and package are real, and its program stands in."""

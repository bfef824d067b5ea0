"""Conformance suites: what a double claims of a server, asserted of both. Subclass a contract to run it elsewhere."""

import pytest

pytest.register_assert_rewrite(
    "tests.fakes.contract_coder",
    "tests.fakes.contract_kube_reads",
    "tests.fakes.contract_kube_watches",
    "tests.fakes.kubes",
)

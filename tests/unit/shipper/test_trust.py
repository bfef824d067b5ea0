"""Certificate authorities from files."""

from pathlib import Path

import pytest

from shipper.trust import TrustError, trusted_authorities


def test_the_systems_store_is_the_default() -> None:
    assert trusted_authorities(None, None).check_hostname


def test_a_file_without_a_certificate_is_refused_by_name(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not PEM")
    with pytest.raises(TrustError, match=r"ca\.pem holds no PEM certificate"):
        trusted_authorities(wrong, None)

"""Which addresses are whatever machine asks."""

import pytest

from common.loopback import is_loopback


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://127.0.0.2:6443", True),
        ("https://[::1]:6443", True),
        ("https://0.0.0.0:41231", True),
        ("http://localhost:7080", True),
        ("http://coder.localhost", True),
        ("https://localhost.example.com", False),
        ("https://10.0.0.1", False),
        ("https://host.docker.internal:6443", False),
    ],
)
def test_loopback_is_known_by_address_and_by_name(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback

"""What is refused before anything is sent to Redis."""

from collections.abc import Callable

import pytest

from common.store.connect import UnusableUrl, connect, connect_sync

URLS = [
    ("redis://h/0?foo=bar", "there is no option 'foo'"),
    ("redis://h/0?protocol=9", "protocol"),
    ("redis://h/0?socket_timeout=x", "socket_timeout"),
    ("redis://h/0?decode_responses=1", "decode_responses"),
    ("http://h", "scheme"),
]


@pytest.mark.parametrize("make", [connect, connect_sync])
@pytest.mark.parametrize(("url", "why"), URLS)
def test_an_option_that_is_none_is_refused_at_once(make: Callable[[str], object], url: str, why: str) -> None:
    with pytest.raises(UnusableUrl, match=why) as caught:
        make(url)
    assert str(caught.value).startswith("the Redis URL is not usable (")

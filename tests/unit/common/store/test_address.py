"""Sentinel's URL taken apart, and what is wrong with one that is none."""

import pytest

from common.store.address import is_sentinel, parse_sentinel
from common.store.connect import UnusableUrl, connect, connect_sync, redacted_url


def test_all_parts_are_found() -> None:
    address = parse_sentinel(
        "rediss+sentinel://user:p%40ss@one,two:1234,[::1]:5/my.master/3"
        "?ssl_ca_certs=/ca.pem&sentinel_password=s%26cret&sentinel_username=eye"
    )
    assert address.is_tls
    assert address.sentinels == (("one", 26379), ("two", 1234), ("::1", 5))
    assert address.service == "my.master"
    assert address.server_url == "rediss://user:p%40ss@one:26379/3?ssl_ca_certs=%2Fca.pem"
    assert address.sentinel_options == {"password": "s&cret", "username": "eye"}


def test_only_hosts_and_service_are_needed() -> None:
    address = parse_sentinel("redis+sentinel://one/mymaster")
    assert (address.is_tls, address.sentinels, address.service) == (False, (("one", 26379),), "mymaster")
    assert address.server_url == "redis://one:26379/0"


@pytest.mark.parametrize("url", ["redis://h/0", "rediss://h", "unix:///s", "sentinel://h/s", "redis-sentinel://h/s"])
def test_other_schemes_are_not_sentinels(url: str) -> None:
    assert not is_sentinel(url)


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("one", "names no service"),
        ("one/", "names no service"),
        ("one/my master", "wrong service"),
        ("one/mymaster/x", "wrong database"),
        ("one/mymaster/1/2", "is not like"),
        ("one,/mymaster", "a comma too many"),
        ("/mymaster", "names no host"),
        ("one:x/mymaster", "wrong host"),
        ("one:65536/mymaster", "wrong host"),
        ("one:1:2/mymaster", "wrong host"),
    ],
)
def test_what_is_wrong_is_named(rest: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_sentinel(f"redis+sentinel://{rest}")


def test_no_secret_is_shown() -> None:
    url = "redis+sentinel://user:hunter2@one:1,two:2/mymaster/0?sentinel_password=hunter3"
    assert redacted_url(url) == "redis+sentinel://one:1,two:2/mymaster"


def test_an_option_that_is_none_is_refused_at_once() -> None:
    for make in (connect, connect_sync):
        with pytest.raises(UnusableUrl, match="there is no option 'foo'"):
            make("redis+sentinel://one/mymaster/0?foo=bar")

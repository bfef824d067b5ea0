"""A machine's proxy does not come between the tests and the servers that they start."""

import urllib.request

import pytest

from tests.integration.console.commands import clean_environ


def test_loopback_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert urllib.request.proxy_bypass("localhost")
    assert not urllib.request.proxy_bypass("coder.example.com")


def test_programs_under_test_get_no_proxy_but_one_that_the_test_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    assert {"HTTP_PROXY", "all_proxy"}.isdisjoint(clean_environ())
    assert clean_environ({"HTTP_PROXY": "http://p"})["HTTP_PROXY"] == "http://p"

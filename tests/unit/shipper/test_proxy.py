"""Which proxy the environment names, and which it cannot."""

import pytest

from shipper.proxy import ProxyError, proxy_for


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_proxy_of_the_urls_scheme_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("https://coder.example.com") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert proxy_for("https://coder.example.com") == "http://proxy:3128"
    assert proxy_for("http://coder.example.com") is None
    monkeypatch.setenv("ALL_PROXY", "http://all:3128")
    assert proxy_for("http://coder.example.com") == "http://all:3128"


@pytest.mark.parametrize("exception", ["coder.example.com", "example.com", ".example.com", "*"])
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, exception: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exception)
    assert proxy_for("https://coder.example.com") is None


def test_host_and_port_alone_are_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    assert proxy_for("https://coder.example.com") == "http://proxy:3128"


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("HTTPS_PROXY", "garbage", "neither a URL nor HOST:PORT"),
        ("https_proxy", "socks5://proxy:1080", "socks5:// is not supported"),
        ("ALL_PROXY", "http://", "no host"),
        ("HTTPS_PROXY", "http://proxy:port", "malformed"),
        ("HTTPS_PROXY", "http://proxy..example:3128", "malformed"),
        ("HTTPS_PROXY", "http://[::1:3128", "malformed"),
    ],
)
def test_what_cannot_be_a_proxy_is_one_line_with_its_variable_the_reason_and_an_example(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ProxyError) as refused:
        proxy_for("https://coder.example.com")
    line = str(refused.value)
    # What does not parse may hold a password where none is expected.
    shown = "http://***" if why == "malformed" and ".." not in value else value
    assert line.startswith(f'{variable}: "{shown}"')
    assert why in line
    assert line.endswith(f"example: {variable}=http://proxy.example.com:3128")
    assert "\n" not in line


@pytest.mark.parametrize("value", ["socks5://user:secret@proxy:1080", "user:secret@proxy"])
def test_a_proxys_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ProxyError) as refused:
        proxy_for("https://coder.example.com")
    assert "secret" not in str(refused.value)

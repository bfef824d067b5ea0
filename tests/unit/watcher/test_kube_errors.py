"""Every foreign error has a name here."""

import ssl

import aiohttp
import pytest

from watcher.kube import _refusal, translate
from watcher.kube_errors import (
    REASONS,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerFault,
    Throttled,
    Unauthorized,
    Unreachable,
    asked_wait_s,
)


def _all_subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(_all_subclasses(each) for each in kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(_all_subclasses(aiohttp.ClientError), key=repr))
def test_every_client_error_is_translated(kind: type[Exception]) -> None:
    # Built without their constructors, which all differ.
    bare = type("Bare", (kind,), {"__init__": lambda self: None, "__str__": lambda self: "why", "message": "why"})
    error = bare()
    translated = translate(error)
    assert isinstance(translated, Unreachable | Invalid | ServerFault)
    assert translated.reason in REASONS


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), Unreachable),
        (OSError("no"), Unreachable),
        (ssl.SSLError("no"), Unreachable),
        (ValueError("x"), ServerFault),
    ],
)
def test_errors_beneath_the_client_are_translated(error: Exception, kind: type[KubeError]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (410, Gone),
        (422, Invalid),
        (429, Throttled),
        (500, ServerFault),
        (504, ServerFault),
        (302, ServerFault),
    ],
)
def test_every_status_has_a_meaning(status: int, kind: type[KubeError]) -> None:
    assert type(_refusal(status, {}, b"<html>proxy</html>")) is kind


def test_an_expired_status_is_gone_whatever_the_http_status() -> None:
    assert isinstance(_refusal(500, {}, b'{"reason":"Expired","message":"old"}'), Gone)


def test_the_time_to_wait_comes_from_the_header_or_the_body() -> None:
    by_header = _refusal(429, {"Retry-After": "7"}, b"{}")
    by_body = _refusal(503, {}, b'{"details":{"retryAfterSeconds":3}}')
    assert isinstance(by_header, Throttled)
    assert by_header.retry_after_s == 7
    assert isinstance(by_body, ServerFault)
    assert by_body.retry_after_s == 3


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (Throttled("slow", 7.0), 7.0),
        (ServerFault("503", 3.0), 3.0),
        (ServerFault("500"), 0.0),
        (Throttled("slow", 1e9), 300.0),
        (Forbidden("no"), 0.0),
    ],
)
def test_what_the_server_asks_for_is_waited_within_reason(error: KubeError, wait_s: float) -> None:
    assert asked_wait_s(error) == wait_s


def test_long_messages_are_cut_short() -> None:
    assert len(str(_refusal(403, {}, b"x" * 10_000))) < 600


def test_messages_are_one_line_without_control_characters() -> None:
    said = str(_refusal(403, {}, b'{"message":"no\\n\\n  such\\tpod \\u001b[31mred"}'))
    assert said == "no such pod [31mred"

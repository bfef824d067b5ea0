"""Selectors that the conformance suite does not try, since the real server's words for them do not matter."""

from __future__ import annotations

import pytest

from console.doubles.kube_selectors import BadSelector, parse_selector


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ("a = b", {"a": "b"}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        (" a in ( x , y ) , !b ", {"a": "y"}, True),
        ("a in (x),b notin (y,z)", {"a": "x", "b": "w"}, True),
        ("example.com/a=b", {"example.com/a": "b"}, True),
        ("a!=b", {}, True),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_labels(text: str, labels: dict[str, str], fits: bool) -> None:
    assert parse_selector(text, "", ()).matches(labels, {}) is fits


@pytest.mark.parametrize("text", ["=", "a=b=c", "a in x", "a in (x", ",", "a,,b", "-a", "a b", "!!a", "a in (x y)"])
def test_labels_that_mean_nothing(text: str) -> None:
    with pytest.raises(BadSelector):
        parse_selector(text, "", ())


@pytest.mark.parametrize(
    ("text", "value", "fits"),
    [("f=a", "a", True), ("f==a", "b", False), ("f!=a", "", True), (r"f=a\,b\=c\\", "a,b=c\\", True), ("f=", "", True)],
)
def test_fields(text: str, value: str, fits: bool) -> None:
    assert parse_selector("", text, ("f",)).matches({}, {"f": value}) is fits


@pytest.mark.parametrize("text", ["g=a", "f", "f~a", "=a"])
def test_fields_that_mean_nothing(text: str) -> None:
    with pytest.raises(BadSelector):
        parse_selector("", text, ("f",))

"""Selectors mean what they mean to Kubernetes, and a wrong one is said at the start."""

import pytest

from watcher.selectors import SelectorError, parse_fields, parse_labels

LABELS = {"app": "coder", "tier": "dev", "example.com/team": "a"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=coder", True),
        ("app==coder", True),
        ("app = coder", True),
        ("app!=coder", False),
        ("missing!=x", True),
        ("app=coder,tier=prod", False),
        ("tier in (dev,test)", True),
        ("tier in (prod)", False),
        ("tier notin (dev)", False),
        ("missing notin (dev)", True),
        ("tier in (dev, test),app=coder", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("example.com/team=a", True),
        ("app=", False),
    ],
)
def test_labels_match_as_in_kubernetes(text: str, matches: bool) -> None:
    assert parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["app=co der", "a in dev", "a in (b", "=x", "app=coder,", "-a", "a in (b!)", "a b"])
def test_a_wrong_label_selector_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SelectorError, match="example: app=coder"):
        parse_labels(text)


def test_only_the_namespace_of_a_field_selector_binds_other_resources() -> None:
    selector = parse_fields("status.phase=Running, metadata.namespace=a,metadata.namespace!=b")
    assert selector.text == "status.phase=Running, metadata.namespace=a,metadata.namespace!=b"
    assert selector.namespace_text == "metadata.namespace=a,metadata.namespace!=b"


@pytest.mark.parametrize("text", ["metadata.namespace", "a=b=c", ",", "=x"])
def test_a_wrong_field_selector_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SelectorError, match=r"example: metadata\.namespace=coder"):
        parse_fields(text)

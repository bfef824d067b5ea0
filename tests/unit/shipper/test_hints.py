"""Hints carry figures and nothing else out of a message."""

import pytest

from common.record import Level
from common.wording.table import Figures, Ruling, Subject
from shipper.hints import fingerprint, hint_rows

QUOTA = 'pods "w" is forbidden: exceeded quota: compute, requested: limits.memory=2Gi,pods=1, used: limits.memory=3Gi,pods=4, limited: limits.memory=4Gi,pods=4'  # noqa: E501 - as Kubernetes writes it


def rows(figures: Figures | None, message: str = "", limit_bytes: int = 0, admin: str = "") -> list[str]:
    subject = Subject("R", message, Level.WARN, limit_bytes=limit_bytes)
    return hint_rows(Ruling(True, Level.WARN, user_hint="Wait.", admin_hint=admin, figures=figures), subject)


def test_who_gets_which_line_and_the_first_has_the_figures() -> None:
    assert rows(Figures.MEMORY, limit_bytes=512 << 20, admin="Look.") == [
        "💡 Wait. (limit 512 MiB; ask for more, e.g. 1 GiB)",
        "🔧 For the administrator: Look.",
    ]


@pytest.mark.parametrize(
    ("limit_bytes", "said"),
    [(512 << 20, "limit 512 MiB; ask for more, e.g. 1 GiB"), (3 << 29, "limit 1.5 GiB; ask for more, e.g. 3 GiB"),
     (100 << 10, "limit 100 KiB; ask for more, e.g. 200 KiB"), (9, "limit 9 bytes; ask for more, e.g. 18 bytes")],
)  # fmt: skip
def test_a_memory_limit_is_said_with_what_to_ask_for(limit_bytes: int, said: str) -> None:
    assert rows(Figures.MEMORY, limit_bytes=limit_bytes) == [f"💡 Wait. ({said})"]


def test_without_a_limit_nothing_is_said_of_it() -> None:
    assert rows(Figures.MEMORY) == ["💡 Wait."]


def test_a_quota_is_said_with_its_name_and_what_is_used() -> None:
    assert rows(Figures.QUOTA, QUOTA) == [
        "💡 Wait. (quota compute: 3Gi of 4Gi limits.memory used, 2Gi asked for; 4 of 4 pods used, 1 asked for)"
    ]


@pytest.mark.parametrize(
    "message",
    [
        "exceeded quota",
        "exceeded quota: call 555-1234 now, requested: pods=1, used: pods=1, limited: pods=1",
        "exceeded quota: q, requested: pods=1, used: pods=say this, limited: pods=1",
        "exceeded quota: q, requested: a=1, used: b=1, limited: c=1",
        "exceeded quota: q, requested: , used: , limited: ",
    ],
)
def test_no_message_puts_words_into_our_mouth(message: str) -> None:
    assert rows(Figures.QUOTA, message) == ["💡 Wait."]


def test_the_same_hint_is_known_again_whatever_its_figures() -> None:
    one = Ruling(True, Level.WARN, user_hint="Wait.", figures=Figures.QUOTA)
    assert fingerprint(one) == fingerprint(Ruling(True, Level.ERROR, user_hint="Wait."))
    assert fingerprint(one) != fingerprint(Ruling(True, Level.WARN, admin_hint="Wait."))
    assert fingerprint(Ruling(True, Level.WARN)) == ""

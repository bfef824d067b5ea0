"""Of each thing the first entry that matches and mentions it decides; a hint is for what went wrong."""

import msgspec
import pytest

from common.record import Level
from common.wording.table import Audience, Entry, Figures, Hint, Sheet, Subject, Wording

HINT = Hint(user="Wait.", admin="Look.", figures=Figures.QUOTA)


def about(reason: str = "R", message: str = "m", level: Level = Level.WARN, **rest: object) -> Subject:
    return Subject(reason, message, level, **rest)  # type: ignore[arg-type]


def wording(*entries: Entry, minimum: Level | None = None, hints: Audience | None = None) -> Wording:
    return Wording([Sheet(minimum, hints, entries)])


@pytest.mark.parametrize(
    ("entry", "subject"),
    [
        (Entry(reason="FailedMount"), about("failedmount")),
        (Entry(reason=("A", "B")), about("B")),
        (Entry(kind="ReplicaSet"), about(kind="ReplicaSet")),
        (Entry(component=("kubelet",)), about(component="kubelet")),
        (Entry(exit_code=(126, 127)), about(exit_code=127)),
        (Entry(exit_code=0), about(exit_code=0)),
        (Entry(contains=("Not found", "map")), about(message="ConfigMap not FOUND")),
        (Entry(contains_any=("x", "y")), about(message="only y")),
        (Entry(at_least=4), about(count=4)),
        (Entry(at_least=4), about(count=9)),
    ],
)
def test_an_entry_matches_when_all_of_its_conditions_hold(entry: Entry, subject: Subject) -> None:
    hides = wording(msgspec.structs.replace(entry, show=False))
    assert not hides.of(subject).shown
    assert hides.of(about("other")).shown
    both = wording(msgspec.structs.replace(entry, contains=(*entry.contains, "absent"), show=False))
    assert both.of(subject).shown


def test_the_first_that_mentions_a_thing_decides_it() -> None:
    ruling = wording(
        Entry(reason="R", level=Level.ERROR),
        Entry(reason="R", level=Level.DEBUG, words="w", hint=Hint(user="")),
        Entry(contains="m", words="x", hint=HINT),
    ).of(about())
    assert (ruling.level, ruling.words) == (Level.ERROR, "w")
    assert (ruling.user_hint, ruling.admin_hint, ruling.figures) == ("", "Look.", Figures.QUOTA)


def test_an_earlier_sheet_lies_over_a_later_one() -> None:
    over = Sheet(hints=Audience.ADMIN, entries=(Entry(reason="R", level=Level.ERROR),))
    under = Sheet(Level.INFO, Audience.OFF, (Entry(reason="R", level=Level.WARN, hint=HINT),))
    both = Wording([over, under])
    assert (both.minimum_level, both.audience) == (Level.INFO, Audience.ADMIN)
    assert both.of(about()).level is Level.ERROR
    assert both.of(about()).admin_hint == "Look."


@pytest.mark.parametrize(
    ("audience", "shown"),
    [
        (None, ("Wait.", "Look.")),
        (Audience.BOTH, ("Wait.", "Look.")),
        (Audience.USER, ("Wait.", "")),
        (Audience.ADMIN, ("", "Look.")),
        (Audience.OFF, ("", "")),
    ],
)
def test_hints_go_to_whom_they_are_for(audience: Audience | None, shown: tuple[str, str]) -> None:
    ruling = wording(Entry(reason="R", hint=HINT), hints=audience).of(about())
    assert (ruling.user_hint, ruling.admin_hint) == shown


def test_what_is_no_trouble_has_no_hint_unless_an_entry_makes_it_trouble() -> None:
    entry = Entry(reason="R", hint=HINT)
    assert wording(entry).of(about(level=Level.DEBUG)).user_hint == ""
    assert wording(Entry(reason="R", level=Level.WARN), entry).of(about(level=Level.DEBUG)).user_hint == "Wait."


@pytest.mark.parametrize(("minimum", "shown"), [(None, 5), (Level.TRACE, 5), (Level.INFO, 3), (Level.ERROR, 1)])
def test_nothing_below_the_minimum_level_is_shown(minimum: Level | None, shown: int) -> None:
    assert sum(wording(minimum=minimum).of(about(level=level)).shown for level in Level) == shown


def test_a_level_is_compared_as_the_entry_sets_it() -> None:
    raised = wording(Entry(reason="R", level=Level.ERROR), minimum=Level.WARN)
    assert raised.of(about(level=Level.DEBUG)).shown
    assert not wording(Entry(reason="R", level=Level.INFO), minimum=Level.WARN).of(about()).shown


def test_reasons_that_nobody_named_take_no_room() -> None:
    table = wording(Entry(reason="R", show=False), Entry(contains="secret", show=False))
    for number in range(100):
        assert table.of(about(f"made-up-{number}")).shown
    assert not table.of(about("made-up", "a secret")).shown
    (lists,) = table._of_aspect.values()  # noqa: SLF001
    assert len(lists._lists) == 2  # noqa: SLF001

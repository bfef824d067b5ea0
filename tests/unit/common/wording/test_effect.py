"""An entry that can have no effect is refused in one line with the entry, why, and what helps; nothing else is."""

from pathlib import Path

import msgspec
import pytest

from common.record import Level, LogRecord, Origin
from common.wording.effect import KINDS
from common.wording.read import HINTS, LINES, WordingError, read_sheet
from common.wording.table import ASPECTS, Entry, Sheet, Wording, subject_of
from tests.unit.shipper.records import event, life


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        # What nothing is about.
        ("{kind: Pods, show: false}", "entry 1: kind: no line is about the kind Pods, did you mean Pod?; one of Pod,"),
        ("{kind: Service, show: false}", "entry 1: kind: no line is about the kind Service; one of Pod, ReplicaSet,"),
        ("{kind: [Pod, Nod], show: false}", "the kind Nod, did you mean Node?"),
        ("{aspect: end, show: false}", "entry 1: aspect: no line is about the aspect end, did you mean ended?; one"),
        # Conditions that never both hold.
        ("{reason: A, component: kubelet, exit_code: 1, show: false}",
         "entry 1 (A): can have no effect: component kubelet (only Events have one) and exit_code never hold"),
        ("{aspect: object, exit_code: 1, show: false}", "never hold of the same line; take one of them out"),
        ("{aspect: image, exit_code: 1, show: false}", "aspect image and exit_code never hold"),
        ("{kind: Node, exit_code: 1, show: false}", "kind Node and exit_code never hold"),
        ("{kind: Job, aspect: [ended, object], show: false}", "aspect ended, object and kind Job never hold"),
        ("{aspect: ended, reason: FailedMount, words: x}",
         "aspect ended and reason FailedMount (only Events have it) never hold of the same line"),
        ("{aspect: started, contains: panic, show: false}", "aspect started and contains never hold"),
        ("{aspect: object, contains_any: [a], show: false}", "aspect object and contains_any never hold"),
        ("{aspect: ended, at_least: 4, show: false}", "aspect ended and at_least never hold"),
        # What the line has no place for.
        ("{reason: FailedMount, words: x, emoji: 🔥}",
         "entry 1 (FailedMount): emoji: can have no effect: reason FailedMount (only Events have it) is of an Event, "),
        ("{aspect: event, emoji: 🔥}", "of an Event, whose line has no pictograph; take emoji out"),
        ("{component: kubelet, emoji: 🔥}", "emoji: can have no effect: component kubelet"),
        ("{aspect: event, reason: OOMKilled, emoji: 🔥}", "emoji: can have no effect: aspect event is of an Event"),
        ("{kind: Node, emoji: 🔥}", "emoji: can have no effect: kind Node is of an Event"),
        ("{aspect: image, hint: {user: x, figures: memory}}",
         "hint: figures: can have no effect: aspect image is of nothing that has a memory limit; take figures out"),
        ("{reason: A, level: info, hint: {user: x}}",
         "entry 1 (A): hint: can have no effect at level info: hints follow warn and error only; write level: warn"),
        # What earlier entries decide.
        ("{reason: A, level: warn}, {reason: [B], level: info}, {reason: a, level: info}",
         "entry 3 (a): can have no effect: entry 1 holds wherever this one does, and of each thing the first"),
        ("{exit_code: 1, level: warn}, {exit_code: 1, level: info}", "put this one before, or take it out"),
        ("{reason: [A, B], show: false}, {reason: A, contains: x, show: true}", "entry 2 (A): can have no"),
        ("{contains: cpu, level: warn}, {reason: A, contains: Insufficient CPU, level: info}", "entry 2 (A): can have"),
        ("{contains_any: [a, b], level: warn}, {reason: A, contains_any: [ax, b], level: info}", "entry 2 (A): can"),
        ("{contains_any: [a, b], level: warn}, {contains: xa, level: info}", "entry 2: can have no effect"),
        ("{reason: A, at_least: 2, level: warn}, {reason: A, at_least: 4, level: info}", "entry 2 (A): can have no"),
        ("{exit_code: [1, 2], words: x}, {exit_code: 2, kind: pod, words: y}", "entry 2: can have no effect"),
        ("{reason: A, level: warn}, {aspect: ended, words: x}, {reason: A, aspect: ended, words: y, level: info}",
         "entry 3 (A): can have no effect: entries 1 and 2 hold wherever this one does"),
        ("{reason: A, hint: {user: x, admin: y}}, {reason: A, hint: {admin: z}}", "entry 2 (A): can have no effect"),
        # Words that say nothing.
        ("{reason: A, words: ''}", "entry 1 (A): words: is an empty text; example: words: no room"),
        ("{reason: A, words: ' '}", "entry 1 (A): words: is an empty text"),
        ('{reason: A, words: "\\u202ex"}', "entry 1 (A): words: has a line break or a control character"),
        ('{reason: A, emoji: "🔥\\u202e"}', "entry 1 (A): emoji: has a line break or a control character"),
    ],
)  # fmt: skip
def test_what_can_have_no_effect_is_refused_in_one_line(tmp_path: Path, entries: str, said: str) -> None:
    file = tmp_path / "wording.yaml"
    file.write_text(f"entries: [{entries}]")
    with pytest.raises(WordingError) as refused:
        read_sheet(file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "entries",
    [
        "{reason: OOMKilled, words: x, emoji: 🔥, level: warn}",
        "{reason: [FailedMount, Evicted], emoji: 🔥}",  # some have one
        "{reason: OfSomeController, emoji: 🔥}",  # who knows what it is of
        "{reason: Created, kind: Pod, emoji: 🔥}",  # our line about the pod
        "{kind: [replicaset, Node], emoji: 🔥}",
        "{reason: A, contains: x, level: error}, {reason: A, level: info, hint: {user: y}}",  # of the first it tells
        "{reason: A, contains: x, level: warn}, {reason: A, level: info}",
        "{reason: A, contains: [x, y], level: warn}, {reason: A, contains: x, level: info}",
        "{reason: A, contains_any: [x], level: warn}, {reason: A, contains_any: [x, y], level: info}",
        "{reason: A, level: warn}, {level: info, contains: x}",
        "{reason: A, at_least: 4, level: warn}, {reason: A, at_least: 2, level: info}",
        "{reason: A, level: warn}, {reason: A, words: x}",
        "{reason: A, kind: Pod, level: warn}, {reason: A, level: info}",
        "{reason: A, exit_code: 1, level: warn}, {reason: A, exit_code: [1, 2], level: info}",
        "{reason: A, hint: {user: x}}, {reason: A, hint: {user: y, admin: z}}",
    ],
)
def test_what_may_have_an_effect_is_taken(tmp_path: Path, entries: str) -> None:
    file = tmp_path / "wording.yaml"
    file.write_text(f"entries: [{entries}]")
    read_sheet(file)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("aspect", ["event", "object"])
def test_a_condition_that_is_taken_holds_for_some_record(kind: str, aspect: str) -> None:
    record: LogRecord = event("m", reason="R") if aspect == "event" else life(kind, "Created")
    record = msgspec.structs.replace(record, object=msgspec.structs.replace(record.object, kind=kind))
    table = Wording([Sheet(entries=(Entry(kind=kind, aspect=aspect, level=Level.ERROR),))])
    assert table.of(subject_of(record)).level is Level.ERROR


def test_an_aspect_is_known_for_every_origin_but_a_status() -> None:
    assert {subject_of(record).aspect for record in (event("m"), life("Pod", "Created"))} < set(ASPECTS)
    assert set(Origin) - set(ASPECTS) == {Origin.STATUS}


def test_what_ships_has_effect_throughout() -> None:
    """Read as an operator's file is."""
    assert read_sheet(LINES).entries
    assert read_sheet(HINTS).entries

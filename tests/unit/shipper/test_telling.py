"""The table decides what is told, and a record is either told as `text` words it or hidden with a reason."""

import msgspec
import pytest

from common.ids import Uid
from common.record import Aspect, Details, Level, LogRecord, ObjectRef, Origin
from common.wording.read import LINES, read_sheet, shipped_wording
from common.wording.table import Entry, Hint, Sheet, Wording
from shipper.split import LINE_MAX_CHARS
from shipper.telling import Hidden, Told, tell
from shipper.text import Line
from tests.unit.shipper.records import NOON_MS, event, life, worded


def told(record: LogRecord, *entries: Entry, minimum: Level | None = None) -> list[Line]:
    """The lines of `record` by `entries` over those that ship."""
    answer = tell(record, NOON_MS, Wording([Sheet(minimum, None, entries), read_sheet(LINES)]), ())
    assert isinstance(answer, Told)
    return list(answer.lines)


@pytest.mark.parametrize("record", [event("x", reason="Pulled"), life("Pod", "created")])
def test_without_an_entry_nothing_changes(record: LogRecord) -> None:
    assert told(record) == worded(record)


def test_an_entry_sets_words_and_level_of_an_event() -> None:
    entry = Entry(contains="nodes", words="no room", level=Level.WARN)
    (line,) = told(event("0/3 nodes", reason="FailedScheduling"), entry)
    assert line == Line("no room: 0/3 nodes", Level.WARN)


def test_an_entry_sets_words_level_and_pictograph_of_what_we_say_ourselves() -> None:
    entry = Entry(reason="created", words="New pod", emoji="🚀", level=Level.INFO)
    assert told(life("Pod", "created"), entry) == [Line("🚀 New pod: web-1", Level.INFO)]
    assert told(life("Pod", "created"), msgspec.structs.replace(entry, words=None))[0].text == "🚀 Created pod: web-1"


@pytest.mark.parametrize("words", ["нет места", "场地不足", "🔥"])
def test_words_of_any_script_are_shown_in_the_line_of_an_event(words: str) -> None:
    """Whether the message says them already is decided by letters, whatever their script."""
    entry = Entry(reason="Scheduled", words=words)
    assert told(event("0/3 nodes", reason="Scheduled"), entry)[0].text == f"0/3 nodes ({words})"
    assert told(event(f"x {words}", reason="Scheduled"), entry)[0].text == f"x {words}"


def test_no_pictograph_can_be_had_for_an_event() -> None:
    assert told(event("x", reason="R"), Entry(reason="R", emoji="🚀"))[0].text == "x (R)"


def test_another_pictograph_makes_no_line_too_long() -> None:
    name = "n" * (LINE_MAX_CHARS - len("🐳 Created pod: "))
    lines = told(life("Pod", "created", name), Entry(reason="created", emoji="🏳️‍🌈"))
    assert len(lines) == 2
    assert all(len(line.text) <= LINE_MAX_CHARS for line in lines)
    assert "".join(line.text for line in lines) == f"🏳️‍🌈 Created pod: {name}"


def test_a_hidden_record_says_what_hides_it() -> None:
    table = Wording([Sheet(Level.INFO, None, (Entry(reason="Pulled", show=False),))])
    assert tell(event("x", reason="Pulled", level=Level.ERROR), NOON_MS, table, ()) is Hidden.ENTRY
    assert tell(event("x"), NOON_MS, table, ()) is Hidden.LEVEL
    assert isinstance(tell(event("x", level=Level.INFO), NOON_MS, table, ()), Told)


@pytest.mark.parametrize(
    ("record", "hidden"),
    [
        (event('Container image "a:1" already present on machine', reason="Pulled", component="kubelet"), True),
        (event('Container image "a:1" already present on machine', reason="Pulled", component="somebody"), False),
        (event('Successfully pulled image "a:1" in 2s', reason="Pulled", component="kubelet"), False),
        (event("Created pod: web-1", reason="SuccessfulCreate"), False),  # of a pod, as nobody writes it
    ],
)
def test_the_table_that_ships_hides_what_another_line_says(record: LogRecord, hidden: bool) -> None:
    assert (tell(record, NOON_MS, shipped_wording(), ()) is Hidden.ENTRY) == hidden


@pytest.mark.parametrize("reason", ["SuccessfulCreate", "SuccessfulDelete"])
def test_a_replica_sets_word_about_its_pod_is_ours_already(reason: str) -> None:
    said = event(f"{'Created' if reason.endswith('Create') else 'Deleted'} pod: web-1-abcde", reason=reason)
    owner = msgspec.structs.replace(said, object=ObjectRef("ReplicaSet", "dev", "web-1", Uid("uid")))
    assert tell(owner, NOON_MS, shipped_wording(), ()) is Hidden.ENTRY


QUOTA = 'pods "web-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'


def test_a_hint_follows_once_and_for_each_reader_apart() -> None:
    failed = event(QUOTA, reason="FailedCreate", level=Level.WARN)
    first = tell(failed, NOON_MS, shipped_wording(), ())
    assert isinstance(first, Told)
    assert [(line.text[:2], line.level) for line in first.lines] == [
        ("Fa", Level.WARN), ("💡 ", Level.INFO), ("🔧 ", Level.INFO),
    ]  # fmt: skip
    assert first.lines[1].text.endswith("(quota q: 1 of 1 pods used, 1 asked for)")
    again = tell(failed, NOON_MS, shipped_wording(), {first.hint})
    assert isinstance(again, Told)
    assert (again.lines, again.hint) == (first.lines[:1], "")


def test_a_hint_is_one_of_our_lines_and_never_too_long() -> None:
    long = Entry(reason="R", hint=Hint(user="x " * 499, admin="y"))
    lines = told(event("m", reason="R", level=Level.WARN), long)
    assert all(len(line.text) <= LINE_MAX_CHARS for line in lines)
    assert lines[1].text.startswith("💡 x x")


@pytest.mark.parametrize("exit_code", [1, 137])
def test_a_programs_output_calls_for_no_hint_whatever_it_says(exit_code: int) -> None:
    """Hints are our words, and follow the ending itself."""
    says = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    details = Details(Aspect.LAST_WORDS, exit_code=exit_code)
    record = msgspec.structs.replace(
        event(says, reason="LastWords", level=Level.ERROR), v=2, origin=Origin.STATUS, details=details
    )
    anything = Sheet(entries=(Entry(contains="quota", hint=Hint(user="x")), Entry(exit_code=137, hint=Hint(user="y"))))
    answer = tell(record, NOON_MS, Wording([anything, read_sheet(LINES)]), ())
    assert isinstance(answer, Told)
    assert (answer.hint, [line.text[:1] for line in answer.lines]) == ("", ["📜", "›"])


@pytest.mark.parametrize(
    ("says", "hinted"),
    [
        ("exec /app: exec format error", True),  # all that runc 1.1.5 writes (measured)
        ("exec /app: exec format error\nexec /app: exec format error", False),
        ("starting\nexec /app: exec format error", False),
        ("./run: line 13: /usr/sbin/nginx: cannot execute binary file: Exec format error", False),
        ("exec /app: no such file or directory", False),
    ],
)
def test_only_a_runtime_that_could_not_start_a_program_is_taken_at_its_last_words(says: str, hinted: bool) -> None:
    said = event(says, reason="LastWords", level=Level.ERROR)
    record = msgspec.structs.replace(said, v=2, origin=Origin.STATUS, details=Details(Aspect.LAST_WORDS))
    anything = Sheet(entries=(Entry(contains_any=("exec", "such"), hint=Hint(user="x")),))
    answer = tell(record, NOON_MS, Wording([anything]), ())
    assert isinstance(answer, Told)
    assert bool(answer.hint) is hinted


def test_last_words_can_be_hidden_by_their_reason() -> None:
    record = msgspec.structs.replace(
        event("x", reason="LastWords"), v=2, origin=Origin.STATUS, details=Details(Aspect.LAST_WORDS)
    )
    hiding = Wording([Sheet(entries=(Entry(reason="LastWords", show=False),))])
    assert tell(record, NOON_MS, hiding, ()) is Hidden.ENTRY

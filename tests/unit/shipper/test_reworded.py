"""With words of an operator a line about a status keeps its names, figures and causes; the how-to shows the same."""

import pytest

from common.record import Aspect, Level, LogRecord
from common.wording.read import LINES, read_sheet
from common.wording.table import Entry, Sheet, Wording
from shipper.telling import Told, tell
from shipper.text import Line
from tests.unit.docs.pages import ROOT
from tests.unit.shipper.records import NOON_MS
from tests.unit.shipper.test_text_status import EVICTED, EXEC, NO_NODE, NOT_FOUND, status
from tests.unit.shipper.test_text_timeline import WHOLE

PAGE = (ROOT / "docs/how-to/tune-wording.md").read_text()
MIB = 1024**2


def told(record: LogRecord, *entries: Entry) -> list[Line]:
    answer = tell(record, NOON_MS, Wording([Sheet(entries=entries), read_sheet(LINES)]), ())
    assert isinstance(answer, Told)
    return list(answer.lines)


@pytest.mark.parametrize(
    "record",
    [
        status(Aspect.ENDED, "OOMKilled", exit_code=137, limit_bytes=512 * MIB, ran_s=12),
        status(Aspect.ENDED, "Error", exit_code=1, restarts=3, ran_s=1),
        status(Aspect.ENDED, "StartError", EXEC, exit_code=128),
        status(Aspect.ENDED, "ContainerStatusUnknown", exit_code=137),
        status(Aspect.ENDED, "Error", exit_code=143, expected=True, ran_s=7_200),
        status(Aspect.BACK_OFF, "CrashLoopBackOff", "back-off 20s", pause_s=20),
        status(Aspect.IMAGE, "ErrImagePull", NOT_FOUND, image="app:1"),
        status(Aspect.WAITING, "CreateContainerConfigError", 'configmap "absent" not found'),
        status(Aspect.POD_ENDED, "Evicted", EVICTED),
        status(Aspect.DISRUPTED, "EvictionByEvictionAPI", "Eviction API: evicting"),
        status(Aspect.UNSCHEDULED, "Unschedulable", NO_NODE),
        status(Aspect.UNREADY, "NodeNotReady"),
        status(Aspect.SANDBOX),
        status(Aspect.STARTED, "PodStarted", timeline=WHOLE),
        status(Aspect.NOT_STARTED, "PodFailed", timeline=WHOLE),
        status(Aspect.LAST_WORDS, "LastWords", "one\ntwo", exit_code=1, restarts=3),
    ],
    ids=lambda record: f"{record.details.aspect}-{record.reason}",
)
def test_words_replace_the_phrase_and_nothing_else(record: LogRecord) -> None:
    assert record.details is not None
    by_aspect = Entry(aspect="ended_with_pod" if record.details.expected else record.details.aspect, words="WORDS")
    (first, *_) = told(record, by_aspect)
    assert f"`{first.text}`" in PAGE
    if record.reason:
        assert told(record, Entry(reason=record.reason, words="WORDS"))[0] == first


@pytest.mark.parametrize("aspect", [*Aspect, "brand_new"])
def test_words_pictograph_and_level_go_by_reason_whatever_is_told(aspect: str) -> None:
    record = status(aspect, "Odd", "so it is", exit_code=1, pause_s=20, timeline=WHOLE)
    first, *_ = told(record, Entry(reason="odd", words="WORDS", emoji="🧠", level=Level.INFO))
    assert first.text.startswith("🧠 ")
    assert "WORDS" in first.text
    assert first.level is Level.INFO


def test_a_reason_that_the_words_say_is_not_said_again() -> None:
    loop = status(Aspect.BACK_OFF, "CrashLoopBackOff", "back-off 20s", pause_s=20)
    assert told(loop, Entry(reason="CrashLoopBackOff", words="is in CrashLoopBackOff"))[0].text == (
        "⏳ Container web is in CrashLoopBackOff (pause 20 s)"
    )
    killed = status(Aspect.ENDED, "OOMKilled", exit_code=137)
    assert told(killed, Entry(reason="OOMKilled", words="was OOMKilled"))[0].text == (
        "💥 Container web was OOMKilled (exit code 137 SIGKILL)"
    )


def test_what_a_program_left_stays_quoted_below_the_words() -> None:
    lines = told(status(Aspect.ENDED, "Error", "🐳 panic", exit_code=1), Entry(reason="Error", words="crashed"))
    assert [line.text for line in lines] == ["💥 Container web crashed (exit code 1)", "› 🐳 panic"]


def test_an_ending_with_its_pod_has_words_of_its_own() -> None:
    crashed = Entry(reason="Error", aspect="ended", words="crashed")
    stopped = status(Aspect.ENDED, "Error", exit_code=143, expected=True)
    assert told(stopped, crashed) == [Line("🏁 Container web ended with the pod (exit code 143 SIGTERM)", Level.DEBUG)]


@pytest.mark.parametrize("aspect", [*Aspect, "brand_new"])
def test_a_table_without_words_and_pictographs_still_gives_a_line(aspect: str) -> None:
    record = status(aspect, "Odd", "so it is", exit_code=1, image="app:1")
    answer = tell(record, NOON_MS, Wording([]), ())
    assert isinstance(answer, Told)
    assert answer.lines[0].text.startswith("🐳 ")
    assert "  " not in answer.lines[0].text

"""Findings and their order of badness."""

from collections.abc import Callable

import msgspec
import pytest

from common.checkup import Area, Mark, bad, decode_findings, doubt, encode_findings, fine, worst
from common.whereabouts import decode_whereabouts

GOOD = fine(Area.REDIS, "memory", "plenty")
ODD = doubt(Area.REDIS, "persistence", "off", "turn it on")
WRONG = bad(Area.CODER, "address", "nobody is there", "go and look")


def test_the_worst_mark_counts() -> None:
    assert worst([]) is worst([GOOD]) is Mark.FINE
    assert worst([GOOD, ODD]) is Mark.DOUBT
    assert worst([WRONG, ODD, GOOD]) is Mark.BAD


def test_findings_come_over_a_pipe_as_they_were() -> None:
    assert decode_findings(encode_findings([GOOD, ODD, WRONG])) == [GOOD, ODD, WRONG]


def test_what_is_no_finding_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_findings(b'[{"area": "Redis"}]')


@pytest.mark.parametrize("raw", [b"[" * 5_000, b'["\xff"]', b""])
@pytest.mark.parametrize("decode", [decode_findings, decode_whereabouts])
def test_what_another_process_prints_is_refused_in_one_way(decode: Callable[[bytes], object], raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(raw)

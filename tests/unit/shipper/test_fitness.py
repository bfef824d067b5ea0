"""What Coder's answers to `doctor` are worth."""

from email.utils import formatdate

import pytest

from common.checkup import Mark
from shipper.fitness import (
    api_finding,
    certificate_finding,
    clock_finding,
    coder_finding,
    plain_finding,
    quota_finding,
)
from shipper.outcome import Answer, Call, NoAnswer, Reply, Sent

URL = "https://coder.example.com"
NOW_S = 1_800_000_000.0
UNKNOWN = Answer(401, {}, b'{"message":"Workspace agent not authorized."}')


def limited(limit: int, remaining: int) -> Answer:
    headers = {
        "date": formatdate(NOW_S, usegmt=True),
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(NOW_S + 30),
    }
    return Answer(401, headers, UNKNOWN.body)


@pytest.mark.parametrize(
    ("reply", "mark", "said"),
    [
        (UNKNOWN, Mark.FINE, "there: it refuses"),
        (Answer(200, {}, b"null"), Mark.FINE, "there: it takes any token"),
        (Answer(401, {}, b"<html>"), Mark.BAD, "answers 401, which Coder does not say"),
        (Answer(404, {}, b"404 page not found"), Mark.BAD, "answers 404, which Coder does not say"),
        (Answer(429, {}, b""), Mark.DOUBT, "rate-limited"),
        (Answer(502, {}, b""), Mark.BAD, "answers 502"),
        (NoAnswer(Sent.NO, "connection refused"), Mark.BAD, "does not answer: connection refused"),
    ],
)
def test_the_log_api_is_there_if_coder_itself_refuses_a_token_that_is_nobodys(
    reply: Reply, mark: Mark, said: str
) -> None:
    for call in Call:
        finding = api_finding(call, reply)
        assert finding.mark is mark
        assert finding.said.startswith(said)
        assert bool(finding.remedy) is (mark is not Mark.FINE)


def test_coders_version_or_what_is_wrong_is_said_with_the_remedy_apart() -> None:
    assert coder_finding(Answer(200, {}, b'{"version":"v2.20.1"}'), URL).said == f"{URL} answers, version v2.20.1"
    old = coder_finding(Answer(200, {}, b'{"version":"v2.9.0"}'), URL)
    assert (old.mark, old.said) == (Mark.BAD, f"Coder at {URL} is v2.9.0")
    assert "upgrade" in old.remedy
    untrusted = coder_finding(NoAnswer(Sent.NO, "TLS: certificate verify failed"), URL)
    assert "SSL_CERT_FILE" in untrusted.remedy
    assert "container" in coder_finding(NoAnswer(Sent.NO, "refused"), "http://127.0.0.1:3000").remedy


def test_a_clock_that_is_off_is_said_with_its_direction() -> None:
    headers = {"date": formatdate(NOW_S, usegmt=True)}
    assert clock_finding({}, NOW_S) is None
    for ours_s, mark, word in ((NOW_S + 4, Mark.FINE, "agrees"), (NOW_S + 61, Mark.DOUBT, "61 s ahead"),
                               (NOW_S - 61, Mark.DOUBT, "61 s behind")):  # fmt: skip
        finding = clock_finding(headers, ours_s)
        assert finding is not None
        assert finding.mark is mark
        assert word in finding.said


def test_the_lowest_rate_limit_that_was_seen_counts() -> None:
    assert quota_finding([UNKNOWN]).said.startswith("none seen")
    assert quota_finding([limited(512, 500), limited(512, 400)]).said.endswith("400 left")
    assert quota_finding([limited(512, 500), limited(512, 60)]).mark is Mark.DOUBT


def test_a_certificate_that_ends_soon_and_a_way_without_one_are_doubts() -> None:
    assert certificate_finding(NOW_S + 90 * 86_400, NOW_S).mark is Mark.FINE
    assert certificate_finding(NOW_S + 13 * 86_400, NOW_S).mark is Mark.DOUBT
    assert plain_finding(URL) is None
    local = ("http://127.0.0.1:3000", "http://127.0.0.2:3000", "http://coder.localhost")
    for url, mark in (("http://coder.example.com", Mark.DOUBT), *((each, Mark.FINE) for each in local)):
        finding = plain_finding(url)
        assert finding is not None
        assert finding.mark is mark

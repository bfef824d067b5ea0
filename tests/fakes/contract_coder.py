"""The Coder conformance suite: FACTS 1, sentence by sentence, through HTTP.

`CoderContract` runs against any Coder of which a URL and an agent's token are known (fixture `coder`); it leaves a few
dozen lines in that agent's log. What needs the server in hand, as filling a quota or reading back what was stored,
is in `CoderDoubleContract`, which asks for the fixture `double` too.
"""

from __future__ import annotations

import asyncio
import gzip
import uuid
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from console.doubles import coder_control as control
from console.doubles.coder import CoderDouble
from console.doubles.coder_state import NulRule, StoredLog
from console.doubles.faults import Answer, Drop, Fault, Hang, Injection
from tests.fakes.coders import AT, BUILDINFO, LOG_SOURCE, LOGS, SOURCE_ID, CoderUnderTest, line

QUOTA_BYTES: Final = 1_048_576

GOOD_TIMES: Final = [AT, "2026-11-23T09:00:00.123456789+02:00", "2024-02-29T23:59:59-12:00"]
BAD_TIMES: Final = [
    "2026-11-23T09:00:00",  # no zone
    "2026-11-23 09:00:00Z",
    "2026-11-23T09:00:00+0000",
    "2026-11-23t09:00:00z",
    "2026-11-23T9:00:00Z",
    "2026-02-29T09:00:00Z",  # no such day
    "2026-11-23T09:00:60Z",
    "2026-13-01T09:00:00Z",
    "2026-11-23T24:00:00Z",
    "",
]


class CoderContract:
    """What any Coder does. Subclasses give the fixture `coder`."""

    async def test_the_version_is_told_without_a_token(self, coder: CoderUnderTest) -> None:
        answer = await coder.call("GET", BUILDINFO, token="")
        assert answer.status == 200
        assert answer.json()["version"].startswith("v")
        assert "external_url" in answer.json()

    async def test_a_log_source_is_answered_with_201_and_its_agent(self, coder: CoderUnderTest) -> None:
        answer = await coder.register()
        assert answer.status == 201
        told = answer.json()
        assert set(told) == {"workspace_agent_id", "id", "created_at", "display_name", "icon"}
        assert told["id"] == SOURCE_ID
        assert str(uuid.UUID(told["workspace_agent_id"])) == told["workspace_agent_id"]

    async def test_a_log_source_may_be_registered_again(self, coder: CoderUnderTest) -> None:
        first, again = await coder.register(), await coder.register()
        assert (first.status, again.status) == (201, 201)
        assert first.json()["workspace_agent_id"] == again.json()["workspace_agent_id"]

    async def test_a_batch_is_answered_with_200_and_null(self, coder: CoderUnderTest) -> None:
        answer = await coder.send(line("one"), line("two", "debug"))
        assert answer.status == 200
        assert answer.body.strip() == b"null"

    async def test_an_empty_batch_is_refused(self, coder: CoderUnderTest) -> None:
        empties: tuple[object, ...] = ([], None)
        for logs in empties:
            answer = await coder.call("PATCH", LOGS, {"log_source_id": SOURCE_ID, "logs": logs})
            assert (answer.status, answer.message) == (400, "No logs provided.")

    @pytest.mark.parametrize("level", ["trace", "debug", "info", "warn", "error", "", None])
    async def test_the_five_levels_and_none_are_taken(self, coder: CoderUnderTest, level: str | None) -> None:
        assert (await coder.send({"created_at": AT, "level": level, "output": "level"})).status == 200

    @pytest.mark.parametrize("level", ["warning", "INFO", "fatal"])
    async def test_an_unknown_level_is_refused(self, coder: CoderUnderTest, level: str) -> None:
        answer = await coder.send(line("x", level))
        assert (answer.status, answer.message) == (400, "Invalid log level provided.")

    @pytest.mark.parametrize("at", GOOD_TIMES)
    async def test_rfc_3339_with_a_zone_is_a_time(self, coder: CoderUnderTest, at: str) -> None:
        assert (await coder.send(line("time", at=at))).status == 200

    @pytest.mark.parametrize("at", BAD_TIMES)
    async def test_what_is_not_rfc_3339_is_refused(self, coder: CoderUnderTest, at: str) -> None:
        assert (await coder.send(line("x", at=at))).status == 400

    @pytest.mark.parametrize("source", ["cabdacf8", "", "not-a-uuid", 7])
    async def test_a_malformed_source_is_refused(self, coder: CoderUnderTest, source: object) -> None:
        assert (await coder.send(line("x"), source=source)).status == 400

    @pytest.mark.parametrize("source", [str(uuid.uuid4()), "00000000-0000-0000-0000-000000000000", None])
    async def test_an_unknown_or_absent_source_is_taken(self, coder: CoderUnderTest, source: str | None) -> None:
        assert (await coder.send(line("source"), source=source)).status == 200

    @pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"logs": "text"}', b'{"logs": [{"output": 1}]}'])
    async def test_a_body_that_is_not_of_the_form_is_refused(self, coder: CoderUnderTest, body: bytes) -> None:
        assert (await coder.call("PATCH", LOGS, body)).status == 400

    async def test_a_compressed_body_is_not_unpacked(self, coder: CoderUnderTest) -> None:
        body = msgspec.json.encode({"log_source_id": SOURCE_ID, "logs": [line("packed")]})
        assert (await coder.call("PATCH", LOGS, gzip.compress(body), encoding="gzip")).status == 400

    async def test_the_endpoint_before_logs_is_gone(self, coder: CoderUnderTest) -> None:
        before = {"logs": [line("old")]}
        assert (await coder.call("PATCH", "/api/v2/workspaceagents/me/startup-logs", before)).status == 404

    @pytest.mark.parametrize("output", [b"a\xff\xe2\x82b", b"a\\ud800b", "€ 😀 \n \x1b[1m".encode("unicode-escape")])
    async def test_odd_text_is_taken(self, coder: CoderUnderTest, output: bytes) -> None:
        output = output.replace(b"\\x1b", b"\\u001b").replace(b"\\U0001f600", b"\\ud83d\\ude00")
        body = b'{"log_source_id": "%b", "logs": [{"output": "%b"}]}' % (SOURCE_ID.encode(), output)
        assert (await coder.call("PATCH", LOGS, body)).status == 200

    async def test_a_token_that_is_no_uuid_is_told_apart(self, coder: CoderUnderTest) -> None:
        for answer in (await coder.send(line("x"), token="no-uuid"), await coder.register(token="no-uuid")):
            assert (answer.status, answer.message) == (401, "Workspace agent token invalid.")

    async def test_an_unknown_token_is_not_authorised(self, coder: CoderUnderTest) -> None:
        token = str(uuid.uuid4())
        for answer in (await coder.send(line("x"), token=token), await coder.register(token=token)):
            assert (answer.status, answer.message) == (401, "Workspace agent not authorized.")

    async def test_no_token_is_not_authorised(self, coder: CoderUnderTest) -> None:
        assert (await coder.send(line("x"), token="")).status == 401

    async def test_rate_limit_headers_come_together_and_fall(self, coder: CoderUnderTest) -> None:
        first, second = await coder.register(), await coder.register()
        if "x-ratelimit-limit" not in first.headers:
            pytest.skip("this Coder has its rate limit off")
        before, after = (_rate(answer.headers) for answer in (first, second))
        if before["reset"] == after["reset"]:  # else a window has turned between the two
            assert after["remaining"] < before["remaining"] < before["limit"]
        assert before["reset"] % 60 == 0


class CoderDoubleContract:
    """What can be seen only with the server in hand. Subclasses give the fixtures `coder` and `double`."""

    async def test_lines_keep_their_order_and_ids_grow(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("1"), line("2"))
        await coder.send(line("3"))
        stored = _stored(double)
        assert [log.output for log in stored] == ["1", "2", "3"]
        assert stored[0].id < stored[1].id < stored[2].id

    async def test_the_server_stamps_its_own_time(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("x", at="2001-01-01T00:00:00Z"))
        [log] = _stored(double)
        assert not log.created_at.startswith("2001")
        assert log.received_unix_ns > 0

    async def test_a_missing_level_is_info(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send({"output": "x"})
        assert [log.level for log in _stored(double)] == ["info"]

    async def test_what_was_registered_first_stays(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.register("Kubernetes")
        assert (await coder.register("Other")).status == 201
        [source] = double.agents()[0].sources
        assert source.display_name == "Kubernetes"

    async def test_an_absent_source_is_external(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("x"), source=None)
        [source] = double.agents()[0].sources
        assert source.display_name == "External"

    @pytest.mark.parametrize("text", ["x" * 1_025, "😀" * 2_000, "a\nb" * 500])
    async def test_a_line_is_cut_at_1024_characters_and_charged_whole(
        self, coder: CoderUnderTest, double: CoderDouble, text: str
    ) -> None:
        assert (await coder.send(line(text))).status == 200
        [log] = _stored(double)
        assert log.output == text[:1_024]
        assert double.agents()[0].logs_bytes == len(text.encode())

    @pytest.mark.parametrize("text", ["", "a\r\nb\n", "\x1b[31mred\x1b[0m", "😀" * 1_024, " \t"])
    async def test_other_text_is_kept_as_it_is(self, coder: CoderUnderTest, double: CoderDouble, text: str) -> None:
        await coder.send(line(text))
        assert [log.output for log in _stored(double)] == [text]

    async def test_what_is_no_text_becomes_replacement_characters(
        self, coder: CoderUnderTest, double: CoderDouble
    ) -> None:
        for raw in (b"a\xffb", b"\xe2\x82.", b"\\ud800x", b"\\udc00\\ud800", b"\\ud83d\\ude00"):
            await coder.call("PATCH", LOGS, b'{"logs": [{"output": "%b"}]}' % raw)
        told = [log.output for log in _stored(double)]
        assert told == ["a\ufffdb", "\ufffd\ufffd.", "\ufffdx", "\ufffd\ufffd", "😀"]

    async def test_exactly_the_quota_is_accepted(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        assert (await coder.send(line("x" * QUOTA_BYTES))).status == 200
        assert (await coder.send(line(""))).status == 200
        assert (await coder.send(line("y"))).status == 413
        assert double.agents()[0].logs_bytes == QUOTA_BYTES

    async def test_a_batch_over_the_quota_is_rolled_back_whole(
        self, coder: CoderUnderTest, double: CoderDouble
    ) -> None:
        await coder.send(line("x" * (QUOTA_BYTES - 10)))
        refused = await coder.send(line("12345"), line("123456"))
        assert (refused.status, refused.json()) == (413, {"message": "Logs limit exceeded"})
        again = await coder.send(line("x" * 11))
        assert (again.status, again.message) == (413, "Logs limit exceeded")
        assert again.json()["detail"]
        [agent] = double.agents()
        assert (len(agent.logs), agent.logs_bytes, agent.overflowed) == (1, QUOTA_BYTES - 10, True)

    async def test_all_sources_of_an_agent_share_its_quota(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        assert (await coder.send(line("x" * (QUOTA_BYTES - 10)), source=str(uuid.uuid4()))).status == 200
        assert (await coder.send(line("x" * 11))).status == 413
        assert (await coder.send(line("x" * 10))).status == 200

    async def test_a_later_batch_that_fits_is_accepted(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("x" * (QUOTA_BYTES - 10)))
        assert (await coder.send(line("x" * 11))).status == 413
        assert (await coder.send(line("x" * 10))).status == 200
        assert len(_stored(double)) == 2

    async def test_a_body_over_4_mib_gets_another_413(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        answer = await coder.send(line("x" * 4 * 1024 * 1024))
        assert answer.status == 413
        assert answer.message != "Logs limit exceeded"
        assert not double.agents()[0].overflowed

    async def test_nul_fails_the_whole_batch_on_old_servers(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        double.apply(control.SetNulRule(NulRule.FAIL))
        answer = await coder.send(line("good"), line("a\0b"))
        assert (answer.status, answer.message) == (500, "Failed to upload logs")
        assert _stored(double) == []

    async def test_nul_is_marked_on_new_servers(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        double.apply(control.SetNulRule(NulRule.MARK))
        assert (await coder.send(line("a\0b"))).status == 200
        assert [log.output for log in _stored(double)] == ["a❌b"]

    async def test_an_agent_is_not_authorised_until_its_build_is_done(
        self, coder: CoderUnderTest, double: CoderDouble
    ) -> None:
        token = str(uuid.uuid4())
        double.apply(control.AddAgent(token, ready=False))
        early = await coder.send(line("x"), token=token)
        assert (early.status, early.message) == (401, "Workspace agent not authorized.")
        double.apply(control.MakeReady(token))
        assert (await coder.send(line("x"), token=token)).status == 200

    async def test_a_deleted_workspace_is_not_authorised(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("last words"))
        double.apply(control.RemoveAgent(coder.token))
        gone = await coder.register()
        assert (gone.status, gone.message) == (401, "Workspace agent not authorized.")
        assert [log.output for log in _stored(double)] == ["last words"]

    async def test_a_claimed_prebuild_keeps_its_token_and_gets_a_new_agent(
        self, coder: CoderUnderTest, double: CoderDouble
    ) -> None:
        before = (await coder.register()).json()["workspace_agent_id"]
        await coder.send(line("x" * QUOTA_BYTES))
        double.apply(control.ClaimPrebuild(coder.token))
        assert (await coder.send(line("x"))).status == 200
        assert (await coder.register()).json()["workspace_agent_id"] != before

    async def test_the_limit_counts_paths_apart_and_tokens_together(
        self, coder: CoderUnderTest, double: CoderDouble
    ) -> None:
        double.apply(control.SetRateLimit(3))
        first = await coder.send(line("x"))
        assert _rate(first.headers)["remaining"] == 2
        assert (await coder.send(line("x"), token=str(uuid.uuid4()))).status == 401
        assert _rate((await coder.send()).headers)["remaining"] == 0
        refused = await coder.send(line("x"))
        assert refused.status == 429
        assert refused.headers["retry-after"] == "60"
        assert refused.message == "You've been rate limited for sending more than 3 requests in 1m0s."
        assert _rate(refused.headers) == {"limit": 3, "remaining": 0, "reset": _rate(first.headers)["reset"]}
        assert (await coder.register()).status == 201

    async def test_another_address_has_a_limit_of_its_own(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        double.apply(control.SetRateLimit(1))
        assert [(await coder.register()).status for _ in range(2)] == [201, 429]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))) as session:
            assert (await CoderUnderTest(coder.url, coder.token, session).register()).status == 201

    async def test_a_limit_of_nought_is_none(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        double.apply(control.SetRateLimit(0))
        assert "x-ratelimit-limit" not in (await coder.register()).headers

    async def test_the_next_answers_can_be_chosen(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        proxy_answer = Answer(502, "<html>", {"Content-Type": "text/html"})
        double.apply(control.Inject(Injection(proxy_answer, times=2, where={"endpoint": "logs"})))
        assert (await coder.register()).status == 201
        answers = [await coder.send(line("x")) for _ in range(3)]
        assert [answer.status for answer in answers] == [502, 502, 200]
        assert answers[0].headers["content-type"] == "text/html"

    @pytest.mark.parametrize(("fault", "kept"), [(Drop(), 0), (Drop(handled=True), 1)])
    async def test_a_connection_can_be_cut_before_or_after_the_effect(
        self, coder: CoderUnderTest, double: CoderDouble, fault: Fault, kept: int
    ) -> None:
        double.apply(control.Inject(Injection(fault)))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await coder.send(line("x"))
        assert len(_stored(double)) == kept
        assert (await coder.send(line("y"))).status == 200

    @pytest.mark.parametrize(("fault", "kept"), [(Hang(), 0), (Hang(handled=True), 1)])
    async def test_a_request_can_hang_before_or_after_the_effect(
        self, coder: CoderUnderTest, double: CoderDouble, fault: Fault, kept: int
    ) -> None:
        double.apply(control.Inject(Injection(fault, where={"token": coder.token})))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await coder.send(line("x"))
        assert len(_stored(double)) == kept
        assert (await coder.send(line("y"))).status == 200

    async def test_latency_can_be_one_tokens_own(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        double.apply(control.SetLatency(30, token=coder.token))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await coder.register()
        other = str(uuid.uuid4())
        double.apply(control.AddAgent(other))
        assert (await coder.register(token=other)).status == 201

    async def test_what_happened_is_counted(self, coder: CoderUnderTest, double: CoderDouble) -> None:
        await coder.send(line("same"))
        await coder.send(line("same"), line("other"))
        await coder.call("POST", LOG_SOURCE, b"{")
        totals = double.totals()
        assert totals.requests == {"logs 200": 2, "log_source 400": 1}
        assert (totals.lines, totals.repeated_lines, totals.most_in_flight) == (3, 1, 1)
        double.apply(control.Reset())
        assert (double.totals().requests, double.agents()) == ({}, [])


def _stored(double: CoderDouble) -> list[StoredLog]:
    return [log for agent in double.agents() for log in agent.logs]


def _rate(headers: dict[str, Any]) -> dict[str, int]:
    return {name: int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset")}

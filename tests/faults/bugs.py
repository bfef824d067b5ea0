"""Deliberate bugs: each a file, its exact text, and what to put in its place; and the tests that ought to notice."""

from __future__ import annotations

from typing import Final

from tests.faults.bug import Bug, shipper, store
from tests.faults.watcher_bugs import WATCHER_BUGS

__all__ = ["BUGS"]

BUGS: Final = (
    Bug(
        "deduplication off",
        "common/store/lua/append.lua",
        "if last and tonumber(last) >= version then",
        "if false then",
        store("append"),
    ),
    Bug(
        "the epoch is not checked at a settlement",
        "common/store/lua/progress.lua",
        "return redis.call('HGET', epochs, id) == epoch and redis.call('SISMEMBER', claimed, id) == 1",
        "return true",
        store("proceed", "schedule"),
    ),
    Bug(
        "an agent with records left is not made due again",
        "common/store/lua/progress.lua",
        "redis.call('ZADD', due, now + tonumber(delay_ms), id)",
        "redis.call('ZREM', due, id)",
        store("proceed", "schedule"),
    ),
    Bug(
        "a lease never expires",
        "common/store/lua/claim.lua",
        "redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), id)",
        "redis.call('ZREM', KEYS[1], id)",
        store("schedule"),
    ),
    Bug(
        "proceed trims nothing",
        "common/store/lua/proceed.lua",
        "write_down(KEYS[2], KEYS[3], KEYS[7], ARGV[3],",
        "write_down(KEYS[2], KEYS[3], KEYS[7], '',",
        store("proceed"),
    ),
    Bug(
        "waiting records may pass the budget",
        "common/store/lua/append.lua",
        "elseif used + bytes + #payload > within then",
        "elseif false then",
        store("append"),
    ),
    Bug(
        "settled before it is sent",
        "shipper/serve.py",
        "        _, outcome = await self._ask(Call.LOGS, batch.lines)\n",
        "        await self._server.dispatcher.settle([self._finish(batch)])\n"
        "        _, outcome = await self._ask(Call.LOGS, batch.lines)\n",
        (*shipper("holding"), "-k", "unknown_outcome"),
    ),
    Bug(
        "a lease is never renewed",
        "shipper/leases.py",
        "ageing = [hold for hold in self._held.values() if now_s - hold.since_s >= third_s]",
        "ageing: list[Hold] = []",
        (*shipper("leases"), "-k", "longer_than_a_lease"),
        stalls=True,
    ),
    Bug(
        "a request begins however old its lease is",
        "shipper/leases.py",
        "if self._clock.monotonic_s() - hold.since_s > self._lease_s / 2:",
        "if False:",
        shipper("leases"),
    ),
    Bug(
        "a lease is looked at before connecting only",
        "shipper/http1.py",
        "                    connection = self._take() or await self._connect()\n                    await begin()",
        "                    await begin()\n                    connection = self._take() or await self._connect()",
        shipper("paused"),
    ),
    Bug(
        "a settlement is not insisted on",
        "shipper/insist.py",
        "        except StoreUnavailable as error:\n",
        "        except StoreUnavailable as error:\n            raise\n",
        ("tests/unit/shipper/test_insist.py",),
    ),
    Bug(
        "413 for a used up quota is tried again",
        "shipper/outcome.py",
        "return Reject(Reason.QUOTA)",
        "return Retry(1.0, Reason.QUOTA)",
        ("tests/unit/shipper/test_outcome.py",),
    ),
    Bug(
        "the window of 401 never ends",
        "shipper/outcome.py",
        "over = age_s >= at.windows.unauthorized_s",
        "over = False",
        ("tests/unit/shipper/test_outcome.py",),
    ),
    Bug(
        "no answer counts as delivered",
        "shipper/outcome.py",
        "return _fails(Reason.UNREACHABLE if sent is Sent.NO else Reason.OUTCOME_UNKNOWN, at)",
        "return Delivered()",
        ("tests/unit/shipper/test_outcome.py",),
    ),
    Bug(
        "a batch may be of any size",
        "shipper/batch.py",
        "and self._output_bytes + _output_bytes(lines) <= BATCH_BYTES_MAX",
        "",
        ("tests/unit/shipper/test_batch.py",),
    ),
    Bug(
        "passing events take the room of errors",
        "common/rank.py",
        "Rank.PASSING: Fraction(1, 2),",
        "Rank.PASSING: Fraction(1),",
        ("tests/unit/shipper/test_thinning.py",),
    ),
    Bug(
        "an error is left out like anything else",
        "shipper/batch.py",
        "elif piece.rank is Rank.GRAVE:",
        "elif len(pieces) < 0:",
        ("tests/unit/shipper/test_thinning.py",),
    ),
    Bug(
        "a notice takes the room of an error",
        "shipper/batch.py",
        "self._account.has_room(Rank.GRAVE, size_bytes + _output_bytes((line,)))",
        "self._account.has_room(Rank.GRAVE, self._output_bytes + _output_bytes((line,)))",
        ("tests/unit/shipper/test_thinning.py",),
    ),
    Bug(
        "a lesser record for which Redis has no room ends the log",
        "common/store/lua/append.lua",
        "if within < budget then left_out = left_out + 1 else over = over + 1 end",
        "over = over + 1",
        (*store("append")[:1], "-k", "matters_less"),
    ),
    Bug(
        "what is left out during a claim is said to nobody",
        "common/store/lua/progress.lua",
        "(refused > 0 or owes_notice(unseen[2], unseen[3]))",
        "refused > 0",
        (*store("append")[:1], "-k", "left_out"),
    ),
    Bug(
        "control characters are let through",
        "shipper/sanitise.py",
        "return text if text.isprintable() else text.translate(_PICTURES)",
        "return text",
        ("tests/unit/shipper/test_sanitise.py",),
    ),
    Bug(
        "redaction off",
        "common/telemetry/redact.py",
        "line = pattern.sub(replacement, line)",
        "line = str(line)",
        ("tests/unit/common/telemetry",),
    ),
    Bug(
        "whoever holds a unit, all take it",
        "common/store/lua/hold.lua",
        "elseif not holder or term <= now or term > now + FAR_MS then",
        "elseif true then",
        store("tenures"),
    ),
    Bug(
        "agents are served one after another",
        "shipper/drain.py",
        "free = self._concurrency - len(self._leases)",
        "free = 1 - len(self._leases)",
        (*shipper("delivery"), "-k", "delays_no_other"),
    ),
    Bug(
        "an agent is named by its token",
        "common/crypto.py",
        "return AgentId(digest[:_AGENT_ID_BYTES].hex())",
        "return AgentId(UUID(token).hex or digest.hex())",
        ("tests/integration/common/test_crypto.py",),
    ),
    Bug(
        "a token is kept as it is",
        "common/crypto.py",
        "return base64.urlsafe_b64decode(self._fernet.encrypt(UUID(token).bytes))",
        "return UUID(token).bytes",
        ("tests/integration/common/test_crypto.py",),
    ),
    Bug(
        "a fail-over goes unnoticed",
        "common/store/lineage.py",
        "if self._newest != self._written_to:",
        "if self._newest == '':",
        ("tests/unit/common/store/test_lineage.py",),
    ),
    Bug(
        "an epoch begins anew with each claim",
        "common/store/lua/claim.lua",
        "math.max(last + 1, time[1] * 1000000 + time[2])",
        "1",
        store("schedule"),
    ),
    Bug(
        "each turn splits a batch from the beginning",
        "shipper/serve.py",
        "            self._state = hold.held(self._state, self._split, self._now_ms())\n",
        "            pass\n",
        (*shipper("delivery"), "-k", "one_request_pass_at_a_time"),
    ),
    *WATCHER_BUGS,
)

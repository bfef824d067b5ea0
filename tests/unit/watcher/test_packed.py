"""Known objects as the Ledger keeps them: for this program, for older ones beside it, and under changing keys."""

from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from msgspec import Struct
from msgspec.structs import replace

from common.crypto import TokenVault
from common.ids import AgentId, Uid
from tests.unit.watcher.rig import TOKEN
from watcher.directory import Known, Seat
from watcher.mounts import Kind, Mount, Projection
from watcher.packed import Unpacked, pack, unpack
from watcher.pulls import Pull
from watcher.sought import Expression, File, First, Joined, Key, Sought, Text

KEY = Fernet.generate_key()
VAULT = TokenVault([Fernet(KEY)], b"k" * 32)
PLAIN = Sought(Key(Kind.SECRET, "s", "k"))
ELSEWHERE = Sought(Key(Kind.CONFIG_MAP, "m", "k"))
MOUNTS = (Mount("/etc", "", (Projection(Kind.SECRET, "s", (("a", "b"),), optional=True),)),)
POD = Known("Pod", "ns", "p", Uid("u"), 5, told=True, seats=(Seat(AgentId("a"), b"sealed", PLAIN),))


@pytest.mark.parametrize(
    "expression",
    [
        Key(Kind.CONFIG_MAP, "m", "k"),
        Key(Kind.SECRET, "s", "k", source_may_lack=True, key_may_lack=True),
        First((Key(Kind.SECRET, "s", "k"), Text(TOKEN))),
        Joined((Text("/a/"), Key(Kind.CONFIG_MAP, "m", "k"))),
        File(Key(Kind.CONFIG_MAP, "m", "k"), MOUNTS),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_what_is_packed_is_unpacked_and_shows_no_token(expression: Expression, named: bool) -> None:
    for sought in (Sought(expression, named=named), Sought(None, expression, named=named)):
        for known in (
            POD,
            replace(POD, awaited=(PLAIN, sought)),
            replace(POD, seats=(Seat(AgentId("b"), b"x", sought),)),
        ):
            packed = pack(known, VAULT)
            assert TOKEN.encode() not in packed
            assert unpack(packed, VAULT) == Unpacked(known)


def test_what_another_version_packed_is_met_anew() -> None:
    assert unpack(msgspec.msgpack.encode([2, ["other"]]), VAULT) is None
    assert unpack(b"rubbish", VAULT) is None


def test_fields_that_a_newer_program_appends_are_passed_over() -> None:
    packed: list[Any] = msgspec.msgpack.decode(pack(POD, VAULT))
    packed[1].append("new")
    packed[1][6][0].append("new")
    assert unpack(msgspec.msgpack.encode(packed), VAULT) == Unpacked(POD)


class _OldSecret(Struct, frozen=True, array_like=True):
    name: str
    key: str


class _OldSeat(Struct, frozen=True, array_like=True):
    agent: str
    sealed_token: bytes
    source: _OldSecret | None = None


class _OldKnown(Struct, frozen=True, array_like=True):
    """As programs read it that know of values and Secrets only."""

    kind: str
    namespace: str
    name: str
    uid: str
    created_at_ms: int
    told: bool
    seats: tuple[_OldSeat, ...] = ()
    awaited: tuple[_OldSecret, ...] = ()
    settled: bool = False
    failed: bool = False
    workspace: str = ""
    owner: str = ""


class _OldPacked(Struct, frozen=True, array_like=True):
    version: int
    known: _OldKnown


def _as_an_older_program_reads_it(known: Known) -> _OldKnown:
    return msgspec.msgpack.decode(pack(known, VAULT), type=_OldPacked).known


def test_an_older_program_reads_a_plain_reference_as_ever() -> None:
    read = _as_an_older_program_reads_it(replace(POD, awaited=(PLAIN,)))
    assert read.seats == (_OldSeat("a", b"sealed", _OldSecret("s", "k")),)
    assert read.awaited == (_OldSecret("s", "k"),)
    assert not read.settled


def test_an_older_program_takes_no_other_source_for_a_secret_and_keeps_the_agents() -> None:
    for known in (replace(POD, awaited=(ELSEWHERE,)), replace(POD, seats=(Seat(AgentId("a"), b"sealed", ELSEWHERE),))):
        read = _as_an_older_program_reads_it(known)
        assert read.awaited == ()
        assert read.settled  # it looks for nothing, so it takes nothing away
        assert [(seat.agent, seat.sealed_token) for seat in read.seats] == [("a", b"sealed")]


def test_what_an_older_program_wrote_back_is_kept_and_what_it_lost_is_looked_for_again() -> None:
    kept = _as_an_older_program_reads_it(replace(POD, seats=(Seat(AgentId("a"), b"sealed", ELSEWHERE),)))
    lost = _as_an_older_program_reads_it(replace(POD, seats=(), awaited=(ELSEWHERE,)))
    read = [unpack(msgspec.msgpack.encode(_OldPacked(1, each)), VAULT) for each in (kept, lost)]
    assert [(each.known.seats, each.known.settled) for each in read if each is not None] == [
        ((Seat(AgentId("a"), b"sealed"),), True),
        ((), False),
    ]


def test_sources_follow_the_token_keys() -> None:
    known, new = replace(POD, awaited=(ELSEWHERE,)), Fernet.generate_key()
    packed = pack(known, VAULT)
    rotated = TokenVault([Fernet(new), Fernet(KEY)], b"k" * 32)
    assert unpack(packed, rotated) == Unpacked(known, is_current=False)
    assert unpack(pack(known, rotated), TokenVault([Fernet(new)], b"k" * 32)) == Unpacked(known)
    lost = unpack(packed, TokenVault([Fernet(new)], b"k" * 32))
    assert lost is not None
    assert (lost.known.awaited, lost.is_whole) == ((), False)


def test_what_was_heard_of_a_start_is_kept() -> None:
    starting = replace(POD, pulls=(Pull("c", asked_at_ms=1, had_at_ms=2, took_ms=3, size_bytes=4, image="app"),))
    for known in (starting, replace(POD, begun=True)):
        assert unpack(pack(known, VAULT), VAULT) == Unpacked(known)


@pytest.mark.parametrize("settled", [True, False])
def test_of_what_an_older_program_saved_nobody_waits_for_the_start_if_it_runs(*, settled: bool) -> None:
    packed: list[Any] = msgspec.msgpack.decode(pack(replace(POD, settled=settled), VAULT))
    del packed[1][-3:]
    assert unpack(msgspec.msgpack.encode(packed), VAULT) == Unpacked(replace(POD, settled=settled, begun=settled))

"""Commands are counted as Redis would count them, however they are cut into pieces."""

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.commands import Commands

WORDS = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"*1\r\n$1\r\n", b"\r\n", b"$-1\r\n"]), min_size=1, max_size=4
)


def packed(words: list[bytes]) -> bytes:
    return bytes(hiredis.pack_command(tuple(words)))  # type: ignore[arg-type]  # its stub says one


@given(st.lists(WORDS, min_size=1, max_size=5), st.data())
def test_each_command_ends_where_it_was_packed_to_end(commands: list[list[bytes]], data: st.DataObject) -> None:
    pieces = [packed(each) for each in commands]
    sent = b"".join(pieces)
    expected = [sum(map(len, pieces[: number + 1])) for number in range(len(pieces))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent)))) | {len(sent)})
    found, follow, at = [], Commands(), 0
    for cut in cuts:
        found += [at + end for end in follow.ends(sent[at:cut])]
        at = cut
    assert found == expected


def test_what_begins_inside_of_a_command_ends_nowhere() -> None:
    follow = Commands()
    assert follow.ends(b"of a long value\r\n") == []
    assert follow.ends(packed([b"GET", b"a"])) == [len(packed([b"GET", b"a"]))]

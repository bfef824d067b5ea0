"""Lines are the same however the body is cut into chunks."""

from hypothesis import given
from hypothesis import strategies as st

from watcher.lines import LineSplitter, Oversized


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_chunking_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    body = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=10)))
    splitter = LineSplitter()
    fed = [splitter.feed(body[start:end]) for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert [line for each in fed for line in each] == [line for line in lines if line]


def test_an_unfinished_line_waits() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"ab") == []
    assert splitter.feed(b"c\nd") == [b"abc"]


def test_of_a_line_without_end_only_its_size_is_kept_and_the_next_one_read() -> None:
    splitter = LineSplitter(max_bytes=10)
    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"x" * 8 + b"\nnext\n") == [Oversized(24), b"next"]


def test_a_line_of_just_the_limit_is_kept() -> None:
    splitter = LineSplitter(max_bytes=10)
    assert splitter.feed(b"x" * 10 + b"\n" + b"y" * 11 + b"\n") == [b"x" * 10, Oversized(11)]

"""A file of patterns is refused with its line, what is wrong and what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.redact_file import FILE_MAX_BYTES, PATTERNS_MAX, RedactFileError, read_patterns


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "redact.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no pattern; example: "),
        ("# only words\n\n", "holds no pattern; example: "),
        ("ok\n(open", "line 2: is no regular expression: missing ) at position 5; example: "),
        ("a*", "line 1: matches even nothing, so all would be taken out"),
        ("x\n\n(a+)+!$0", "line 3: takes too long on a line of 4096 characters; do without repetitions inside of"),
        ("(?:\\w+\\s?)+[.:]{2}", "line 1: takes too long"),
        ("y" * 501, "line 1: has 501 characters, more than 500"),
        ("a\n" * (PATTERNS_MAX + 1), "holds 101 patterns, more than 100"),
        ("#" * (FILE_MAX_BYTES + 1), "is larger than 65536 bytes"),
        (b"\xff\xfe", "is not UTF-8 text; example: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(RedactFileError) as refused:
        read_patterns(written(tmp_path, content))
    assert str(refused.value).startswith(said)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(RedactFileError, match=r"^cannot be read: No such file"):
        read_patterns(tmp_path / "none")

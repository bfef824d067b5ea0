"""What looks like a secret does not get through, wherever a line is cut; what does not, does."""

from __future__ import annotations

import re
import string
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.redact_file import LINE_MAX_CHARS, SEARCH_WITHIN_S, RedactPattern, read_patterns
from shipper.split import split_line
from watcher.excerpt import EXCERPT_MAX_BYTES, ROW_MAX_CHARS, excerpt, is_end_of
from watcher.redactor import KEY, REDACTED, UNSEARCHED, Redactor

TOKEN = "11111111-2222-4333-8444-555555555555"
REDACT = Redactor()


def redacted(*rows: str, known: tuple[str, ...] = (), shown_chars: int = ROW_MAX_CHARS) -> list[str]:
    return REDACT(rows, known, shown_chars).rows


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("password=hunter2", "password=[redacted]"),
        ("DB_PASSWORD: hunter2 (from env)", "DB_PASSWORD: [redacted] (from env)"),
        ('{"password": "a \\"b\\" c", "user": "me"}', '{"password": "[redacted]", "user": "me"}'),
        ('msg="{\\"secret\\": \\"two words\\", \\"n\\": 1}"', 'msg="{\\"secret\\": \\"[redacted]\\", \\"n\\": 1}"'),
        ("{'api_key': 'k-1', 'n': 1}", "{'api_key': '[redacted]', 'n': 1}"),
        ('client_secret="open to the end', 'client_secret="[redacted]'),
        ("run --api-key abc --verbose", "run --api-key [redacted] --verbose"),
        ("Authorization: Bearer abc.def tail", "Authorization: [redacted] tail"),
        ("curl -H 'X-Thing: 1' bearer abcdefgh12", "curl -H 'X-Thing: 1' bearer [redacted]"),
        ("Cookie: a=b; c=d", "Cookie:[redacted]"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("at postgres://me:p@ss/word@db:5432/x now", "at postgres://[redacted]@db:5432/x now"),
        ("GET /x?a=1&sig=abc%2B HTTP/1.1", "GET /x?a=1&sig=[redacted] HTTP/1.1"),
        ("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("\x1b[36mtoken=\x1b[0mabc next", "\x1b[36mtoken=[redacted] next"),
        ("pass\x1b[1mword=hunter2", "pass\x1b[1mword=[redacted]"),
        ("\x1b[password=hunter2", "\x1b[password=[redacted]"),
        ("pass\u200bword=hunter2", "pass\u200bword=[redacted]"),
        ("PRIVATE=-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n", "PRIVATE=[redacted]"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(row: str, shown: str) -> None:
    assert redacted(row) == [shown]


@pytest.mark.parametrize(
    "row",
    [
        "panic: runtime error: index out of range [3] with length 3",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.11/site-packages/app/main.py", line 12, in <module>',
        "GET https://registry.example.com/v2/app/manifests/1.0?ns=docker.io 404",
        "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945 not found",
        "----------------------------------------------------------------------",
        "pod 6f1d0b0e-9a43-4f0c-8f6a-0d3f6a1f2b3c is gone",
        "permission denied, open '/etc/app/tokens'",
        "unexpected token < in JSON at position 0",
    ],
)
def test_what_does_not_stays(row: str) -> None:
    assert redacted(row) == [row]


@pytest.mark.parametrize("spelling", [TOKEN, TOKEN.upper(), TOKEN.replace("-", "")])
def test_the_agents_own_token_is_known_without_a_name(spelling: str) -> None:
    assert redacted(f"got {spelling}!", known=(TOKEN,)) == [f"got {REDACTED}!"]


BODY = ["MIIEpAIBAAKCAQEA7bq" + "x" * 45, "Qm" * 32, "ab/+CD=="]
BEGIN, END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (["a b", BEGIN, *BODY, END, "c d"], ["a b", REDACTED, KEY, "c d"]),
        (["a b:", *BODY, END, "c d"], ["a b:", KEY, "c d"]),
        (["a b", BEGIN, *BODY], ["a b", REDACTED, KEY]),
        (["a b", BEGIN, *BODY[:2], "broke: off"], ["a b", REDACTED, KEY, "broke: off"]),
        (["a b", BODY[0], "c d"], ["a b", KEY, "c d"]),
    ],
    ids=["whole", "without its beginning", "without its end", "broken off", "a line alone"],
)
def test_a_private_key_is_one_line_whatever_part_of_it_is_there(rows: list[str], shown: list[str]) -> None:
    assert redacted(*rows) == shown


def test_a_pattern_takes_out_its_groups_or_all_of_its_match() -> None:
    own = Redactor([RedactPattern(1, r"emp-\d+"), RedactPattern(2, r"desk (\d+), (\w+)")])
    assert own(["emp-12 at desk 7, north"], (), 100).rows == ["[redacted] at desk [redacted], [redacted]"]


def test_a_pattern_that_takes_too_long_hides_what_it_had_not_searched_and_ends_in_time() -> None:
    own = Redactor([RedactPattern(7, r"(?:x+x+)+y")])
    hostile = "x" * LINE_MAX_CHARS
    began_s = time.monotonic()
    result = own(["fine", *[hostile] * 50, "last"], (), 100)
    assert time.monotonic() - began_s < 50 * SEARCH_WITHIN_S
    assert result.rows == ["fine", *[UNSEARCHED] * 51]
    assert result.slow == {7}


@pytest.mark.parametrize(
    "piece",
    ["a://", "password ", "-", "token=\\\\", "eyJ", "\x1b[", "a", "<token", "\\", 'pwd:"', "--token", "bearer  ", '\\"',
     "-----BEGIN ", "password[", "A-"],
)  # fmt: skip
def test_no_line_takes_the_patterns_that_ship_long(piece: str) -> None:
    row = (piece * LINE_MAX_CHARS)[:LINE_MAX_CHARS]
    began_s = time.thread_time()
    redacted(row, known=(TOKEN,))
    assert time.thread_time() - began_s < SEARCH_WITHIN_S


WORD = st.text(string.ascii_letters + string.digits, min_size=24, max_size=60)
SECRETS = WORD.flatmap(
    lambda word: st.sampled_from(
        [
            (f"password={word}", word),
            (f'"token": "{word}"', word),
            (f"--api-key {word}", word),
            (f"Authorization: Basic {word}", word),
            (f"https://me:{word}@host/", word),
            (f"ghp_{word}", word),
            (f"eyJ{word}.{word}.{word}", word),
            (f"\x1b[32msecret\x1b[0m=\x1b[33m{word}", word),
            (f"AKIA{word.upper()}", word.upper()),
        ]
    )
)
NEAR = ROW_MAX_CHARS


@settings(max_examples=300)
@given(SECRETS, st.integers(0, NEAR + 80), st.integers(0, 4_000), st.integers(1, 5), st.data())
def test_no_cut_lets_a_part_of_a_secret_through(
    secret: tuple[str, str], before: int, after: int, lines: int, data: st.DataObject
) -> None:
    """Not that of the length, nor that of Coder's lines, nor that of the bytes of all."""
    text, word = secret
    filler = data.draw(st.sampled_from(["x ", "é ", "a.b-c/ ", "\t"]))
    row = (filler * before)[:before] + " " + text + " " + (filler * after)[:after]
    body = f"first line\n{row}\none more\n{row}".encode()
    kept = excerpt(body, lines, REDACT, ()).rows
    assert sum(len(each.encode()) + 1 for each in kept) <= EXCERPT_MAX_BYTES
    shown = [piece for each in kept for piece in split_line(each)]
    for piece in shown:
        for start in range(len(word) - 8 + 1):
            assert word[start : start + 8] not in piece, (word, piece)


@given(st.lists(st.text(max_size=200), max_size=30), st.integers(1, 50))
def test_any_output_gives_few_short_lines(rows: list[str], lines: int) -> None:
    kept = excerpt("\n".join(rows).encode("utf-8", "surrogatepass"), lines, REDACT, (TOKEN,)).rows
    assert len(kept) <= lines
    assert all(row and len(row) < ROW_MAX_CHARS + 40 and not re.search("[\n\r]", row) for row in kept)


def test_a_key_that_begins_before_what_is_shown_is_one_all_the_same() -> None:
    body = "\n".join([BEGIN, *["c2hvcnQ"] * 40, "MII"]).encode()
    assert excerpt(body, 3, REDACT, ()).rows == [REDACTED, KEY]


def test_the_last_lines_are_kept_and_blank_ones_are_none() -> None:
    body = b"one\n\n  \ntwo\r\nthree\rfour\n\n"
    assert excerpt(body, 2, REDACT, ()).rows == ["three", "four"]
    assert excerpt(b" \n\n", 2, REDACT, ()).rows == []
    long = b"\n".join([b"y" * 900] * 20)
    assert len(excerpt(long, 20, REDACT, ()).rows) == EXCERPT_MAX_BYTES // 901
    (cut,) = excerpt(b"z " * 3_000, 1, REDACT, ()).rows
    assert cut.endswith(" … [5040 more characters]")


@pytest.mark.parametrize(
    ("message", "body", "is_end"),
    [
        ("two\nthree", b"one\ntwo\nthree\n", True),
        ("one\ntwo\nthree\n", b"one\ntwo\nthree\n", True),
        ("wo\nthree", b"one\ntwo\nthree\n", True),  # cut by the kubelet
        ("three", b"three\n", True),
        ("three", b"one\ntwo\nthree\n", False),  # less than would be shown
        ("two\nfour", b"one\ntwo\nthree\n", False),
        ("", b"one\n", False),
        ("one", b"", False),
    ],
)
def test_a_termination_message_may_be_the_end_of_the_log(message: str, body: bytes, is_end: bool) -> None:
    assert is_end_of(message, body, 2) is is_end


def test_a_file_has_a_pattern_a_line(tmp_path: Path) -> None:
    path = tmp_path / "redact.txt"
    path.write_text("# ours\n\n  emp-[0-9]{6}  \n")
    assert read_patterns(path) == (RedactPattern(3, "emp-[0-9]{6}"),)


@pytest.mark.parametrize("piece", ['"', "+", "' ", "A+", "a1", ">-", "="])
def test_no_row_takes_for_ever(piece: str) -> None:
    """With a pattern whose time grows with the square of the length, one of these takes minutes."""
    row = piece * (128 * 1024 // len(piece))
    assert len(REDACT(["-----BEGIN PRIVATE KEY-----", *[row] * 32, "-----END PRIVATE KEY-----"], (), 100).rows) >= 1

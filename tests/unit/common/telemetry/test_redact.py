"""No secret gets into a log line, whatever way it takes."""

import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from common.telemetry.redact import REDACTED, redact_keys, redact_text

TOKEN = "11111111-2222-3333-4444-555555555555"
UID = "99999999-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    "line",
    [
        f"CODER_AGENT_TOKEN={TOKEN}",
        f'{{"name": "CODER_AGENT_TOKEN", "value": "{TOKEN}"}}',
        f'{{\\"name\\":\\"CODER_AGENT_TOKEN\\",\\"value\\":\\"{TOKEN}\\"}}',
        f"Coder-Session-Token: {TOKEN}",
        f"{{'coder-session-token': '{TOKEN}'}}",
        f"(b'Coder-Session-Token', b'{TOKEN}')",
    ],
)
def test_a_token_is_cut_out_wherever_its_name_stands_before_it(line: str) -> None:
    cut = redact_text(line)
    assert TOKEN not in cut
    assert REDACTED in cut


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("cannot reach redis://user:hunter2@host:6379/0", "hunter2"),
        ("cannot reach redis://:hunter2@host", "hunter2"),
        ("cannot reach redis://u:p@ss@hunter2@host", "hunter2"),
        ("unix:///run/x?password=hunter2&db=0", "hunter2"),
        ("cannot reach redis://:abc/hunter2@host:6379/0", "hunter2"),
        ("cannot reach redis://:123/hunter2@host", "hunter2"),
        ("cannot reach https://user:pa/hunter2@h", "hunter2"),
        ("redis://hunter2@host", "hunter2"),
        ("redis://h/0?password=a@hunter2", "hunter2"),
        ("Authorization: Bearer eyJhbGciOi.hunter2-abc", "hunter2"),
        ("Coder-Session-Token: hunter2", "hunter2"),
    ],
)
def test_passwords_and_bearer_tokens_are_cut_out(line: str, secret: str) -> None:
    assert secret not in redact_text(line)


@given(st.text(st.sampled_from("/#?@%:&='a1"), max_size=8), st.text(st.sampled_from("/#?@%:&='a1"), max_size=8))
def test_no_part_of_a_password_survives_whatever_is_in_it(before: str, after: str) -> None:
    url = f"redis://user:{before}hunter2{after}@host:6379/0"
    assert "hunter2" not in redact_text(f"cannot reach {url} at all")
    cut = redact_text(json.dumps({"url": url, "image": "app@sha256:1", "count": 3}))
    assert "hunter2" not in cut
    assert json.loads(cut).keys() == {"url", "image", "count"}


def test_a_fernet_key_is_cut_out_anywhere() -> None:
    key = Fernet.generate_key().decode()
    for line in (key, f"key={key},{key}", f"['{key}']"):
        assert key not in redact_text(line)


def test_what_is_no_secret_stays() -> None:
    line = f"pod default/ws-1 uid={UID} http://coder:3000/api at 12:30:00@noon sha256:{'ab' * 32}"
    assert redact_text(line) == line


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact_text(f"Coder-Session-Token: {TOKEN} redis://u:p@h Bearer abcdefghij")
    assert redact_text(once) == once


def test_a_uuid_under_a_tokens_key_is_cut_out_and_an_objects_uid_is_not() -> None:
    event = {"token": TOKEN, "agent_token": TOKEN, "Token": [TOKEN], "deep": {"token": (TOKEN,)}, "uid": UID}
    cut = redact_keys(None, "info", event)
    assert TOKEN not in repr(cut)
    assert cut["uid"] == UID


def test_keys_that_can_only_be_secret_lose_any_value() -> None:
    event = {"password": "x1", "redis_password": "x1", "authorization": "x1", "token_key": "x1", "token_keys": ["x1"]}
    assert "x1" not in repr(redact_keys(None, "info", event))


def test_counts_and_exc_info_are_left_alone() -> None:
    trouble = (ValueError, ValueError("x"), None)
    assert redact_keys(None, "info", {"tokens": 3, "token": None, "exc_info": trouble}) == {
        "tokens": 3, "token": None, "exc_info": trouble,
    }  # fmt: skip


@given(st.text(), st.uuids(), st.text())
def test_a_named_token_never_survives_its_surroundings(before: str, token: object, after: str) -> None:
    assert str(token) not in redact_text(f"{before}CODER_AGENT_TOKEN={token} {after.replace(str(token), '')}")

"""What `status` says when there is nothing to look at."""

import pytest

from common.settings.inspect import InspectSettings
from console.findings_text import Output
from console.status import status


def test_a_redis_that_is_away_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = InspectSettings(redis_url="redis://127.0.0.1:1/0")  # port 1: tcpmux, which nobody serves
    assert status(nobody, "", Output.TEXT, watch=False) == 1
    said = capsys.readouterr().err
    assert "coder-logstream status: " in said
    assert said.endswith("→ is --redis-url right, and does the server run there?\n")

"""Which Coder a container says that it reports to."""

import json

import pytest

from watcher.agent_urls import agent_urls

SCRIPT = 'set -eux\nexport CODER_AGENT_AUTH="token"\nexport CODER_AGENT_URL="https://coder.example.com/"\nexec ./coder'


def pod(**container: object) -> bytes:
    return json.dumps({"spec": {"containers": [{"name": "dev", **container}]}}).encode()


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["sh", "-c", SCRIPT]},
        {"command": ["sh"], "args": ["-c", SCRIPT]},
        {"env": [{"name": "CODER_AGENT_URL", "value": "https://coder.example.com"}], "args": ["-c", SCRIPT]},
    ],
)
def test_it_stands_in_the_start_script_or_in_a_variable(container: dict[str, object]) -> None:
    assert agent_urls(pod(**container)) == ("https://coder.example.com",)


def test_a_template_says_it_too() -> None:
    spec = json.loads(pod(command=["sh", "-c", SCRIPT]))["spec"]
    body = json.dumps({"spec": {"replicas": 1, "template": {"spec": spec}}}).encode()
    assert agent_urls(body) == ("https://coder.example.com",)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"spec": 7}', pod(), pod(env=[{"name": "CODER_AGENT_URL"}])])
def test_who_says_nothing_is_not_guessed(body: bytes) -> None:
    assert agent_urls(body) == ()

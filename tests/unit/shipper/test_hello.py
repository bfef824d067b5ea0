"""The first question to a URL, and the one line that an operator reads."""

import pytest

from shipper.hello import Greeted, Unmet, greet
from shipper.outcome import Answer, NoAnswer, Reply, Sent

URL = "https://coder.example.com"


@pytest.mark.parametrize("version", ["v2.13.0", "v2.35.0+double", "2.20.1-devel+abc", "v3.0.0", "v0.0.0-devel+abc"])
def test_a_coder_that_will_do(version: str) -> None:
    assert greet(Answer(200, {}, f'{{"version":"{version}"}}'.encode()), URL) == Greeted(version)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Answer(200, {}, b'{"version":"v2.12.5+x"}'), "2.13 or newer is needed"),
        (Answer(200, {}, b"<html>login</html>"), "not as Coder does"),
        (Answer(200, {}, b'{"other":1}'), "not as Coder does"),
        (Answer(404, {}, b""), "answers 404"),
        (Answer(308, {"location": "https://other/"}, b""), "redirects to https://other/"),
        (NoAnswer(Sent.NO, "TLS: certificate verify failed"), "unreachable: TLS: certificate verify failed"),
        (NoAnswer(Sent.NO, "TLS: certificate verify failed: self-signed certificate"), "SSL_CERT_FILE"),
        (NoAnswer(Sent.NO, "TLS: certificate verify failed: certificate has expired"), "renew"),
        (NoAnswer(Sent.NO, "TLS: certificate verify failed: Hostname mismatch"), "a name that Coder's certificate is"),
        (NoAnswer(Sent.NO, "TLS: wrong version number"), "is it https://"),
        (NoAnswer(Sent.NO, "Connection refused"), "may this machine reach it?"),
    ],
)
def test_trouble_is_one_line_that_says_what_is_wrong(reply: Reply, says: str) -> None:
    greeting = greet(reply, URL)
    assert isinstance(greeting, Unmet)
    assert says in greeting.trouble
    assert URL in greeting.trouble
    assert "\n" not in greeting.trouble

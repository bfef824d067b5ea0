"""What a look at Coder says of its certificate and of the way to it; the shipper's own code asks."""

from pathlib import Path

import pytest

from common.checkup import Finding, Mark
from common.settings.shipper import CoderSettings
from console.doubles.coder import CoderDouble
from shipper.checkup import examine
from tests.certificates import Authority


async def about(name: str, settings: CoderSettings) -> Finding:
    (found,) = [each for each in await examine(settings) if each.about == name]
    return found


async def test_a_certificate_that_ends_soon_is_seen_and_one_that_is_not_trusted_has_its_remedy(tmp_path: Path) -> None:
    authority = Authority()
    pem = tmp_path / "ca.pem"
    pem.write_bytes(authority.certificate_pem)
    async with CoderDouble(tls=authority.server_context("localhost")) as coder:
        url = coder.url.replace("127.0.0.1", "localhost")
        tls = await about("TLS", CoderSettings(coder_url=url, ssl_cert_file=pem))
        assert (tls.mark, tls.said) == (Mark.DOUBT, "Coder's certificate is trusted, but ends in 1 day")
        for call in ("POST log-source", "PATCH logs"):
            assert (await about(f"log API ({call})", CoderSettings(coder_url=url, ssl_cert_file=pem))).mark is Mark.FINE
        (untrusted,) = await examine(CoderSettings(coder_url=url))
        assert (untrusted.about, untrusted.mark) == ("address", Mark.BAD)
        assert "SSL_CERT_FILE" in untrusted.remedy


async def test_a_proxy_that_is_none_and_a_file_without_certificates_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    (finding,) = await examine(CoderSettings(coder_url="https://coder.test", ssl_cert_file=tmp_path / "empty.pem"))
    assert (finding.mark, "holds no PEM certificate" in finding.said) == (Mark.BAD, True)
    monkeypatch.setenv("https_proxy", "ftp://proxy.test")
    (finding,) = await examine(CoderSettings(coder_url="https://coder.test"))
    assert (finding.mark, finding.said.startswith('https_proxy: "ftp://proxy.test" cannot be a proxy')) == (
        Mark.BAD,
        True,
    )

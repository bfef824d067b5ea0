"""`python -m shipper.checkup`: ask Coder what a shipper with these settings would, and say what is amiss.

`doctor` starts it, so that the shipper's own way to Coder is what is tried: its certificates, its proxy. No agent's
token is used: the log API is asked with one that is made up. Writes findings as JSON to stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
import uuid
from typing import Final
from urllib.parse import urlsplit

from common.checkup import ANSWER_WITHIN_S, Area, Finding, bad, encode_findings, fine
from common.record import Level
from common.settings.flags import run_program
from common.settings.shipper import CoderSettings
from common.telemetry.logging import configure_logging
from shipper.coder import Coder
from shipper.fitness import (
    api_finding,
    certificate_finding,
    clock_finding,
    coder_finding,
    plain_finding,
    quota_finding,
)
from shipper.outcome import Answer, Call
from shipper.proxy import ProxyError, proxy_for
from shipper.text import Line
from shipper.trust import TrustError, trusted_authorities

__all__ = ["examine"]

_C: Final = Area.CODER


async def examine(settings: CoderSettings) -> list[Finding]:
    """All that there is to say about Coder."""
    try:
        trust = trusted_authorities(settings.ssl_cert_file, settings.ssl_cert_dir)
        proxy = proxy_for(settings.coder_url)
    except (TrustError, ProxyError) as error:
        return [bad(_C, "address", str(error), "mend the variable, or take it away")]
    timeout_s = min(settings.request_timeout_s, ANSWER_WITHIN_S)
    findings = [fine(_C, "proxy", "the environment names one, and it is used")] if proxy is not None else []
    async with Coder(settings.coder_url, trust, timeout_s=timeout_s, connections=1, proxy=proxy) as coder:
        hello = await coder.buildinfo()
        asked_at_s = time.time()
        findings.append(coder_finding(hello, settings.coder_url))
        if not isinstance(hello, Answer):
            return findings
        findings += await _tls(settings.coder_url, trust, direct=proxy is None)
        nobody = str(uuid.uuid4())
        source = await coder.register_source(nobody)
        logs = await coder.send_logs(nobody, [Line(text="coder-logstream doctor", level=Level.DEBUG)])
    findings += [api_finding(Call.LOG_SOURCE, source), api_finding(Call.LOGS, logs)]
    clock = clock_finding(hello.headers, asked_at_s)
    findings += [clock] if clock is not None else []
    findings.append(quota_finding([source, logs]))
    return findings


async def _tls(url: str, trust: ssl.SSLContext, *, direct: bool) -> list[Finding]:
    """Of a Coder that has answered. Behind a proxy its certificate is not looked at."""
    plain = plain_finding(url)
    if plain is not None:
        return [plain]
    if not direct:
        return [fine(_C, "TLS", "Coder's certificate is trusted")]
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=trust)
    except (OSError, TimeoutError) as error:
        return [bad(_C, "TLS", f"a second connection failed: {error}", "is the network in order?")]
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    until = certificate.get("notAfter")
    if until is None:
        return [fine(_C, "TLS", "Coder's certificate is trusted")]
    return [certificate_finding(ssl.cert_time_to_seconds(until), time.time())]


def _run(settings: CoderSettings) -> int:
    """Say as JSON what a shipper with these settings would find amiss with Coder."""
    configure_logging("shipper", json=True, level="warning", stream=sys.stderr)
    sys.stdout.buffer.write(encode_findings(asyncio.run(examine(settings))))
    return 0


if __name__ == "__main__":
    sys.exit(run_program("shipper.checkup", CoderSettings, _run))

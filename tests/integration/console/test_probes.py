"""What `run` and `shipper --processes` answer to probes, with real processes."""

import signal
from pathlib import Path

import pytest

from tests.integration.console.commands import Cluster, double, probed, running, until
from tests.servers import free_port

pytestmark = pytest.mark.timeout(180)


def test_a_supervisor_is_ready_only_once_all_its_processes_are(
    redis_url: str, prefix: str, token_key: str, tmp_path: Path
) -> None:
    coder_port, run_port, shipper_port = free_port(), free_port(), free_port()
    coder, kubeconfig = f"http://127.0.0.1:{coder_port}", tmp_path / "kubeconfig"
    environ = {"CODER_URL": coder, "CODER_LOGSTREAM_TOKEN_KEY": token_key, "CODER_LOGSTREAM_REDIS_PREFIX": prefix}
    run_flags = ["run", "-k", str(kubeconfig), "--data-dir", str(tmp_path / "d"), "--probe-addr", f":{run_port}"]
    shipper_flags = ["shipper", "--redis-url", redis_url, "--processes", "2", "--probe-addr", f":{shipper_port}"]

    def probe(port: int, page: str = "readyz") -> tuple[int, str]:
        return probed(f"http://127.0.0.1:{port}/{page}")

    with (
        double("kube", "--write-kubeconfig", str(kubeconfig)) as kube,
        running(tmp_path / "run.log", *run_flags, environ=environ) as run,
        running(tmp_path / "shipper.log", *shipper_flags, environ=environ) as shippers,
    ):
        until(lambda: Cluster(kube).watches() >= 3, "the watcher watches")
        until(lambda: coder in probe(run_port)[1], "run says that Coder is away")
        until(lambda: probe(shipper_port)[1].count(coder) == 2, "both shippers say that Coder is away")
        for port, names in ((run_port, ["shipper"]), (shipper_port, ["shipper-1", "shipper-2"])):
            status, reason = probe(port)
            assert status == 503
            assert all(f"{name}: " in reason for name in names)
            assert "watcher" not in reason
            assert probe(port, "livez") == (200, "ok\n")
        with double("coder", "--listen", f"127.0.0.1:{coder_port}"):
            for port in (run_port, shipper_port):
                until(lambda port=port: probe(port) == (200, "ok\n"), "Coder is back")  # type: ignore[misc]
            (hanging,) = run.children("watcher")
            hanging.send_signal(signal.SIGSTOP)
            assert probe(run_port, "livez") == (503, "watcher: no answer within 0.8 s\n")
            hanging.send_signal(signal.SIGCONT)
            until(lambda: probe(run_port, "livez") == (200, "ok\n"), "the watcher lives again")
        assert run.stop() == shippers.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_without_a_metrics_address_probes_are_served_all_the_same(
    redis_url: str, prefix: str, token_key: str, tmp_path: Path, processes: str
) -> None:
    flags = ["shipper", "--metrics-addr", "", "--processes", processes]
    environ = {
        "CODER_URL": "http://127.0.0.1:9", "CODER_LOGSTREAM_REDIS_URL": redis_url,
        "CODER_LOGSTREAM_TOKEN_KEY": token_key, "CODER_LOGSTREAM_REDIS_PREFIX": prefix,
    }  # fmt: skip
    with running(tmp_path / "log", *flags, environ=environ) as shipper:
        until(lambda: any(line["event"] == "probes are served" for line in shipper.lines()), "the log names the port")
        (address,) = [line["address"] for line in shipper.lines() if line["event"] == "probes are served"]
        until(lambda: probed(f"http://{address}/livez")[0] == 200, "it lives")
        assert probed(f"http://{address}/readyz")[0] == 503
        assert probed(f"http://{address}/metrics")[0] == 404
        assert shipper.stop(signal.SIGTERM) == 0

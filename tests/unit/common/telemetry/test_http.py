"""The listeners of a program."""

import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from common.settings.values import AUTO
from common.telemetry.http import AddressUnavailable, Check, TelemetryServer
from common.telemetry.metrics import ShipperMetrics


def fine() -> Check:
    return Check(ok=True)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def server(
    metrics_addr: str = "127.0.0.1:0",
    probe_addr: str = "",
    live: Callable[[], Check] = fine,
    ready: Callable[[], Check] = fine,
) -> TelemetryServer:
    registry = CollectorRegistry()
    ShipperMetrics(registry)
    return TelemetryServer(metrics_addr, registry, live, ready, probe_addr)


def test_the_metrics_address_serves_metrics_and_probes() -> None:
    with server() as running:
        (port,) = running.ports
        assert "coder_logstream_requests_total" in get(port, "/metrics")[1]
        assert get(port, "/livez") == (200, "ok\n")
        assert get(port, "/readyz?verbose") == (200, "ok\n")
        assert get(port, "/")[0] == 404


def test_an_empty_metrics_address_turns_off_metrics_only() -> None:
    with server(metrics_addr="", probe_addr="127.0.0.1:0") as running:
        (port,) = running.ports
        assert get(port, "/readyz") == (200, "ok\n")
        assert get(port, "/metrics")[0] == 404


def test_two_addresses_are_two_listeners_and_one_address_is_one() -> None:
    with server(probe_addr="127.0.0.1:0", metrics_addr="localhost:0") as running:
        metrics, probes = running.ports
        assert get(metrics, "/metrics")[0] == 200
        assert get(probes, "/metrics")[0] == 404
    with server(probe_addr="127.0.0.1:0") as running:
        assert len(running.ports) == 1


def test_a_failing_check_is_503_with_its_reason() -> None:
    with server(ready=lambda: Check(ok=False, reason="Redis is away")) as running:
        assert get(running.ports[0], "/readyz") == (503, "Redis is away\n")
        assert get(running.ports[0], "/livez")[0] == 200


def test_a_check_that_raises_has_failed() -> None:
    def broken() -> Check:
        raise RuntimeError("hunter2")

    with server(live=broken) as running:
        status, body = get(running.ports[0], "/livez")
        assert status == 503
        assert "hunter2" not in body


def test_a_client_that_hangs_up_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    asked, gone = threading.Event(), threading.Event()

    def slow() -> Check:
        asked.set()
        assert gone.wait(5)
        return Check(ok=True, reason="x" * 10_000_000)  # more than the sockets hold

    with server(live=slow) as running:
        with socket.create_connection(("127.0.0.1", running.ports[0])) as client:
            client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert asked.wait(5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        gone.set()
        assert get(running.ports[0], "/readyz") == (200, "ok\n")
        until_alone()
    assert "Traceback" not in capfd.readouterr().err


def until_alone() -> None:
    """Until no request is handled any more."""
    deadline_s = time.monotonic() + 5
    while any("process_request_thread" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_no_address_is_no_listener() -> None:
    with server(metrics_addr="") as running:
        assert running.ports == []


def test_probes_that_nobody_placed_stay_reachable_without_metrics() -> None:
    with server(metrics_addr="", probe_addr=AUTO) as first, server(metrics_addr="", probe_addr=AUTO) as second:
        ports = first.ports + second.ports
        assert len(set(ports)) == 2
        assert all(get(port, "/readyz") == (200, "ok\n") for port in ports)
        assert all(get(port, "/metrics")[0] == 404 for port in ports)


def test_probes_that_nobody_placed_are_where_the_metrics_are() -> None:
    with server(probe_addr=AUTO) as running:
        (port,) = running.ports
        assert get(port, "/livez")[0] == 200


def test_a_socket_serves_too_takes_the_place_of_a_dead_one_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with server(metrics_addr="", probe_addr=f"unix:{path}") as running, socket.socket(socket.AF_UNIX) as caller:
        assert running.ports == []
        caller.connect(str(path))
        caller.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert caller.makefile("rb").read().endswith(b"ok\n")
        with pytest.raises(AddressUnavailable, match="in use"):
            server(metrics_addr="", probe_addr=f"unix:{path}").start()
    assert not path.exists()


def test_a_reason_with_a_secret_in_it_is_redacted() -> None:
    with server(ready=lambda: Check(ok=False, reason="redis://:pa/hunter2@h is away")) as running:
        assert get(running.ports[0], "/readyz") == (503, "redis://[redacted]@h is away\n")


def test_a_colon_and_a_port_is_all_interfaces() -> None:
    with server(metrics_addr=":0") as running:
        assert get(running.ports[0], "/livez")[0] == 200


def test_an_occupied_address_is_one_line_and_leaves_nothing_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        with pytest.raises(AddressUnavailable) as caught:
            server(metrics_addr=f"127.0.0.1:{free}", probe_addr=f"127.0.0.1:{taken.getsockname()[1]}").start()
        assert str(caught.value).startswith("--probe-addr: ")
        assert "in use" in str(caught.value)
        with socket.create_server(("127.0.0.1", free)):
            pass


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(AddressUnavailable, match=r"^--metrics-addr: .192\.0\.2\.1:1. cannot be used: Cannot assign"):
        server(metrics_addr="192.0.2.1:1").start()

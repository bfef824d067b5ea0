"""What the children of a supervisor are started with."""

from pathlib import Path

from common.settings.load import load
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.token_keys import parse_token_keys
from console.demo import loopback_environ
from console.local import LocalStore, local_stages
from console.programs import Surroundings, shipper_programs

URL = "https://coder.example.com"
AROUND = Surroundings({"PATH": "/bin"}, sockets=Path("/sockets"))


def settings(token_key: str, processes: int) -> ShipperSettings:
    return ShipperSettings(coder_url=URL, token_key=parse_token_keys(token_key), processes=processes)


def test_each_shipper_knows_how_many_share_coders_rate_limit(token_key: str) -> None:
    programs = shipper_programs(settings(token_key, 3), AROUND)
    assert [program.name for program in programs] == ["shipper-1", "shipper-2", "shipper-3"]
    assert [load(ShipperSettings, flags={}, environ=program.environ).processes for program in programs] == [3, 3, 3]


def test_so_does_each_shipper_of_run(token_key: str) -> None:
    run = RunSettings(coder_url=URL, processes=2, token_key=parse_token_keys(token_key))
    shippers, watchers = local_stages(run, LocalStore("redis://h", None, None), AROUND)
    assert [program.environ["CODER_LOGSTREAM_PROCESSES"] for program in shippers.programs] == ["2", "2"]
    assert [program.name for program in watchers.programs] == ["watcher"]


def test_each_child_answers_probes_on_a_socket_of_its_own(token_key: str) -> None:
    programs = shipper_programs(settings(token_key, 2), AROUND)
    assert [program.probe for program in programs] == [Path("/sockets/shipper-1.sock"), Path("/sockets/shipper-2.sock")]
    for program in programs:
        got = load(ShipperSettings, flags={}, environ=program.environ)
        assert (got.metrics_addr, got.probe_addr) == ("", f"unix:{program.probe}")


def test_what_reaches_only_this_machine_asks_no_proxy() -> None:
    base = {"HTTP_PROXY": "http://p", "https_proxy": "http://p", "ALL_PROXY": "http://p", "NO_PROXY": "x", "PATH": "/"}
    assert loopback_environ(base) == {"PATH": "/", "no_proxy": "*"}

"""Settings handed to a child process arrive there unchanged."""

from pathlib import Path

from common.settings.environ import child_environ, derive
from common.settings.load import load
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.token_keys import parse_token_keys
from common.settings.watcher import WatcherSettings

URL = "https://coder.example.com"


def test_a_child_reads_what_its_parent_wrote(tmp_path: Path, token_key: str) -> None:
    kubeconfig = tmp_path / "kube config"
    kubeconfig.write_text("")
    settings = WatcherSettings(
        kubeconfig=kubeconfig,
        namespaces=("a", "b"),
        parked_s=0.1,
        redis_url="redis://u:p@h/1",
        token_key=parse_token_keys(token_key),
        metrics_addr="",
    )
    assert load(WatcherSettings, flags={}, environ=child_environ(settings, {})) == settings


def test_nothing_but_the_settings_reaches_the_child(token_key: str) -> None:
    settings = ShipperSettings(coder_url=URL, token_key=parse_token_keys(token_key))
    base = {"CODER_NAMESPACES": "x", "CODER_LOGSTREAM_CONCURRENCY": "1", "HTTPS_PROXY": "http://proxy", "PATH": "/bin"}
    got = child_environ(settings, base)
    assert "CODER_NAMESPACES" not in got
    assert got["CODER_LOGSTREAM_CONCURRENCY"] == "100"
    assert (got["HTTPS_PROXY"], got["PATH"]) == ("http://proxy", "/bin")


def test_certificates_that_others_use_too_stay_in_the_environment(tmp_path: Path, token_key: str) -> None:
    watcher = WatcherSettings(token_key=parse_token_keys(token_key))
    base = {"SSL_CERT_FILE": "/a", "SSL_CERT_DIR": "/b", "CODER_URL": URL}
    got = child_environ(watcher, base)
    assert (got["SSL_CERT_FILE"], got["SSL_CERT_DIR"]) == ("/a", "/b")
    assert "CODER_URL" not in got
    shipper = ShipperSettings(coder_url=URL, token_key=parse_token_keys(token_key), ssl_cert_dir=tmp_path)
    assert child_environ(shipper, base)["SSL_CERT_DIR"] == str(tmp_path)


def test_derived_settings_take_what_both_have(token_key: str) -> None:
    run = RunSettings(coder_url=URL, namespaces=("a",), budget_bytes=5, concurrency=3)
    key = parse_token_keys(token_key)
    watcher = derive(WatcherSettings, run, redis_url="redis://h", token_key=key)
    shipper = derive(ShipperSettings, run, redis_url="redis://h", token_key=key)
    assert (watcher.namespaces, watcher.budget_bytes, watcher.queue_url) == (("a",), 5, "redis://h")
    assert (shipper.coder_url, shipper.budget_bytes, shipper.concurrency) == (URL, 5, 3)


def test_a_key_file_stays_a_file_for_the_child(tmp_path: Path, token_key: str) -> None:
    file = tmp_path / "key"
    file.write_text(token_key)
    settings = load(ShipperSettings, flags={"coder_url": URL, "token_key_file": str(file)}, environ={})
    environ = child_environ(settings, {})
    assert token_key not in environ.values()
    assert load(ShipperSettings, flags={}, environ=environ) == settings


def test_a_wording_file_reaches_the_shipper_but_no_watcher(tmp_path: Path, token_key: str) -> None:
    file = tmp_path / "wording.yaml"
    file.write_text("hints: off")
    run = load(RunSettings, flags={"coder_url": URL, "wording_file": str(file)}, environ={})
    key = parse_token_keys(token_key)
    assert derive(ShipperSettings, run, token_key=key).wording_file == file
    watcher = derive(WatcherSettings, run, token_key=key)
    assert "CODER_LOGSTREAM_WORDING_FILE" not in child_environ(watcher, {"CODER_LOGSTREAM_WORDING_FILE": "x"})

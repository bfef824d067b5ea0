"""What containers need is made once, for each its own, and a start that cannot succeed says which setting mends it."""

import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.crypto import new_token_key
from common.settings.load import SettingsError, load
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from console.doubles.kube import kubeconfig
from console.prepare import prepare
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "compose" / "demo.kubeconfig"
CODER = "https://coder.example.com"
SERVER = "https://kubernetes.example.com:6443"


@pytest.fixture
def environ() -> dict[str, str]:
    """A machine on which the demo does not run."""
    return {
        "CODER_URL": CODER,
        "LOGSTREAM_NETWORK": "bridge",
        "LOGSTREAM_REDIS_ADDRESS": "redis:6379",
        "LOGSTREAM_DEMO_CODER": f"http://127.0.0.1:{free_port()}",
    }


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given"
    path.write_text(kubeconfig(SERVER, "token-of-the-cluster"))
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Where it makes all of it: a folder, and in compose.yaml a volume, for each program."""
    path = tmp_path / "settings"
    path.mkdir()
    return path


def files(made: Path) -> dict[str, bytes]:
    """What lies there."""
    return {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}


@pytest.fixture
def demo_coder() -> Iterator[str]:
    """The Coder double, as the demo's profile adds it."""
    process = subprocess.Popen([sys.executable, "-m", "console.doubles.coder"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_what_is_made_serves_both_programs_and_is_private(environ: dict[str, str], given: Path, made: Path) -> None:
    prepare(environ, given, made)
    watcher = load(WatcherSettings, flags={}, environ={}, config_file=made / "watcher" / "watcher.toml")
    shipper = load(ShipperSettings, flags={}, environ={}, config_file=made / "shipper" / "shipper.toml")
    assert watcher.token_keys == shipper.token_keys != ()
    assert shipper.coder_url == CODER
    assert watcher.kubeconfig == made / "watcher" / "kubeconfig"
    assert SERVER in watcher.kubeconfig.read_text()
    password = (made / "redis" / "watcher-password").read_text()
    assert watcher.redis_url == f"redis://logstream-watcher:{password}@redis:6379/0"
    others = stat.S_IRWXG | stat.S_IRWXO
    assert [path for path in made.rglob("*") if path.stat().st_mode & others] == []


def test_each_folder_has_only_what_its_program_needs(environ: dict[str, str], given: Path, made: Path) -> None:
    prepare(environ, given, made)
    there = files(made)
    secrets = {
        "token key": there["keys/token-key"].strip(),
        **{f"{name} password": there[f"keys/{name}-password"] for name in ("redis", "watcher", "shipper")},
        "cluster": b"token-of-the-cluster",
    }
    assert len(set(secrets.values())) == len(secrets)
    held = {
        folder: {
            name
            for name, secret in secrets.items()
            for file in there
            if file.startswith(folder)
            if secret in there[file]
        }
        for folder in ("redis", "watcher", "shipper")
    }
    assert held == {
        "redis": {"redis password", "watcher password", "shipper password"},
        "watcher": {"watcher password", "token key", "cluster"},
        "shipper": {"shipper password", "token key"},
    }


def test_a_second_start_keeps_keys_and_passwords_and_takes_a_new_kubeconfig(
    environ: dict[str, str], given: Path, made: Path
) -> None:
    prepare(environ, given, made)
    first = files(made)
    given.write_text(kubeconfig("https://another.example.com"))
    prepare({**environ, "CODER_URL": "https://coder2.example.com"}, given, made)
    again = files(made)
    changed = {name for name in first if first[name] != again[name]}
    assert changed - {"keys/lock"} == {"watcher/kubeconfig", "shipper/shipper.toml"}
    assert tomllib.loads(again["shipper/shipper.toml"].decode())["coder_url"] == "https://coder2.example.com"


def test_a_rotated_token_key_reaches_both_programs(environ: dict[str, str], given: Path, made: Path) -> None:
    prepare(environ, given, made)
    both = new_token_key().encode() + b"\n" + (made / "keys" / "token-key").read_bytes()
    (made / "keys" / "token-key").write_bytes(both)
    prepare(environ, given, made)
    assert {name: data for name, data in files(made).items() if name.endswith("/token-key")} == {
        f"{folder}/token-key": both for folder in ("keys", "watcher", "shipper")
    }


@pytest.mark.parametrize("url", ["http://localhost:7080", "http://127.0.0.1:7080"])
def test_a_coder_on_loopback_names_the_setting(url: str, environ: dict[str, str], given: Path, made: Path) -> None:
    with pytest.raises(SettingsError, match=r"^CODER_URL: .*COMPOSE_FILE=compose.yaml:compose.host.yaml"):
        prepare({**environ, "CODER_URL": url}, given, made)
    prepare({**environ, "CODER_URL": url, "LOGSTREAM_NETWORK": "host"}, given, made)


def test_a_cluster_on_loopback_names_the_setting(environ: dict[str, str], given: Path, made: Path) -> None:
    given.write_text(kubeconfig("https://127.0.0.1:34567"))
    with pytest.raises(SettingsError, match=r"^LOGSTREAM_KUBECONFIG: .*127.0.0.1:34567 .*compose.host.yaml"):
        prepare(environ, given, made)
    prepare({**environ, "LOGSTREAM_NETWORK": "host"}, given, made)


def test_without_coder_url_the_settings_and_the_demo_are_named(environ: dict[str, str], made: Path) -> None:
    with pytest.raises(SettingsError, match=r"^CODER_URL is not set; .*\.env.*--profile demo up"):
        prepare({**environ, "CODER_URL": ""}, DEMO, made)
    assert files(made) == {}


def test_coder_url_alone_asks_for_a_kubeconfig(environ: dict[str, str], made: Path) -> None:
    with pytest.raises(SettingsError, match=r"^LOGSTREAM_KUBECONFIG is not set; example: "):
        prepare(environ, DEMO, made)


def test_a_wrong_coder_url_is_said_as_the_program_says_it(environ: dict[str, str], given: Path, made: Path) -> None:
    with pytest.raises(SettingsError, match=r'^CODER_URL: "coder.example.com" .*example: CODER_URL='):
        prepare({**environ, "CODER_URL": "coder.example.com"}, given, made)


def test_the_demo_needs_no_setting(environ: dict[str, str], demo_coder: str, made: Path) -> None:
    # The double's address is loopback here, that of a container there.
    demo = {**environ, "CODER_URL": "", "LOGSTREAM_DEMO_CODER": demo_coder, "LOGSTREAM_NETWORK": "host"}
    prepare(demo, DEMO, made)
    assert tomllib.loads((made / "shipper" / "shipper.toml").read_text())["coder_url"] == demo_coder


def test_the_demo_never_plays_to_a_real_coder_or_with_a_real_cluster(
    environ: dict[str, str], demo_coder: str, given: Path, made: Path
) -> None:
    demo = {**environ, "LOGSTREAM_DEMO_CODER": demo_coder}
    with pytest.raises(SettingsError, match="the demo runs, and CODER_URL is set"):
        prepare(demo, DEMO, made)
    with pytest.raises(SettingsError, match="the demo has a cluster of its own"):
        prepare({**demo, "CODER_URL": ""}, given, made)

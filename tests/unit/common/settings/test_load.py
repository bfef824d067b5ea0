"""Where a setting comes from, and what is said about a wrong one."""

import base64
import os
import pwd
import tomllib
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.settings.declare import Declared, declared
from common.settings.load import PROGRAMS, SettingsError, load, toml_example
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from common.store.connect import redacted_url

URL = "https://coder.example.com"


def key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def complaint(
    model: type[RunSettings] | type[ShipperSettings] | type[WatcherSettings] = RunSettings,
    flags: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
    config_file: Path | None = None,
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(model, flags=flags or {}, environ=environ or {}, config_file=config_file)
    return str(caught.value)


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'coder_url = "{URL}"\nconcurrency = 3\nprocesses = 3\nbudget_bytes = 3\n')
    environ = {"CODER_LOGSTREAM_CONCURRENCY": "2", "CODER_LOGSTREAM_PROCESSES": "2"}
    got = load(RunSettings, flags={"concurrency": "1"}, environ=environ, config_file=file)
    assert (got.concurrency, got.processes, got.budget_bytes, got.watchers) == (1, 2, 3, 1)


def test_the_peers_variables_are_read() -> None:
    environ = {
        "CODER_URL": URL + "/",
        "CODER_NAMESPACES": "a, b,,a",
        "CODER_FIELD_SELECTOR": "metadata.namespace=a",
        "CODER_LABEL_SELECTOR": "x=y",
        "CODER_LOGSTREAM_METRICS_ADDR": ":9100",
    }
    got = load(RunSettings, flags={}, environ=environ)
    assert got.coder_url == URL
    assert got.namespaces == ("a", "b")
    assert (got.field_selector, got.label_selector, got.metrics_addr) == ("metadata.namespace=a", "x=y", ":9100")


def test_an_empty_variable_is_not_set_unless_empty_means_something(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'coder_url = "{URL}"\nmetrics_addr = ":1"\nconcurrency = 3\n')
    environ = {"CODER_LOGSTREAM_METRICS_ADDR": "", "CODER_LOGSTREAM_CONCURRENCY": "", "CODER_LOGSTREAM_TOKEN_KEY": ""}
    got = load(RunSettings, flags={}, environ=environ, config_file=file)
    assert (got.metrics_addr, got.concurrency, got.token_key) == ("", 3, None)


@pytest.mark.parametrize(
    ("flags", "environ", "begins", "why", "example"),
    [
        ({"coder_url": "ftp://x"}, {}, '--coder-url: "ftp://x"', "not an http", "--coder-url https://"),
        ({}, {"CODER_URL": "coder"}, 'CODER_URL: "coder"', "not an http", "CODER_URL=https://"),
        (
            {"coder_url": "http://u:p@x"},
            {},
            '--coder-url: "http://***"',
            "user or password",
            "--coder-url https://",
        ),
        ({"coder_url": "http://x:99999"}, {}, "--coder-url", "malformed", "--coder-url https://"),
        ({"coder_url": "http://a..b"}, {}, "--coder-url", "host that cannot exist", "--coder-url https://"),
        ({"coder_url": f"http://{'a' * 70}.b"}, {}, "--coder-url", "host that cannot exist", "--coder-url https://"),
        ({"coder_url": "https://exa mple.com"}, {}, "--coder-url", "white space", "--coder-url https://"),
        ({"coder_url": "https://exam\nple.com"}, {}, "--coder-url", "white space", "--coder-url https://"),
        ({"coder_url": "http://a%20b"}, {}, "--coder-url", "host that cannot exist", "--coder-url https://"),
        ({"coder_url": "http://999.1.1.1"}, {}, "--coder-url", "host that cannot exist", "--coder-url https://"),
        ({}, {}, "--coder-url or CODER_URL", "is required", "--coder-url https://"),
        ({"concurrency": "x"}, {}, '--concurrency: "x"', "whole number (agents)", "--concurrency 100"),
        ({"concurrency": "0"}, {}, '--concurrency: "0"', "at least 1", "--concurrency 100"),
        ({"lease_s": "nan"}, {}, "--lease-s", "", "--lease-s 10"),
        ({"slice_s": "-1"}, {}, "--slice-s", "more than 0 (seconds)", "--slice-s 120"),
        ({"slice_s": "2592000"}, {}, "--slice-s", "at most 300 (seconds)", "--slice-s 120"),
        ({"namespaces": "A_b"}, {}, "--namespaces", "names 'A_b', which cannot be a namespace", "--namespaces coder"),
        ({"log_level": "loud"}, {}, "--log-level", "'debug', 'info'", "--log-level info"),
        ({"metrics_addr": "9100"}, {}, "--metrics-addr", "has no port", "--metrics-addr :9100"),
        ({"metrics_addr": ":99999"}, {}, "--metrics-addr", "0 to 65535", "--metrics-addr :9100"),
        ({"metrics_addr": "[::zz]:1"}, {}, "--metrics-addr", "IPv6", "--metrics-addr :9100"),
        (
            {"redis_url": "http://u:secret@h"},
            {},
            '--redis-url: "http://***"',
            "not a redis://",
            "--redis-url redis://redis",
        ),
        ({"redis_url": "redis://h/abc"}, {}, "--redis-url", "wrong database", "--redis-url redis://redis"),
        ({"redis_url": "redis://a..b"}, {}, "--redis-url", "host that cannot exist", "--redis-url redis://redis"),
        ({"redis_url": "redis://h/0?foo=bar"}, {}, "--redis-url", "no option 'foo'", "--redis-url redis://redis"),
        ({"queue_url": "redis://h/0?foo=bar"}, {}, "--queue-url", "no option 'foo'", "--queue-url redis://redis"),
        ({"redis_url": "redis://:a/b@h"}, {}, '--redis-url: "redis://***"', "write / as %2F", "--redis-url redis://"),
        ({"redis_url": "redis+sentinel://a,b"}, {}, "--redis-url", "names no service", "--redis-url redis://redis"),
        ({"redis_url": "redis+sentinel://a..b/s"}, {}, "--redis-url", "host that cannot exist", "--redis-url redis://"),
        ({"queue_url": "redis+sentinel://a/s?x=1"}, {}, "--queue-url", "no option 'x'", "--queue-url redis://redis"),
        ({"redis_url": "redis+sentinel://:a/b@h/s"}, {}, '--redis-url: "redis+sentinel://***"', "%2F", "--redis-url"),
        (
            {"redis_url": "redis+sentinel://h/s/0/0?sentinel_password=x"},
            {},
            '--redis-url: "redis+sentinel://***"',
            "is not like redis+sentinel://HOST:26379",
            "--redis-url",
        ),
        ({"redis_prefix": "a:b"}, {}, "--redis-prefix", "may hold only", "--redis-prefix"),
        ({"metrics_addr": "a..b:1"}, {}, "--metrics-addr", "host that cannot exist", "--metrics-addr :9100"),
        ({"probe_addr": "unix:x"}, {}, "--probe-addr", "expected an absolute one", "--probe-addr :9101"),
        ({"kubeconfig": "/no/such/file"}, {}, "--kubeconfig", "cannot be read: there is no", "--kubeconfig ~/.kube"),
        ({"kubeconfig": "~nosuchuser/x"}, {}, "--kubeconfig", "home directory that cannot", "--kubeconfig ~/.kube"),
        ({"data_dir": "~nosuchuser/x"}, {}, "--data-dir", "home directory that cannot", "--data-dir /var/lib"),
        ({"token_key_file": "~nosuchuser/x"}, {}, "--token-key-file", "home directory that cannot", "--token-key-file"),
        ({}, {"SSL_CERT_FILE": "/no/such/ca"}, "SSL_CERT_FILE", "no such file", "SSL_CERT_FILE=/etc"),
        ({"token_key_file": "/no/such/key"}, {}, "--token-key-file", "No such file", "--token-key-file /etc"),
        (
            {"wording_file": "/no/such"},
            {},
            '--wording-file: "/no/such" cannot be read',
            "No such",
            "--wording-file /etc",
        ),
        ({"wording_file": "~nosuchuser/x"}, {}, "--wording-file", "home directory that cannot", "--wording-file /etc"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_name_the_reason_and_an_example(
    flags: dict[str, str], environ: dict[str, str], begins: str, why: str, example: str
) -> None:
    if "coder_url" not in flags and "CODER_URL" not in environ and begins != "--coder-url or CODER_URL":
        flags = {**flags, "coder_url": URL}
    line = complaint(flags=flags, environ=environ)
    assert line.startswith(begins)
    assert why in line
    assert f"example: {example}" in line
    assert "\n" not in line


@pytest.mark.parametrize("model", [RunSettings, WatcherSettings])
def test_namespaces_are_named_or_selected_but_not_both(
    model: type[RunSettings] | type[WatcherSettings], token_key: str
) -> None:
    needed = {"CODER_URL": URL, "CODER_LOGSTREAM_REDIS_URL": "redis://h", "CODER_LOGSTREAM_TOKEN_KEY": token_key}
    selected = {**needed, "CODER_LOGSTREAM_NAMESPACE_SELECTOR": "a=b"}
    line = complaint(model, flags={"namespaces": "x"}, environ=selected)
    for name in ("--namespaces", "CODER_NAMESPACES", "--namespace-selector", "CODER_LOGSTREAM_NAMESPACE_SELECTOR"):
        assert name in line
    assert "keep one, for example --namespace-selector coder.com/workspaces=true" in line
    assert load(model, flags={"namespaces": ""}, environ=selected).namespace_selector == "a=b"
    assert load(model, flags={"namespace_selector": "", "namespaces": "x"}, environ=selected).namespaces == ("x",)


def test_a_user_without_a_home_is_told_to_name_the_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> NoReturn:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    line = complaint(flags={"coder_url": URL})
    assert line.startswith("--data-dir or CODER_LOGSTREAM_DATA_DIR: the default begins with a home directory")
    assert "example: --data-dir /var/lib/coder-logstream" in line


HOSTS = ["coder", "coder.example.com.", "bücher.example", "coder_1", "10.0.0.1", "[::1]", "localhost"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_may_exist_is_taken(host: str) -> None:
    assert load(RunSettings, flags={"coder_url": f"https://{host}:8443/x"}, environ={}).coder_url.endswith(":8443/x")


SECRET = "S3CR3T"
PASSWORDS = st.text(st.sampled_from("/#?@%:&=.\"'a1"), max_size=8)


@given(
    scheme=st.sampled_from(["redis", "rediss", "redis+sentinel", "unix", "http", "x"]),
    before=PASSWORDS,
    after=PASSWORDS,
)
@example(scheme="redis", before="abc/", after="")
@example(scheme="redis", before="123/", after="")
@example(scheme="redis", before="1?x/", after="")
@example(scheme="unix", before="a/", after="")
@example(scheme="unix", before="@/", after="")
def test_no_part_of_a_password_is_shown_whatever_is_in_it(scheme: str, before: str, after: str) -> None:
    url = f"{scheme}://user:{before}{SECRET}{after}@host/0"
    assert SECRET not in complaint(environ={"CODER_URL": url})
    try:
        shown = redacted_url(load(RunSettings, flags={"coder_url": URL, "redis_url": url}, environ={}).redis_url or "")
    except SettingsError as error:
        shown = str(error)
    assert SECRET not in shown


@pytest.mark.parametrize("item", declared(RunSettings).values(), ids=lambda item: item.name)
def test_the_example_for_the_file_is_a_line_that_the_file_may_hold(item: Declared) -> None:
    ((name, value),) = tomllib.loads(toml_example(item)).items()
    assert name in RunSettings.model_fields
    if not {"file", "dir", "kubeconfig"} & set(name.split("_")) or name == "data_dir":  # these must exist
        assert getattr(RunSettings(**{"coder_url": URL, name: value}), name) is not None


def test_what_is_wrong_inside_a_wording_file_is_said_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "wording.yaml"
    file.write_text("entries:\n  - {reason: Pulling, shown: false}\n")
    assert complaint(environ={"CODER_URL": URL, "CODER_LOGSTREAM_WORDING_FILE": str(file)}) == (
        f'CODER_LOGSTREAM_WORDING_FILE: "{file}" entry 1 (Pulling): no such key: shown, did you mean show?; '
        "keys are reason, kind, component, aspect, exit_code, contains, contains_any, at_least, words, level, emoji, "
        "show, hint; example: show: false; example: CODER_LOGSTREAM_WORDING_FILE=/etc/coder-logstream/wording.yaml"
    )


def test_what_is_wrong_inside_a_file_of_patterns_is_said_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "redact.txt"
    file.write_text("# ours\nemp-([0-9]{6}\n")
    said = complaint(flags={"coder_url": URL, "crash_log_redact_file": str(file)}, environ={})
    assert said.startswith(f'--crash-log-redact-file: "{file}" line 2: is no regular expression: missing )')
    assert "\n" not in said


def test_a_nul_in_a_path_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'coder_url = "{URL}"\ndata_dir = "a\\u0000b"\n')
    assert f'{file}: data_dir: "a\\x00b" holds a NUL character' in complaint(config_file=file)


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    assert "\n" not in complaint(flags={"coder_url": "ftp://x\nERROR forged"})


def test_an_unknown_name_in_the_file_is_refused_with_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('coder_ulr = "x"\n')
    line = complaint(config_file=file)
    assert line.startswith(f"{file}: coder_ulr: no such setting, did you mean coder_url?")


def test_one_file_serves_all_programs(tmp_path: Path, token_key: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'coder_url = "{URL}"\nnamespaces = ["a"]\ntoken_key = "{token_key}"\nwatchers = 2\n')
    assert load(WatcherSettings, flags={}, environ={}, config_file=file).namespaces == ("a",)
    assert load(ShipperSettings, flags={}, environ={}, config_file=file).coder_url == URL


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"coder_url = ", "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (b"concurrency = 1.5", "concurrency")],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    line = complaint(config_file=file)
    assert why in line
    assert "\n" not in line
    assert "example" in line


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint(config_file=tmp_path / "none.toml")


@pytest.mark.parametrize("model", [WatcherSettings, ShipperSettings])
def test_no_token_key_is_refused_with_how_to_make_one(model: type[WatcherSettings]) -> None:
    line = complaint(model, environ={"CODER_URL": URL})
    assert "CODER_LOGSTREAM_TOKEN_KEY or --token-key-file is required" in line
    assert "openssl rand" in line


def test_a_wrong_key_is_told_by_its_place_and_never_shown() -> None:
    secret = key()[:-2] + "!!"
    line = complaint(environ={"CODER_URL": URL, "CODER_LOGSTREAM_TOKEN_KEY": f"{key()},{secret}"})
    assert "key 2 of 2 is not a token key" in line
    assert secret not in line
    assert secret[:10] not in line


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key())
    line = complaint(
        environ={"CODER_URL": URL, "CODER_LOGSTREAM_TOKEN_KEY": key()}, flags={"token_key_file": str(file)}
    )
    assert "both given; keep one" in line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"abc", "is not a token key"),
        (b"\xff", "not ASCII"),
        (b"a" * 70_000, "larger"),
    ],
)
def test_a_bad_key_file_is_told_apart(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    line = complaint(environ={"CODER_URL": URL, "CODER_LOGSTREAM_TOKEN_KEY_FILE": str(file)})
    assert line.startswith(f'CODER_LOGSTREAM_TOKEN_KEY_FILE: "{file}" ')
    assert why in line


def test_a_key_file_may_hold_several_for_rotation(tmp_path: Path) -> None:
    new, old = key(), key()
    file = tmp_path / "key"
    file.write_text(f"{new}\n{old}\n")
    got = load(ShipperSettings, flags={"coder_url": URL, "token_key_file": str(file)}, environ={})
    assert got.token_keys == (new, old)


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    secret, other = key(), key()
    file = tmp_path / "key"
    file.write_text(other)
    url = "redis://user:hunter2@redis:6379/0"
    by_value = load(
        ShipperSettings,
        flags={"coder_url": URL},
        environ={"CODER_LOGSTREAM_TOKEN_KEY": secret, "CODER_LOGSTREAM_REDIS_URL": url},
    )
    by_file = load(ShipperSettings, flags={"coder_url": URL, "token_key_file": str(file), "queue_url": url}, environ={})
    assert by_value.token_keys == (secret,)
    shown = f"{by_value!r} {by_value} {by_file!r} {by_file}"
    for hidden in (secret, other, "hunter2"):
        assert hidden not in shown


def test_the_queue_is_on_the_same_redis_unless_said_otherwise(token_key: str) -> None:
    environ = {"CODER_LOGSTREAM_TOKEN_KEY": token_key, "CODER_LOGSTREAM_REDIS_URL": "redis://a:1/2"}
    assert load(WatcherSettings, flags={}, environ=environ).queue_url == "redis://a:1/2"
    assert load(WatcherSettings, flags={"queue_url": "redis://b"}, environ=environ).queue_url == "redis://b"


def test_run_reads_every_setting_that_watcher_and_shipper_have() -> None:
    ours = {name for model in PROGRAMS.values() for name in model.model_fields}
    assert ours == set(RunSettings.model_fields)


def test_settings_are_frozen() -> None:
    got = load(RunSettings, flags={"coder_url": URL}, environ={})
    with pytest.raises(ValueError, match="frozen"):
        got.concurrency = 5

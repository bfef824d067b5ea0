"""The command line that a settings model makes."""

import re

import pytest

from common.settings.declare import Group, ProgramSettings, declared
from common.settings.flags import command, main
from common.settings.load import PROGRAMS
from common.settings.misspelt import misspelt
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.token_keys import PLAINTEXT_KEY

URL = "https://coder.example.com"


def parse(*arguments: str) -> RunSettings:
    seen: list[RunSettings] = []

    def body(settings: RunSettings) -> int:
        seen.append(settings)
        return 7

    assert main(command("run", RunSettings, body), arguments, "run") == 7
    return seen[0]


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(command("run", RunSettings, lambda _: 0), arguments, "run") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_the_peers_flags_are_taken_long_and_short(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    file = tmp_path_factory.mktemp("kube") / "config"
    file.write_text("")
    long = parse(
        f"--coder-url={URL}", "--namespaces", "a,b", "--field-selector", "f=1", "--label-selector", "l=1",
        "--kubeconfig", str(file), "--metrics-addr", ":1",
    )  # fmt: skip
    short = parse("-u", URL, "-n", "a,b", "-f", "f=1", "-l", "l=1", "-k", str(file), "--metrics-addr", ":1")
    assert long == short
    assert short.namespaces == ("a", "b")


def test_namespaces_may_be_repeated() -> None:
    assert parse("-u", URL, "-n", "a", "-n", "b,c").namespaces == ("a", "b", "c")


def test_flags_of_another_program_mean_nothing_where_they_are_passed_over(
    token_key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", token_key)
    seen: list[ShipperSettings] = []

    def body(settings: ShipperSettings) -> int:
        seen.append(settings)
        return 7

    foreign = ["-n", "a,b", "--node-events", "--parked-s=nonsense", "--watchers", "3"]
    part = command("shipper", ShipperSettings, body, passed_over=RunSettings)
    assert main(part, ["-u", URL, *foreign, "--concurrency=5"], "shipper") == 7
    assert (seen[0].coder_url, seen[0].concurrency) == (URL, 5)
    assert main(part, ["-u", URL, "--wacthers=3"], "shipper") == 2
    assert main(command("shipper", ShipperSettings, body), ["-u", URL, *foreign], "shipper") == 2
    capsys.readouterr()
    assert main(part, ["--help"], "shipper") == 0
    assert "--namespaces" not in capsys.readouterr().out


def test_an_unknown_flag_is_one_line_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse(capsys, "--coder-ulr", "x").startswith("run: --coder-ulr: no such flag, did you mean --coder-url?")


def test_a_stray_word_and_a_missing_value_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unexpected extra argument" in refuse(capsys, "-u", URL, "stray")
    assert "requires an argument" in refuse(capsys, "--coder-url")


def test_a_wrong_value_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse(capsys, "-u", "nonsense").startswith('run: --coder-url: "nonsense" is not an http')


@pytest.mark.parametrize(("name", "model"), PROGRAMS.items())
def test_help_groups_all_settings_with_their_variables(
    name: str, model: type[ProgramSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(name, model, lambda _: 0), ["--help"], name) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for item in declared(model).values():
        assert item.setting.flag in shown
        assert item.setting.env in shown
    groups = [group for group in Group if any(item.setting.group is group for item in declared(model).values())]
    assert [shown.index(f"{group.value}:") for group in groups] == sorted(shown.index(f"{g.value}:") for g in groups)
    assert "Undefined" not in shown


def test_the_short_flag_for_help_is_the_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for flag in ("-h", "--help"):
        assert main(command("run", RunSettings, lambda _: 0), [flag], "run") == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != ""


def test_a_password_in_a_stray_word_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hunter2" not in refuse(capsys, "-u", URL, "redis://:x/hunter2@h")


def test_help_tells_the_order_in_which_a_kubeconfig_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    main(command("run", RunSettings, lambda _: 0), ["--help"], "run")
    words = " ".join(capsys.readouterr().out.split())
    order = [words.index(place) for place in ("KUBECONFIG names", "the service account", "~/.kube/config")]
    assert order == sorted(order)


def test_no_secret_has_a_flag() -> None:
    for model in PROGRAMS.values():
        for item in declared(model).values():
            assert not (item.setting.secret and item.setting.flag), item.name


def test_every_setting_says_what_it_means_why_its_default_and_an_example() -> None:
    for item in declared(RunSettings).values():
        setting = item.setting
        assert setting.meaning.endswith(".")
        assert setting.why.endswith(".")
        assert setting.example
        if item.name.endswith("_s"):
            assert setting.unit == "seconds"
        if item.name.endswith("_bytes"):
            assert setting.unit == "bytes"


def test_a_switch_takes_no_value_and_is_off_by_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not parse("-u", URL).insecure_plaintext_tokens
    assert parse("--insecure-plaintext-tokens", "-u", URL).insecure_plaintext_tokens
    monkeypatch.setenv("CODER_LOGSTREAM_INSECURE_PLAINTEXT_TOKENS", "perhaps")
    assert '"perhaps" is neither true nor false; example: ' in refuse(capsys, "-u", URL)
    monkeypatch.setenv("CODER_LOGSTREAM_INSECURE_PLAINTEXT_TOKENS", "false")
    assert not parse("-u", URL).insecure_plaintext_tokens


def test_a_key_and_no_key_are_not_both_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", "k" * 43 + "=")
    assert "are both given; keep the key" in refuse(capsys, "-u", URL, "--insecure-plaintext-tokens")


def test_the_key_that_everyone_knows_is_no_first_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", PLAINTEXT_KEY)
    assert "begins with the key that everyone knows" in refuse(capsys, "-u", URL)
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", f"{'k' * 43}=,{PLAINTEXT_KEY}")
    assert parse("-u", URL).token_keys[1] == PLAINTEXT_KEY


def test_a_variable_that_is_misspelt_is_said_and_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "CODER_LOGSTREAM_BUGET_BYTES"
    monkeypatch.setenv(wrong, "1")
    monkeypatch.setenv("CODER_LOGSTREAM_ZZZ", "1")
    parse("--coder-url", URL)
    assert capsys.readouterr().err.splitlines() == [
        f"run: {wrong}: no such setting, did you mean CODER_LOGSTREAM_BUDGET_BYTES? It is passed over",
        "run: CODER_LOGSTREAM_ZZZ: no such setting. It is passed over",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "CODER_LOGSTREAM_PORT",  # a Service that is named like the release
        "CODER_LOGSTREAM_SERVICE_HOST",
        "CODER_LOGSTREAM_METRICS_SERVICE_PORT_HTTP",
        "CODER_LOGSTREAM_VALKEY_PORT_6379_TCP_ADDR",
        "CODER_LOGSTREAM_KEYS_SECRET",  # another command's
        "CODER_AGENT_URL",
    ],
)
def test_what_kubernetes_or_another_program_calls_so_is_not_misspelt(name: str) -> None:
    assert misspelt([name]) == {}

"""`--dry-run`: lines go to stdout as JSON, Coder hears nothing, and no other program's data are touched."""

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from common.settings.flags import EXIT_UNREAD
from tests.integration.console.commands import Cluster, Coder, clean_environ, command, double, until

pytestmark = pytest.mark.timeout(120)


def shown(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]


def test_run_writes_every_line_to_stdout_and_asks_coder_nothing(tmp_path: Path) -> None:
    kubeconfig, out, err = tmp_path / "kubeconfig", tmp_path / "out", tmp_path / "err"
    token = str(uuid.uuid4())
    names = {"com.coder.workspace.name": "web", "com.coder.user.username": "alice"}
    with double("coder", "--auto-agents") as coder_url, double("kube", "--write-kubeconfig", str(kubeconfig)) as kube:
        until(kubeconfig.exists, "the double has written its kubeconfig")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command("run", "-k", str(kubeconfig), "--data-dir", str(tmp_path / "data"), "--dry-run"),
                env=clean_environ({"CODER_URL": coder_url}), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        try:
            cluster = Cluster(kube)
            until(lambda: cluster.watches() >= 3, "the watcher watches")
            uid = cluster.start_workspace("web-1", token, names)
            cluster.say("web-1", uid, "Pulling", "Pulling image app:1")
            until(lambda: len(shown(out)) >= 3, "three lines are shown")
        finally:
            process.terminate()
            assert process.wait(30) == 0
        assert Coder(coder_url).answers() == {}
    lines = shown(out)
    assert [each["line"] for each in lines] == [
        "🐳 Created pod: web-1", "assigned web-1 to a node (Scheduled)", "Pulling image app:1",
    ]  # fmt: skip
    assert {(each["namespace"], each["name"], each["workspace"], each["owner"]) for each in lines} == {
        ("coder", "web-1", "web", "alice")
    }
    said = err.read_text()
    assert "a dry run: lines go to stdout as JSON" in said
    assert '"prefix": "logstream-dry-run"' in said  # data that a later run in earnest finds nothing of
    assert token not in out.read_text() + said


def test_a_shipper_does_not_take_away_what_waits_for_others(redis_url: str, token_key: str) -> None:
    environ = {"CODER_URL": "https://coder.example.com", "CODER_LOGSTREAM_TOKEN_KEY": token_key}
    done = subprocess.run(
        command("shipper", "--dry-run", "--redis-url", redis_url), env=clean_environ(environ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--redis-prefix logstream-dry-run" in done.stderr


def test_run_ends_with_the_reader_of_its_lines(tmp_path: Path) -> None:
    kubeconfig, err = tmp_path / "kubeconfig", tmp_path / "err"
    with double("coder", "--auto-agents") as coder_url, double("kube", "--write-kubeconfig", str(kubeconfig)) as kube:
        until(kubeconfig.exists, "the double has written its kubeconfig")
        with err.open("wb") as stderr:
            process = subprocess.Popen(
                command("run", "-k", str(kubeconfig), "--data-dir", str(tmp_path / "data"), "--dry-run"),
                env=clean_environ({"CODER_URL": coder_url}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=stderr,
            )  # fmt: skip
        try:
            cluster = Cluster(kube)
            until(lambda: cluster.watches() >= 3, "the watcher watches")
            uid = cluster.start_workspace("web-1", str(uuid.uuid4()), {})
            assert process.stdout is not None
            assert b"Created pod: web-1" in process.stdout.readline()
            process.stdout.close()
            cluster.say("web-1", uid, "Pulling", "Pulling image app:1")
            assert process.wait(60) == EXIT_UNREAD
        finally:
            process.kill()
            process.wait()
    assert "stdout was closed; what is not shown yet waits for the next dry run" in err.read_text().splitlines()[-1]

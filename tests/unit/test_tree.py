"""Promises about the source tree itself that no linter knows."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.required import unchecked

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
CODE = {".py", ".lua"}
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))

FOREIGN = {
    "a machine's path": re.compile(r"(?<![\w.~$})-])/(work|root)\b(?!-)"),
    "a registry's host": re.compile(r"\b(pypi|pythonhosted|proxy\.golang|sum\.golang|registry\.npmjs)\.org\b"),
}
URL = re.compile(r"https?://")


def project_files() -> Iterator[Path]:
    """What git holds or would add: everything that is not ignored. Skips the test where there is no git checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        unchecked("a look for words in all files", "it needs git and a clone")
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    yield from (path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("package", ["common", "watcher", "shipper", "console", "tests", "bench"])
def test_no_code_file_passes_400_lines(package: str) -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(text_of(path).splitlines())
        for path in (ROOT / package).rglob("*")
        if path.suffix in CODE
    }
    assert {name: lines for name, lines in sizes.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize("package", ["common", "watcher", "shipper", "console"])
def test_every_module_says_its_job(package: str) -> None:
    mute = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if text_of(path).strip() and not text_of(path).lstrip().startswith(('"""', 'r"""'))
    ]
    assert mute == []


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if FOREIGN[what].search(line)
    ]
    assert found == []


def test_a_tree_without_git_is_said_not_to_be_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(pytest.skip.Exception, match=r"^not run: a look for words in all files"):
        list(project_files())


def test_lock_files_leave_the_registry_to_the_installer() -> None:
    for name in LOCKS:
        assert not URL.search(text_of(ROOT / name)), name


@pytest.mark.parametrize("name", LOCKS)
def test_everything_locked_has_a_hash(name: str) -> None:
    entries = re.split(r"\n(?=\S)", text_of(ROOT / name).replace("\n    ", " "))
    assert [entry[:60] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []

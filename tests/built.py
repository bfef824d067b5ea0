"""Programs that are built from Go's modules once, and cached outside the tree: a script beside their source does it."""

import shutil
import subprocess
from pathlib import Path

from tests.required import missing

__all__ = ["built"]


def built(build: Path, part: str, remedy: str = "install Go 1.25 or newer") -> Path:
    """The binary of the script `build`, from the cache or built now. Ends the test if it cannot be had."""
    cached = subprocess.run([build, "--cached"], capture_output=True, text=True, check=False)
    if cached.returncode == 0:
        return Path(cached.stdout.strip())
    if shutil.which("go") is None:
        missing(part, remedy)
    fresh = subprocess.run([build], stdout=subprocess.PIPE, text=True, check=False)
    return Path(fresh.stdout.strip()) if fresh.returncode == 0 else missing(part, "it does not build here; see above")

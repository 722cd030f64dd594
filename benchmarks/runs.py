"""`sweep run` as a process of its own in a folder of its own: its seconds, memory and words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """Wall seconds, the largest memory in MB, and the share of each part of the time in percent."""

    seconds: float
    megabytes: float
    parts: dict[str, int]
    arithmetic: str


def run(*options: str) -> Ran:
    """Run a study from nothing and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        began = time.perf_counter()
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", "from sweep.cli import main; main()", "run", *options],
                cwd=folder,
                stdout=out,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"sweep run {' '.join(options)} ended with {process.returncode}")
        words = log.read_text()
    (told,) = re.findall(r"^time .*?: (.*)$", words, flags=re.MULTILINE)
    parts = {name: int(share) for name, share in re.findall(r"(\w+) (\d+) %", told)}
    arithmetic = re.search(r"^arithmetic ([\d.]+ GF/s)", words, flags=re.MULTILINE)
    return Ran(seconds, usage.ru_maxrss / 1024, parts, arithmetic[1] if arithmetic else "-")

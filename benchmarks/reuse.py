"""What a fully reused run costs, against importing torch once: CPU seconds of whole processes.

Runs `+experiment=tiny` once into the store given (or a temporary one), then again and again.
"""

import resource
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5


def cpu_seconds(command: list[str]) -> float:
    """Return the CPU seconds of a command and all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(store: str) -> None:
    """Print both figures and their ratio."""
    run = [sys.executable, "-m", "lmexp.run", "+experiment=tiny", f"store={store}", "tracking.mode=offline"]
    torch = [sys.executable, "-c", "import torch"]
    print(f"first run {cpu_seconds(run):.1f} CPU s")
    pairs = [(cpu_seconds(run), cpu_seconds(torch)) for _ in range(ROUNDS)]
    reused, imported = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"reused run {reused:.2f} CPU s, import torch {imported:.2f} CPU s, ratio {ratio:.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1] if len(sys.argv) > 1 else folder)

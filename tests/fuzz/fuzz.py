"""Fuzzes one target with atheris, which looks for inputs that reach new code.

    python tests/fuzz/fuzz.py config_file --seconds 60

Other options go to libFuzzer. What is found is written to the current folder as crash-... or
timeout-...; once mended it goes into the corpus. Without atheris, mutations are drawn blindly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

TIMEOUT = 10  # seconds that one input may take
MEMORY = 2048  # MB that the process may take


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz one parser.")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    given, more = parser.parse_known_args()
    try:
        import atheris
    except ImportError:
        without_atheris(given.target, given.seconds)
        return
    with atheris.instrument_imports(include=["videozoo"]):
        import targets
    from mutations import corpus

    assert given.target in targets.TARGETS, f"targets: {', '.join(targets.TARGETS)}"
    found = tempfile.mkdtemp(prefix=f"fuzz-{given.target}-")
    for i, seed in enumerate(corpus(given.target)):
        Path(found, str(i)).write_bytes(seed)
    limits = [f"-max_total_time={given.seconds}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}"]
    options = [*limits, "-max_len=8192", "-verbosity=0", "-print_final_stats=1", *more]
    atheris.Setup(
        [sys.argv[0], *options, found], lambda data: targets.one_input(given.target, data)
    )
    atheris.Fuzz()


def without_atheris(target: str, seconds: float) -> None:
    """Draws mutations, which are the same ones each time."""
    from mutations import mutations
    from targets import one_input

    ends, count = time.monotonic() + seconds, 0
    for data in mutations(target, seed=0):
        if time.monotonic() > ends:
            break
        try:
            one_input(target, data)
        except BaseException:
            Path(f"crash-{target}").write_bytes(data)
            raise
        count += 1
    print(f"{target}: {count:,} inputs")


if __name__ == "__main__":
    main()

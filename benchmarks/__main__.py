"""``python -m benchmarks [NAME ...] [--quick]``."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from benchmarks import report


def main() -> None:
    """Measure what was asked for, write it down and show it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=report.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(report.MEASURES))
    parser.add_argument(
        "--quick", action="store_true", help="only see whether it works; nothing is written"
    )
    parser.add_argument(
        "--sites", type=int, help="for crowd, how many; nothing is written", metavar="N"
    )
    asked = parser.parse_args()
    unknown = set(asked.names) - set(report.MEASURES)
    if unknown:
        known = ", ".join(report.MEASURES)
        parser.error(f"no such measure: {', '.join(sorted(unknown))} (there are {known})")
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = run(asked.names or list(report.MEASURES), quick=asked.quick, sites=asked.sites)
    if asked.quick or asked.sites:
        print(report.render(found))
        return
    results = report.load() | found
    report.write(results)
    print(report.summarise(results, whole=True))
    print(f"\nAll figures: {report.PAGE.parent.name}/{report.PAGE.name}")


def run(names: list[str], *, quick: bool, sites: int | None = None) -> report.Results:
    """Run measures by name; ``sites`` is for that one which asks for it."""
    results: report.Results = {}
    for name in names:
        begin = time.monotonic()
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        options = {"sites": sites} if name == "crowd" else {}
        results[name] = report.stamped(report.measure(name).run(quick=quick, **options))
        print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)
    return results


if __name__ == "__main__":
    main()

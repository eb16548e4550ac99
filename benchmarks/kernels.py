"""Time single matrix products and convolutions in graphc and PyTorch, side by side on one thread.

Each has three rows: forward, and the derivatives by the images and by the weight. See README.md for the columns.
"""

from __future__ import annotations

import argparse
import sys

from implementations import add_options
from kernel_cases import Case, cases
from machine import machine
from process import Implementation, Reference, measure
from results import Result, best_peer
from worker import CHECKED


def implementations(case: Case, peers: str) -> dict[str, tuple[Implementation, str]]:
    """With the Python that runs each; matrices have one order in memory only."""
    found = {
        "graphc": (Implementation("kernels_graphc"), sys.executable),
        "channels first": (Implementation("kernels_torch"), peers),
        "channels last": (Implementation("kernels_torch", {"channels_last": True}), peers),
    }
    if not case.size:
        del found["channels last"]
    return found


def row(case: Case, results: list[Result]) -> str:
    """The line of one kernel."""
    title = f"{case.name:30}{case.part:16}"
    own, best = results[0], best_peer(results)
    if own.left_out:
        return f"{title}graphc left out: {own.left_out}"
    assert own.work is not None
    rate = case.flops / own.median / 1e3
    text = f"{title}{own.median:9.1f}{rate:9.1f}{rate * 1e9 / own.work['peak_flops']:7.0%}"
    if best is None:
        return f"{text}  PyTorch left out: {results[1].left_out}"
    order = best.name if case.size else ""
    return f"{text}{best.median:10.1f}{case.flops / best.median / 1e3:9.1f}{own.median / best.median:7.2f}  {order}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="wanted", default="", metavar="TEXT", help="only kernels whose title has this text")
    add_options(parser, 0.6)
    options = parser.parse_args()
    wanted = [case for case in cases() if options.wanted in f"{case.name}, {case.part}"]
    if not wanted:
        parser.error(f"no kernel's title has {options.wanted!r}")
    for fact, value in machine().items():
        print(f"{fact + ':':14} {value}")
    print(f"\n{'':46}{'graphc':>25}{'PyTorch':>19}")
    print(f"{'':46}{'us':>9}{'GFLOP/s':>9}{'peak':>7}{'us':>10}{'GFLOP/s':>9}{'ratio':>7}")
    for case in wanted:
        print(f"{case.name}, {case.part}:", end="", file=sys.stderr)
        reference = Reference("numpy in float64", [case.expected()] * CHECKED)
        chosen = implementations(case, options.python or sys.executable)
        print(row(case, measure(chosen, case, reference, 1, options.time, cold=False)), flush=True)


if __name__ == "__main__":
    main()

"""Time training steps of two networks in many sizes in graphc and PyTorch, side by side.

It shows whether what graphc gains holds for sizes that no kernel was tuned for. See README.md for the columns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from implementations import add_options, chosen_for, references_for
from machine import machine
from process import LeftOutError, expected, measure
from results import Result, best_peer, thread_count
from workloads.convolutional import lenet5
from workloads.perceptrons import mlp_small
from workloads.spec import Workload

SHAPES: dict[str, Callable[[], Workload]] = {
    **{f"MLP 784-128-10, batch {samples}": partial(mlp_small, samples) for samples in (1, 7, 32, 100, 512)},
    **{f"MLP 784-{width}-10, batch 32": partial(mlp_small, 32, width) for width in (10, 37, 100, 300, 1000, 2048)},
    **{f"LeNet-5, images of {size}": partial(lenet5, size) for size in (28, 32, 45)},
    **{
        f"LeNet-5, channels {first} and {second}": partial(lenet5, 28, (first, second))
        for first, second in ((5, 12), (12, 20), (7, 33))
    },
}
FRAMEWORKS = ["graphc", "torch", "torch-last"]


def row(title: str, results: list[Result]) -> str:
    """The line of one shape."""
    own, best = results[0], best_peer(results)
    if own.left_out or best is None:
        reasons = "; ".join(f"{result.name} left out: {result.left_out}" for result in results if result.left_out)
        return f"{title:32}{reasons}"
    return f"{title:32}{own.median:10.1f}{best.median:12.1f}{own.median / best.median:8.2f}  {best.name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="wanted", default="", metavar="TEXT", help="only shapes whose title has this text")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(%(default)s)")
    add_options(parser, 2.0)
    options = parser.parse_args()
    wanted = {title: make for title, make in SHAPES.items() if options.wanted in title}
    if not wanted:
        parser.error(f"no shape's title has {options.wanted!r}")
    for fact, value in machine().items():
        print(f"{fact + ':':14} {value}")
    print(f"\n{thread_count(options.threads)}, microseconds a step")
    print(f"{'':32}{'graphc':>10}{'PyTorch':>12}{'ratio':>8}")
    for title, make in wanted.items():
        workload = make()
        print(f"{title}:", end="", file=sys.stderr)
        chosen = chosen_for(workload.name, FRAMEWORKS, options.python)
        try:
            reference = expected(references_for(workload.name, options.python), workload, options.threads)
        except LeftOutError as reason:
            sys.exit(f"shapes.py: {reason}")
        print(row(title, measure(chosen, workload, reference, options.threads, options.time, cold=False)), flush=True)


if __name__ == "__main__":
    main()

"""Time training steps in graphc and in other libraries, side by side.

Every implementation runs in a process of its own with the same number of threads; the processes take their steps in
turns, so that other load on the machine hits all alike. An implementation whose losses differ from the reference gets
no time. See README.md for what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from implementations import IMPLEMENTATIONS, add_options, chosen_for, listed, names_on, references_for
from machine import gpu_or_exit, machine
from process import LeftOutError, expected, measure
from results import HEADER, Result, best_peer, rows, thread_count
from workloads import WORKLOADS

Measured = tuple[str, int, list[Result]]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", dest="workloads", default=",".join(WORKLOADS), metavar="NAMES", help="%(default)s")
    parser.add_argument("-f", dest="frameworks", metavar="NAMES", help=",".join(IMPLEMENTATIONS))
    parser.add_argument("--threads", default="2", metavar="N[,M]", help="numbers of threads (%(default)s)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where steps run (%(default)s)")
    parser.add_argument(
        "--precision", default="float32", choices=("float32", "tf32"), help="of products on a GPU (%(default)s)"
    )
    add_options(parser, 6.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the step times as bars (needs matplotlib)")
    chosen = parser.parse_args(arguments)
    chosen.workloads = listed(chosen.workloads, list(WORKLOADS), "workload", parser)
    able = names_on(chosen.device)
    wanted = chosen.frameworks if chosen.frameworks is not None else ",".join(able)
    chosen.frameworks = listed(wanted, list(IMPLEMENTATIONS), "implementation", parser)
    for name in chosen.frameworks:
        if name not in able:
            parser.error(f"{name} does not run on {chosen.device}; there are {', '.join(able)}")
    if chosen.device == "cpu" and chosen.precision != "float32":
        parser.error(f"--precision {chosen.precision} is for --device cuda")
    if not all(number.isdecimal() and int(number) for number in chosen.threads.split(",")):
        parser.error(f"--threads takes positive numbers separated by commas, not {chosen.threads!r}")
    chosen.threads = [int(number) for number in chosen.threads.split(",")]
    if chosen.time <= 0:
        parser.error("--time must be positive")
    return chosen


def measured(options: argparse.Namespace) -> Iterator[tuple[Measured, str]]:
    """The results of each workload and number of threads, and what the losses were compared with."""
    gpu = options.precision if options.device == "cuda" else None
    for name in options.workloads:
        workload = WORKLOADS[name]()
        implementations = chosen_for(name, options.frameworks, options.python, gpu)
        try:
            reference = expected(references_for(name, options.python), workload, max(options.threads))
        except LeftOutError as reason:
            for threads in options.threads:
                yield (name, threads, [Result(one, left_out=str(reason)) for one in implementations]), "no reference"
            continue
        for threads in options.threads:
            print(f"{name}, {thread_count(threads)}:", end="", file=sys.stderr)
            results = measure(implementations, workload, reference, threads, options.time)
            yield (name, threads, results), f"losses compared with {reference.name}"


def summary(found: list[Measured]) -> list[str]:
    """One line a workload: graphc and the quickest peer."""
    lines = ["\ngraphc against the quickest other, microseconds a step:"]
    for name, threads, results in found:
        best = best_peer(results)
        own = next((result for result in results if result.name == "graphc" and result.rounds), None)
        if best is not None and own is not None:
            title = f"  {name:20}{thread_count(threads):9}{own.median:12.1f}{best.median:12.1f}"
            lines.append(f"{title}  {best.name:14}ratio {own.median / best.median:.2f}")
    return lines if len(lines) > 1 else []


def as_json(facts: dict[str, str], found: list[Measured]) -> str:
    """The results, and what they were measured on."""
    figures = [
        {"workload": name, "threads": threads, "results": {result.name: result.as_dict() for result in results}}
        for name, threads, results in found
    ]
    return json.dumps({"machine": facts, "measured": figures}, indent=1) + "\n"


def main() -> None:
    options = parse()
    facts = machine() | (gpu_or_exit() if options.device == "cuda" else {})
    for fact, value in facts.items():
        print(f"{fact + ':':14} {value}")
    print(f"\n{HEADER}")
    place = "on the GPU, " if options.device == "cuda" else ""
    found = []
    for one, compared in measured(options):
        found.append(one)
        name, threads, results = one
        print(
            f"\n{name}: {place}{thread_count(threads)}, {options.precision}, {compared}",
            *rows(results),
            sep="\n",
            flush=True,
        )
    for line in summary(found):
        print(line)
    if options.json is not None:
        options.json.write_text(as_json(facts, found), "utf-8")
    if options.plot is not None:
        from plot import draw

        draw(found, options.plot)


if __name__ == "__main__":
    main()

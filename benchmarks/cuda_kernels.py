"""Time single kernels on a GPU, beside what the GPU does at best, and PyTorch's products where there is a PyTorch.

Everything stays in the memory of the GPU. See README.md for the columns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from machine import gpu_or_exit, machine
from worker import BLOCK, repeated

Call = Callable[[], object]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="wanted", default="", metavar="TEXT", help="only kernels whose title has this text")
    parser.add_argument("--time", type=float, default=0.3, metavar="S", help="seconds for each (%(default)s)")
    parser.add_argument(
        "--precision", default="float32", choices=("float32", "exact", "tf32"), help="of products (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    if chosen.time <= 0:
        parser.error("--time must be positive")
    return chosen


def microseconds(call: Call, wait: Call, seconds: float, together: int = BLOCK) -> float:
    """The median time of a call, of which some are started before they are waited for."""

    def one() -> float:
        before = perf_counter()
        for _ in range(together):
            call()
        wait()
        return (perf_counter() - before) / together

    call()  # the first of a graphc program runs kernel by kernel
    wait()
    return median(repeated(one, seconds))


def bandwidth(wait: Call, seconds: float) -> float:
    """Print the rates of copies; the highest, in bytes a second."""
    from cuda_cases import copies

    print(f"{'copies in the memory of the GPU':48}{'us':>10}{'GB/s':>9}")
    rates = []
    for case in copies():
        program = case.program("cuda")
        time = microseconds(program.function, wait, seconds)
        rates.append(program.moved / time * 1e6)
        print(f"{case.title:48}{time:10.1f}{rates[-1] / 1e9:9.0f}", flush=True)
    return max(rates)


def print_kernels(best: float, wait: Call, options: argparse.Namespace) -> None:
    """The kernels that memory binds. best: what a copy reaches, in bytes a second."""
    from cuda_cases import cases

    print(f"\n{'kernels bound by memory':48}{'us':>10}{'GB/s':>9}{'of copy':>9}{'kernels':>9}")
    for case in cases():
        if options.wanted in case.title:
            program = case.program("cuda")
            time = microseconds(program.function, wait, options.time)
            rate, count = program.moved / time * 1e6, len(program.function.program.calls)
            print(f"{case.title:48}{time:10.1f}{rate / 1e9:9.0f}{rate / best:9.0%}{count:9}", flush=True)


def print_products(wait: Call, options: argparse.Namespace) -> None:
    """Products, beside PyTorch's."""
    from cuda_cases import products

    torch = torch_or_reason(options.precision)
    note = f"PyTorch left out: {torch}" if isinstance(torch, str) else f"PyTorch {torch.__version__}"
    print(f"\nproducts in {options.precision}; {note}")
    print(f"{'':48}{'us':>10}{'TFLOP/s':>9}{'PyTorch':>9}{'TFLOP/s':>9}{'share':>8}")
    for product in products():
        if options.wanted not in product.title:
            continue
        time = microseconds(product.program("cuda", options.precision).function, wait, options.time)
        row = f"{product.title:48}{time:10.1f}{product.flops / time / 1e6:9.1f}"
        if not isinstance(torch, str):
            other = microseconds(torch_product(torch, product), torch.cuda.synchronize, options.time)
            row += f"{other:9.1f}{product.flops / other / 1e6:9.1f}{other / time:8.0%}"
        print(row, flush=True)


def torch_or_reason(precision: str) -> Any:
    """PyTorch, set to a precision, or the reason why there is none for GPUs."""
    try:
        import torch
    except ImportError:
        return f"torch is not installed in {sys.executable}"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    return torch


def torch_product(torch: Any, product: Any) -> Call:
    left, right = (torch.from_numpy(value).to("cuda") for value in product.factors())
    out = left @ right
    return lambda: torch.matmul(left, right, out=out)


def print_launches(wait: Call, seconds: float) -> None:
    """What it costs to start a program, and a kernel of one."""
    from cuda_cases import TINY, Case, tiny

    one = Case("one kernel", (256,), lambda x: x * 1.5).program("cuda").function
    many = tiny().program("cuda", fuse=False).function
    print(f"\n{'tiny programs, replayed as graphs':48}{'us a step':>10}{'us a kernel':>12}")
    for together, how in ((BLOCK, f"{BLOCK} steps at a time"), (1, "waiting after each")):
        for count, function in ((1, one), (TINY, many)):
            time = microseconds(function, wait, seconds, together)
            title = f"{count} kernel{'s' if count > 1 else ''}, {how}"
            print(f"{title:48}{time:10.1f}{time / count:12.2f}", flush=True)


def main() -> None:
    options = parse()
    for fact, value in (machine() | gpu_or_exit()).items():
        print(f"{fact + ':':14} {value}")
    from graphc.runtime.cuda.device import open_device

    wait = open_device().synchronize
    print()
    best = bandwidth(wait, options.time)
    print_kernels(best, wait, options)
    print_products(wait, options)
    print_launches(wait, options.time)


if __name__ == "__main__":
    main()

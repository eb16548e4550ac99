"""The command line: graphc train | render | explain | inspect | check | bench | cache."""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from graphc.errors import DeclarationError, GraphcError
from graphc.frontend.tensor import Tensor
from graphc.passes.explain import explain
from graphc.runtime.bench import bench
from graphc.runtime.cache import default_cache
from graphc.runtime.checkpoint import read_checkpoint
from graphc.runtime.executor import default_threads, thread_count
from graphc.runtime.render import STAGES, render
from graphc.runtime.runs import RunFolder, train_run
from graphc.runtime.target import TARGET_VARIABLE, TARGETS
from graphc.runtime.tasks import BUILT_IN, Task, load_task, message_of, task_options

__all__ = ["main"]

_EXAMPLES = """examples:
  graphc train digits                          train, and leave a run folder with pictures and a report
  graphc train digits --set hidden=64 --epochs 10
  graphc train gpt                             a task that also leaves a sample of what it writes
  graphc train my_model.py --batch-size 64     a file with a function task() that returns a gc.Task
  graphc train digits --resume runs/digits     go on where a run stopped, with the same bits
  graphc render digits --stage kernels -o step.svg
  graphc explain digits digits/dense/weight    how a gradient comes about
  graphc bench digits --batch-size 64          how long a training step takes
  graphc train digits --target cuda            the same on an NVIDIA GPU
"""
_SIDE_BY_SIDE = "Side by side with numpy, PyTorch and JAX: benchmarks/run.py in graphc's repository."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 2 for an error, which is printed without a traceback."""
    options = _parser().parse_args(arguments)
    try:
        with _target(getattr(options, "target", None)):
            status: int = options.command(options)
    except GraphcError as error:
        print(f"graphc: {message_of(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"graphc: {_file_trouble(error)}", file=sys.stderr)
        return 2
    return status


def _file_trouble(error: OSError) -> str:
    """One line: the file and what the system says about it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="graphc", description="A compiler for training neural networks.", epilog=_EXAMPLES, formatter_class=layout
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        described = inspect.cleandoc(run.__doc__ or "")
        added = commands.add_parser(name, help=summary, description=described, epilog=_EXAMPLES, formatter_class=layout)
        added.set_defaults(command=run)
        return added

    train = command("train", _train, "train a task and leave a run folder")
    _add_task(train)
    train.add_argument("--epochs", type=int, metavar="N", help="epochs in all (default: the task's)")
    train.add_argument("--batch-size", type=int, metavar="N", help="samples a step (default: the task's)")
    train.add_argument("--out", type=Path, metavar="DIR", help="the run folder (default: runs/NAME, numbered if taken)")
    train.add_argument("--resume", type=Path, metavar="DIR", help="go on in an earlier run folder")
    train.add_argument("--checkpoint-every", type=int, metavar="N", help="also save after every N steps")
    train.add_argument(
        "--check-finite", action="store_true", help="stop at the first NaN and name the line that made it"
    )
    train.add_argument("--no-pictures", action="store_true", help="leave out the graph pictures")
    train.add_argument("--trace", type=Path, metavar="FILE", help="write when each kernel of a step ran (JSON)")

    draw = command("render", _render, "draw a task's graph")
    _add_task(draw)
    draw.add_argument("--stage", choices=STAGES, default="kernels", help="what to draw (default: kernels)")
    draw.add_argument("-o", "--output", type=Path, default=Path("graph.svg"), help=".svg, .png, .pdf or .dot")

    derive = command("explain", _explain, "derive a gradient")
    _add_task(derive)
    derive.add_argument("parameter", help="the name of a parameter, such as digits/dense/weight")
    derive.add_argument("--latex", action="store_true", help="print LaTeX")

    command("inspect", _inspect, "list a checkpoint").add_argument("checkpoint", type=Path)
    _add_task(command("check", _check, "compare passes and kernels with the reference interpreter"))
    timing = command("bench", _bench, "time the training step of a task")
    _add_task(timing, default="digits")
    timing.add_argument("--steps", type=int, default=1000, metavar="N", help="steps to time (default: %(default)s)")
    timing.add_argument("--batch-size", type=int, metavar="N", help="samples a step (default: the task's)")
    timing.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")

    cache = command("cache", _cache, "show or clear the cache of compiled kernels")
    cache.add_argument("action", nargs="?", choices=("show", "clear"), default="show")
    return parser


def _add_task(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    summary = f"{', '.join(BUILT_IN)}, or a Python file with a function task()"
    if default is None:
        parser.add_argument("task", help=summary)
    else:
        parser.add_argument("task", nargs="?", default=default, help=f"{summary} (default: %(default)s)")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="options of the task")
    parser.add_argument("--seed", type=int, help="of initial values, dropout and the order of samples (default 0)")
    parser.add_argument("--threads", type=int, help="threads (default: $GRAPHC_NUM_THREADS or all processors)")
    parser.add_argument("--target", choices=TARGETS, help=f"what to compile for (default: ${TARGET_VARIABLE} or cpu)")


@contextmanager
def _target(name: str | None) -> Iterator[None]:
    """A block in which programs are compiled for a target, if one is named."""
    before = os.environ.get(TARGET_VARIABLE)
    if name is not None:
        os.environ[TARGET_VARIABLE] = name
    try:
        yield
    finally:
        if name is not None:
            os.environ.pop(TARGET_VARIABLE)
        if name is not None and before is not None:
            os.environ[TARGET_VARIABLE] = before


def _load(options: argparse.Namespace) -> Task:
    return load_task(options.task, _chosen(options))


def _chosen(options: argparse.Namespace) -> dict[str, object]:
    """The options of the task that the command line gives."""
    known = task_options(options.task)
    chosen: dict[str, object] = {}
    for item in options.set:
        name, sign, value = item.partition("=")
        if not sign:
            raise DeclarationError(f"--set {item} has no value", expected="NAME=VALUE", got=item)
        chosen[name] = _value(value)
    for name in ("seed", "threads"):
        given = getattr(options, name)
        if given is not None and name not in known:
            raise DeclarationError(f"task {options.task!r} has no option {name!r}", expected=", ".join(known))
        if given is not None:
            chosen[name] = given
    return chosen


def _value(text: str) -> object:
    """A number, a truth value, None, a list; else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _train(options: argparse.Namespace) -> int:
    """Train a task. The run folder gets checkpoint.safetensors, history.csv and .png, the graph at four stages
    (declared, backward, optimised, kernels), the generated program kernels.py, and report.txt."""
    started = time.perf_counter()
    task = _load(options)
    if options.resume is None:
        task.model.executable("train")  # first, so that a model that cannot run leaves no folder
    folder = RunFolder.choose(options.resume or options.out, task.model.name, resume=options.resume is not None)
    return train_run(
        task,
        folder,
        epochs=task.epochs if options.epochs is None else options.epochs,
        batch_size=task.batch_size if options.batch_size is None else options.batch_size,
        resume=options.resume is not None,
        checkpoint_every=options.checkpoint_every,
        check_finite=options.check_finite,
        pictures=not options.no_pictures,
        trace=options.trace,
        started=started,
    )


def _render(options: argparse.Namespace) -> int:
    """Draw a task's graph: as declared, with the backward graph and updates, optimised, or grouped into kernels."""
    drawing = render(_load(options).model, options.output, stage=options.stage)
    print(f"{options.output} (drawn by {'Graphviz' if drawing.engine == 'dot' else 'graphc itself'})")
    return 0


def _explain(options: argparse.Namespace) -> int:
    """Derive the gradient of the loss by a parameter: values on the way, paths, local derivatives, sums."""
    model = _load(options).model
    named = {str(getattr(node.op, "label", "")): node for node in model.declared.states}
    node = named.get(options.parameter)
    if node is None:
        names = ", ".join(parameter.name for parameter in model.parameters)
        raise DeclarationError(f"there is no parameter {options.parameter!r}", expected=names, got=options.parameter)
    derivation = explain(Tensor(model.declared.output("loss")), Tensor(node))
    print(derivation.latex if options.latex else derivation.text)
    return 0


def _inspect(options: argparse.Namespace) -> int:
    """List the states of a checkpoint with their shapes and statistics, and where training stood."""
    states, position = read_checkpoint(options.checkpoint)
    width = max(map(len, states), default=0)
    for name, value in states.items():
        figures = f"mean {np.mean(value):.4g}, standard deviation {np.std(value):.4g}" if value.size > 1 else f"{value}"
        print(f"  {name:<{width}}  {value.dtype}{list(value.shape)}  {figures}")
    print(f"{position.epoch} epochs and {position.batch} batches trained")
    return 0


def _check(options: argparse.Namespace) -> int:
    """Evaluate the graph before and after each pass, and the compiled step, on a batch of the task's data."""
    task = _load(options)
    print("\n".join(task.model.check(task.first_batch(task.batch_size))))
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Time a task's training step in fresh processes: microseconds a step on one thread and on all, seconds to the
    first step with and without compiled kernels in the cache, and the memory it takes."""
    threads = sorted({1, default_threads()}) if options.threads is None else [thread_count(options.threads)]
    result = bench(options.task, _chosen(options), threads, options.steps, options.batch_size)
    print(f"{result}\n\n{_SIDE_BY_SIDE}")
    if options.json is not None:
        options.json.write_text(result.as_json(), "utf-8")
    return 0


def _cache(options: argparse.Namespace) -> int:
    """Show where compiled kernels are kept and how many there are, or remove them."""
    from graphc.runtime.cuda.compiler import cuda_key

    cache = default_cache()
    if options.action == "clear":
        print(f"removed {cache.clear()} kernels from {cache.folder}")
        return 0
    entries = cache.entries()
    total = sum(path.stat().st_size for path in entries)
    here = sum(cache.is_current(path) for path in entries)
    gpu = sum(replace(cache, environment=cuda_key).is_current(path) for path in entries)
    print(f"folder   {cache.folder or 'none: the cache is off'}")
    print(f"kernels  {len(entries)}, {total:,} bytes of at most {cache.limit:,}")
    print(
        f"usable   {here} on this processor, {gpu} on GPUs, with these versions of graphc and its compilers; "
        "others are compiled anew"
    )
    return 0

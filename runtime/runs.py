"""Run folders: what ``graphc train`` prints while it trains and what it leaves behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphc.errors import DeclarationError, MissingPackageError
from graphc.frontend.tensor import Tensor
from graphc.passes.explain import explain
from graphc.runtime.callbacks import Callback, Checkpoint, CSVLog
from graphc.runtime.executable import Executable
from graphc.runtime.history import History
from graphc.runtime.model import Model
from graphc.runtime.render import STAGES, render
from graphc.runtime.tasks import Task

__all__ = ["RunFolder", "train_run"]


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @staticmethod
    def choose(wanted: Path | None, name: str, resume: bool) -> RunFolder:
        """The folder to use: the wanted one, or runs/NAME, numbered if it is taken; to be resumed it must be there."""
        if resume:
            if wanted is None or not (wanted / "checkpoint.safetensors").is_file():
                raise DeclarationError(
                    f"there is no run to resume in {wanted}", expected="a folder with checkpoint.safetensors"
                )
            return RunFolder(wanted)
        path = wanted or Path("runs") / name
        number = 2
        while wanted is None and path.exists():
            path = Path("runs") / f"{name}-{number}"
            number += 1
        path.mkdir(parents=True, exist_ok=True)
        return RunFolder(path)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file."""
        return self.path / "checkpoint.safetensors"


class _EpochLines(Callback):
    """One printed line an epoch, for logs and terminals alike."""

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Print the row."""
        shown = [f"{name} {value:.4f}" for name, value in logs.items() if name not in ("epoch", "seconds")]
        print(f"epoch {epoch:>3}   {'   '.join(shown)}   {logs['seconds']:.2f} s", flush=True)


def train_run(
    task: Task,
    folder: RunFolder,
    *,
    epochs: int,
    batch_size: int,
    resume: bool,
    checkpoint_every: int | None,
    check_finite: bool,
    pictures: bool,
    trace: Path | None,
    started: float,
) -> int:
    """Train a task into a folder and print the result; the exit status is 0, or 130 after Ctrl-C."""
    model = task.model
    if trace is not None:
        trace.parent.mkdir(parents=True, exist_ok=True)
    if resume:
        model.load(folder.checkpoint)
        print(f"resuming {folder.path} after epoch {model.position.epoch}, batch {model.position.batch}")
    parameters = sum(parameter.value.size for parameter in model.parameters)
    executable = model.executable("train")
    where = f"{executable.threads} threads" if isinstance(executable, Executable) else executable.device.name
    print(
        f"{model.name}: {parameters:,} parameters, {len(executable.program.calls)} kernel calls a step, "
        f"{where}, compiled in {time.perf_counter() - started:.1f} s"
    )
    quiet = not sys.stderr.isatty()
    before = time.perf_counter()
    history = model.fit(
        task.train,
        epochs=max(epochs - model.position.epoch, 0),
        batch_size=batch_size,
        validation_data=task.test,
        callbacks=[
            Checkpoint(folder.checkpoint, checkpoint_every),
            CSVLog(folder.path / "history.csv"),
            *([_EpochLines()] if quiet else []),
        ],
        check_finite=check_finite,
    )
    seconds = time.perf_counter() - before
    model.save(folder.checkpoint)
    print(f"trained {len(history)} epochs in {seconds:.1f} s")
    if task.test is not None:
        for name, value in model.evaluate(task.test).items():
            print(f"test {name} {value:.4f}")
    _leave(task, folder, pictures)
    if trace is not None:
        model.trace(task.first_batch(batch_size), trace)
        print(f"{trace} shows when each kernel of a step ran: open it in ui.perfetto.dev or chrome://tracing")
    print(f"the run is in {folder.path}: {', '.join(sorted(path.name for path in folder.path.iterdir()))}")
    return 130 if history.interrupted else 0


def _leave(task: Task, folder: RunFolder, pictures: bool) -> None:
    """Write the plot, the pictures, the derivation, the program and the report."""
    model = task.model
    _write(History(model.position.history).plot, folder.path / "history.png")
    if task.leave is not None:
        _write(task.leave, folder.path)
    if pictures:
        for stage in STAGES:
            render(model, folder.path / f"graph-{stage}.svg", stage=stage)
    (folder.path / "kernels.py").write_text(model.source(), "utf-8")
    (folder.path / "report.txt").write_text(_report(model, task.batch_size) + "\n", "utf-8")


def _write(write: Callable[[Path], None], path: Path) -> None:
    """Let something write to a path, or say which package it lacks."""
    try:
        write(path)
    except MissingPackageError as error:
        print(error.what, file=sys.stderr)


def _report(model: Model, batch: int) -> str:
    """The report of the step, the stabilised formulas, and the derivation of the first parameter's gradient."""
    parts = [model.report(batch=batch)]
    if model.stabilised:
        parts.append("\n".join(["formulas made stable", *(f"  {firing}" for firing in model.stabilised)]))
    loss = Tensor(model.declared.output("loss"))
    first = next(node for node in model.declared.states if getattr(node.op, "trainable", False))
    parts.append(str(explain(loss, Tensor(first))))
    return "\n\n".join(parts)

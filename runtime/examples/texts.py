"""Text that comes with Python, windows of it, and text that a model writes."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graphc.frontend import losses
from graphc.frontend.initializers import Stream
from graphc.frontend.layers import Layer
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.state import input as declare_input
from graphc.runtime.data.text import Vocabulary, character_windows
from graphc.runtime.function import function
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task
from graphc.scalar import Array

__all__ = ["VOCABULARY", "library_text", "text_task", "write_text"]

VOCABULARY = Vocabulary("\n" + "".join(map(chr, range(32, 127))))
"""The line end and the printable characters of ASCII."""

_MODULES = (
    "argparse calendar collections contextlib copy csv datetime decimal difflib enum fractions functools heapq "
    "inspect itertools json locale logging mailbox math operator optparse os pathlib pickle random re shelve "
    "shlex shutil socket statistics string subprocess tempfile textwrap threading typing unittest uuid zipfile"
)
"""Modules whose docstrings are read, in this order."""


def library_text(characters: int) -> str:
    """The beginning of: the Zen of Python, then docstrings of the standard library.

    Of the characters only those of ``VOCABULARY`` are kept, of several spaces one.

    The docstrings, and so the text, differ a little between versions of Python.

    >>> library_text(30)
    'The Zen of Python, by Tim Pete'
    """
    parts, size = [_zen()], 0
    for name in _MODULES.split():
        if size > 2 * characters:
            break
        module = importlib.import_module(name)
        parts += [inspect.getdoc(module) or "", *_docstrings(module)]
        size = sum(map(len, parts))
    text = "\n\n".join(part for part in dict.fromkeys(parts) if part)
    known = "".join(character for character in text if character in VOCABULARY.characters)
    return re.sub(" +", " ", known)[:characters]


def _zen() -> str:
    """The Zen of Python, which its module prints when it is first imported."""
    with contextlib.redirect_stdout(io.StringIO()):
        module = importlib.import_module("this")
    return "".join(module.d.get(character, character) for character in module.s)


def _docstrings(module: object) -> list[str]:
    """Those of the classes and functions of a module, in the order of their names."""
    public = [getattr(module, name) for name in sorted(dir(module)) if not name.startswith("_")]
    chosen = [value for value in public if inspect.isclass(value) or inspect.isroutine(value)]
    return [inspect.getdoc(value) or "" for value in chosen]


def write_text(scores: Callable[[Array], Array], start: str, count: int, length: int, heat: float, seed: int) -> str:
    """A text and how a model goes on, character by character.

    scores: from codes [1, length] to logits [1, length, characters]. start: at least one character. heat: divides the
    logits; near 0 the likeliest character always comes next.
    """
    codes = [int(code) for code in VOCABULARY.encode(start)]
    draws = Stream(seed, "text").uniform((count,))
    window = np.zeros((1, length), np.int64)
    for draw in draws:
        known = codes[-length:]
        window[0, : len(known)] = known
        logits = np.asarray(scores(window))[0, len(known) - 1].astype(np.float64) / heat
        shares = np.exp(logits - logits.max()).cumsum()
        codes.append(int(np.searchsorted(shares, draw * shares[-1])))
    return VOCABULARY.decode(codes)


def text_task(
    network: Layer, optimizer: Optimizer, characters: int, length: int, epochs: int, seed: int, threads: int | None
) -> Task:
    """Train a network from int64 [batch, length] to logits on library text; it leaves sample.txt and prints it.

    The last tenth of the text is for testing.
    """
    text, following = (declare_input(name, ("batch", length), "int64") for name in ("text", "following"))
    logits = network(text)
    loss = losses.softmax_cross_entropy(logits, following)
    model = compile_model(
        loss,
        optimizer,
        metrics={"bits": loss / float(np.log(2))},
        outputs={"logits": logits},
        seed=seed,
        threads=threads,
        name=network.name,
    )
    codes = VOCABULARY.encode(library_text(characters))
    held_out = len(codes) // 10
    train, test = (
        dict(zip(("text", "following"), (windows[:] for windows in character_windows(part, length)), strict=True))
        for part in (codes[:-held_out], codes[-held_out:])
    )

    def leave(folder: Path) -> None:
        read = function([text], logits, threads=threads)
        sample = write_text(lambda codes: np.asarray(read(codes)), "The ", 400, length, 0.6, seed)
        print(f"what it writes after 'The ':\n{sample}")
        (folder / "sample.txt").write_text(sample + "\n", "utf-8")

    return Task(model, train, test, epochs=epochs, batch_size=32, leave=leave)

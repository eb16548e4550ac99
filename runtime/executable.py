"""Executables: programs with machine code, memory and states, ready to run."""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np

from graphc.dims import evaluate
from graphc.errors import CompilationError
from graphc.frontend.state import Cell, aligned_empty, keeping
from graphc.node import Node, describe
from graphc.ops.leaves import Constant
from graphc.passes.build import Program
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Kernel
from graphc.passes.lower_groups import STATUS
from graphc.passes.signature import signature
from graphc.passes.source import Source, print_kernel
from graphc.passes.storage import Storage
from graphc.passes.threads import Command, plan_commands
from graphc.passes.tile import tiles_apply
from graphc.passes.tiles import print_tile
from graphc.passes.vector import print_vector, vectors_apply
from graphc.passes.winograd_tile import print_winograd, winograd_applies
from graphc.runtime.compilation import Task, compile_sources
from graphc.runtime.drive import MOST_ARGUMENTS
from graphc.runtime.engine import Engine, host
from graphc.runtime.executor import executor_for, thread_count
from graphc.runtime.feeds import Feeder
from graphc.runtime.ranges import range_error
from graphc.runtime.table import Places, TableWriter
from graphc.scalar import Array

__all__ = ["Executable", "source_for"]

_MOST_BINDINGS = 32


@dataclass
class _Binding:
    """The table of commands for given sizes.

    inputs: (name, where its address stands). outputs: (name, shape, element type, where its address stands). numbers:
    outputs of one element, with the memory that they are written to. spans: where the command of each call stands.
    """

    table: Array
    address: int
    inputs: list[tuple[str, Places]]
    outputs: list[tuple[str, tuple[int, ...], np.dtype[np.generic], Places]]
    numbers: dict[str, Array]
    spans: dict[int, tuple[int, int]]


def source_for(kernel: Kernel, features: str) -> Source:
    """What a kernel is compiled from: LLVM code if one of the printers of it knows how, else Python for numba."""
    unit = VectorUnit.of(features)
    if tiles_apply(kernel):
        return print_tile(kernel, unit)
    if winograd_applies(kernel):
        return print_winograd(kernel, unit)
    if vectors_apply(kernel):
        return print_vector(kernel, unit)
    return print_kernel(kernel)


def _check_arguments(program: Program) -> None:
    for call in program.calls:
        count = len(call.sizes) + len(call.arguments)
        if count > MOST_ARGUMENTS:
            raise CompilationError(
                f"{call.kernel.name} takes too many sizes and buffers",
                facts=[("computes", describe(call.nodes[0]))],
                expected=f"at most {MOST_ARGUMENTS}",
                got=str(count),
                way_out="compile with fuse=False",
            )


def _address_of(array: Array) -> int:
    """Where an array's elements lie; ctypes is asked first because it is three times as fast."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    except (TypeError, ValueError):  # an array that is read only, or empty
        return int(array.__array_interface__["data"][0])


class Executable:
    """A program that runs: ``run(inputs, sizes)`` computes outputs and updates states.

    program: what to run. cells: the values of its states, shared with all other programs of the same states. threads:
    how many threads run it; $GRAPHC_NUM_THREADS or all processors by default. ``feeder`` checks what is fed to it.
    """

    def __init__(self, program: Program, cells: Mapping[Node, Cell], threads: int | None = None) -> None:
        self.program = program
        self.cells = dict(cells)
        self.threads = thread_count(threads)
        _check_arguments(program)
        printed: dict[Hashable, Source] = {}
        self.sources: list[Source] = []
        for call in program.calls:
            key = signature(call.kernel)
            if key not in printed:
                printed[key] = source_for(call.kernel, host()[1])
            self.sources.append(printed[key])
        tasks: list[Task] = [
            (source, 2 + len(call.kernel.sizes), tuple(buffer.dtype for buffer in call.kernel.buffers))
            for source, call in zip(self.sources, program.calls, strict=True)
        ]
        codes = compile_sources(tasks)
        self._engine = Engine(codes)
        self._functions = [self._engine.address(code.symbol) for code in codes]
        self._constants = {
            storage: np.array(storage.node.op.value.array)
            for storage in program.storages
            if storage.node is not None and isinstance(storage.node.op, Constant)
        }
        self._executor = executor_for(self.threads)
        self.feeder = Feeder(program.graph.inputs)
        self._arena = aligned_empty((0,), np.dtype(np.uint8))
        self._bindings: OrderedDict[tuple[int, ...], _Binding] = OrderedDict()

    def run(self, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
        """The outputs by name. inputs: contiguous arrays of the declared types. Raises FeedError for a failed check."""
        binding = self._binding(sizes)
        outputs = self._connect(binding, inputs)
        status = self._executor.run(binding.address, len(binding.table))
        if status:
            raise range_error(self.program.checks[status - 1], inputs)
        for name, number in binding.numbers.items():
            outputs[name] = number.copy()
        return outputs

    def _take_states(self) -> None:
        """Bring states here whose newest values are elsewhere; copies of them are out of date from now on."""
        for cell in self.cells.values():
            _ = cell.array

    def _connect(self, binding: _Binding, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Write the addresses of inputs and of new output arrays into the table; the arrays by name."""
        if Cell.ever_lent:
            self._take_states()
        table = binding.table.data  # numpy's own indexing would take ten times as long
        for label, places in binding.inputs:
            places.fill(binding.table, table, _address_of(inputs[label]))
        outputs: dict[str, Array] = {}
        for name, shape, dtype, places in binding.outputs:
            if name in binding.numbers:
                outputs[name] = binding.numbers[name]
                continue
            outputs[name] = array = np.empty(shape, dtype)
            places.fill(binding.table, table, _address_of(array))
        return outputs

    def one_call(self, number: int, inputs: Mapping[str, Array], sizes: Mapping[str, int], repeats: int) -> Array:
        """A table that runs one call of the program many times, for measuring it."""
        binding = self._binding(sizes)
        self._kept = self._connect(binding, inputs)
        start, stop = binding.spans[number]
        command = binding.table[start:stop]
        return np.tile(np.concatenate([command, np.array([2, 0, 0], np.int64)]), repeats)

    def marked_step(
        self, inputs: Mapping[str, Array], sizes: Mapping[str, int], mark: Callable[[int], Sequence[int]]
    ) -> Array:
        """A table that runs one step, with a command of the caller's before and after each call.

        mark: the command without its kind, from the number of the place: 2 * call before it, 2 * call + 1 after it. The
        threads that take part in the call run it.
        """
        binding = self._binding(sizes)
        self._kept = self._connect(binding, inputs)
        table = binding.table.tolist()
        numbers: list[int] = []
        done = 0
        for call, (start, stop) in binding.spans.items():
            kind = table[start]
            numbers += [*table[done:start], kind, *mark(2 * call), *table[start:stop], kind, *mark(2 * call + 1)]
            done = stop
        return np.array(numbers + table[done:], np.int64)

    def keeping_states(self) -> AbstractContextManager[None]:
        """What runs inside may change the states; they are put back afterwards."""
        return keeping(self.cells.values())

    def run_table(self, table: Array) -> None:
        """Run a table of commands as it is."""
        self._executor.run(int(table.ctypes.data), len(table))

    def memory(self, sizes: Mapping[str, int]) -> int:
        """The bytes of the arena for given sizes."""
        return self.program.plan.arena_bytes(sizes)

    def _binding(self, sizes: Mapping[str, int]) -> _Binding:
        key = tuple(sizes[name] for name in sorted(sizes))
        known = self._bindings.get(key)
        if known is not None:
            self._bindings.move_to_end(key)
            return known
        needed = self.program.plan.arena_bytes(sizes)
        if needed > self._arena.size:
            self._arena = aligned_empty((needed,), np.dtype(np.uint8))
            self._bindings.clear()  # their addresses point into the old arena
        binding = self._bind(sizes)
        self._bindings[key] = binding
        if len(self._bindings) > _MOST_BINDINGS:
            self._bindings.popitem(last=False)
        return binding

    def _bind(self, sizes: Mapping[str, int]) -> _Binding:
        program = self.program
        arena = self._arena.ctypes.data
        addresses = {storage: arena + offset for storage, offset in program.plan.offsets(sizes).items()}
        commands = plan_commands(program.calls, program.plan, sizes, self.threads)
        writer = TableWriter(program.calls, self._functions, sizes, partial(self._address, temporaries=addresses))
        writer.write(commands, self._last_input_check(commands))
        table, places = np.array(writer.numbers, np.int64), writer.places
        inputs = [(storage.name, spots) for storage, spots in places.items() if storage.kind == "input"]
        outputs = []
        ones: dict[str, Array] = {}
        for name, node in program.graph.outputs:
            spots = places[Storage("output", name, node.type, node)]
            shape = tuple(evaluate(size, sizes) for size in node.type.shape)
            outputs.append((name, shape, node.type.dtype.numpy, spots))
            if not shape:
                ones[name] = np.zeros(shape, node.type.dtype.numpy)
                spots.fill(table, table.data, int(ones[name].ctypes.data))
        return _Binding(table, int(table.ctypes.data), inputs, outputs, ones, writer.spans)

    def _last_input_check(self, commands: list[Command]) -> int | None:
        """The last of the range checks of inputs, after which a step stops if one failed."""
        last = None
        for command in commands:
            if STATUS not in self.program.calls[command.call].arguments:
                break
            last = command.call
        return last

    def _address(self, storage: Storage, temporaries: Mapping[Storage, int]) -> int | None:
        if storage.kind == "temporary":
            return temporaries[storage]
        if storage.kind == "state":
            assert storage.node is not None
            return int(self.cells[storage.node].array.ctypes.data)
        if storage.kind == "constant":
            return int(self._constants[storage].ctypes.data)
        return self._executor.status_address if storage.kind == "status" else None

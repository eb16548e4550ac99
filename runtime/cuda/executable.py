"""Programs on a GPU: compiled kernels, memory on the device, and steps that run as CUDA graphs."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import cast

import numpy as np

from graphc.dims import evaluate
from graphc.errors import DeviceError, FeedError
from graphc.frontend.state import Cell, keeping
from graphc.node import Node, describe
from graphc.ops.leaves import Constant, Input
from graphc.passes.build import Program
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.lower import KernelCall
from graphc.passes.lower_groups import STATUS
from graphc.passes.signature import signature
from graphc.passes.storage import Side, Storage, memory_of
from graphc.passes.threads import Command
from graphc.runtime.cuda.binding import Binding, Slot, bytes_of
from graphc.runtime.cuda.compiler import Cubin, compile_cuda
from graphc.runtime.cuda.device import Device, LibraryLaunch, Work, open_device
from graphc.runtime.cuda.driver import ONE_BY_ONE
from graphc.runtime.cuda.launches import LaunchWriter
from graphc.runtime.cuda.memory import Memory, arrange, too_little_memory
from graphc.runtime.cuda.pending import Arrivals, Pending, Step
from graphc.runtime.cuda.products import FindLibrary, PlannedProduct, Products, library_for, workspace_of
from graphc.runtime.cuda.residence import Resident, resident_of
from graphc.runtime.cuda.timing import fastest
from graphc.runtime.feeds import Feeder
from graphc.runtime.ranges import check_ranges, checked_by_host, range_error
from graphc.scalar import Array

__all__ = ["CudaExecutable"]

Compile = Callable[[Sequence[CudaKernel], tuple[int, int]], Sequence[Cubin]]

_MOST_BINDINGS = 32


class CudaExecutable:
    """A program that runs on a GPU: ``run(inputs, sizes)`` computes outputs and updates states, as on the CPU.

    program: what to run. cells: the values of its states, shared with all other programs of the same states. precision:
    "exact" adds up products in the order of the CPU; else cuBLASLt computes large ones where it is installed; "tf32"
    and "bfloat16" need it (MissingPackageError). device: the first GPU by default. compile: makes machine code of
    kernels. library: finds what computes products. The first step of given sizes runs kernel by kernel, so that one
    that fails is named; those after it run as one CUDA graph each.

    The algorithm of a product is chosen once for given sizes. The same program gives the same bits each time it runs;
    but for "exact", another GPU or version of cuBLASLt may give others.
    """

    def __init__(
        self,
        program: Program,
        cells: Mapping[Node, Cell],
        precision: str = "float32",
        device: Device | None = None,
        compile: Compile = compile_cuda,
        library: FindLibrary = library_for,
    ) -> None:
        self.program = program
        self.cells = dict(cells)
        self.device = open_device() if device is None else device
        self.threads = 1
        self.feeder = Feeder(program.graph.inputs)
        self._singly = os.environ.get(ONE_BY_ONE, "0") not in ("", "0")
        here = {number for number, call in enumerate(program.calls) if checked_by_host(call)}
        self._checked_here = [program.calls[number].nodes[0] for number in sorted(here)]
        self._commands = [Command(number, False, False) for number in range(len(program.calls)) if number not in here]
        calls = {command.call: program.calls[command.call] for command in self._commands}
        self._products = Products(library(precision, self.device), self.device, calls, precision)
        self._storages = _storages_of(list(calls.values()))
        self._load(compile, precision == "exact")
        self._arrange_numbers()
        changed = {state for state, _ in program.graph.updates}
        self._states = {s: s.node in changed for s in self._storages if s.kind == "state"}
        self._residents: list[tuple[Cell, Resident, bool]] = []
        self._fixed: dict[Storage, int] = {}
        self._constants: Memory | None = None
        self._numbers: Memory | None = None
        self._arrivals: Arrivals | None = None
        self._arena: Memory | None = None
        self._workspace: Memory | None = None
        self._bindings: OrderedDict[tuple[int, ...], Binding] = OrderedDict()

    def _load(self, compile: Compile, exact: bool) -> None:
        """Print, compile and load the kernels of all calls, equal ones once."""
        printed: dict[Hashable, list[CudaKernel]] = {}
        self.kernels: dict[int, list[CudaKernel]] = {}
        for number in (command.call for command in self._commands):
            call = self.program.calls[number]
            guards = sum(isinstance(place, Side) for place in call.loops)
            key = signature(call.kernel), call.sizes, guards
            if key not in printed:
                printed[key] = list(cuda_kernel(call, exact).launched)
            self.kernels[number] = printed[key]
        kernels = [kernel for several in printed.values() for kernel in several]
        cubins = compile(kernels, self.device.capability)
        loaded = {(one.entry, one.data): self.device.load(one.data, one.entry) for one in cubins}
        known = {id(kernel): loaded[one.entry, one.data] for kernel, one in zip(kernels, cubins, strict=True)}
        self._parts = {
            number: [(kernel, known[id(kernel)]) for kernel in several] for number, several in self.kernels.items()
        }

    def _arrange_numbers(self) -> None:
        """Where the status and the outputs of one element lie in the memory that is copied here after each step."""
        self._outputs = [Storage("output", name, node.type, node) for name, node in self.program.graph.outputs]
        numbers = [STATUS, *(one for one in self._outputs if not one.type.shape)]
        self._places = {storage: 8 * place for place, storage in enumerate(numbers)}
        self._arrays = [storage for storage in self._outputs if storage not in self._places]
        self._checks = STATUS in self._storages

    def run(self, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
        """The outputs by name. inputs: contiguous arrays of the declared types.

        Outputs of one element are ``Pending`` numbers, which wait when they are read; others are arrays. Raises
        FeedError for a failed check: of inputs before anything runs; of computed integers when outputs are read, or
        when a later step needs room. Raises DeviceError if memory is short or the GPU has failed.
        """
        with self.device.lock:
            binding, slot = self._supply(inputs, sizes)
            try:
                self._start(binding, slot)
            except BaseException:
                with suppress(DeviceError):
                    slot.release()  # what has been launched still reads it
                raise
            slot.release()
            return self._results(binding)

    def profile(self, inputs: Mapping[str, Array], sizes: Mapping[str, int], repeats: int = 30) -> list[float]:
        """Seconds that each call takes by itself, by its number: the fastest of several tries, each of so many
        repetitions; of one round, if it is in a loop.

        Calls that are checked on the host, or have nothing to do, take 0. The states are put back afterwards. Raises
        FeedError and DeviceError as ``run`` does.
        """
        seconds = [0.0] * len(self.program.calls)
        with self.device.lock, self.keeping_states():
            binding, slot = self._supply(inputs, sizes)
            launches: dict[int, list[Work]] = {}
            for launch in self._launches(binding, slot):
                self._launch_singly(launch)
                launches.setdefault(launch.call, []).append(launch)
            for number, several in launches.items():
                rounds = evaluate(self.program.calls[number].rounds, sizes)
                seconds[number] = fastest(self.device, several[: len(several) // rounds], repeats)
            slot.release()
        return seconds

    @property
    def library_calls(self) -> frozenset[int]:
        """The numbers of the calls that cuBLASLt computes, in the sizes that ran last; before the first step, of those
        that it will be asked to compute."""
        last = next(reversed(self._bindings.values()), None)
        return frozenset(last.products) if last is not None else self._products.calls

    def keeping_states(self) -> AbstractContextManager[None]:
        """What runs inside may change the states; they are put back afterwards."""
        return keeping(self.cells.values())

    def memory(self, sizes: Mapping[str, int]) -> int:
        """The bytes of the arena for given sizes."""
        return self.program.plan.arena_bytes(sizes)

    def _supply(self, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> tuple[Binding, Slot]:
        """Have everything on the device that a step of these sizes needs."""
        if self.device.failure is not None:
            raise self.device.failure
        self._check_inputs(inputs, sizes)
        if self._arrivals is not None:
            self._arrivals.make_room()
        binding = self._binding(sizes)
        for cell, resident, changes in self._residents:
            cell.lend(resident, changes)
        slot = binding.next_slot()
        slot.feed(inputs)
        return binding, slot

    def _check_inputs(self, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        """The range checks of inputs, which need no device."""
        if self._checked_here:
            nodes = {node: node.op.label for node in self.program.graph.inputs if isinstance(node.op, Input)}
            check_ranges(self._checked_here, {node: inputs[label] for node, label in nodes.items()}, inputs, sizes)

    # Steps.
    def _start(self, binding: Binding, slot: Slot) -> None:
        """Launch the kernels of a step."""
        if self._checks:
            self.device.clear(self._fixed[STATUS], 8)
        if self._singly or binding.steps == 0:
            for launch in self._launches(binding, slot):
                self._launch_singly(launch)
        else:
            if slot.recording is None:
                slot.recording = self.device.record(self._launches(binding, slot))
            self.device.replay(slot.recording)
        binding.steps += 1

    def _launches(self, binding: Binding, slot: Slot) -> list[Work]:
        assert self._arena is not None
        arena, sizes = self._arena.address, binding.sizes
        addresses = {one: arena + place for one, place in self.program.plan.offsets(sizes).items()}
        addresses |= {one: slot.address + place for one, place in slot.places.items()}
        addresses |= binding.addresses | self._fixed
        scratch = arena + self.memory(sizes)
        workspace = self._workspace.address if self._workspace is not None else 0
        writer = LaunchWriter(
            self.program.calls, self._parts, sizes, addresses.__getitem__, scratch, binding.products, workspace
        )
        writer.walk(self._commands)
        return writer.launches

    def _launch_singly(self, launch: Work) -> None:
        """Run one kernel or product and wait for it. DeviceError names it and what it computes."""
        try:
            self.device.launch(launch)
            self.device.synchronize()
        except DeviceError as error:
            raise self._explained(error, launch) from None

    def _explained(self, error: DeviceError, launch: Work) -> DeviceError:
        """The error of a launch, with what was launched."""
        call = self.program.calls[launch.call]
        line = call.nodes[0].origin.location
        facts = [("computes", describe(node)) for node in call.nodes]
        if isinstance(launch, LibraryLaunch):
            what = f"{launch.subject} failed on {self.device.name}"
            facts.append(("by", "cuBLASLt"))
            way_out = 'compile with precision="exact", which leaves out the library'
        else:
            what = f"kernel {call.kernel.name} failed on {self.device.name}"
            facts.append(("launched as", f"{launch.blocks:,} blocks of {launch.threads} threads"))
            way_out = "this is a fault of graphc or of the GPU: report it, and start the program again on the CPU"
        at = None if line is None else str(line)
        return DeviceError(what, at=at, facts=facts, got=error.got, way_out=way_out)

    def _results(self, binding: Binding) -> dict[str, Array]:
        """The outputs of the step that has been started."""
        step = self._send()
        arrays = {output.name: output.fetch(self.device) for output in binding.outputs}
        if step is not None and self._checks and (arrays or len(self._places) == 1):
            self._arrivals_of().wait_for(step)
        found: dict[str, Array] = {}
        for storage in self._outputs:
            if storage.name in arrays:
                found[storage.name] = arrays[storage.name]
            elif step is not None:
                number = Pending(self._arrivals_of(), step, self._places[storage], storage.type.dtype)
                found[storage.name] = cast(Array, number)  # it does what models ask of an array without axes
        return found

    def _send(self) -> Step | None:
        """Let the numbers of the step come here, if it has any."""
        if self._arrivals is None:
            return None
        return self._arrivals.send(self._fixed[STATUS], partial(_failed_check, self.program.checks))

    def _arrivals_of(self) -> Arrivals:
        assert self._arrivals is not None
        return self._arrivals

    # Memory.
    def _binding(self, sizes: Mapping[str, int]) -> Binding:
        if any(cell.copy is not resident for cell, resident, _ in self._residents):
            self._forget()  # a state was on another device meanwhile, so its address has changed
        key = tuple(sizes[name] for name in sorted(sizes))
        known = self._bindings.get(key)
        if known is not None:
            self._bindings.move_to_end(key)
            return known
        products = self._products.plan(sizes)
        self._make_room(sizes, products)
        self._prepare()
        if self._arena is None:
            self._arena = Memory(self.device, self._arena_bytes(sizes, products))
        if self._workspace is None and workspace_of(products):
            self._workspace = Memory(self.device, workspace_of(products))
        inputs = [storage for storage in self._storages if storage.kind == "input"]
        binding = self._bindings[key] = Binding(self.device, inputs, self._arrays, sizes, products)
        return binding

    def _make_room(self, sizes: Mapping[str, int], products: Mapping[int, PlannedProduct]) -> None:
        """See that the memory for these sizes is there, before any of it is asked for."""
        if len(self._bindings) >= _MOST_BINDINGS:
            self.device.synchronize()
            self._bindings.popitem(last=False)
        shared = (self._arena, self._arena_bytes(sizes, products)), (self._workspace, workspace_of(products))
        if any(memory is not None and memory.size < size for memory, size in shared):
            self._forget()
        needed = self._needed(sizes, products)
        free, total = self.device.memory()
        if sum(needed.values()) > free and self._bindings:
            self._forget()
            needed = self._needed(sizes, products)
            free, total = self.device.memory()
        if sum(needed.values()) > free:
            raise too_little_memory(self.device.name, needed, free, total)

    def _forget(self) -> None:
        """Give back what belongs to sizes; recorded graphs hold addresses in it."""
        self.device.synchronize()
        self._bindings.clear()
        self._residents = []
        self._arena = self._workspace = None

    def _needed(self, sizes: Mapping[str, int], products: Mapping[int, PlannedProduct]) -> dict[str, int]:
        """Bytes that a step with new sizes needs on the device and that are not there yet, by what for."""
        inputs = bytes_of((storage for storage in self._storages if storage.kind == "input"), sizes)
        cells = [self.cells[storage.node] for storage in self._states if storage.node is not None]
        missing = [cell.nbytes for cell in cells if resident_of(cell, self.device) is None]
        return {
            "temporaries": 0 if self._arena is not None else self._arena_bytes(sizes, products),
            "workspace": 0 if self._workspace is not None else workspace_of(products),
            "states": sum(missing),
            "constants": 0 if self._constants is not None else sum(one.nbytes for one in self._literals().values()),
            "inputs": 2 * arrange(inputs)[1],
            "outputs": arrange(bytes_of(self._arrays, sizes))[1],
        }

    def _arena_bytes(self, sizes: Mapping[str, int], products: Mapping[int, PlannedProduct]) -> int:
        """Bytes of temporaries, and of the scratch memory that kernels share one after the other, which lies behind."""
        scratch = 0
        for number in self.kernels.keys() - products.keys():
            kernels = self.kernels[number]
            values = [evaluate(size, sizes) for size in self.program.calls[number].sizes]
            scratch = max(scratch, *(kernel.scratch_bytes(values) for kernel in kernels))
        return self.memory(sizes) + scratch

    def _literals(self) -> dict[Storage, Array]:
        return {
            storage: np.ascontiguousarray(storage.node.op.value.array)
            for storage in self._storages
            if storage.node is not None and isinstance(storage.node.op, Constant)
        }

    def _prepare(self) -> None:
        """Have all on the device that does not depend on sizes: constants, states, numbers."""
        if self._constants is None:
            self._upload_constants()
        if self._numbers is None:
            self._numbers = Memory(self.device, 8 * len(self._places))
            self.device.clear(self._numbers.address, self._numbers.size)
            self._fixed |= {one: self._numbers.address + place for one, place in self._places.items()}
            if self._checks or len(self._places) > 1:
                self._arrivals = Arrivals(self.device, self._numbers.size)
        self._residents = []
        for storage, changes in self._states.items():
            assert storage.node is not None
            cell = self.cells[storage.node]
            resident = resident_of(cell, self.device) or Resident(self.device, cell.nbytes)
            self._fixed[storage] = resident.address
            self._residents.append((cell, resident, changes))

    def _upload_constants(self) -> None:
        literals = self._literals()
        places, total = arrange({storage: array.nbytes for storage, array in literals.items()})
        self._constants = Memory(self.device, total)
        for storage, array in literals.items():
            self._fixed[storage] = self._constants.address + places[storage]
            if array.size:
                self.device.upload(self._fixed[storage], array)


def _storages_of(calls: Sequence[KernelCall]) -> list[Storage]:
    """All memory that calls use, in the order of first use."""
    arguments = [argument for call in calls for argument in call.arguments]
    arguments += [place.condition for call in calls for place in call.loops if isinstance(place, Side)]
    return list(dict.fromkeys(memory for argument in arguments for memory in memory_of(argument)))


def _failed_check(checks: Sequence[Node], status: int) -> FeedError:
    return range_error(checks[status - 1], {})

"""The CUDA packages: every import of numba-cuda, nvJitLink and the driver's bindings is in this module, inside
functions, so that graphc loads and runs without them.

Nothing here needs a GPU or a driver but what is called through ``driver``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from graphc.errors import CompilationError
from graphc.origin import user_location

__all__ = [
    "INSTALL",
    "Assembled",
    "Lowered",
    "assemble",
    "available",
    "define_function",
    "driver",
    "language",
    "lower_kernel",
    "require",
    "versions",
]

INSTALL = 'pip install "graphc[cuda]"'
"""What brings the CUDA packages."""
_SIMULATOR = "NUMBA_ENABLE_CUDASIM"
_SIMULATED = f"numba's simulator is switched on ({_SIMULATOR})"
_MODULES = ("numba_cuda", "cuda.bindings", "cuda.core")
_PACKAGES = ("numba-cuda", "numba", "llvmlite", "nvidia-nvvm", "nvidia-nvjitlink")
_OPTIONS = {"opt": 3, "fma": 0, "ftz": 0, "prec-div": 1, "prec-sqrt": 1}
"""Of NVVM: multiplications and additions stay apart, as on the CPU; numbers below the normal ones count; divisions and
roots are rounded correctly."""
_LOWERED_FOR = (7, 5)
"""The capability that code is lowered for; nothing that generated source uses depends on it."""


@cache
def available() -> str | None:
    """Why kernels cannot be compiled for CUDA, in a few words; None if they can."""
    missing = [name for name in _MODULES if not _is_installed(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.environ.get(_SIMULATOR, "0") != "0":
        return _SIMULATED
    try:
        parts = _parts()
        parts.nvvm.NVVM().get_version()
        parts.nvvm.LibDevice()
        parts.nvjitlink.version()
    except Exception as error:  # the packages raise classes of their own for each library that they do not find
        return f"{type(error).__name__}: {_first_line(error)}"
    return None


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def require() -> None:
    """Nothing where kernels can be compiled for CUDA; else CompilationError."""
    reason = available()
    if reason is not None:
        raise CompilationError(
            "kernels cannot be compiled for CUDA",
            at=str(user_location()),
            got=reason,
            way_out=f"unset {_SIMULATOR} and start again" if reason == _SIMULATED else INSTALL,
        )


@cache
def versions() -> tuple[str, ...]:
    """What compiles kernels, with versions; a library that came without a package gives its own."""
    return tuple(f"{package} {_version(package)}" for package in _PACKAGES)


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    with suppress(Exception):  # of many classes, from libraries that are not there
        if package == "nvidia-nvvm":
            return str(_parts().nvvm.NVVM().get_version())
        if package == "nvidia-nvjitlink":
            return str(_parts().nvjitlink.version())
    return "missing"


@dataclass(frozen=True)
class _Parts:
    """Modules and objects of the packages."""

    cuda: Any
    types: Any
    typing: Any
    compiler: Any
    nvvm: Any
    nvjitlink: Any
    target: Any
    refusal: type[Exception]


@cache
def _parts() -> _Parts:
    cuda, types, typing, compiler, nvvm, descriptor, errors, nvjitlink = map(
        import_module,
        (
            "numba.cuda",
            "numba.cuda.types",
            "numba.cuda.typing",
            "numba.cuda.compiler",
            "numba.cuda.cudadrv.nvvm",
            "numba.cuda.descriptor",
            "numba.core.errors",
            "cuda.bindings.nvjitlink",
        ),
    )
    return _Parts(cuda, types, typing, compiler, nvvm, nvjitlink, descriptor.cuda_target, errors.NumbaError)


def driver() -> Any:
    """The module cuda.bindings.driver: the driver's own functions."""
    from cuda.bindings import driver

    return driver


def language(names: Sequence[str]) -> dict[str, Any]:
    """What source may name besides operations: ``cuda`` with its thread numbers and arrays, and element types."""
    parts = _parts()
    return {"cuda": parts.cuda, **{name: getattr(parts.types, name) for name in names}}


Form = tuple[Callable[..., Any], str, tuple[str, ...]]
"""A function, the type of its result, and those of its arguments."""


def define_function(forms: Sequence[Form]) -> Any:
    """Compile a function that kernels call, in one form or one for each of some types; kernels name what is returned.

    Arguments are converted to the types of the form that fits. Calls are always inlined.
    """
    parts = _parts()
    typing_context, target_context = parts.target.typing_context, parts.target.target_context
    known = forms[0][0]
    compiled = []
    for function, result, arguments in forms:
        signature = tuple(map(_type, arguments))
        compiled.append(
            parts.compiler.compile_cuda(function, _type(result), signature, cc=_LOWERED_FOR, forceinline=True)
        )
    signatures = [one.signature for one in compiled]
    template = parts.typing.make_concrete_template(known.__name__, known, signatures)
    typing_context.insert_user_function(known, template)
    for one in compiled:
        target_context.insert_user_function(known, one.fndesc, [one.library])
    return known


def _type(name: str) -> Any:
    """A type by name; a star at the end makes it a pointer."""
    types = _parts().types
    return types.CPointer(getattr(types, name[:-1])) if name.endswith("*") else getattr(types, name)


@dataclass(frozen=True)
class Lowered:
    """A kernel in the language of NVVM, from which PTX of any capability is made."""

    library: Any
    name: str
    entry: str

    def ptx(self, capability: tuple[int, int]) -> str:
        """The PTX of the kernel. CompilationError if NVVM refuses it."""
        try:
            text = self.library.get_asm_str(cc=capability)
        except _parts().nvvm.nvvmError as error:
            raise CompilationError("NVVM refuses a kernel", got=_first_line(error)) from error
        text = re.sub(r"\.common \.global [^;]*NumbaEnv[^;]*;\n", "", text)  # what Python would need of the environment
        return str(text.replace(self.name, self.entry)) + "\n"


def lower_kernel(function: Callable[..., Any], entry: str, arguments: Sequence[str], threads: int) -> Lowered:
    """Compile a kernel as far as it is the same for all capabilities, which takes most of the time.

    entry: what it is called there. arguments: the names of their types, such as "int64" and "float32*"; what pointers
    point to does not overlap. threads: the most that a block will have. CompilationError if numba-cuda refuses it.
    """
    parts = _parts()
    signature = tuple(map(_type, arguments))
    try:
        compiled = parts.compiler.compile_cuda(
            function, parts.types.void, signature, nvvm_options=dict(_OPTIONS), cc=_LOWERED_FOR
        )
    except parts.refusal as error:
        raise CompilationError("numba-cuda refuses a kernel", got=_first_line(error)) from error
    name, library = compiled.fndesc.llvm_func_name, compiled.library
    kernel = library.get_function(name)
    parts.compiler.kernel_fixup(kernel, False)
    parts.nvvm.set_launch_bounds(kernel, threads)
    for argument, kind in zip(kernel.args, arguments, strict=True):
        if kind.endswith("*"):
            argument.add_attribute("noalias")
    return Lowered(library, name, entry)


@dataclass(frozen=True)
class Assembled:
    """Machine code of a kernel. registers: of a thread. shared: bytes of a block. stack, spilled: bytes of a thread."""

    data: bytes
    registers: int
    shared: int
    stack: int
    spilled: int


def assemble(ptx: str, capability: tuple[int, int]) -> Assembled:
    """Machine code for a capability, and what the assembler says of it."""
    linker = _parts().nvjitlink
    handle = linker.create(2, [f"-arch=sm_{capability[0]}{capability[1]}", "-verbose"])
    try:
        content = ptx.encode()
        linker.add_data(handle, linker.InputType.PTX, content, len(content), "kernel")
        linker.complete(handle)
        data = bytearray(linker.get_linked_cubin_size(handle))
        linker.get_linked_cubin(handle, data)
        log = _log(linker.get_info_log_size, linker.get_info_log, handle)
    except linker.nvJitLinkError as error:
        log = _log(linker.get_error_log_size, linker.get_error_log, handle)
        raise CompilationError(
            "nvJitLink refuses a kernel", facts=[("log", log.strip()[:400])], got=_first_line(error)
        ) from error
    finally:
        linker.destroy(handle)
    return Assembled(
        bytes(data),
        max(_numbers(r"Used (\d+) registers", log), default=0),
        max(_numbers(r"(\d+) bytes smem", log), default=0),
        max(_numbers(r"(\d+) bytes stack frame", log), default=0),
        sum(_numbers(r"(\d+) bytes spill", log)),
    )


def _log(size: Callable[[Any], int], read: Callable[[Any, bytearray], None], handle: Any) -> str:
    text = bytearray(size(handle))
    read(handle, text)
    return text.decode(errors="replace").rstrip("\0")


def _numbers(pattern: str, text: str) -> list[int]:
    return [int(number) for number in re.findall(pattern, text)]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

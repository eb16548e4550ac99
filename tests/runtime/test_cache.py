from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphc.runtime.cache import KernelCache, default_cache, environment_key
from graphc.runtime.compilation import compile_sources, source_key
from graphc.runtime.objects import ObjectCode
from tests.runtime.kernels import multiply_by, run_kernel

ROOT = Path(__file__).parents[2]
NUMBERS = np.arange(5, dtype=np.float32)

TRAIN = """
import sys
import graphc as gc
from graphc.runtime.cache import default_cache

x, slope = gc.input("x", shape=("batch", 3)), gc.parameter((3,), initializer="ones", name="slope")
model = gc.compile(gc.tanh(x * slope).mean(), gc.optimizers.SGD(0.5))
import numba
print("ready", flush=True)
sys.stdin.readline()
history = model.fit({"x": [[0.5, 1.0, 2.0], [1.0, 0.0, -3.0]]}, epochs=3)
print([loss.hex() for loss in history["loss"]], default_cache().counts["broken"])
"""


def compile_into(cache: KernelCache, factor: float = 2.0) -> list[float]:
    """What the compiled kernel makes of the numbers."""
    (code,) = compile_sources([multiply_by(factor)], cache)
    return [float(number) for number in run_kernel(code, NUMBERS)]


def test_a_second_compile_is_a_hit_and_computes_the_same(tmp_path: Path) -> None:
    first, second = KernelCache(tmp_path), KernelCache(tmp_path)
    expected = [0.0, 2.0, 4.0, 6.0, 8.0]
    assert compile_into(first) == expected
    assert first.counts == Counter(new=1)
    assert compile_into(second) == expected
    assert second.counts == Counter(hit=1)
    (path,) = tmp_path.iterdir()
    assert path.name == f"{source_key(multiply_by(2.0))}-{environment_key()}.o"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_hit_needs_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_into(KernelCache(tmp_path))
    monkeypatch.setitem(sys.modules, "graphc.runtime.compiler", None)
    assert compile_into(KernelCache(tmp_path)) == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_equal_sources_are_compiled_once(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path)
    first, other, again = compile_sources([multiply_by(2.0), multiply_by(3.0), multiply_by(2.0)], cache)
    assert first is again
    assert first is not other
    assert len(cache.entries()) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        lambda content: b"\x80\x04garbage" * 100,
        lambda content: content[:16] + b"[]\n",
        lambda content: content[:16] + b'{"symbol": "x"}\n',
        lambda content: content[:16] + b"\xff\xfe\n",
    ],
    ids=["empty", "head", "half", "short", "long", "bit", "garbage", "list", "no hash", "no text"],
)
def test_a_broken_entry_is_compiled_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    compile_into(KernelCache(tmp_path))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    cache = KernelCache(tmp_path)
    assert compile_into(cache) == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert cache.counts == Counter(broken=1)
    assert ObjectCode.from_bytes(path.read_bytes()) is not None


def test_a_kernel_of_another_version_or_processor_is_not_used(tmp_path: Path) -> None:
    compile_into(KernelCache(tmp_path))
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / f"{source_key(multiply_by(2.0))}-elsewhere.o")
    cache = KernelCache(tmp_path)
    compile_into(cache)
    assert cache.counts == Counter({"other version or processor": 1})
    assert [cache.is_current(entry) for entry in sorted(tmp_path.iterdir())].count(True) == 1


def test_the_files_unused_longest_go_when_the_cache_is_full(tmp_path: Path) -> None:
    for age, factor in enumerate((1.0, 2.0, 3.0)):
        compile_into(KernelCache(tmp_path), factor)
        path = KernelCache(tmp_path).path(source_key(multiply_by(factor)))
        assert path is not None
        os.utime(path, (1000 - age, 1000 - age))
    compile_into(KernelCache(tmp_path), 3.0)
    size = max(path.stat().st_size for path in tmp_path.iterdir())
    small = KernelCache(tmp_path, limit=3 * size)
    compile_into(small, 4.0)
    left = {path.name.partition("-")[0] for path in small.entries()}
    assert left == {source_key(multiply_by(factor)) for factor in (1.0, 3.0, 4.0)}


def test_a_file_that_another_process_removes_meanwhile_is_no_error(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path)
    compile_into(cache)
    (tmp_path / "gone.o").symlink_to(tmp_path / "nowhere")
    assert len(cache.entries()) == 1
    assert cache.shrink() == 0


def test_clearing_removes_all_kernels(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path)
    compile_into(cache, 2.0)
    compile_into(cache, 3.0)
    assert cache.clear() == 2
    assert cache.entries() == []
    assert cache.clear() == 0


def test_without_a_folder_everything_is_compiled() -> None:
    cache = KernelCache(None)
    assert compile_into(cache) == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert cache.entries() == []
    assert cache.path("key") is None


def test_a_full_disk_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("graphc.runtime.cache.os.replace", refuse)
    with pytest.warns(UserWarning, match="graphc cannot keep a compiled kernel in .*: no space left on device"):
        assert compile_into(KernelCache(tmp_path)) == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named_without_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**where: object) -> object:
        raise PermissionError(13, "Permission denied", str(tmp_path / ".new-x8f3"))

    monkeypatch.setattr("graphc.runtime.cache.tempfile.mkstemp", refuse)
    with pytest.warns(UserWarning, match="graphc cannot keep a compiled kernel in .*: Permission denied$"):
        assert compile_into(KernelCache(tmp_path)) == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_lost_folder_costs_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="graphc cannot keep a compiled kernel"):
        assert compile_into(KernelCache(tmp_path / "lost")) == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_the_folder_is_made_private_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "a" / "kernels"))
    assert default_cache.__wrapped__().folder == tmp_path / "a" / "kernels"
    assert (tmp_path / "a" / "kernels").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(mode)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    with pytest.warns(UserWarning, match=r"other users may write to it \(chmod 700 would close it\)"):
        assert default_cache.__wrapped__().folder is None
    tmp_path.chmod(0o700)
    assert default_cache.__wrapped__().folder == tmp_path


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("graphc.runtime.cache.os.getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.warns(UserWarning, match="it belongs to another user"):
        assert default_cache.__wrapped__().folder is None


def test_a_file_or_a_link_in_place_of_the_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for name, problem in (("file", "File exists"), ("link", "it is no folder")):
        monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / name))
        with pytest.warns(UserWarning, match=f"graphc does not use the kernel cache .*{name}: .*{problem}"):
            assert default_cache.__wrapped__().folder is None


def test_an_empty_variable_turns_the_cache_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "")
    assert default_cache.__wrapped__().folder is None


def test_two_processes_compile_the_same_model_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "GRAPHC_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1]
    assert outputs[0].endswith("] 0\n")
    assert all(ObjectCode.from_bytes(path.read_bytes()) is not None for path in KernelCache(tmp_path).entries())
    assert not list(tmp_path.glob(".new-*"))

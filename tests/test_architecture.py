"""What keeps the house in order: imports point down, packages are listed, links are links, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {"graphc": 0, "graphc.frontend": 1, "graphc.passes": 2, "graphc.runtime": 3}
FOLDERS = {"graphc": "graphc", "graphc.frontend": "frontend", "graphc.passes": "passes", "graphc.runtime": "runtime"}
FACADE = {ROOT / "graphc" / "__init__.py", ROOT / "graphc" / "__main__.py"}


def sources() -> Iterator[tuple[str, Path]]:
    for layer, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield layer, path


def layer_of(module: str) -> str | None:
    if module != "graphc" and not module.startswith("graphc."):
        return None
    return next((layer for layer in reversed(LAYERS) if module == layer or module.startswith(layer + ".")), None)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_imports_point_down_and_nothing_imports_the_facade() -> None:
    wrong = []
    for layer, path in sources():
        if path in FACADE:
            continue
        for line, module in imported(path):
            target = layer_of(module)
            if target is not None and LAYERS[target] > LAYERS[layer]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}, a higher layer")
            if module == "graphc" and path.parent != ROOT / "graphc":
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports the facade")
    assert wrong == []


def test_listed_packages_are_the_folders_with_an_init_file() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    found = set()
    for layer, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            if not any(parent.is_symlink() for parent in path.parents):
                found.add(".".join([layer, *path.parent.relative_to(ROOT / folder).parts]))
    assert listed == found


@pytest.mark.parametrize("name", ["frontend", "passes", "runtime"])
def test_folder_inside_graphc_is_a_link_or_the_text_of_one(name: str) -> None:
    path = ROOT / "graphc" / name
    assert path.is_symlink() or not path.is_dir()  # a copy in its place would hide the real folder


def test_files_stay_small() -> None:
    long = [f"{path.relative_to(ROOT)}: {count}" for _, path in sources() if (count := _lines(path)) > 450]
    assert long == []


def _lines(path: Path) -> int:
    return path.read_text("utf-8").count("\n")


def test_importing_graphc_loads_nothing_heavy() -> None:
    heavy = "numba, llvmlite, networkx, graphviz, matplotlib, sklearn, safetensors, tqdm"
    code = f"import sys, graphc; print([m for m in '{heavy}'.split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_warm_start_does_without_numba() -> None:
    code = (
        "import sys, graphc as gc; x = gc.input('x', shape=('n',)); f = gc.function([x], gc.exp(x) * 3.0); "
        "f([1.0]); print('numba' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT) for _ in "ab"
    ]
    assert runs[1].stdout.strip() == "False"


def test_no_golden_file_is_orphaned() -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    orphans = [path.name for path in (ROOT / "tests" / "golden").iterdir() if path.stem.split("-")[0] not in tests]
    assert orphans == []

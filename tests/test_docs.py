"""Documentation that runs: docstring examples, public names, and the code in README and docs."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import graphc as gc

ROOT = Path(__file__).parent.parent
FOLDERS = {"graphc": "graphc", "graphc.frontend": "frontend", "graphc.passes": "passes", "graphc.runtime": "runtime"}
PUBLIC_MODULES = (
    *(
        "activations",
        "callbacks",
        "data",
        "estimators",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
    ),
    *("random", "regularizers", "schedules"),
)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def modules() -> list[str]:
    names = []
    for layer, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents) and path.name != "__main__.py":
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                names.append(".".join([layer, *(part for part in parts if part != "__init__")]))
    return names


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert results.failed == 0


def test_functions_made_from_ops_have_running_examples() -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    finder = doctest.DocTestFinder()
    for name in ("exp", "tanh", "sign", "copy", "stop_gradient"):
        tests = finder.find(getattr(gc, name), name, module=False, globs={})
        assert sum(len(test.examples) for test in tests) > 0, name
        for test in tests:
            assert runner.run(test).failed == 0


def public_objects() -> list[tuple[str, object]]:
    found = [(name, getattr(gc, name)) for name in gc.__all__ if name != "__version__"]
    for module_name in PUBLIC_MODULES:
        module = getattr(gc, module_name)
        found += [(f"{module_name}.{name}", getattr(module, name)) for name in module.__all__]
    return found


@pytest.mark.parametrize(("name", "value"), public_objects(), ids=lambda value: value if isinstance(value, str) else "")
def test_public_name_is_documented(name: str, value: object) -> None:
    text = value.__doc__ or ""
    assert len(text.split()) > 3, f"gc.{name} has no docstring"
    plain = isinstance(value, gc.float32.__class__) or hasattr(value, "__path__") or hasattr(value, "__spec__")
    exempt = {"Graph", "History", "Model", "Function", "Explanation", "GraphcError", "initializers.Initializer"}
    exempt |= {"optimizers.Optimizer", "optimizers.Slots", "initializers.as_initializer"}
    if not plain and name not in exempt:
        assert ">>>" in text, f"gc.{name} has no running example"


def test_public_names_exist_and_are_the_ones_that_type_checkers_see() -> None:
    tree = ast.parse((ROOT / "graphc" / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    seen |= {
        target.id
        for node in block.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert seen - {"_dtypes"} == set(gc.__all__) - {"__version__"}
    assert all(hasattr(gc, name) for name in gc.__all__)
    missing = "nothing"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(gc, missing)


@pytest.mark.filterwarnings("ignore:.*graphc's own layout:UserWarning")  # where Graphviz is not installed
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_of_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

"""Parsing graphs: a tokeniser and a recursive-descent reader of the grammar in ``graphc.text``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from graphc.dims import Dim, Size
from graphc.dtypes import DTYPES, DType
from graphc.errors import GraphcError, ParseError
from graphc.graph import Graph
from graphc.literal import Literal
from graphc.node import Node, apply
from graphc.op import OPS
from graphc.ops.leaves import Input
from graphc.ops.scan import Body
from graphc.tensor_type import TensorType

__all__ = ["parse"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<value>%\d+)
    |(?P<number>-?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf|nan)\b\.?)|(?P<name>[A-Za-z_][\w.\-/]*)|(?P<mark>[()\[\]{},=:*])""",
    re.VERBOSE,
)
_DTYPES = {dtype.short: dtype for dtype in DTYPES}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str, known: Mapping[str, Node] | None = None) -> Graph:
    """The graph that a text describes.

    known: existing inputs and states, by label, that those of the text stand for; others are made new.

    >>> parse('graph g() { %0 = constant[value=f32[]{2.0}]() : f32[]  return y=%0 }').output("y")
    <constant : f32[]>

    Raises ParseError, which names the line, what was expected and what came.
    """
    return _Parser(_tokenise(text), text.splitlines(), dict(known or {})).graph()


def _tokenise(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ParseError(
                f"line {line}: {text[position]!r} does not belong here", got=text.splitlines()[line - 1].strip()
            )
        kind = match.lastgroup or ""
        if kind == "newline":
            line += 1
        elif kind != "space":
            tokens.append(_Token(kind, match.group(), line))
        position = match.end()
    return [*tokens, _Token("end", "the end of the text", line)]


class _Parser:
    def __init__(self, tokens: list[_Token], lines: list[str], known: dict[str, Node]) -> None:
        self.tokens = tokens
        self.lines = lines
        self.known = known
        self.position = 0
        self.values: dict[str, Node] = {}

    # Tokens.
    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def fail(self, expected: str) -> ParseError:
        line = self.token.line
        text = self.lines[line - 1].strip() if line <= len(self.lines) else ""
        return ParseError(f"line {line} is no line of a graph", at=text, expected=expected, got=self.token.text)

    def take(self, kind: str, expected: str) -> str:
        if self.token.kind != kind:
            raise self.fail(expected)
        self.position += 1
        return self.tokens[self.position - 1].text

    def mark(self, text: str) -> None:
        if self.token.text != text:
            raise self.fail(repr(text))
        self.position += 1

    def skip(self, text: str) -> bool:
        if self.token.text == text and self.token.kind != "string":
            self.position += 1
            return True
        return False

    # The graph.
    def graph(self) -> Graph:
        self.word("graph")
        quoted = self.token.kind == "string"
        name = self.take("string" if quoted else "name", "the name of the graph")
        name = str(json.loads(name)) if quoted else name
        self.mark("(")
        while not self.skip(")"):
            self.take("name", "the name of a size")
            self.skip(",")
        self.mark("{")
        while self.token.kind == "value":
            self.line()
        self.word("return")
        outputs: list[tuple[str, Node]] = []
        while self.token.kind == "name" and self.token.text != "update":
            label = self.take("name", "the name of an output")
            self.mark("=")
            outputs.append((label, self.value()))
            self.skip(",")
        updates: list[tuple[Node, Node]] = []
        while self.skip("update"):
            state = self.value()
            self.mark("=")
            updates.append((state, self.value()))
        self.mark("}")
        graph = Graph(tuple(outputs), tuple(updates), name)
        unused = (node for node in self.values.values() if isinstance(node.op, Input) and node not in graph.nodes)
        return replace(graph, arguments=tuple(unused))

    def word(self, text: str) -> None:
        if self.take("name", repr(text)) != text:
            self.position -= 1
            raise self.fail(repr(text))

    def value(self) -> Node:
        line = self.token
        name = self.take("value", "a value such as %0")
        if name not in self.values:
            raise ParseError(
                f"line {line.line}: {name} is used before it is defined", at=self.lines[line.line - 1].strip()
            )
        return self.values[name]

    def line(self) -> None:
        start = self.token
        name = self.take("value", "a value such as %0")
        self.mark("=")
        op_name = self.take("name", "the name of an op")
        if op_name not in OPS:
            self.position -= 1
            raise self.fail("the name of an op")
        fields: dict[str, object] = {}
        if self.skip("["):
            while not self.skip("]"):
                field = self.take("name", "the name of a field")
                self.mark("=")
                fields[field] = self.literal()
                self.skip(",")
        self.mark("(")
        inputs: list[Node] = []
        while not self.skip(")"):
            inputs.append(self.value())
            self.skip(",")
        self.mark(":")
        declared = self.type(self.dtype())
        node = self.node(start, op_name, fields, inputs)
        if node.type != declared:
            raise ParseError(
                f"line {start.line}: the type of {name} is not what its op gives",
                at=self.lines[start.line - 1].strip(),
                expected=str(node.type),
                got=str(declared),
            )
        self.values[name] = node

    def node(self, start: _Token, name: str, fields: dict[str, object], inputs: list[Node]) -> Node:
        if name in ("input", "state") and fields.get("label") in self.known:
            return self.known[str(fields["label"])]
        try:
            return apply(OPS[name](**fields), *inputs)
        except (TypeError, ValueError) as error:
            reason = error.what if isinstance(error, GraphcError) else str(error)
            raise ParseError(f"line {start.line}: {reason}", at=self.lines[start.line - 1].strip()) from None

    # Literals.
    def literal(self) -> object:
        token = self.token
        if token.kind == "string":
            self.position += 1
            return json.loads(token.text)
        if token.text == "(":
            return self.tuple()
        if token.text == "graph":
            return self.body()
        if token.text in ("true", "false"):
            self.position += 1
            return token.text == "true"
        if token.text in _DTYPES:
            dtype = self.dtype()
            if self.token.text != "[":
                return dtype
            known = self.type(dtype)
            return self.numbers(known) if self.skip("{") else known
        return self.size()

    def body(self) -> Body:
        """The body of a loop: inputs p0, ... are its parameters, outputs r0, ... its results, s0, ... saved values."""
        inner = _Parser(self.tokens, self.lines, {})
        inner.position = self.position
        graph = inner.graph()
        self.position = inner.position
        labels = {node.op.label: node for node in inner.values.values() if isinstance(node.op, Input)}
        if set(labels) != {f"p{number}" for number in range(len(labels))}:
            raise self.fail("a body whose inputs are called p0, p1, ...")
        parameters = tuple(labels[f"p{number}"] for number in range(len(labels)))
        results, saved = (tuple(node for name, node in graph.outputs if name[0] == kind) for kind in "rs")
        return Body(parameters, results, saved)

    def tuple(self) -> tuple[object, ...]:
        self.mark("(")
        items: list[object] = []
        while not self.skip(")"):
            items.append(self.literal())
            self.skip(",")
        return tuple(items)

    def dtype(self) -> DType:
        text = self.take("name", "an element type")
        if text not in _DTYPES:
            self.position -= 1
            raise self.fail("an element type, one of " + ", ".join(_DTYPES))
        return _DTYPES[text]

    def type(self, dtype: DType) -> TensorType:
        self.mark("[")
        sizes: list[Size] = []
        while not self.skip("]"):
            sizes.append(self.size())
            self.skip(",")
        return TensorType(dtype, tuple(sizes))

    def size(self) -> Size:
        factor, symbols = 1, []
        plain = True
        while True:
            if self.token.kind == "number":
                factor *= int(self.take("number", "an integer"))
            else:
                plain = False
                symbols.append(self.take("name", "an integer or the name of a size"))
            if not self.skip("*"):
                break
        return factor if plain else Dim(factor, tuple(sorted(symbols)))

    def numbers(self, known: TensorType) -> Literal:
        if self.skip("hex"):
            data = json.loads(self.take("string", "bytes in hexadecimal"))
            self.mark("}")
            return Literal(known, bytes.fromhex(data))
        shape = tuple(size for size in known.shape if isinstance(size, int))
        items: list[float] = []
        while not self.skip("}"):
            items.append(self.number(known.dtype))
            self.skip(",")
        return Literal.of(np.asarray(items, known.dtype.numpy).reshape(shape), known.dtype)

    def number(self, dtype: DType) -> float:
        text = self.token.text
        if text in ("true", "false"):
            self.position += 1
            return text == "true"
        self.take("number", "a number")
        return float(text) if dtype.is_float else int(text)

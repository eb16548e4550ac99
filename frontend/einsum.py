"""Sums of products in Einstein's notation, as matrix products of pairs of operands from the left to the right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

from graphc.dims import Size
from graphc.dtypes import promote
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.shaping import iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["einsum"]


def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """Sums of products of elements, as numpy's einsum: "ij,jk->ik" is the product of two matrices.

    subscripts: for each operand a letter for each axis, and after "->" those of the result, in its order; without "->"
    the result has the letters that occur once, in alphabetical order. Letters of one name have one size; a letter that
    the result lacks is summed over. A letter twice in one operand is the diagonal. "..." stands for further axes in
    front of, between or behind the letters, the same ones in every operand that has it.

    Operands are multiplied from the left to the right, two at a time, as matrix products. Raises DeclarationError for
    subscripts that do not fit the operands, ShapeError for sizes that differ.

    >>> import graphc as gc
    >>> gc.evaluate(gc.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0]))
    array([21., 43.], dtype=float32)
    """
    tensors = [as_tensor(operand) for operand in operands]
    inputs, output = _parsed(subscripts, tensors)
    _check_sizes(subscripts, inputs, tensors)
    dtype = reduce(promote, [tensor.dtype for tensor in tensors])
    with scope("einsum"):
        value, letters = _alone(tensors[0].cast(dtype), inputs[0], _used(inputs[1:], output))
        for number, tensor in enumerate(tensors[1:], start=1):
            later = _used(inputs[number + 1 :], output)
            other, others = _alone(tensor.cast(dtype), inputs[number], later | set(letters))
            value, letters = _product(value, letters, other, others, later)
        return value.transpose(tuple(letters.index(letter) for letter in output)) if output else value


def _used(inputs: Sequence[str], output: str) -> set[str]:
    return set(output).union(*inputs)


def _parsed(subscripts: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; further axes are digits, from the last to the first."""
    text = subscripts.replace(" ", "")
    shape = r"[A-Za-z]*(\.\.\.)?[A-Za-z]*"
    if not re.fullmatch(rf"{shape}(,{shape})*(->{shape})?", text):
        raise _error(subscripts, 'letters with commas, then "->" and letters, such as "ij,jk->ik"')
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(tensors):
        raise _error(subscripts, f"{len(inputs)} operands", f"{len(tensors)} operands")
    most = 0
    for number, tensor in enumerate(tensors):
        named = len(inputs[number].replace("...", ""))
        further = tensor.ndim - named
        if further < 0 or (further and "..." not in inputs[number]):
            raise _error(subscripts, f"{named} axes of operand {number}", str(tensor.type), tensor)
        if further > 10:
            raise _error(subscripts, 'at most 10 axes for "..."', str(tensor.type), tensor)
        most = max(most, further)
        inputs[number] = inputs[number].replace("...", _digits(further))
    if not arrow:
        letters = "".join(inputs)
        output = _digits(most) + "".join(sorted({one for one in letters if one.isalpha() and letters.count(one) == 1}))
    output = output.replace("...", _digits(most))
    known = set("".join(inputs))
    if len(set(output)) < len(output) or not set(output) <= known:
        raise _error(subscripts, "each letter of the result once, and in an operand")
    if set(_digits(most)) - set(output):
        raise _error(subscripts, '"..." in the result too')
    return inputs, output


def _digits(count: int) -> str:
    return "".join(str(number) for number in reversed(range(count)))


def _error(subscripts: str, expected: str, got: str | None = None, tensor: Tensor | None = None) -> DeclarationError:
    return DeclarationError(
        f"einsum: the subscripts {subscripts!r} do not fit",
        at=str(user_location()),
        facts=[("operand", describe(tensor.node))] if tensor is not None else [],
        expected=expected,
        got=got,
    )


def _check_sizes(subscripts: str, inputs: Sequence[str], tensors: Sequence[Tensor]) -> None:
    sizes: dict[str, tuple[Size, Tensor]] = {}
    for letters, tensor in zip(inputs, tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=True):
            known, first = sizes.setdefault(letter, (size, tensor))
            if known != size:
                raise ShapeError(
                    f"einsum: {letter!r} in {subscripts!r} has two sizes, {known} and {size}",
                    at=str(user_location()),
                    facts=[("first", describe(first.node)), ("second", describe(tensor.node))],
                    expected="one size for each letter",
                    got=f"{first.type} and {tensor.type}",
                )


def _alone(x: Tensor, letters: str, needed: set[str]) -> tuple[Tensor, str]:
    """One operand with diagonals taken, and what nobody else needs summed over."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            diagonal = iota(x.shape, first).equals(iota(x.shape, second))
            x = diagonal.where(x, x.zeros_like()).sum(axis=second).cast(x.dtype)
            letters = letters[:second] + letters[second + 1 :]
    gone = tuple(number for number, letter in enumerate(letters) if letter not in needed)
    if not gone:
        return x, letters
    return x.sum(axis=gone).cast(x.dtype), "".join(letter for letter in letters if letter in needed)


def _product(x: Tensor, letters: str, y: Tensor, others: str, later: set[str]) -> tuple[Tensor, str]:
    """The product of two operands, summed over the letters that they share and that are not needed later."""
    shared = [letter for letter in letters if letter in others]
    summed = [letter for letter in shared if letter not in later]
    if not summed:
        return _broadcast_product(x, letters, y, others)
    kept = [letter for letter in shared if letter in later]
    batch = ([letters.index(letter) for letter in kept], [others.index(letter) for letter in kept])
    contract = ([letters.index(letter) for letter in summed], [others.index(letter) for letter in summed])
    free = [letter for letter in letters if letter not in shared] + [one for one in others if one not in shared]
    return x.dot_general(y, batch, contract), "".join([*kept, *free])


def _broadcast_product(x: Tensor, letters: str, y: Tensor, others: str) -> tuple[Tensor, str]:
    """Without sums: element by element, with new axes where one operand lacks a letter."""
    result = letters + "".join(letter for letter in others if letter not in letters)

    def aligned(value: Tensor, known: str) -> Tensor:
        order = [letter for letter in result if letter in known]
        sizes = dict(zip(known, value.shape, strict=True))
        moved = value.transpose(tuple(known.index(letter) for letter in order)) if order else value
        return moved.reshape(tuple(sizes.get(letter, 1) for letter in result))

    return aligned(x, letters) * aligned(y, others), result

"""Random numbers: the generator against its published vectors, the mapping to elements as the documents state it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.ops.sampling import RandomNormal, RandomUniform
from graphc.philox import RANDOM, philox, stream_key
from graphc.scalar import NumpyScalars
from graphc.tensor_type import tensor_type
from tests.harness import same_bits

S = NumpyScalars()
ONES = 0xFFFFFFFF
VECTORS = [  # from the test suite of Random123 1.09
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def words(counter: tuple[int, ...], key: tuple[int, ...]) -> list[int]:
    c0, c1, c2, c3 = (np.asarray(word, np.uint32) for word in counter)
    k0, k1 = (np.asarray(word, np.uint32) for word in key)
    return [int(word) for word in philox(S, (c0, c1, c2, c3), (k0, k1))]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_philox_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert words(counter, key) == list(expected)


def test_elements_take_their_words_as_specified() -> None:
    seed, step, name = 5, 3, "layer/mask"
    secret = seed ^ int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    key = (secret & ONES, secret >> 32)
    assert stream_key(name) == secret ^ seed
    op = RandomUniform(name, tensor_type("f32", 200))
    values = op.reference(np.asarray(seed, np.int64), np.asarray(step, np.int64))
    for element in (0, 1, 15, 16, 63, 64, 130, 199):
        counter = (element // 64) * 16 + element % 16
        word = words((counter, 0, step, 0), key)[(element // 16) % 4]
        assert values[element] == np.float32((word >> 8) * 2.0**-24)
    wide = RandomUniform(name, tensor_type("f64", 100)).reference(
        np.asarray(seed, np.int64), np.asarray(step, np.int64)
    )
    for element in (0, 17, 33, 99):
        four = words(((element // 32) * 16 + element % 16, 0, step, 0), key)
        pair = (element // 16) % 2
        bits = (four[2 * pair] << 32) | four[2 * pair + 1]
        assert wide[element] == (bits >> 11) * 2.0**-53


def test_negative_seeds_and_large_steps_are_used_to_the_last_bit() -> None:
    op = RandomUniform("n", tensor_type("f32", 8))
    keys = [(-1, 0), (1, 0), (2**40, 0), (0, 2**40), (0, 1)]
    drawn = [op.reference(np.asarray(seed, np.int64), np.asarray(step, np.int64)).tobytes() for seed, step in keys]
    assert len(set(drawn)) == len(keys)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_distributions_have_their_moments(dtype: str) -> None:
    key = (np.asarray(0, np.int64), np.asarray(0, np.int64))
    uniform = RandomUniform("u", tensor_type(dtype, 100_000)).reference(*key)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(uniform.var() - 1 / 12) < 0.002
    normal = RandomNormal("n", tensor_type(dtype, 100_000)).reference(*key)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.var() - 1) < 0.02
    assert abs((normal**4).mean() - 3) < 0.15
    for distance in (1, 2, 16, 32, 64):
        assert abs(np.corrcoef(uniform[:-distance], uniform[distance:])[0, 1]) < 0.02
        assert abs(np.corrcoef(normal[:-distance], normal[distance:])[0, 1]) < 0.02


def test_compiled_and_interpreted_numbers_are_the_same() -> None:
    noise = gc.random.uniform((3, 70), name="same")
    compiled = gc.function([], noise)()
    assert isinstance(compiled, np.ndarray)
    assert compiled.tobytes() == gc.evaluate(noise).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("draw", [gc.random.uniform, gc.random.normal])
def test_blocks_of_the_stream_are_shared_by_threads_as_specified(draw: Callable[..., gc.Tensor], dtype: str) -> None:
    x = gc.input("x", shape=("n",), dtype=dtype)
    numbers = [
        gc.function([x], draw(x.shape, dtype=dtype, name="blocks") + x * 0.0, seed=3, threads=threads)
        for threads in (1, 2, 3)
    ]
    body, _ = RANDOM[f"{draw.__name__}{dtype[-2:]}"]
    for step, count in enumerate((0, 1, 63, 64, 65, 200, 30_000)):
        one, *others = (np.asarray(function(np.zeros(count, dtype))) for function in numbers)
        assert all(same_bits(one, other) for other in others)
        key = np.asarray(stream_key("blocks"), np.uint64)
        expected = body(S, np.arange(count), key, np.asarray(3), np.asarray(step))
        np.testing.assert_allclose(one, np.asarray(expected), 1e-5, 1e-6)


def test_each_call_of_a_function_draws_new_numbers_and_a_seed_repeats_them() -> None:
    noise = gc.random.normal((5,), name="calls")
    first, second = gc.function([], noise, seed=1), gc.function([], noise, seed=1)
    runs = [np.asarray(first()).tobytes() for _ in range(3)]
    assert len(set(runs)) == 3
    assert [np.asarray(second()).tobytes() for _ in range(3)] == runs


def test_bernoulli_is_true_as_often_as_asked() -> None:
    flips = gc.evaluate(gc.random.bernoulli((20_000,), 0.3))
    assert abs(flips.mean() - 0.3) < 0.01
    with pytest.raises(gc.GraphcError, match="a probability lies between 0 and 1"):
        gc.random.bernoulli((2,), 1.5)

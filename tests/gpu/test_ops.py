"""Every op on the GPU: the bits of the CPU's kernels."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.op import Sample
from graphc.runtime.target import Target
from graphc.scalar import Array
from tests.gpu.targets import CPU, EXACT
from tests.harness import BATCH, SIZES, all_samples, declare, operands, same_bits

pytestmark = pytest.mark.gpu

LIBRARY = ("sin", "cos", "erf", "power")
"""Ops whose float64 the C library computes on the CPU, and NVIDIA's library on the GPU."""


def computed(sample: Sample, target: Target) -> Array:
    """The sample's op on random operands."""
    inputs, result = declare(sample)
    function = gc.function(
        [*inputs, Tensor(BATCH)],
        result,
        training=True,
        threads=target.threads,
        winograd=target.winograd,
        target=target.name,
        precision=target.precision,
    )
    return np.array(function(*operands(sample), np.zeros(SIZES["batch"], np.float32)))


def by_library(name: str, sample: Sample) -> bool:
    return name.split("-")[0] in LIBRARY and sample.args[0].type.dtype.name == "float64"


def check(name: str, sample: Sample, target: Target) -> None:
    """A target computes what the CPU does: the same bits, or with other libraries up to 4 units in the last place."""
    wanted, found = computed(sample, CPU), computed(sample, target)
    if by_library(name, sample):
        np.testing.assert_array_max_ulp(found, wanted, 4)
    else:
        assert same_bits(found, wanted), (found, wanted)


@pytest.mark.parametrize(("name", "sample"), all_samples(), ids=[name for name, _ in all_samples()])
def test_the_gpu_gives_the_bits_of_the_cpu(name: str, sample: Sample) -> None:
    check(name, sample, EXACT)

"""The workloads by name: framework-neutral models, each made from a seed."""

from __future__ import annotations

from collections.abc import Callable

from workloads.char_lstm import char_lstm
from workloads.convolutional import keras_cnn, lenet5
from workloads.deeplab_mini import deeplab_mini
from workloads.elementwise_chain import elementwise_chain
from workloads.linear import logreg, svm_linear
from workloads.nano_gpt import nano_gpt
from workloads.perceptrons import mlp_small, mlp_wide
from workloads.resnet20 import resnet20
from workloads.spec import Workload
from workloads.vae import vae

__all__ = ["WORKLOADS", "Workload"]

WORKLOADS: dict[str, Callable[[], Workload]] = {
    "logreg": logreg,
    "mlp-small": mlp_small,
    "mlp-wide": mlp_wide,
    "svm-linear": svm_linear,
    "lenet5": lenet5,
    "keras-cnn": keras_cnn,
    "resnet20": resnet20,
    "elementwise-chain": elementwise_chain,
    "vae": vae,
    "nano-gpt": nano_gpt,
    "deeplab-mini": deeplab_mini,
    "char-lstm": char_lstm,
}

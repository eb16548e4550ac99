"""Layers: pieces of models that own parameters and declare their part of the graph when called."""

from graphc.frontend.layers.basic import Activation, Dense, Dropout, Flatten, Sequential
from graphc.frontend.layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose2d
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.normalization import BatchNorm, LayerNorm
from graphc.frontend.layers.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from graphc.frontend.layers.resizing import Upsample1d, Upsample2d

__all__ = [
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Layer",
    "LayerNorm",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Sequential",
    "Upsample1d",
    "Upsample2d",
]

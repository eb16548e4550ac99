"""Data: sources of batches, readers of files, augmentation, scaling and splitting. Public as ``gc.data``."""

from __future__ import annotations

from graphc.runtime.data.augment import (
    Augmentation,
    Cutout,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomShift,
)
from graphc.runtime.data.columns import Column
from graphc.runtime.data.files import read_cifar10, read_cifar100, read_idx, write_idx
from graphc.runtime.data.images import ImageFolder
from graphc.runtime.data.loader import Loader
from graphc.runtime.data.split import split
from graphc.runtime.data.tables import Table, read_csv
from graphc.runtime.data.text import Vocabulary, character_windows
from graphc.runtime.data.transform import Standardize, Transform, Whiten, standardize_each

__all__ = [
    "Augmentation",
    "Column",
    "Cutout",
    "GaussianNoise",
    "ImageFolder",
    "Loader",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "Standardize",
    "Table",
    "Transform",
    "Vocabulary",
    "Whiten",
    "character_windows",
    "read_cifar10",
    "read_cifar100",
    "read_csv",
    "read_idx",
    "split",
    "standardize_each",
    "write_idx",
]

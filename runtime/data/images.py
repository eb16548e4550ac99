"""Folders of images: one folder a class, opened when a batch asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from graphc.errors import DataError, DeclarationError, MissingPackageError
from graphc.origin import user_location
from graphc.runtime.data.columns import Column
from graphc.scalar import Array

__all__ = ["ImageFolder"]

_ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder:
    """Images in folders that are named after their classes: ``path/cat/1.png``, ``path/dog/2.jpg``.

    size: (height, width); an image is scaled until it covers this and cut around its centre. gray: one channel in place
    of red, green and blue. classes: names of the folders, sorted. files: of the images, class after class. images: a
    column [n, height, width, channels] of float32 between 0 and 1, decoded batch by batch. labels: [n] of int64, places
    in classes. Needs Pillow (``pip install 'graphc[images]'``), MissingPackageError without it. Raises DataError for a
    folder without classes or images, and, when its batch comes, for a file that is no image.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "red").mkdir()
    ...     Image.new("RGB", (20, 10), "red").save(Path(folder, "red", "1.png"))
    ...     found = ImageFolder(folder, size=(4, 4))
    ...     found.classes, found.labels.tolist(), found.images[:][0, 0, 0].tolist()
    (['red'], [0], [1.0, 0.0, 0.0])
    """

    def __init__(self, path: str | os.PathLike[str], size: tuple[int, int], gray: bool = False) -> None:
        if min(size) < 1:
            raise DeclarationError(
                "images have a positive size", at=str(user_location()), expected="(height, width)", got=str(size)
            )
        folders = sorted(part for part in Path(path).iterdir() if part.is_dir()) if Path(path).is_dir() else []
        self.classes = [folder.name for folder in folders]
        found = [
            (file, label)
            for label, folder in enumerate(folders)
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in _ENDINGS
        ]
        if not found:
            raise DataError(
                f"{path} holds no images",
                at=str(user_location()),
                expected="a folder for each class, with images in it",
                got=f"the folders {', '.join(self.classes)}" if folders else "no folders",
            )
        self.files = [file for file, _ in found]
        self.labels = np.asarray([label for _, label in found], np.int64)
        self.images: Column = _Images(self.files, size, gray)


class _Images(Column):
    def __init__(self, files: list[Path], size: tuple[int, int], gray: bool) -> None:
        try:
            from PIL import Image, ImageOps
        except ImportError:
            raise MissingPackageError("images need Pillow", way_out="pip install 'graphc[images]'") from None
        self._image, self._fit = Image, ImageOps.fit
        self._files, self._mode = files, "L" if gray else "RGB"
        self.shape, self.dtype = (len(files), *size, 1 if gray else 3), np.dtype(np.float32)

    def rows(self, places: Array) -> Array:
        found = np.empty((len(places), *self.shape[1:]), np.float32)
        for row, place in zip(found, places, strict=True):
            row[:] = self._decoded(self._files[int(place)])
        return found

    def _decoded(self, file: Path) -> Array:
        height, width = self.shape[1:3]
        try:
            with self._image.open(file) as image:
                fitted = self._fit(image.convert(self._mode), (width, height))
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(
                f"{file} is no whole image", got=str(error), way_out="remove the file, or get it again"
            ) from None
        return np.asarray(fitted, np.float32).reshape(self.shape[1:]) / np.float32(255)

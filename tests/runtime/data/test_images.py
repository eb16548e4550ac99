from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphc as gc
from graphc import data
from graphc.errors import DataError, DeclarationError, MissingPackageError


def folder_of(path: Path, **counts: int) -> Path:
    for number, (label, count) in enumerate(counts.items()):
        (path / label).mkdir()
        for place in range(count):
            pixels = np.full((4 + place, 8, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(path / label / f"{place}.png")
    return path


def test_folders_are_classes(tmp_path: Path) -> None:
    folder_of(tmp_path, cat=2, dog=1)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    found = data.ImageFolder(tmp_path, size=(4, 4))
    assert found.classes == ["cat", "dog"]
    assert found.labels.tolist() == [0, 0, 1]
    assert [file.name for file in found.files] == ["0.png", "1.png", "0.png"]
    assert found.images.shape == (3, 4, 4, 3)
    assert np.allclose(found.images[:][:, 0, 0, 0], [0, 0, 40 / 255])


def test_images_are_scaled_and_cut_around_their_centre(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 2:6] = 255
    Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
    whole = data.ImageFolder(tmp_path, size=(4, 4), gray=True).images[:]
    assert whole.shape == (1, 4, 4, 1)
    assert whole.min() == 1.0
    assert data.ImageFolder(tmp_path, size=(2, 4), gray=True).images[:][0, 0, :, 0].tolist() == pytest.approx(
        [0.0, 1.0, 1.0, 0.0], abs=0.2
    )


def test_images_are_opened_when_their_batch_comes(tmp_path: Path) -> None:
    found = data.ImageFolder(folder_of(tmp_path, a=3), size=(2, 2))
    found.files[2].write_bytes(b"no image")
    assert found.images[:2].shape == (2, 2, 2, 3)
    with pytest.raises(DataError, match=r"2\.png is no whole image") as caught:
        found.images[2:]
    assert caught.value.way_out == "remove the file, or get it again"


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a" / "0.png")
    found = data.ImageFolder(tmp_path, size=(2, 2))
    found.files[0].write_bytes(found.files[0].read_bytes()[:1500])
    with pytest.raises(DataError, match=r"0\.png is no whole image"):
        found.images[:]


def test_a_model_trains_on_a_folder(tmp_path: Path) -> None:
    found = data.ImageFolder(folder_of(tmp_path, cat=3, dog=3), size=(2, 2))
    image, label = gc.input("image", shape=("n", 2, 2, 3)), gc.input("label", shape=("n",), dtype="int64")
    logits = gc.layers.Dense(2)(gc.layers.Flatten()(image))
    model = gc.compile(gc.losses.softmax_cross_entropy(logits, label), gc.optimizers.SGD(1.0))
    loader = data.Loader({"image": found.images, "label": found.labels}, augment={"image": [data.RandomFlip()]})
    history = model.fit(loader, epochs=30, batch_size=4)
    assert history["loss"][-1] < 0.6 < history["loss"][0]


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images") as caught:
        data.ImageFolder(tmp_path, size=(2, 2))
    assert caught.value.got == "no folders"
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="holds no images") as caught:
        data.ImageFolder(tmp_path, size=(2, 2))
    assert caught.value.got == "the folders cat"
    with pytest.raises(DeclarationError, match="images have a positive size"):
        data.ImageFolder(tmp_path, size=(0, 2))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, cat=1)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError, match="images need Pillow") as caught:
        data.ImageFolder(tmp_path, size=(2, 2))
    assert caught.value.way_out == "pip install 'graphc[images]'"

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, FeedError
from graphc.runtime.data.loader import source_of
from graphc.runtime.data.sources import Epoch
from graphc.scalar import Array
from tests.runtime.data.networks import batches, counter, images, losses_of
from tests.runtime.networks import digits_data, digits_model

X: dict[str, object] = {"x": np.arange(10.0)}


@dataclass(frozen=True)
class Jitter(gc.data.Augmentation):
    """Adds a number to each sample."""

    def __call__(self, batch: Array, random: np.random.Generator) -> Array:
        changed: Array = batch + random.random(batch.shape, np.float32)
        return changed


def jittered(data: dict[str, object], prefetch: int, drop_last: bool = False) -> gc.data.Loader:
    return gc.data.Loader(data, augment={"x": [Jitter()]}, prefetch=prefetch, drop_last=drop_last)


def test_a_loader_without_options_trains_as_its_data() -> None:
    plain, loaded = digits_model(), digits_model()
    data = digits_data(50)
    assert plain.fit(data, epochs=2)["loss"] == loaded.fit(gc.data.Loader(data), epochs=2)["loss"]


def test_the_bits_do_not_depend_on_prefetching() -> None:
    found = [losses_of(jittered(X, prefetch), epochs=2) for prefetch in (0, 1, 2, 9)]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 6


def test_each_epoch_and_batch_changes_in_its_own_way() -> None:
    losses = losses_of(jittered({"x": np.zeros(8)}, 0), epochs=2)
    assert len(set(losses)) == 4


def test_the_seed_decides_the_changes() -> None:
    first, second, other = (losses_of(jittered(X, 2), counter(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_a_resumed_training_sees_the_same_changes() -> None:
    def stop(model: gc.Model, logs: dict[str, float]) -> None:
        if model.position.batch == 2:
            raise OSError("enough")

    whole, parted = counter(), counter()
    expected = whole.fit(jittered(X, 2), batch_size=4)
    with pytest.raises(OSError, match="enough"):
        parted.fit(jittered(X, 2), batch_size=4, callbacks=[gc.callbacks.LambdaCallback(on_batch_end=stop)])
    assert parted.fit(jittered(X, 2), batch_size=4)["loss"] == expected["loss"]


def test_the_data_stay_as_they_are() -> None:
    column = np.arange(10, dtype=np.float32)
    losses_of(jittered({"x": column}, 2))
    assert column.tolist() == list(range(10))


def test_changes_are_for_training_alone() -> None:
    model = counter()
    assert model.evaluate(jittered(X, 2)) == {"loss": 4.5}
    assert model.fit(X, validation_data=jittered(X, 2))["val_loss"] == [4.5]
    assert model.fit(jittered(X, 2), validation_split=0.2)["val_loss"] == [8.5]


def test_inputs_with_the_same_list_change_together() -> None:
    image, mask = gc.input("image", shape=("n", 4, 5, 3)), gc.input("mask", shape=("n", 4, 5))
    pictures = images(50)
    flip = [gc.data.RandomFlip()]
    loader = gc.data.Loader({"image": pictures, "mask": pictures[..., 0]}, augment={"image": flip, "mask": flip})
    (batch,) = source_of([image.node, mask.node], loader, training=True).epoch(Epoch(50))
    assert np.array_equal(batch["image"][..., 0], batch["mask"])
    assert not np.array_equal(batch["image"], pictures)


def test_crops_bring_larger_images_to_the_size_of_the_input() -> None:
    x = gc.input("x", shape=("n", 2, 3, 3))
    weight = gc.parameter((), initializer="ones", name="weight")
    model = gc.compile((weight * x).mean(), gc.optimizers.SGD(1e-30))
    crop = [gc.data.RandomCrop(size=(2, 3))]
    assert len(model.fit(gc.data.Loader({"x": images()}, augment={"x": crop}))) == 1
    with pytest.raises(FeedError, match="input 'x' does not take an array of this shape"):
        model.evaluate(gc.data.Loader({"x": images()}, augment={"x": crop}))
    with pytest.raises(FeedError, match="x"):
        model.fit(gc.data.Loader({"x": images()}, augment={"x": [gc.data.RandomFlip()]}))


def test_inputs_for_training_alone_are_left_out_of_the_validation() -> None:
    x, noise = gc.input("x", shape=("n",)), gc.input("noise", shape=("n",))
    weight = gc.parameter((), gc.initializers.Constant(1.0), name="weight")
    mixed = gc.training_switch(x + noise, x)
    model = gc.compile((weight * mixed).mean(), gc.optimizers.SGD(1e-30))
    history = model.fit({"x": np.ones(10), "noise": np.ones(10)}, validation_split=0.2)
    assert (history["loss"], history["val_loss"]) == ([2.0], [1.0])


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4]), (8, [4, 4])])
def test_the_last_batch_is_left_out_when_it_is_smaller(count: int, sizes: list[int]) -> None:
    loader = gc.data.Loader({"x": np.arange(count)}, drop_last=True)
    x = gc.input("x", shape=("n",))
    source = source_of([x.node], loader, training=True)
    assert [len(batch["x"]) for batch in source.epoch(Epoch(4))] == sizes
    assert source.batch_count(4) == len(sizes)
    assert counter().fit(loader, batch_size=4, shuffle=False)["loss"] == [3.5]


def test_evaluation_leaves_no_sample_out() -> None:
    assert counter().evaluate(gc.data.Loader(X, drop_last=True), batch_size=4) == {"loss": 4.5}


def test_dropping_every_batch_is_refused() -> None:
    with pytest.raises(FeedError, match="epoch 1 has no batches") as caught:
        counter().fit(gc.data.Loader({"x": [1.0]}, drop_last=True), batch_size=4)
    assert caught.value.expected == "at least 4 samples"
    assert caught.value.way_out == "a smaller batch_size, or a loader without drop_last"


def test_an_error_in_the_thread_comes_after_the_batches_before_it_with_its_place() -> None:
    def failing(epoch: int) -> Iterator[Mapping[str, object]]:
        yield from batches([1.0], [2.0])
        raise OSError("the disk is gone")

    model = counter()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        model.fit(gc.data.Loader(failing))
    assert model.position.batch == 2
    assert caught.traceback[-1].name == "failing"


def test_an_error_of_an_augmentation_names_the_batch() -> None:
    with pytest.raises(FeedError, match="RandomFlip changes images") as caught:
        counter().fit(gc.data.Loader(X, augment={"x": [gc.data.RandomFlip()]}))
    assert caught.value.facts == (("batch", "1 of epoch 1"),)
    assert caught.value.got == "[10]"


def test_wrong_loaders_are_refused() -> None:
    with pytest.raises(DeclarationError, match="a loader makes a number of batches ahead") as caught:
        gc.data.Loader(X, prefetch=-1)
    assert caught.value.got == "prefetch=-1"
    with pytest.raises(DeclarationError, match="drop_last needs arrays"):
        gc.data.Loader(batches([1.0]), drop_last=True)
    with pytest.raises(DeclarationError, match="there is no input 'image' to augment") as caught:
        counter().fit(gc.data.Loader(X, augment={"image": [Jitter()]}))
    assert caught.value.expected == "'x'"

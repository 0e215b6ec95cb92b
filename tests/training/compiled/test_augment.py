"""The augmentation in C beside that of torch, for each change alone, all together, and images of any size.

Resampled images differ by rounding only, also at borders: outside is black and the interpolation is continuous. Only
the edges of an erased rectangle jump. They are rounded as in torch, but for the last bit of a power. So a row could
differ if an edge lay within 1e-7 of a pixel's centre. Random edges do not.
"""

from __future__ import annotations

import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from featherweight.augment import Augmentation, normalise
from featherweight.codegen.compiler import find_compiler
from featherweight.data import Images
from featherweight.forward import scaled
from featherweight.training.compiled.augment import FusedAugmentation
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import compile_network
from featherweight.training.compiled.source import c_file

EVERYTHING = Augmentation(rotation=15, shift=0.1, scale=0.1, shear=10, crop=22, crop_probability=0.5,
                          elastic=1.5, erasing=0.5)
ALONE = [
    Augmentation(), Augmentation(rotation=10), Augmentation(shift=0.1), Augmentation(scale=0.1), Augmentation(shear=10),
    Augmentation(crop=22, crop_probability=0.5), Augmentation(elastic=1.5), Augmentation(erasing=0.5), EVERYTHING,
]
part = st.floats(0, 1)
augmentations = st.builds(
    Augmentation, rotation=st.floats(0, 180), shift=st.floats(0, 0.5), scale=st.floats(0, 0.5), shear=st.floats(0, 45),
    crop=st.integers(0, 40), crop_probability=part, elastic=st.sampled_from([0, 0.5, 3]), erasing=part,
)
shapes = st.tuples(st.integers(1, 3), st.integers(2, 40), st.integers(2, 40))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 50, shape: tuple[int, int, int] = (1, 28, 28)) -> Images:
    pixels = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator(9))
    mean, std = [0.13, 0.4, 0.5], [0.31, 0.2, 1.0]
    return Images.of(pixels, torch.zeros(count, dtype=torch.long), mean[: shape[0]], std[: shape[0]])


def by_torch(augmentation: Augmentation, data: Images, picked: Tensor, seed: int, left: float = 1.0) -> Tensor:
    """As engine.prepare()."""
    changed = augmentation(scaled(data.pick(picked).images), generator(seed), left=left)
    return normalise(changed, data.mean, data.std)


def largest_difference(found: Tensor, expected: Tensor, data: Images) -> float:
    """In pixels from 0 to 1."""
    return float(((found - expected).abs() * data.std.view(1, -1, 1, 1)).max())


@pytest.mark.parametrize("left", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("augmentation", ALONE)
def test_each_change_is_that_of_torch(augmentation: Augmentation, left: float) -> None:
    data, picked = images(), torch.randperm(50)[:40]
    found = FusedAugmentation(augmentation, data)(picked, generator(3), left)
    assert found.is_contiguous() and found.dtype == torch.float32
    assert largest_difference(found, by_torch(augmentation, data, picked, 3, left), data) < 1e-5


@given(augmentations, shapes, st.integers(1, 6), st.integers(0, 2**32), part)
def test_any_change_of_images_of_any_size_is_that_of_torch(
    augmentation: Augmentation, shape: tuple[int, int, int], count: int, seed: int, left: float
) -> None:
    augmentation = replace(augmentation, crop=min(augmentation.crop, *shape[1:]))
    data, picked = images(7, shape), torch.randint(0, 7, (count,), generator=generator(seed))
    found = FusedAugmentation(augmentation, data)(picked, generator(seed), left)
    assert largest_difference(found, by_torch(augmentation, data, picked, seed, left), data) < 5e-5


def test_images_that_do_not_move_are_the_same_bit_for_bit() -> None:
    data = images(shape=(3, 9, 11))
    for augmentation in (Augmentation(), Augmentation(erasing=0.7)):
        found = FusedAugmentation(augmentation, data)(torch.arange(50), generator(1))
        assert found.equal(by_torch(augmentation, data, torch.arange(50), 1))


def test_indices_of_a_view_are_indices_of_the_view() -> None:
    data = images().pick(torch.tensor([7, 3, 20]))
    found = FusedAugmentation(EVERYTHING, data)(torch.tensor([2, 0]), generator(1))
    assert largest_difference(found, by_torch(EVERYTHING, data, torch.tensor([2, 0]), 1), data) < 1e-5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_of_a_network_share_a_batch(threads: int) -> None:
    data = images(130)
    network = small_network(130, threads)
    alone, shared = FusedAugmentation(EVERYTHING, data), FusedAugmentation(EVERYTHING, data, network)
    assert network.threads == threads
    for count in (130, 50, 2, 1):       # also fewer images than threads
        picked = torch.randperm(count, generator=generator())
        assert shared(picked, generator(5)).equal(alone(picked, generator(5)))


def test_threads_tell_of_the_first_wrong_index() -> None:
    shared = FusedAugmentation(EVERYTHING, images(), small_network(130, 3))
    numbers, out = EVERYTHING.draw(50, generator()), torch.empty(50, 1, 28, 28)
    with pytest.raises(IndexError, match="image 51: there are 50"):
        shared.fill(out, torch.tensor([*range(30), 51, *range(18), 70]), numbers, 1.0)


def small_network(largest: int, threads: int) -> CompiledNetwork:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 3))
    return CompiledNetwork(compile_network(model, [torch.zeros(2, 1, 28, 28)], half=False), largest, threads)


def test_wrong_arguments_are_refused() -> None:
    fused, numbers = FusedAugmentation(EVERYTHING, images()), EVERYTHING.draw(2, generator())
    out = torch.empty(2, 1, 28, 28)
    for wrong in (50, -1):
        with pytest.raises(IndexError, match=f"image {wrong}: there are 50"):
            fused.fill(out, torch.tensor([0, wrong]), numbers, 1.0)
    with pytest.raises(ValueError, match="needed is"):
        fused.fill(out, torch.tensor([0, 1]), numbers[1:], 1.0)


@pytest.mark.parametrize("flags", ["-O2", "-O2 -mavx2 -mfma", "-O3 -march=native -ffp-contract=fast"])
@pytest.mark.parametrize("name", ["augment.c", "loss.c", "optimize.c"])
def test_compilers_have_no_warning(name: str, flags: str, tmp_path: Path) -> None:
    compiler = find_compiler()
    assert compiler is not None
    if "avx2" in flags and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("AVX2 is of x86 processors")
    (tmp_path / "source.c").write_text(c_file(name))
    strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", *flags.split()]
    subprocess.run([*compiler.command, *strict, "-c", "source.c"], cwd=tmp_path, check=True)

"""Laws of crops, resizing and flips."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from stresnet.data.loading.augmentation import (
    CROP_RULES,
    Crop,
    CropKind,
    apply,
    corner_crop,
    corner_grid_crop,
    flipped_whole_frame,
    mirror,
    scale_jitter_crop,
    whole_frame,
)
from stresnet.errors import UsageError

FRAMES = [(256, 340), (340, 256), (256, 256), (128, 170), (20, 300), (1, 1)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def crops(kind: CropKind, height: int, width: int, count: int = 300) -> list[Crop]:
    generator = rng()
    return [CROP_RULES[kind](height, width, generator) for _ in range(count)]


def video(chunks: int = 2, height: int = 12, width: int = 17) -> tuple[np.ndarray, np.ndarray]:
    generator = rng(1)
    rgb = generator.integers(0, 256, (chunks, height, width, 3), dtype=np.uint8)
    flow = generator.integers(1, 256, (chunks, 10, 2, height, width), dtype=np.uint8)
    return rgb, flow


@pytest.mark.parametrize("kind", CROP_RULES)
@pytest.mark.parametrize(("height", "width"), FRAMES)
def test_crops_stay_inside_and_half_of_them_flip(kind: CropKind, height: int, width: int) -> None:
    drawn = crops(kind, height, width)
    for crop in drawn:
        assert crop.height >= 1 and crop.width >= 1
        assert crop.top >= 0 and crop.top + crop.height <= height
        assert crop.left >= 0 and crop.left + crop.width <= width
    assert sum(crop.flip for crop in drawn) == pytest.approx(150, abs=45)


@pytest.mark.parametrize("kind", ["scale-jitter", "corner-grid"])
def test_jittered_sides_vary_by_a_quarter_each_by_itself(kind: CropKind) -> None:
    drawn = crops(kind, 1024, 2048)  # short side 1024: sizes are four times those for 256
    heights, widths = np.array([(crop.height, crop.width) for crop in drawn]).T
    for sides, cap in ((heights, 1024), (widths, 2048)):
        assert sides.min() >= 168 * 4 and sides.max() <= min(280 * 4, cap)
        assert sides.min() < 172 * 4 and sides.max() > min(276 * 4, cap - 1)
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.2


def quarters(crop: Crop, height: int, width: int) -> tuple[str, str]:
    """Which quarter of its free way the crop keeps to, along each axis."""

    def quarter(offset: int, free: int) -> str:
        if offset <= 0.25 * free + 1:
            return "first"
        return "last" if offset >= 0.75 * free - 1 else "middle"

    return quarter(crop.top, height - crop.height), quarter(crop.left, width - crop.width)


def test_the_papers_crop_reaches_all_four_borders_and_never_the_middle() -> None:
    drawn = [crop for crop in crops("scale-jitter", 256, 1000) if crop.height < 230]
    places = {quarters(crop, 256, 1000) for crop in drawn}
    assert places == {(down, right) for down in ("first", "last") for right in ("first", "last")}
    offsets = {crop.left / (1000 - crop.width) for crop in drawn}
    assert min(offsets) < 0.01 and max(offsets) > 0.99
    assert any(0.2 < offset < 0.25 for offset in offsets)


def test_the_released_codes_crop_reaches_two_corner_regions_on_a_grid() -> None:
    drawn = [crop for crop in crops("corner-grid", 256, 1000) if crop.height < 230]
    assert {quarters(crop, 256, 1000) for crop in drawn} == {("first", "first"), ("last", "last")}
    grid = [start + 0.25 * step / 19 for start in (0, 0.75) for step in range(20)]
    for crop in drawn:
        free = 1000 - crop.width
        assert min(abs(crop.left - free * place) for place in grid) <= 1


def test_the_motion_streams_crop_has_sixteen_sizes_and_five_places() -> None:
    drawn = crops("corners", 256, 340, count=2000)
    assert {(crop.height, crop.width) for crop in drawn} == {
        (height, width) for height in (256, 224, 192, 168) for width in (256, 224, 192, 168)
    }
    placed = {(c.top, c.left) for c in drawn if (c.height, c.width) == (168, 224)}
    assert placed == {(0, 0), (0, 116), (88, 0), (88, 116), (44, 58)}
    for height, width in [(128, 170), (170, 128)]:  # sizes go by the short side
        assert {crop.height for crop in crops("corners", height, width)} == {128, 112, 96, 84}


def test_whole_frames() -> None:
    assert whole_frame(3, 5) == Crop(0, 0, 3, 5, flip=False)
    generator = rng()
    assert {flipped_whole_frame(3, 5, generator) for _ in range(20)} == {
        Crop(0, 0, 3, 5, flip=False),
        Crop(0, 0, 3, 5, flip=True),
    }


@pytest.mark.parametrize("rule", [scale_jitter_crop, corner_grid_crop, corner_crop])
def test_a_crop_depends_on_its_generator_alone(rule) -> None:
    assert rule(256, 340, rng(5)) == rule(256, 340, rng(5))


def test_without_a_change_of_size_pixels_are_copied_and_flow_interleaved() -> None:
    rgb, flow = video()
    images, fields = apply(rgb, flow, Crop(2, 3, 8, 9), (8, 9))
    assert images.shape == (2, 3, 8, 9) and fields.shape == (2, 20, 8, 9)
    assert images.dtype == fields.dtype == torch.uint8
    for chunk in range(2):
        for channel in range(3):
            assert np.array_equal(images[chunk, channel], rgb[chunk, 2:10, 3:12, channel])
        for field in range(10):
            for axis in range(2):  # x then y
                expected = flow[chunk, field, axis, 2:10, 3:12]
                assert np.array_equal(fields[chunk, 2 * field + axis], expected)


@pytest.mark.parametrize("size", [(8, 8), (20, 31), (4, 25)])
def test_resizing_is_within_a_level_of_float_arithmetic_for_both_streams(size) -> None:
    rgb, flow = video()
    images, fields = apply(rgb, flow, Crop(1, 2, 11, 14), size)
    cut = torch.from_numpy(np.concatenate([np.moveaxis(rgb, 3, 1), flow.reshape(2, 20, 12, 17)], 1))
    expected = functional.interpolate(
        cut[..., 1:12, 2:16].float(), size=size, mode="bilinear", antialias=True
    )
    error = torch.cat([images, fields], 1).float() - expected
    assert error.abs().max() <= 1.5
    assert abs(error.mean()) < 0.03


@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_resizing_keeps_constants(value: int) -> None:
    rgb, flow = (np.full_like(array, value) for array in video())
    images, fields = apply(rgb, flow, Crop(0, 0, 12, 17), (7, 29))
    assert (images == value).all() and (fields == value).all()


def test_flow_is_not_rescaled_with_its_picture() -> None:
    rgb, flow = video()
    flow[:] = 200
    _, fields = apply(rgb, flow, Crop(0, 0, 12, 17), (24, 34))
    assert (fields == 200).all()


def test_a_flipped_crop_is_the_mirror_image_of_the_crop() -> None:
    rgb, flow = video()
    plain = apply(rgb, flow, Crop(1, 2, 9, 13), (8, 10))
    flipped = apply(rgb, flow, Crop(1, 2, 9, 13, flip=True), (8, 10))
    for got, expected in zip(flipped, mirror(*plain), strict=True):
        assert torch.equal(got, expected)


def test_mirroring_reverses_columns_and_negates_horizontal_flow_only() -> None:
    rgb, flow = apply(*video(), Crop(0, 0, 12, 17), (12, 17))
    images, fields = mirror(rgb, flow)
    assert torch.equal(images, rgb.flip(-1))
    assert torch.equal(fields[:, 1::2], flow[:, 1::2].flip(-1))
    assert torch.equal(fields[:, 0::2].int() - 128, -(flow[:, 0::2].flip(-1).int() - 128))


def test_mirroring_twice_is_the_identity() -> None:
    rgb, flow = apply(*video(), Crop(0, 0, 12, 17), (12, 17))
    before = rgb.clone(), flow.clone()
    again = mirror(*mirror(rgb, flow))
    for got, untouched, expected in zip(again, (rgb, flow), before, strict=True):
        assert torch.equal(got, expected)
        assert torch.equal(untouched, expected)


def test_read_only_arrays_are_accepted() -> None:
    rgb, flow = video()
    rgb.flags.writeable = flow.flags.writeable = False
    images, _ = apply(rgb, flow, whole_frame(12, 17), (12, 17))
    images.zero_()
    assert rgb.any()


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    rgb, flow = video()
    with pytest.raises(UsageError, match="expected"):
        apply(rgb, flow[:1], whole_frame(12, 17), (8, 8))
    with pytest.raises(UsageError, match="expected"):
        apply(rgb, flow[:, :, :1], whole_frame(12, 17), (8, 8))
    for crop in [Crop(5, 0, 8, 8), Crop(0, 10, 8, 8), Crop(-1, 0, 8, 8), Crop(0, -1, 8, 8)]:
        with pytest.raises(UsageError, match="leaves the frame"):
            apply(rgb, flow, crop, (8, 8))

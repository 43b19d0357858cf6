"""Laws of the jitter of colour and speed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stresnet.data.loading.augmentation import mirror
from stresnet.data.loading.dataset import InMemoryVideo, training_chunks
from stresnet.data.loading.jitter import Colours, coloured, draw_colours, draw_speed, sped_up


def pictures(low: int = 0, high: int = 256) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(low, high, (3, 3, 6, 7), dtype=torch.uint8)


def test_no_jitter_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rgb, flow = pictures(), torch.randint(0, 256, (2, 20, 4, 4), dtype=torch.uint8)
    assert torch.equal(coloured(rgb, draw_colours(0.0, rng)), rgb)
    assert torch.equal(sped_up(flow, draw_speed(0.0, rng)), flow)


def test_brightness_scales() -> None:
    rgb = pictures(0, 120)
    assert torch.equal(coloured(rgb, Colours(brightness=2.0)), 2 * rgb)


def test_without_saturation_all_is_grey() -> None:
    grey = coloured(pictures(), Colours(saturation=0.0))
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])


def test_without_contrast_all_is_the_mean_grey_of_the_whole_video() -> None:
    rgb = pictures()
    red, green, blue = rgb.float().mean((0, 2, 3)).tolist()
    flat = coloured(rgb, Colours(contrast=0.0))
    assert flat.unique().tolist() == [round(0.299 * red + 0.587 * green + 0.114 * blue)]


@pytest.mark.parametrize("factor", ["brightness", "contrast", "saturation"])
def test_a_grey_picture_keeps_its_hue_and_bytes_stay_bytes(factor: str) -> None:
    grey = pictures()[:, :1].expand(-1, 3, -1, -1)
    changed = coloured(grey, replace(Colours(), **{factor: 1.9}))
    assert changed.dtype == torch.uint8
    assert torch.equal(changed[:, 0], changed[:, 2])
    if factor == "saturation":
        assert torch.equal(changed, grey)


def test_a_video_s_chunks_are_changed_alike() -> None:
    """And so what is still stays still."""
    rng = np.random.default_rng(1)
    still = pictures()[:1].expand(4, -1, -1, -1)
    changed = coloured(still, draw_colours(0.5, rng))
    assert not torch.equal(changed, still)
    assert torch.equal(changed, changed[:1].expand_as(changed))


def test_speed_multiplies_motion_about_zero_and_commutes_with_mirrors() -> None:
    flow = torch.arange(256, dtype=torch.uint8).repeat(20).view(1, 20, 16, 16)
    faster = sped_up(flow, 2.0)
    assert faster[0, 0].flatten()[[128, 130, 120, 250, 3]].tolist() == [128, 132, 112, 255, 0]
    rgb = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    inner = flow.clamp(70, 186)  # bytes that stay within their range
    _, mirrored_then_faster = mirror(rgb, inner)
    _, faster_then_mirrored = mirror(rgb, sped_up(inner, 2.0))
    assert torch.equal(sped_up(mirrored_then_faster, 2.0), faster_then_mirrored)


def test_draws_keep_to_their_range() -> None:
    rng = np.random.default_rng(2)
    colours = np.array([list(vars(draw_colours(0.3, rng)).values()) for _ in range(300)])
    assert colours.min() >= 0.7 and colours.max() <= 1.3 and np.ptp(colours) > 0.58
    speeds = np.array([draw_speed(0.25, rng) for _ in range(300)])
    assert speeds.min() >= 0.8 and speeds.max() <= 1.25
    assert abs(np.log(speeds).mean()) < 0.03


def test_jitter_leaves_what_a_sample_shows_as_it_was() -> None:
    """Only colours and speed change: chunks, crop and flip are drawn before."""
    rng = np.random.default_rng(3)
    frames = np.repeat(rng.integers(90, 160, (20, 12, 14, 1), dtype=np.uint8), 3, axis=3)
    video = InMemoryVideo(frames, rng.integers(100, 156, (19, 2, 12, 14), dtype=np.uint8))

    def draw(**jitter: float) -> tuple[torch.Tensor, torch.Tensor]:
        chunks = training_chunks(
            video, chunks=2, tau=(1, 3), crop="scale-jitter", size=8,
            rng=np.random.default_rng(4), **jitter,  # type: ignore[arg-type]
        )  # fmt: skip
        return chunks.rgb.float().flatten(), chunks.flow.float().flatten()

    plain, jittered = draw(), draw(colour_jitter=0.2, flow_jitter=0.2)
    for before, after in zip(plain, jittered, strict=True):
        assert not torch.equal(before, after)
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.99

"""Laws of chunks, and of the batches that training is fed."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import stresnet.data.loading.chunks as chunks_module
from memory_video import InMemoryVideo
from stresnet.data.loading.chunks import Chunks, training_chunks
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, SampleKey, StepSampler
from stresnet.errors import UsageError

draw = partial(training_chunks, chunks=3, tau=(1, 4), crop="scale-jitter", size=8)
whole = chunks_module.testing_chunks
SETTINGS = ChunkSettings(chunks=2, tau=(1, 3), crop="scale-jitter", size=6)


def numbered_video(num_frames: int, height: int = 8, width: int = 10) -> InMemoryVideo:
    """Frame n is filled with n; flow field n with n in x and 100 + n in y."""
    numbers = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(numbers, (num_frames, height, width, 3))
    flow = numbers[:-1] + np.array([0, 100], dtype=np.uint8)[:, None, None]
    return InMemoryVideo(frames, np.broadcast_to(flow, (num_frames - 1, 2, height, width)))


def noise_video(path: Path) -> InMemoryVideo:
    """A video that depends on the path's stem alone."""
    generator = np.random.default_rng(int(path.stem))
    frames = generator.integers(0, 256, (16, 8, 10, 3), dtype=np.uint8)
    return InMemoryVideo(frames, generator.integers(1, 256, (15, 2, 8, 10), dtype=np.uint8))


def seen(chunks: Chunks) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Numbers of the frames, and of the x and y flow fields, in a numbered video's chunks."""
    flow = chunks.flow[:, :, 0, 0]
    return chunks.rgb[:, 0, 0, 0].tolist(), flow[:, 0::2].tolist(), (flow[:, 1::2] - 100).tolist()


@pytest.mark.parametrize("num_frames", range(2, 41))
def test_a_chunk_is_its_centre_frame_and_the_ten_fields_around_it(num_frames: int) -> None:
    frames, x_fields, y_fields = seen(whole(numbered_video(num_frames), chunks=5, size=7))
    # The oracle pads by hand: mirror sequences at both ends, edges repeated.
    padded = np.pad(np.arange(num_frames - 1), 10, mode="symmetric")
    assert x_fields == y_fields == [padded[f + 5 : f + 15].tolist() for f in frames]


def test_a_single_frame_is_still() -> None:
    chunks = whole(numbered_video(1), chunks=25, size=7)
    assert chunks.rgb.shape == (25, 3, 8, 10) and chunks.flow.shape == (25, 20, 8, 10)
    assert (chunks.rgb == 0).all() and (chunks.flow == 128).all()
    assert (draw(numbered_video(1), rng=np.random.default_rng(0)).flow == 128).all()


def test_training_chunks_share_one_crop_and_flip() -> None:
    columns = np.broadcast_to(np.arange(30, dtype=np.uint8), (40, 20, 30))
    video = InMemoryVideo(
        np.repeat(columns[..., None], 3, axis=3), np.stack([columns[:-1]] * 2, axis=1)
    )
    for seed in range(10):
        chunks = draw(video, rng=np.random.default_rng(seed))
        pictures = chunks.rgb[0, 0].expand(3, 3, 8, 8)
        assert torch.equal(chunks.rgb, pictures)
        assert torch.equal(chunks.flow[:, 1::2], pictures[:, :1].expand(3, 10, 8, 8))


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        ((256, 340), 224, (256, 340)),
        ((340, 256), 224, (340, 256)),
        ((256, 340), 112, (128, 170)),
        ((240, 320), 224, (256, 341)),
        ((8, 10), 7, (8, 10)),
    ],
)
def test_whole_frames_keep_their_aspect(frame, size: int, expected) -> None:
    assert chunks_module.testing_size(*frame, size) == expected


def test_whole_frames_are_resized() -> None:
    assert whole(numbered_video(20), chunks=2, size=14).rgb.shape == (2, 3, 16, 20)


def test_mirrored_chunks_mirror_back() -> None:
    chunks = whole(noise_video(Path("3")), chunks=2, size=7)
    there, back = chunks.mirrored(), chunks.mirrored().mirrored()
    assert torch.equal(there.rgb, chunks.rgb.flip(-1))
    assert torch.equal(back.rgb, chunks.rgb) and torch.equal(back.flow, chunks.flow)


def test_an_unknown_crop_is_refused() -> None:
    with pytest.raises(UsageError, match="choose from scale-jitter"):
        draw(numbered_video(20), crop="middle", rng=np.random.default_rng(0))  # type: ignore[arg-type]


def dataset(seed: int = 7) -> ChunkDataset:
    items = [(Path(f"{number}.zip"), number % 2) for number in range(5)]
    return ChunkDataset(items, SETTINGS, seed=seed, open_video=noise_video)


def test_a_sample_is_a_pure_function_of_seed_step_and_slot() -> None:
    key = SampleKey(step=3, slot=1, item=4)
    first, again = dataset()[key], dataset()[key]
    assert first.rgb.shape == (2, 3, 6, 6) and first.flow.shape == (2, 20, 6, 6)
    assert first.label == 0
    assert torch.equal(first.rgb, again.rgb) and torch.equal(first.flow, again.flow)
    others = [
        dataset(seed=8)[key],
        dataset()[SampleKey(4, 1, 4)],
        dataset()[SampleKey(3, 2, 4)],
        dataset()[SampleKey(3, 1, 3)],
    ]
    assert not any(torch.equal(first.rgb, other.rgb) for other in others)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 12])
def test_each_epoch_shows_each_item_once_in_a_new_order(batch_size: int) -> None:
    sampler = StepSampler(5, batch_size, seed=0, last_step=60)
    keys = [key for batch in sampler for key in batch]
    assert [key.step for key in keys] == [n // batch_size for n in range(60 * batch_size)]
    assert [key.slot for key in keys] == [n % batch_size for n in range(60 * batch_size)]
    items = [key.item for key in keys]
    epochs = [tuple(items[n : n + 5]) for n in range(0, len(items), 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(epochs)) > 5
    assert set(Counter(items).values()) == {12 * batch_size}


def test_a_run_goes_on_from_any_step_as_if_it_had_never_stopped() -> None:
    undisturbed = list(StepSampler(5, 3, seed=1, last_step=20))
    resumed = StepSampler(5, 3, seed=1, first_step=13, last_step=20)
    assert list(resumed) == undisturbed[13:]
    assert resumed.keys(2) == undisturbed[2]
    assert len(resumed) == 7
    assert list(StepSampler(5, 3, seed=2, last_step=20)) != undisturbed


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    sampler = StepSampler(5, 3, seed=1, last_step=3)
    alone, helped = (
        list(DataLoader(dataset(), batch_sampler=sampler, num_workers=workers))
        for workers in (0, 2)
    )
    assert len(alone) == len(helped) == 3
    for one, two in zip(alone, helped, strict=True):
        assert one.rgb.shape == (3, 2, 3, 6, 6) and one.label.dtype == torch.int64
        assert torch.equal(one.rgb, two.rgb) and torch.equal(one.flow, two.flow)
        assert torch.equal(one.label, two.label)


def test_senseless_batches_are_refused() -> None:
    for num_items, batch_size in [(0, 3), (5, 0)]:
        with pytest.raises(UsageError, match="1 or more of both"):
            StepSampler(num_items, batch_size, seed=0, last_step=1)
    with pytest.raises(UsageError, match="seed is -1"):
        StepSampler(5, 3, seed=-1, last_step=1)


def test_a_group_may_share_one_tau_and_nothing_else() -> None:
    """As in the released code; frames are numbered, so that strides can be read off."""
    settings = ChunkSettings(chunks=2, tau=(1, 9), crop="whole", size=8, tau_group=4)
    items = [(Path(str(i)), 0) for i in range(8)]
    dataset = ChunkDataset(items, settings, seed=0, open_video=lambda path: numbered_video(60))
    taus, starts = [], []
    for step in range(20):
        samples = [dataset[SampleKey(step, slot, slot)] for slot in range(8)]
        first = [sample.rgb[0, 0, 0, 0].item() for sample in samples]
        strides = [
            sample.rgb[1, 0, 0, 0].item() - at for sample, at in zip(samples, first, strict=True)
        ]
        for group in (slice(0, 4), slice(4, 8)):
            assert len(set(strides[group])) == 1
            taus.append(strides[group][0])
            starts.append(len(set(first[group])))
    assert set(taus) >= set(range(1, 8))
    assert sum(starts) / len(starts) > 3
    with pytest.raises(UsageError, match="lowest <= highest"):
        bad = replace(settings, tau=(5, 1))
        ChunkDataset(items, bad, seed=0, open_video=lambda path: numbered_video(60))[
            SampleKey(0, 0, 0)
        ]

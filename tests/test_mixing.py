"""Laws of mixup and CutMix."""

from dataclasses import replace

import pytest
import torch

from stresnet.training.mixing import Mix, draw_mix, mixed, mixed_targets
from toy_training import PHASE

MIXUP, CUTMIX = replace(PHASE, mixup=0.4), replace(PHASE, cutmix=1.0)
FRAME = (8, 10)


def videos(channels: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    """Four videos of two chunks, of which the first is all 10, the next all 20, ..."""
    values = torch.tensor([10, 20, 30, 40], dtype=dtype).view(4, 1, 1, 1, 1)
    return values.expand(4, 2, channels, *FRAME).clone()


def draws(phase, count: int = 200) -> list[Mix]:
    return [draw_mix(phase, FRAME, seed=1, step=step, group=0) for step in range(count)]


@pytest.mark.parametrize("mix", [Mix(1.0), Mix(1.0, (3, 3, 0, 0))], ids=["mixup", "cutmix"])
def test_a_share_of_one_is_the_identity(mix: Mix) -> None:
    assert torch.equal(mixed(mix, videos(3)), videos(3).to(mixed(mix, videos(3)).dtype))
    truth = torch.tensor([0, 2, 1, 1])
    assert torch.equal(mixed_targets(mix, truth, 3), torch.eye(3)[truth])


@pytest.mark.parametrize("mix", [Mix(0.0), Mix(0.0, (0, 0, *FRAME))], ids=["mixup", "cutmix"])
def test_a_share_of_nothing_is_the_partner(mix: Mix) -> None:
    found = mixed(mix, videos(3))
    assert torch.equal(found, videos(3).roll(1, 0).to(found.dtype))
    assert mixed_targets(mix, torch.tensor([0, 2, 1, 1]), 3).argmax(1).tolist() == [1, 0, 2, 1]


def test_mixup_blends_both_streams_and_all_chunks_alike() -> None:
    mix = Mix(0.75)
    for channels in (3, 20):
        blended = mixed(mix, videos(channels))
        expected = torch.tensor([17.5, 17.5, 27.5, 37.5]).view(4, 1, 1, 1, 1)
        torch.testing.assert_close(blended, expected.expand_as(blended))
    targets = mixed_targets(mix, torch.tensor([0, 0, 1, 2]), 3)
    expected = torch.tensor([[0.75, 0, 0.25], [1, 0, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]])
    torch.testing.assert_close(targets, expected)


def test_cutmix_pastes_the_same_box_into_all_and_the_share_is_its_area() -> None:
    for mix in draws(CUTMIX, 20):
        pasted = [mixed(mix, videos(channels)) == videos(channels) for channels in (3, 20)]
        own = pasted[0][0, 0, 0]
        for kept in pasted:
            assert torch.equal(kept, own.expand_as(kept))
        assert own.double().mean().item() == pytest.approx(mix.share)
    assert len({mix.box for mix in draws(CUTMIX)}) > 40


def test_a_stream_without_pixels_stays_without() -> None:
    empty = torch.empty(4, 1, 3, 0, 0, dtype=torch.uint8)
    for mix in (Mix(0.3), Mix(0.5, (2, 2, 4, 4))):
        assert mixed(mix, empty).shape == empty.shape


def test_a_group_of_one_is_left_alone() -> None:
    alone = videos(3)[:1]
    for mix in (Mix(0.3), Mix(0.5, (2, 2, 4, 5))):
        torch.testing.assert_close(mixed(mix, alone).float(), alone.float())
        target = mixed_targets(mix, torch.tensor([1]), 2)
        torch.testing.assert_close(target, torch.tensor([[0.0, 1.0]]))


def test_the_mix_is_a_function_of_seed_step_and_group() -> None:
    def draw(seed: int, step: int, group: int) -> Mix | None:
        return draw_mix(MIXUP, FRAME, seed=seed, step=step, group=group)

    assert draw(0, 1, 2) == draw(0, 1, 2)
    others = [draw(1, 1, 2), draw(0, 2, 2), draw(0, 1, 3), draw(0, 2, 1)]
    assert draw(0, 1, 2) not in others
    assert draw_mix(PHASE, FRAME, seed=0, step=0, group=0) is None


def test_shares_are_beta_and_a_coin_decides_between_both() -> None:
    shares = torch.tensor([mix.share for mix in draws(MIXUP)])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.08)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.25)
    both = draws(replace(PHASE, mixup=1.0, cutmix=1.0))
    assert sum(mix.box is None for mix in both) == pytest.approx(100, abs=25)
    assert all(mix.box is None for mix in draws(MIXUP))
    assert all(mix.box is not None for mix in draws(CUTMIX))

"""TV-L1 of many pairs of frames at once, in plain torch operations, on any device.

The same scheme as `numba_kernel`, in pixels: here a whole field is one array. B pairs of frames
run side by side. A pair that has converged keeps its flow while others still change, so that each
pair's flow depends on that pair alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from stresnet.device import gpu_errors
from stresnet.flow.parameters import AT_ONCE, FLAT, HASTE, PARTS, TVL1Parameters
from stresnet.flow.pyramid import cubic_weights, level_sizes, linear_taps

# Pixels of all pairs that run together: about 60 bytes each are held, 1 GB in all.
PIXELS_AT_ONCE = 1 << 24
LEAST = torch.finfo(torch.float32).tiny
# A GPU has to finish all its work before it can say whether any pair still changes. In between,
# pairs that have converged keep their flow, so this changes no result.
ITERATIONS_UNASKED = 10


class DataTerm(NamedTuple):
    """I1(x + u) - I0(x) linearised at u0: rho + <slope, u>."""

    slope: Tensor  # (B, 2, H, W) gradient of the warped I1
    rho: Tensor  # (B, 1, H, W)
    inverse: Tensor  # (B, 1, H, W) 1 / |slope|²


def flow_on_device(
    frames: npt.NDArray[np.uint8], p: TVL1Parameters, device: torch.device
) -> npt.NDArray[np.float32]:
    """(N, H, W) uint8 -> (N-1, 2, H, W) float32 flow, pixels per frame; see `tv_l1`.

    A device without room for all pairs at once gets half of them, then half of those.
    """
    flow = np.empty((len(frames) - 1, 2, *frames.shape[1:]), np.float32)
    pairs, done = max(1, PIXELS_AT_ONCE // frames[0].size), 0
    height, width = frames.shape[1:]
    what = f"the flow of two frames of {width}x{height} pixels"
    with torch.inference_mode(), gpu_errors(device, what, lower="smaller frames"):
        while done < len(flow):
            pairs = min(pairs, len(flow) - done)
            try:
                # A copy, because torch would warn about frames that are read-only.
                chunk = torch.tensor(frames[done : done + pairs + 1]).to(device)
                # Triton's kernels run on the current device.
                with torch.cuda.device_of(chunk):  # type: ignore[no-untyped-call]
                    flow[done : done + pairs] = flow_of_video(chunk, p).cpu().numpy()
            except torch.OutOfMemoryError:
                if pairs == 1:
                    raise
                pairs = (pairs + 1) // 2
            else:
                done += pairs
    return flow


def flow_of_video(frames: Tensor, p: TVL1Parameters) -> Tensor:
    """(B+1, H, W) uint8 -> (B, 2, H, W) float32, on the frames' device."""
    height, width = frames.shape[1:]
    sizes = level_sizes(height, width, p.scales, p.scale_step)
    levels = [frames[:, None].float()]
    for size in sizes[1:]:
        levels.append(_resized(levels[-1], size, 1 / p.scale_step, 1 / p.scale_step))
    u = frames.new_zeros((len(frames) - 1, 2, *sizes[-1]), dtype=torch.float32)
    for size, level in zip(reversed(sizes), reversed(levels), strict=True):
        if u.shape[2:] != size:
            u = _zoomed(u, size, p.scale_step)
        u = _refined(level[:-1], level[1:], u, p)
    return u


def _zoomed(u: Tensor, size: tuple[int, int], scale_step: float) -> Tensor:
    """As `numba_pyramid.zoom_into`, (B, 2, h, w) -> (B, 2, *size)."""
    return _resized(u, size, u.shape[2] / size[0], u.shape[3] / size[1]) / scale_step


def _resized(fields: Tensor, size: tuple[int, int], down: float, across: float) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), bilinear; the new pixels lie `down`, `across` old ones apart.

    torch's own interpolate cannot be given a size and a spacing that disagree, as OpenCV has it.
    """
    for axis, length, spacing in ((2, size[0], down), (3, size[1], across)):
        taps = linear_taps(fields.shape[axis], length, spacing)
        before, after, fraction = (torch.from_numpy(tap).to(fields.device) for tap in taps)
        if axis == 2:
            fraction = fraction[:, None]
        low, high = fields.index_select(axis, before), fields.index_select(axis, after)
        fields = low + fraction * (high - low)
    return fields


def _refined(first: Tensor, second: Tensor, u: Tensor, p: TVL1Parameters) -> Tensor:
    """One level: (B, 1, H, W) frames and the (B, 2, H, W) flow to start from -> the flow."""
    linearised, stepped = kernels(u)
    dual = torch.zeros_like(torch.stack((u, u)))  # (2, B, 2, H, W): of ∂x u and of ∂y u
    target = torch.cat((second, _central_differences(second)), 1)
    enough = p.epsilon**2 * first[0].numel()
    asked_every = 1 if u.device.type == "cpu" else ITERATIONS_UNASKED
    for _ in range(p.warps):
        term = linearised(first, target, u, p)
        # (B,): after how many iterations a pair's flow is final, and when to look next.
        ended = torch.full((len(u),), p.iterations, dtype=torch.int32, device=u.device)
        look = torch.full_like(ended, 2, dtype=torch.float32)
        for n in range(p.iterations):
            if p.median_every > 0 and n % p.median_every == 0:
                u = torch.where(_each(ended > n), _median_filtered(u), u)
            u, dual, change = stepped(u, dual, term, ended, n, p)
            done = n + 1
            if p.lazy_check and done % 2:
                continue  # no pair looks
            looks = look == done
            if not p.lazy_check and p.median_every > 0 and done % p.median_every == 0:
                looks = torch.ones_like(looks)
            ended = torch.where(looks & (change <= enough) & (ended > n), done, ended)
            look = torch.where(looks, _next_look(done, change, enough, p), look)
            if done % asked_every == 0 and not (ended > done).any():
                break
    return u


def kernels(like: Tensor) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What linearises the data term and what takes a step, for flow of this shape and device."""
    if like.device.type == "cuda":
        try:
            from stresnet.flow.triton_kernel import FusedStep, linearise
        except ImportError:  # no Triton: on Windows, or in builds for other cards
            pass
        else:
            return linearise, FusedStep(like)
    return _linearise, _step


def _each(flags: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return flags.view(-1, 1, 1, 1)


def _next_look(n: int, change: Tensor, enough: float, p: TVL1Parameters) -> Tensor:
    """As in `numba_kernel`, for each pair: after which iteration to look at the change again."""
    excess = (change / max(enough, LEAST)).clamp(max=float(p.iterations))
    if p.lazy_check:
        look = n + excess.floor() + 1
        return look + look % 2
    return n + (HASTE * excess).floor().clamp(1, AT_ONCE)


def _central_differences(image: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, 2, H, W): the gradient, x then y, the border repeated."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    return torch.cat((across, down), 1) / 2


def _linearise(first: Tensor, target: Tensor, u: Tensor, p: TVL1Parameters) -> DataTerm:
    """Warp I1 and its gradient, the (B, 3, H, W) `target`, by u0, which is u rounded."""
    u = (u * PARTS + 0.5).floor() / PARTS
    warped = _warped(target, u, p)
    image, slope = warped[:, :1], warped[:, 1:]
    square = slope.square().sum(1, keepdim=True)
    rho = image - (slope * u).sum(1, keepdim=True) - first
    return DataTerm(slope, rho, 1 / square.clamp(min=float(FLAT)))


def _warped(fields: Tensor, u: Tensor, p: TVL1Parameters) -> Tensor:
    """(B, C, H, W) at x + u(x), by cubic convolution over 4x4 pixels (Keys 1981)."""
    batch, channels, height, width = fields.shape
    x = torch.arange(width, device=u.device) + u[:, 0]
    y = torch.arange(height, device=u.device)[:, None] + u[:, 1]
    x, y = x.clamp(-2, width + 1), y.clamp(-2, height + 1)
    left, top = x.floor(), y.floor()
    weights_x, weights_y = cubic_weights(x - left, p.cubic), cubic_weights(y - top, p.cubic)
    flat = fields.reshape(batch, channels, -1)
    warped = torch.zeros_like(flat)
    for j in range(4):
        for i in range(4):
            row, column = top.long() + j - 1, left.long() + i - 1
            inside_row, inside_column = row.clamp(0, height - 1), column.clamp(0, width - 1)
            weight = weights_y[j] * weights_x[i]
            if p.beyond == "black":
                weight = weight * ((row == inside_row) & (column == inside_column))
            index = (inside_row * width + inside_column).reshape(batch, 1, -1)
            pixels = flat.gather(2, index.expand(-1, channels, -1))
            warped += weight.reshape(batch, 1, -1) * pixels
    return warped.reshape(fields.shape)


def _step(
    u: Tensor, dual: Tensor, term: DataTerm, ended: Tensor, n: int, p: TVL1Parameters
) -> tuple[Tensor, Tensor, Tensor]:
    """One primal and one dual step (Zach et al., propositions 3 and 1).

    Args:
        ended: (B,); pairs that ended before iteration `n` stay as they are.

    Returns:
        u and dual, and (B,) the sum of the squared change of u, for the pairs that continue.
    """
    slope, rho, inverse = term
    residual = rho + (slope * u).sum(1, keepdim=True)
    reach = p.lambda_ * p.theta
    v = u + (-residual * inverse).clamp(-reach, reach) * slope
    across, down = dual
    divergence = across.diff(dim=3, prepend=across.new_zeros(*across.shape[:3], 1))
    divergence += down.diff(dim=2, prepend=down.new_zeros(*down.shape[:2], 1, down.shape[3]))
    new_u = v + p.theta * divergence
    gradient = torch.stack(
        (new_u.diff(dim=3, append=new_u[:, :, :, -1:]), new_u.diff(dim=2, append=new_u[:, :, -1:]))
    )
    rate = p.tau / p.theta
    new_dual = (dual + rate * gradient) / (1 + rate * torch.hypot(*gradient))
    goes = _each(ended > n)
    change = (new_u - u).square().sum((1, 2, 3))
    return torch.where(goes, new_u, u), torch.where(goes, new_dual, dual), change


def _median_filtered(u: Tensor) -> Tensor:
    """(B, 2, H, W): 5x5 median, the border repeated.

    The least and the greatest of any 14 of 25 values are not their median: forget both, take in
    the next value, and continue with 13, until one value is left.
    """
    height, width = u.shape[2:]
    padded = functional.pad(u, (2, 2, 2, 2), mode="replicate")
    window = [padded[:, :, j : j + height, i : i + width] for j in range(5) for i in range(5)]
    for least in range(12):
        greatest = least + 13
        for a, b in (
            (least, greatest),
            *((least, other) for other in range(least + 1, 13)),
            *((other, greatest) for other in range(least + 1, 13)),
        ):
            window[a], window[b] = (
                torch.minimum(window[a], window[b]),
                torch.maximum(window[a], window[b]),
            )
    return window[12]

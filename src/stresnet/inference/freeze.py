"""Freeze a network once, however often it is asked for."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from stresnet.inference.network import InferenceNetwork
from stresnet.model import STResNet

Fingerprint = tuple[tuple[int, int], ...]

_kept: WeakKeyDictionary[STResNet, tuple[Fingerprint, InferenceNetwork]] = WeakKeyDictionary()


def frozen(net: STResNet, *, bf16: bool = False) -> InferenceNetwork:
    """The network as `InferenceNetwork`; the last one is kept as long as the weights are the same.

    Training steps, loading and moving are noticed as autograd notices them; writing through
    `.data`, which hides from both, is not.
    """
    fingerprint = _fingerprint(net)
    found = _kept.get(net)
    if found is not None and found[0] == fingerprint and found[1].bf16 == bf16:
        return found[1]
    made = InferenceNetwork(net, bf16=bf16)
    _kept[net] = fingerprint, made
    return made


def _fingerprint(net: STResNet) -> Fingerprint:
    """Where each tensor lies, and how often it has been written to."""
    tensors = net.state_dict(keep_vars=True).values()
    return tuple(
        (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors
    )

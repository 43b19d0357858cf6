"""A GPU that there is not: its tensors hold real numbers, and cannot be mixed with the processor's.

    with FakeCard():
        found = predict(net, clip, device="meta")        # computed on the processor

torch's "meta" device, which every build has, stands in for "cuda": what asks for it gets an
`OnCard`. An operator that is given such a tensor beside one of the processor's fails, as on a GPU;
only copies cross over, and numbers without a dimension. So a test that passes has put every tensor
where it belongs, and its results can be compared with the processor's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CARD = torch.device("meta")
CROSSING = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class OnCard(Tensor):
    """A tensor whose device is `CARD`; `kept` is what it holds, in the processor's memory."""

    kept: Tensor

    @staticmethod
    def __new__(cls, kept: Tensor) -> OnCard:
        with torch.inference_mode(False):  # else torch would count the versions of what has none
            made: OnCard = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                kept.shape,
                strides=kept.stride(),
                storage_offset=kept.storage_offset(),
                dtype=kept.dtype,
                device=CARD,
            )
        made.kept = kept
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operator on the processor; wrap what would be on the card."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    on_card = [tensor for tensor in given if isinstance(tensor, OnCard)]
    if on_card and func not in CROSSING:
        strange = [t for t in given if not isinstance(t, OnCard) and t.dim()]
        assert not strange, f"{func}: {len(strange)} of {len(given)} tensors are not on the card"
    stays = bool(on_card)
    if kwargs.get("device") is not None:
        stays = torch.device(kwargs["device"]).type == CARD.type
        kwargs = {**kwargs, "device": "cpu"}
    found = func(*tree_map(_kept, args), **tree_map(_kept, kwargs))
    if not stays:
        return found
    same = {id(tensor.kept): tensor for tensor in on_card}  # of operators in place
    return tree_map(
        lambda each: same.get(id(each)) if id(each) in same else
        OnCard(each) if isinstance(each, Tensor) else each, found
    )  # fmt: skip


def _kept(value: Any) -> Any:
    return value.kept if isinstance(value, OnCard) else value


class FakeCard(TorchDispatchMode):
    """Within it the device `CARD` computes, also in threads that start there."""

    operators = 0  # that were given to a card, in all

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it would import torch's compiler, which takes seconds."""
        return False

    def __enter__(self) -> Self:
        self._run = threading.Thread.run

        def run(thread: threading.Thread) -> None:
            with _InThread():
                self._run(thread)

        threading.Thread.run = run  # type: ignore[method-assign]
        FakeCard.operators = 0
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: Any) -> None:
        threading.Thread.run = self._run  # type: ignore[method-assign]
        super().__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = computed(func, args, kwargs or {})
        FakeCard.operators += any(isinstance(each, OnCard) for each in tree_leaves(found))
        return found


class _InThread(FakeCard):
    __enter__ = TorchDispatchMode.__enter__
    __exit__ = TorchDispatchMode.__exit__

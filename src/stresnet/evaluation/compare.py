"""Many networks, protocols and folds on one data set: the rows of Table 3 beside each other.

For each fold, the networks are scored one after the other on the same prepared videos. The last
network under the first protocol is the main one, of which the report shows more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.calibration import Calibration, calibrate
from stresnet.evaluation.comparison import Comparison, Entry
from stresnet.evaluation.evaluate import require_known, score_videos
from stresnet.evaluation.model_folders import (
    FOLD,
    Network,
    find_models,
    network_kind,
    warn_of_trained,
)
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.evaluation.result import EvaluationResult
from stresnet.evaluation.with_idt import add_idt, read_idt
from stresnet.model import STResNet, load_model
from stresnet.model.stream import POOL_WINDOW


def compare(
    models: Sequence[str | Path],
    data: str | Path,
    out: Path,
    *,
    folds: Sequence[int] | None = None,
    lists: str | Path | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    protocols: Sequence[Protocol] = (PAPER,),
    chunks: Sequence[int] = (),
    calibrated: bool = False,
    with_idt: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> Comparison:
    """Score several networks on the test videos of one or several folds.

    Args:
        models: model folders, or folders that `stresnet train` wrote, which hold several; with
            `{fold}` in the path where there are several folds.
        out: `out`/scores keeps the scores of finished videos, one .npz each for a network, protocol
            and fold; a stopped call goes on from there.
        folds: to test on; None is the data's first, or only one.
        chunks: other numbers of chunks to score the main network with, for a curve.
        calibrated: fit a temperature on training videos; see `calibrate`.
        with_idt: score file of improved dense trajectories, with `{fold}` in its path where there
            are several folds; see `with_idt.py`.
        lists, seed, store, precision, device, say: as in `evaluate`.

    Raises:
        UsageError: an argument makes no sense, or one model shall be tested on several folds.
        DatasetError: the data cannot be used, or has classes that a model does not know.
        WeightsError: a model folder cannot be used.
    """
    if any(count < 1 for count in chunks):
        raise UsageError(f"chunks {', '.join(map(str, chunks))}; expected numbers from 1")
    tested: Sequence[int | None] = (None,) if not folds else list(dict.fromkeys(folds))
    found = find_models([str(model) for model in models], tested)
    of_idt = read_idt(with_idt, tested) if with_idt else []
    main = found.labels[-1]
    data, store = Path(data), Path(store or default_store(data))
    say(f"{', '.join(found.labels)} on {data.name}")

    results: dict[tuple[str, Protocol], list[EvaluationResult]] = {}
    kinds: dict[str, Network] = {}
    temperatures: list[Calibration] = []
    warnings: list[str] = []
    for fold in tested:
        split = open_dataset(data, fold=fold, lists=Path(lists) if lists else None, seed=seed)
        nets = {
            label: load_model(found.folder(label, fold), device=device) for label in found.labels
        }
        for label, net in nets.items():  # whatever is wrong, before the long work
            require_known({item.label for item in split.test}, net, str(data))
            if warning := warn_of_trained(found.folder(label, fold), split.test):
                say(f"warning: {warning}")
                warnings.append(warning)
            kinds[label] = network_kind(net)
        videos = ensure_prepared(split.test, store)
        for label, net in nets.items():
            for protocol in _wanted(net, protocols, chunks if label == main else (), say):
                say(f"{label}, {protocol.name}{'' if fold is None else f', fold {fold}'}")
                kept = _score_file(out, label, protocol, fold)
                result = score_videos(
                    net, videos, protocol=protocol, precision=precision, kept=kept, say=say
                )
                results.setdefault((label, protocol), []).append(result)
        if calibrated:
            kept = _score_file(out, f"{main}.training", protocols[0], fold)
            fitted = calibrate(
                nets[main],
                split,
                store,
                protocol=protocols[0],
                precision=precision,
                kept=kept,
                say=say,
            )
            temperatures.append(fitted)
    entries = [
        Entry(label, kinds[label], protocol, tuple(of_folds))
        for (label, protocol), of_folds in results.items()
    ]
    _require_one_list_of_classes(entries)
    comparison = Comparison(
        data=data.resolve().name,
        folds=tuple(tested),
        entries=tuple(entry for entry in entries if entry.protocol in protocols),
        curve=_curve(entries, main, protocols, chunks),
        calibration=Calibration.together(temperatures) if temperatures else None,
        store=store,
        warnings=tuple(warnings),
    )
    return add_idt(comparison, of_idt) if of_idt else comparison


def _score_file(out: Path, label: str, protocol: Protocol, fold: int | None) -> Path:
    of_fold = "" if fold is None else f".fold{fold}"
    return out / "scores" / f"{label}.{protocol.name}{of_fold}.npz"


def _wanted(
    net: STResNet, protocols: Sequence[Protocol], chunks: Sequence[int], say: Callable[[str], None]
) -> list[Protocol]:
    """Each protocol once, and the first with other chunks, enough for a pool over time."""
    least = POOL_WINDOW if net.config["temporal_pool"] else 1
    if few := [count for count in chunks if count < least]:
        say(f"left out: {few} chunks, fewer than the network's pool over time takes, {least}")
    others = [protocols[0].with_chunks(count) for count in sorted(chunks) if count >= least]
    return list(dict.fromkeys([*protocols, *others]))


def _curve(
    entries: Sequence[Entry], main: str, protocols: Sequence[Protocol], chunks: Sequence[int]
) -> tuple[Entry, ...]:
    if not chunks:
        return ()
    wanted = {protocols[0]} | {protocols[0].with_chunks(count) for count in chunks}
    on_curve = (entry for entry in entries if entry.model == main and entry.protocol in wanted)
    return tuple(sorted(on_curve, key=lambda entry: entry.protocol.chunks))


def _require_one_list_of_classes(entries: Sequence[Entry]) -> None:
    for entry in entries:
        if any(result.class_names != entry.class_names for result in entry.results):
            raise DatasetError(
                f"{entry.model}: its networks of different folds know different classes",
                remedy=f"give networks trained on one data set, with {FOLD} in their path",
            )

"""Networks, protocols and folds on one data set: the rows of Table 3 side by side.

    evaluate -> score_videos -> score_video -> InferenceNetwork        for each network and protocol

The networks of a fold are scored one after the other on the same prepared videos. The last network
under the first protocol is the main one: the report shows more of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.preparation import prepared_like, require_same_preparation
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store
from stresnet.device import resolve_precision
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.calibration import calibrate
from stresnet.evaluation.comparison import Calibration, Comparison, Entry, EvaluationResult
from stresnet.evaluation.models import FOLD, Fold, Network, find_models, in_folds, network_kind
from stresnet.evaluation.protocols import PROTOCOLS, Protocol, protocol_of
from stresnet.evaluation.score_files import read_scores
from stresnet.evaluation.scoring import require_known, score_videos
from stresnet.evaluation.with_idt import add_idt
from stresnet.files import require_writable
from stresnet.jobs import Engine
from stresnet.model import STResNet
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes

logger = logging.getLogger(__name__)


def evaluate(
    models: STResNet | str | Path | Sequence[str | Path],
    data: str | Path,
    *,
    fold: int | Sequence[int] | None = None,
    lists: str | Path | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    out: str | Path | None = None,
    protocols: Protocol | str | Sequence[Protocol | str] = "paper",
    calibrated: bool = False,
    with_idt: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    engine: Engine | None = None,
    on_progress: OnProgress = silent,
) -> Comparison:
    """Score one or several networks on the test videos of one or several folds.

    Args:
        models: a network with class names; or models by name, each of them a model folder or the
            folder of a run, which stands for all its networks, with `{fold}` in the path where
            there are several folds.
        data, lists, seed: as in `open_dataset`. Where the test videos are drawn, the seed must be
            that of training.
        fold: one or several to test on; None is the data's first or only one.
        store: folder of prepared videos; what is missing is prepared. None: the data's own.
        out: keeps the scores of finished videos in `out`/scores, one .npz for each network,
            protocol and fold; an interrupted call resumes from them.
        protocols: one or several of `stresnet.evaluation.protocols`, or their names.
        calibrated: fit a temperature on training videos; see `calibrate`.
        with_idt: score file of improved dense trajectories, with `{fold}` in its path where there
            are several folds; see `with_idt.py`.
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        workers: processes that prepare videos; None is one for each processor core.
        engine: what prepares and scores the videos, such as a cluster (`stresnet.cluster`); None:
            worker processes prepare them, and this process scores them.
        on_progress: called after each video that is prepared or scored; each network, protocol and
            fold counts from 1 again.

    Raises:
        UsageError: an argument makes no sense, or one model would be tested on several folds.
        DatasetError: the data cannot be used, has classes that a model does not know, or was
            prepared differently from a model's training videos.
        WeightsError: a model cannot be used.
        EnvironmentProblem: there is no such device, or disk or memory are full.
    """
    folds: Sequence[Fold] = (
        [fold] if fold is None or isinstance(fold, int) else list(dict.fromkeys(fold)) or [None]
    )
    if isinstance(protocols, Protocol | str):
        protocols = [protocols]
    asked = list(dict.fromkeys(map(protocol_of, protocols)))
    if not asked:
        raise UsageError("no protocol is given", remedy=f"choose from {', '.join(PROTOCOLS)}")
    if engine is not None and isinstance(models, STResNet):
        raise UsageError(
            "a network in memory cannot be sent to a cluster", remedy="save it; give its folder"
        )
    found = find_models(models, folds)
    main = found.labels[-1]
    of_idt = [read_scores(path) for path in in_folds(str(with_idt), folds)] if with_idt else []
    data = Path(data)
    given = None if store is None else Path(store)
    lists = None if lists is None else Path(lists)
    splits = {each: open_dataset(data, fold=each, lists=lists, seed=seed) for each in folds}

    def cache(label: str, protocol: Protocol, fold: Fold) -> Path | None:
        of_fold = "" if fold is None else f".fold{fold}"
        name = f"{label}.{protocol.name}{of_fold}.npz"
        return None if out is None else Path(out) / "scores" / name

    results: dict[tuple[str, Protocol], list[EvaluationResult]] = {}
    kinds: dict[str, Network] = {}
    fitted: list[tuple[float, tuple[str, ...]]] = []
    warnings: list[str] = []
    for each, split in splits.items():
        nets = {label: found.load(label, each, device) for label in found.labels}
        for label, net in nets.items():  # raise errors before the long work
            require_known({item.label for item in split.test}, net, str(data))
            resolve_precision(precision, net.device)
            if warning := found.warning(label, each, split.test):
                logger.warning(warning)
                warnings.append(warning)
            kinds[label] = network_kind(net)
        if out is not None:
            require_writable(Path(out))
        if each == folds[0]:
            logger.info(f"{', '.join(found.labels)} on {data.name}")
        preparing = prepared_like(nets[main].preparation, model=main)
        folder = given or default_store(data, **preparing)
        videos = ensure_prepared(
            split.test,
            folder,
            **preparing,
            workers=workers,
            device=device,
            engine=engine or map_in_processes,
            on_progress=on_progress,
        )
        for label, net in nets.items():
            stored = (video for _, video in videos.usable())
            require_same_preparation(net.preparation, stored, model=label)
        for label, net in nets.items():
            for protocol in asked:
                logger.info(f"{label}, {protocol.name}{'' if each is None else f', fold {each}'}")
                result = score_videos(
                    net,
                    videos,
                    protocol=protocol,
                    precision=precision,
                    cache=cache(label, protocol, each),
                    engine=engine,
                    model=found.name(label, each),
                    on_progress=on_progress,
                )
                results.setdefault((label, protocol), []).append(result)
        if calibrated:
            fitted.append(
                calibrate(
                    nets[main],
                    split,
                    folder,
                    protocol=asked[0],
                    precision=precision,
                    cache=cache(f"{main}.training", asked[0], each),
                    workers=workers,
                    on_progress=on_progress,
                )
            )
    entries = tuple(
        Entry(label, kinds[label], protocol, tuple(of_folds))
        for (label, protocol), of_folds in results.items()
    )
    _require_one_list_of_classes(entries)
    comparison = Comparison(
        data=data.resolve().name,
        folds=tuple(folds),
        entries=entries,
        calibration=Calibration(*zip(*fitted, strict=True)) if fitted else None,
        store=folder,
        warnings=tuple(warnings),
    )
    return add_idt(comparison, of_idt) if of_idt else comparison


def _require_one_list_of_classes(entries: Sequence[Entry]) -> None:
    for entry in entries:
        if any(result.class_names != entry.class_names for result in entry.results):
            raise DatasetError(
                f"{entry.model}: its networks of different folds know different classes",
                remedy=f"give networks trained on one data set, with {FOLD} in their path",
            )

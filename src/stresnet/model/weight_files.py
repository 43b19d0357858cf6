"""Any weight file -> named tensors, without running any code in the file.

.safetensors         never holds code; filters of 8 bits are multiplied by NAME.step
.pth, .pt            torch.load(weights_only=True): tensors, and no other pickle
.npz                 numpy.load(allow_pickle=False)
.mat                 MATLAB 5 (needs scipy): variables, or the parameters of a MatConvNet DagNN
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from stresnet.errors import EnvironmentProblem, StresnetError, WeightsError
from stresnet.model import mat_to_npz

Tensors = dict[str, Tensor]
STEP = ".step"  # after a tensor's name: what its whole numbers are multiples of


def read_tensors(path: Path) -> Tensors:
    """Every tensor of a weight file, on the CPU.

    Raises:
        WeightsError: the file is missing, damaged, of an unknown kind, or holds code or NaN.
        EnvironmentProblem: scipy, which a .mat file needs, is not installed.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(
            f"{path}: {path.suffix or 'no suffix'}, expected one of {', '.join(READERS)}",
            remedy="pickled files (.pkl, .ckpt, .joblib) can run code when opened and are refused; "
            "convert them to .safetensors if you trust them",
        )
    if not path.is_file():
        raise WeightsError(f"{path}: no such file", remedy="check the path")
    try:
        tensors = reader(path)
    except StresnetError:
        raise
    except Exception as error:  # a parser may fail in any way on a damaged file
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{path}: cannot be read ({reason})", remedy="fetch it again") from error
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors", remedy="give a file of network weights")
    damaged = [name for name, tensor in tensors.items() if not _finite(tensor)]
    if damaged:
        raise WeightsError(
            f"{path}: NaN or infinite values in {', '.join(damaged[:5])}", remedy="fetch it again"
        )
    return tensors


def _finite(tensor: Tensor) -> bool:
    # A sum is quick and passes NaN and infinity on, but may itself overflow.
    return bool(tensor.sum().isfinite() or tensor.isfinite().all())


def in_8_bits(name: str, tensor: Tensor) -> Tensors:
    """Write each row of a tensor as whole multiples, from -127 to 127, of the row's own step.

    `read_tensors` multiplies them out again. Rounding loses some 1.2 % of trained filters' norm.
    """
    step = tensor.float().abs().amax(tuple(range(1, tensor.ndim)), keepdim=True) / 127
    whole = (tensor / step).nan_to_num().round()  # a row of zeros has no step
    return {name: whole.to(torch.int8), name + STEP: step}


def _read_safetensors(path: Path) -> Tensors:
    tensors = load_file(path)
    multiplied = {
        name: tensor.float().mul_(tensors[name + STEP])
        for name, tensor in tensors.items()
        if tensor.dtype == torch.int8 and name + STEP in tensors
    }
    others = {n: each for n, each in tensors.items() if n.removesuffix(STEP) not in multiplied}
    return others | multiplied


def _read_torch(path: Path) -> Tensors:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused: it is not a plain file of tensors, and may run code",
            remedy="save its state_dict alone, or convert it to .safetensors if you trust it",
        ) from error
    # Training scripts wrap the state in a dictionary, DataParallel puts "module." before each name.
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict):
        raise WeightsError(
            f"{path}: holds a {type(loaded).__name__}, expected named tensors",
            remedy="save the network's state_dict",
        )
    return {
        str(name).removeprefix("module."): value
        for name, value in loaded.items()
        if isinstance(value, Tensor)
    }


def _read_npz(path: Path) -> Tensors:
    # Opened here, because numpy leaves a broken file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _read_mat(path: Path) -> Tensors:
    if find_spec("scipy") is None:
        raise EnvironmentProblem(
            f"{path}: scipy is needed to read MATLAB files",
            remedy="pip install 'stresnet[matconvnet]'",
        )
    with TemporaryDirectory() as folder:
        npz = Path(folder) / "arrays.npz"
        command = [sys.executable, "-I", mat_to_npz.__file__, str(path.absolute()), str(npz)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        if child.returncode != 0:
            reason = child.stderr.strip().splitlines() or ["its reader crashed"]
            raise WeightsError(f"{path}: cannot be read ({reason[-1]})", remedy="fetch it again")
        with np.load(npz, allow_pickle=False) as arrays:
            return {
                str(name): torch.from_numpy(arrays[f"array_{i}"])
                for i, name in enumerate(arrays["names"])
            }


READERS: dict[str, Callable[[Path], Tensors]] = {
    ".safetensors": _read_safetensors,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".npz": _read_npz,
    ".mat": _read_mat,
}

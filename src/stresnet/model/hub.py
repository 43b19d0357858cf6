"""The Hugging Face hub: model folders and ImageNet weights.

A model folder's three files are all that is transferred; none of them is code. huggingface_hub is
the only way to the network, and is imported only when something on the hub is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypedDict, Unpack

from stresnet.errors import EnvironmentProblem, UsageError, WeightsError
from stresnet.model.model_folder import CARD, CONFIG, WEIGHTS
from stresnet.model.weight_files import READERS

FILES = [WEIGHTS, CONFIG, CARD]
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
HUB_FILE = re.compile(rf"({HUB_ID.pattern})(?:/([\w./-]+))?", re.ASCII)
LIBRARY = "stresnet"  # the name under which we ask


class HubOptions(TypedDict, total=False):
    """How a repository is looked up, as of `STResNet.from_pretrained`."""

    revision: str | None
    token: str | bool | None
    cache_dir: str | Path | None
    local_files_only: bool


def download_folder(repo_id: str, **options: Unpack[HubOptions]) -> Path:
    """Download a model folder and return where it is now.

    Raises:
        WeightsError: there is no such model on the hub.
        EnvironmentProblem: huggingface_hub is not installed, or the hub cannot be reached.
    """
    hub = _huggingface_hub()
    with _explained(hub, repo_id, options.get("revision")):
        return Path(
            hub.snapshot_download(repo_id, allow_patterns=FILES, library_name=LIBRARY, **options)
        )


def find_weights(weights: str | Path, **options: Unpack[HubOptions]) -> Path:
    """Return the path of a weight file, after downloading it if it is on the hub.

    Args:
        weights: a weight file or model folder; or, as a string, "OWNER/NAME" for the
            model.safetensors of a repository on the hub, or "OWNER/NAME/FILE" for another file of
            it. The hub is asked only if neither the file nor OWNER exists here, and NAME does not
            end as a weight file does. The names and shapes in it are checked by `load_imagenet`.
        options: revision, token, cache_dir, local_files_only, as of `STResNet.from_pretrained`.

    Raises:
        UsageError: a file on the hub that is not .safetensors.
        WeightsError: there is no such file here or on the hub.
        EnvironmentProblem: huggingface_hub is not installed, or the hub cannot be reached.
    """
    path, match = Path(weights), HUB_FILE.fullmatch(str(weights))
    here = isinstance(weights, Path) or path.exists() or Path(*path.parts[:1]).is_dir()
    if here or match is None or Path(match[1]).suffix in READERS:
        if not path.exists():
            raise WeightsError(
                f"{path}: no such file",
                remedy="give a weight file, or OWNER/NAME[/FILE] on the Hugging Face hub",
            )
        return path
    repo_id, file = match[1], match[2] or WEIGHTS
    if not file.endswith(".safetensors"):
        raise UsageError(
            f"{weights}: no such file here, and from the hub only .safetensors files are taken",
            remedy="check the path, or download the file yourself if you trust it",
        )
    hub = _huggingface_hub()
    with _explained(hub, f"{repo_id}/{file}", options.get("revision")):
        return Path(hub.hf_hub_download(repo_id, file, library_name=LIBRARY, **options))


def push_folder(
    folder: Path,
    repo_id: str,
    *,
    private: bool,
    revision: str | None,
    token: str | bool | None,
    message: str,
) -> str:
    """Upload a model folder; arguments, result and errors as of `STResNet.push_to_hub`."""
    if not HUB_ID.fullmatch(repo_id):
        raise UsageError(f"repo_id is {repo_id!r}; expected OWNER/NAME")
    hub = _huggingface_hub()
    api = hub.HfApi(token=token, library_name=LIBRARY)
    with _explained(hub, repo_id, revision):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            commit_message=message,
            allow_patterns=FILES,
        )
    return str(commit.commit_url)


def _huggingface_hub() -> ModuleType:
    try:
        import huggingface_hub.errors
    except ImportError as error:
        raise EnvironmentProblem(
            "models on the hub need huggingface_hub, which is not installed",
            remedy="pip install 'stresnet[hub]', or give a local folder or file",
        ) from error
    return huggingface_hub


@contextmanager
def _explained(hub: ModuleType, name: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's many errors into three of ours."""
    errors = hub.errors
    if revision is not None:
        name += f", revision {revision}"
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsError(
            f"{name}: neither here nor on the hub, or it is private",
            remedy="check the spelling; for a private model, log in first: hf auth login",
        ) from error
    except errors.HFValidationError as error:
        raise UsageError(f"{name}: not a valid name on the hub ({error})") from error
    except errors.LocalEntryNotFoundError as error:
        raise EnvironmentProblem(
            f"{name}: not in the hub's cache on this disk, and the hub was not asked or cannot be "
            "reached",
            remedy="go online, without local_files_only and HF_HUB_OFFLINE, or give a local path",
        ) from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(
            f"{name}: the repository has no such file", remedy="look at its files on the hub"
        ) from error
    # A connection that fails raises an error of the HTTP library: httpx's, or in older versions
    # requests', which is an OSError. HfHubHTTPError is derived from it.
    except (*errors.HfHubHTTPError.__bases__, OSError) as error:
        raise EnvironmentProblem(
            f"{name}: the hub refused or cannot be reached ({_first_line(error)})",
            remedy="check the network and your access there (hf auth login), or try again later",
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

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

FILES = [WEIGHTS, CONFIG, CARD]
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
LIBRARY = "stresnet"  # the name under which we ask


class HubOptions(TypedDict, total=False):
    """How a repository is looked up, as in `STResNet.from_pretrained`."""

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


def download_file(repo_id: str, file: str, **options: Unpack[HubOptions]) -> Path:
    """Download one file of a repository; errors as in `download_folder`."""
    hub = _huggingface_hub()
    with _explained(hub, f"{repo_id}/{file}", options.get("revision")):
        return Path(hub.hf_hub_download(repo_id, file, library_name=LIBRARY, **options))


def push_folder(folder: Path, repo_id: str, *, private: bool, token: str | bool | None) -> str:
    """Upload a model folder; arguments, result and errors as in `STResNet.push_to_hub`."""
    if not HUB_ID.fullmatch(repo_id):
        raise UsageError(f"repo_id is {repo_id!r}; expected OWNER/NAME")
    hub = _huggingface_hub()
    api = hub.HfApi(token=token, library_name=LIBRARY)
    with _explained(hub, repo_id):
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=FILES)
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
def _explained(hub: ModuleType, name: str, revision: str | None = None) -> Iterator[None]:
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
    # A failed connection raises an error of the HTTP library: httpx's, or in older versions
    # requests', which is an OSError. HfHubHTTPError is derived from it.
    except (*errors.HfHubHTTPError.__bases__, OSError) as error:
        raise EnvironmentProblem(
            f"{name}: the hub refused or cannot be reached ({_first_line(error)})",
            remedy="check the network and your access there (hf auth login), or try again later",
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

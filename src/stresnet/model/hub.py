"""Model folders on the Hugging Face hub.

Only a model folder's three files travel, none of which is code. A folder on this disk is never
looked up, and huggingface_hub, which is the only door to the network, is imported when a model of
the hub is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from stresnet.errors import EnvironmentProblem, UsageError, WeightsError
from stresnet.model.model_folder import CARD, CONFIG, WEIGHTS

FILES = [WEIGHTS, CONFIG, CARD]
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def local_folder(
    source: str | Path, *, revision: str | None = None, local_files_only: bool = False
) -> Path:
    """The model folder itself, or where the hub's is now on this disk.

    Looked up on the hub is a string "OWNER/NAME", where neither it nor OWNER is a folder here: so
    a slip in `runs/mine` stays at home, and a `Path` always does.

    Raises:
        WeightsError: there is no such model on the hub.
        EnvironmentProblem: huggingface_hub is not installed, or the hub cannot be reached.
        UsageError: `revision` was given for a folder.
    """
    folder, name = Path(source), str(source)
    is_local = isinstance(source, Path) or folder.is_dir() or folder.parent.is_dir()
    if is_local or not HUB_ID.fullmatch(name):
        if revision is not None:
            raise UsageError(
                f"revision {revision!r} was asked of {folder}, which is not a model of the hub",
                remedy="leave revision out; a folder has one state only",
            )
        return folder
    hub = _huggingface_hub()
    with _explained(hub, name, revision):
        return Path(
            hub.snapshot_download(
                name,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=FILES,
                library_name="stresnet",
            )
        )


def push_folder(
    folder: Path, repo_id: str, *, private: bool, revision: str | None, message: str
) -> str:
    """Upload a model folder; arguments, result and errors as of `STResNet.push_to_hub`."""
    if not HUB_ID.fullmatch(repo_id):
        raise UsageError(f"repo_id is {repo_id!r}, expected OWNER/NAME")
    hub = _huggingface_hub()
    api = hub.HfApi(library_name="stresnet")
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
            "models of the hub need huggingface_hub, which is not installed",
            remedy="pip install 'stresnet[hub]', or give a model folder",
        ) from error
    return huggingface_hub


@contextmanager
def _explained(hub: ModuleType, repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's many errors into two of ours."""
    errors = hub.errors
    name = repo_id if revision is None else f"{repo_id}, revision {revision}"
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsError(
            f"{name}: neither a folder here nor a model on the hub, or a private one",
            remedy="check the spelling; for a private model, log in first: hf auth login",
        ) from error
    except errors.HFValidationError as error:
        raise UsageError(f"{name}: no name for the hub ({error})") from error
    except errors.LocalEntryNotFoundError as error:
        raise EnvironmentProblem(
            f"{name}: not in the hub's cache on this disk, and the hub was not asked or cannot be "
            "reached",
            remedy="go online, without local_files_only and HF_HUB_OFFLINE, or give a model folder",
        ) from error
    except (errors.HTTPError, OSError) as error:
        raise EnvironmentProblem(
            f"{name}: the hub refused or cannot be reached ({_first_line(error)})",
            remedy="check the network and your rights there (hf auth login), or try again later",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

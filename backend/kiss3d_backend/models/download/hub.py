"""What the hub says about a file, and its refusals in words that help."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import frozen

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.digest import lfs_sha256
from kiss3d_protocol.errors import (
    Kiss3DError,
    ModelDownloadFailed,
    ModelFileCorrupt,
    ModelGated,
    ModelNotFound,
    ModelsOffline,
)

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,127}", re.ASCII)


class Interrupted(Exception):
    """This try failed in a way that another one may mend. The text says how."""


@frozen
class RemoteFile:
    """What the hub says about a file.

    ``url``: where its bytes are now (an address on a storage host expires). ``etag``, ``commit``: names for the
    content and the state of the repository. ``size``: bytes, or None. ``on_hub``: the bytes come from the hub itself,
    which knows the ETag and may see the token.
    """

    url: str
    etag: str
    commit: str
    size: int | None
    on_hub: bool


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` is set."""
    from huggingface_hub import constants

    return constants.is_offline_mode()


def check_online(entry: Entry, file: ModelFile) -> None:
    """Raises :class:`ModelsOffline` in offline mode."""
    if is_offline():
        raise ModelsOffline(f"{said(entry, file)} is not here, and offline mode (HF_HUB_OFFLINE) forbids to get it.")


def describe(entry: Entry, file: ModelFile, pinned: str, timeout: float) -> RemoteFile:
    """Asks the hub. ``pinned``: the sha256 of an earlier download, or empty.

    Raises :class:`Interrupted`, and :class:`ModelGated`, :class:`ModelNotFound`, :class:`ModelFileCorrupt` (another
    file than the known one), :class:`ModelDownloadFailed`, :class:`ModelsOffline`.
    """
    import httpx2
    from huggingface_hub import (
        errors,
        get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]
        hf_hub_url,
    )

    check_online(entry, file)
    url = hf_hub_url(entry.repository, file.path, revision=entry.revision)
    try:
        told = get_hf_file_metadata(url, timeout=timeout)
    except errors.OfflineModeIsEnabled as error:
        raise ModelsOffline(f"{said(entry, file)} is not here, and offline mode forbids to get it.") from error
    except errors.GatedRepoError as error:
        raise gated(entry, file) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFound(f"{entry.repository} has no revision '{entry.revision}' ({said(entry, file)}).") from error
    except errors.RemoteEntryNotFoundError as error:
        raise NotInRepository(f"{entry.repository} has no file {file.path} (the model '{entry.name}').") from error
    except errors.RepositoryNotFoundError as error:
        if entry.gated:
            raise gated(entry, file) from error
        text = f"There is no repository {entry.repository}, or it is private ({said(entry, file)})."
        raise ModelNotFound(text) from error
    except errors.HfHubHTTPError as error:
        raise refusal(entry, file, error.response.status_code, on_hub=True) from None
    except (httpx2.LocalProtocolError, UnicodeError):
        # Its text quotes the header, and with it the token.
        raise bad_token() from None
    except httpx2.HTTPError as error:
        raise Interrupted(f"the hub cannot be reached ({type(error).__name__})") from error
    if not told.etag or not told.commit_hash or not _NAME.fullmatch(told.etag) or not _NAME.fullmatch(told.commit_hash):
        host = urlsplit(url).netloc
        text = f"{host} does not answer like a Hugging Face hub: it names no commit or ETag for {file.path}."
        raise ModelDownloadFailed(text, "Check HF_ENDPOINT, the proxy and the firewall.")
    remote = RemoteFile(told.location, told.etag, told.commit_hash, told.size, _origin(told.location) == _origin(url))
    _check_offer(entry, file, remote, file.sha256 or pinned)
    return remote


class NotInRepository(ModelNotFound):
    """The repository is there and lacks the file: no error for an optional one."""


def request_headers(remote: RemoteFile) -> dict[str, str]:
    """For a request of its bytes: the token goes to the hub and to nobody else."""
    from huggingface_hub.utils import build_hf_headers  # pyright: ignore[reportUnknownVariableType]

    headers = build_hf_headers(library_name="kiss3d", token=None if remote.on_hub else False)
    return {**headers, "Accept-Encoding": "identity"}


def refusal(entry: Entry, file: ModelFile, status: int, *, on_hub: bool) -> Exception:
    """What an HTTP status of 400 or more means."""
    if status in TRANSIENT:
        return Interrupted(f"the hub answers with HTTP {status}")
    if status in (401, 403):
        # A storage host refuses an address that has expired; the next try asks for a new one.
        return gated(entry, file) if on_hub else Interrupted(f"the storage host answers with HTTP {status}")
    if status == 404:
        return ModelNotFound(f"{entry.repository} has no file {file.path} (the model '{entry.name}').")
    return ModelDownloadFailed(f"The hub refuses {said(entry, file)} with HTTP {status}.")


def gated(entry: Entry, file: ModelFile) -> Kiss3DError:
    """Which licence to accept, where, and how to log in."""
    licence = f"the licence '{entry.licence}'" if entry.licence != "not stated" else "its licence"
    text = f"{said(entry, file)} is given out only to people who have accepted {licence}, or need a token with access."
    remedy = (
        f"Accept it at {entry.page}, log in with 'hf auth login' (or set HF_TOKEN), and run 'kiss3d models pull' again."
    )
    return ModelGated(text, remedy)


def bad_token() -> Kiss3DError:
    """The token in the environment cannot be a token."""
    text = "The Hugging Face token holds characters that cannot be sent."
    return ModelDownloadFailed(text, "Set HF_TOKEN again, or log in with 'hf auth login'.")


def said(entry: Entry, file: ModelFile) -> str:
    """How a file is called in a sentence."""
    return f"{file.path} of {entry.repository} (the model '{entry.name}')"


def _check_offer(entry: Entry, file: ModelFile, remote: RemoteFile, known: str) -> None:
    offered = lfs_sha256(remote.etag)
    if known and offered and offered != known:
        raise _another(entry, file, f"sha256 {offered} instead of {known}")
    if file.size is not None and remote.size is not None and remote.size != file.size:
        raise _another(entry, file, f"{remote.size} bytes instead of {file.size}")


def _another(entry: Entry, file: ModelFile, difference: str) -> ModelFileCorrupt:
    text = f"The hub offers another file as {said(entry, file)} than is known: {difference}. Nothing was downloaded."
    return ModelFileCorrupt(text, "Update Kiss3D, or name the file that you trust in models.toml.")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()

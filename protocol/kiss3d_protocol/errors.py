"""Every error that a person can meet, drawn as a tree.

::

    Kiss3DError
    ├── PictureError
    │   ├── PictureMissing              picture.missing
    │   ├── PictureIsDirectory          picture.is_directory
    │   ├── PictureUnreadable           picture.unreadable
    │   ├── PictureTruncated            picture.truncated
    │   ├── PictureTooSmall             picture.too_small
    │   ├── PictureTooLarge             picture.too_large
    │   ├── PictureTransparent          picture.transparent
    │   └── PictureWithoutObject        picture.no_object
    ├── OutputError
    │   └── OutputUnwritable            output.unwritable
    ├── BatchError
    │   ├── BatchInvalid                batch.invalid
    │   └── BatchIncomplete             batch.incomplete
    ├── ParamsError
    │   ├── ParamsInvalid               params.invalid
    │   ├── PresetUnknown               params.preset_unknown
    │   ├── PresetUnavailable           params.preset_unavailable
    │   ├── RecipeUnknown               params.recipe_unknown
    │   └── RecipeUnavailable           params.recipe_unavailable
    ├── ConnectionFailed
    │   ├── AddressInvalid              connect.address_invalid
    │   ├── BackendUnreachable          connect.unreachable
    │   ├── NotABackend                 connect.not_a_backend
    │   ├── ConnectionLost              connect.lost
    │   └── KeyRefused                  connect.key_refused
    ├── SecurityError
    │   ├── KeyFileUnsafe               key.file_unsafe
    │   ├── KeyFileUnusable             key.file_unusable
    │   ├── KeyMissing                  key.missing
    │   ├── ServerUnknown               key.server_unknown
    │   ├── PairingInvalid              pairing.invalid
    │   ├── PairingRefused              pairing.refused
    │   ├── ClientNameTaken             pairing.name_taken
    │   └── ClientUnknown               pairing.client_unknown
    ├── ProtocolError
    │   ├── ProtocolVersionMismatch     protocol.version
    │   ├── MessageMalformed            protocol.malformed
    │   ├── MessageTooLarge             protocol.too_large
    │   ├── HelloRequired               protocol.hello_required
    │   └── TooManyRequests             protocol.too_many
    ├── JobError
    │   ├── JobUnknown                  job.unknown
    │   ├── JobConflict                 job.conflict
    │   ├── QueueFull                   job.queue_full
    │   ├── TooManyJobs                 job.too_many
    │   ├── JobNotWaiting               job.not_waiting
    │   ├── JobNotEnded                 job.not_ended
    │   ├── JobCancelled                job.cancelled
    │   ├── StageFailed                 job.stage_failed
    │   ├── OutOfMemory                 job.out_of_memory
    │   ├── WorkerDied                  job.worker_died
    │   ├── JobInterrupted              job.interrupted
    │   ├── WorkerHung                  job.worker_hung
    │   ├── JobWithoutResult            job.no_result
    │   └── ArtifactLost                job.artifact_lost
    ├── BackendError
    │   ├── BackendStartFailed          backend.start_failed
    │   ├── BackendStopping             backend.stopping
    │   ├── BackendFault                backend.fault
    │   ├── BindRefused                 backend.bind_refused
    │   ├── AddressInUse                backend.address_in_use
    │   ├── DataDirectoryUnusable       backend.data_directory
    │   ├── DiskFull                    backend.disk_full
    │   ├── EnginePartMissing           backend.part_missing
    │   ├── MemoryTooSmall              backend.memory_too_small
    │   ├── ClusterUnreachable          backend.cluster_unreachable
    │   └── NoWorkers                   backend.no_workers
    ├── SetupError
    │   ├── SetupPythonMissing          setup.no_python
    │   ├── SetupFolderForeign          setup.folder
    │   ├── SetupWithoutRoom            setup.no_room
    │   ├── SetupBusy                   setup.busy
    │   ├── SetupStepFailed             setup.step_failed
    │   ├── SetupCheckFailed            setup.check_failed
    │   └── SetupCancelled              setup.cancelled
    ├── MeshError
    │   ├── MeshFileMissing             mesh.missing
    │   ├── MeshFileUnreadable          mesh.unreadable
    │   ├── MeshTooLarge                mesh.too_large
    │   ├── MeshEmpty                   mesh.empty
    │   ├── BundleInvalid               mesh.bundle_invalid
    │   ├── ViewEmpty                   mesh.view_empty
    │   └── ViewsDisagree               mesh.views_disagree
    ├── ModelError
    │   ├── ModelFileMissing            model.missing
    │   ├── ModelFileCorrupt            model.corrupt
    │   ├── ModelKeysWrong              model.keys
    │   ├── ModelGated                  model.gated
    │   ├── ModelNotFound               model.not_found
    │   ├── ModelDownloadFailed         model.download_failed
    │   ├── ModelDiskFull               model.disk_full
    │   ├── ModelsOffline               model.offline
    │   └── CatalogueInvalid            model.catalogue_invalid
    └── RemoteError                     (a code that this version does not know)

An error has a stable ``code``, a ``message`` that a Blender artist understands, a ``remedy`` that says
what to do about it, and an ``exit_code`` for the command line (distinct for every code, 10 to 99). The
code, the message and the remedy travel over the wire; :func:`error_from_wire` makes the same class again on
the other side.
"""

from __future__ import annotations

from typing import ClassVar


class Kiss3DError(Exception):
    """The root. ``message`` and ``remedy`` are sentences; ``remedy`` may differ from the class's own."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    default_remedy: ClassVar[str] = ""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class PictureError(Kiss3DError):
    """Something is wrong with the picture that was given."""


class PictureMissing(PictureError):
    code = "picture.missing"
    exit_code = 10
    default_remedy = "Check the path, or choose the picture again."


class PictureIsDirectory(PictureError):
    code = "picture.is_directory"
    exit_code = 11
    default_remedy = "Choose one picture inside the folder."


class PictureUnreadable(PictureError):
    code = "picture.unreadable"
    exit_code = 12
    default_remedy = "Save it as PNG, JPEG or WebP in a paint program and try again."


class PictureTruncated(PictureError):
    code = "picture.truncated"
    exit_code = 13
    default_remedy = "Copy or download the file again, or save it anew."


class PictureTooSmall(PictureError):
    code = "picture.too_small"
    exit_code = 14
    default_remedy = "Use a picture of at least 32 x 32 pixels; 512 x 512 or more gives good results."


class PictureTooLarge(PictureError):
    code = "picture.too_large"
    exit_code = 15
    default_remedy = "Scale the picture down, for example to 4000 x 4000 pixels."


class PictureTransparent(PictureError):
    code = "picture.transparent"
    exit_code = 16
    default_remedy = "Make the object opaque, or use a picture without transparency."


class PictureWithoutObject(PictureError):
    code = "picture.no_object"
    exit_code = 17
    default_remedy = "Use a picture with one clear object, on a plain or a transparent background."


class OutputError(Kiss3DError):
    """The result cannot be stored where it was asked for."""


class OutputUnwritable(OutputError):
    code = "output.unwritable"
    exit_code = 20
    default_remedy = "Choose another file or folder that you may write to."


class BatchError(Kiss3DError):
    """Something is wrong with a batch as a whole."""


class BatchInvalid(BatchError):
    code = "batch.invalid"
    exit_code = 18
    default_remedy = "Give a folder of pictures, or a .csv or .jsonl file, and an output folder of its own."


class BatchIncomplete(BatchError):
    code = "batch.incomplete"
    exit_code = 19
    default_remedy = "The manifest names each; mend those and run it again with --resume --retry-failed."


class ParamsError(Kiss3DError):
    """A setting of the job is wrong."""


class ParamsInvalid(ParamsError):
    code = "params.invalid"
    exit_code = 30
    default_remedy = "Correct the setting and try again."


class PresetUnknown(ParamsError):
    code = "params.preset_unknown"
    exit_code = 31
    default_remedy = "Choose one of the presets that the backend offers."


class PresetUnavailable(ParamsError):
    code = "params.preset_unavailable"
    exit_code = 32
    default_remedy = "Choose the draft preset, which runs on every machine."


class RecipeUnknown(ParamsError):
    code = "params.recipe_unknown"
    exit_code = 33
    default_remedy = "Choose one of the recipes that the backend knows."


class RecipeUnavailable(ParamsError):
    code = "params.recipe_unavailable"
    exit_code = 34
    default_remedy = "Choose the recipe 'image_to_3d' with the draft preset, which runs on every machine."


class ConnectionFailed(Kiss3DError):
    """The backend cannot be talked to."""


class AddressInvalid(ConnectionFailed):
    code = "connect.address_invalid"
    exit_code = 40
    default_remedy = "Write it as tcp://HOST:PORT, for example tcp://127.0.0.1:47800."


class BackendUnreachable(ConnectionFailed):
    code = "connect.unreachable"
    exit_code = 41
    default_remedy = "Start the backend with 'kiss3d serve', and check the address and the firewall."


class NotABackend(ConnectionFailed):
    code = "connect.not_a_backend"
    exit_code = 42
    default_remedy = "Check the port: 'kiss3d serve' prints the address to use."


class ConnectionLost(ConnectionFailed):
    code = "connect.lost"
    exit_code = 43
    default_remedy = "The job goes on in the backend: connect again to get its result."


class KeyRefused(ConnectionFailed):
    code = "connect.key_refused"
    exit_code = 44
    default_remedy = "Ask for a new pairing string ('kiss3d pair' on the backend's machine), and pair again."


class SecurityError(Kiss3DError):
    """Something is wrong with a key, or with who is allowed to connect."""


class KeyFileUnsafe(SecurityError):
    code = "key.file_unsafe"
    exit_code = 22
    default_remedy = "Make it yours alone (chmod 600). If others may have read it, run 'kiss3d keys rotate'."


class KeyFileUnusable(SecurityError):
    code = "key.file_unusable"
    exit_code = 23
    default_remedy = "Check the folder's permissions; move a broken file away, and pair this computer again."


class KeyMissing(SecurityError):
    code = "key.missing"
    exit_code = 24
    default_remedy = (
        "Run 'kiss3d pair NAME' on the backend's machine; paste what it prints into the add-on's preferences, "
        "or give it to 'kiss3d connect' here."
    )


class ServerUnknown(SecurityError):
    code = "key.server_unknown"
    exit_code = 25
    default_remedy = "List those that this computer knows with 'kiss3d servers list'."


class PairingInvalid(SecurityError):
    code = "pairing.invalid"
    exit_code = 26
    default_remedy = "Copy the whole string that 'kiss3d pair' printed, from 'kiss3d1-' to its end."


class PairingRefused(SecurityError):
    code = "pairing.refused"
    exit_code = 27
    default_remedy = "A pairing string is good for one use and some minutes: ask for a new one ('kiss3d pair')."


class ClientNameTaken(SecurityError):
    code = "pairing.name_taken"
    exit_code = 28
    default_remedy = "Choose another name; or add --renew to give that client a new key: it keeps its jobs."


class ClientUnknown(SecurityError):
    code = "pairing.client_unknown"
    exit_code = 29
    default_remedy = "List the clients with 'kiss3d clients list'."


class ProtocolError(Kiss3DError):
    """The other side does not keep to the protocol."""


class ProtocolVersionMismatch(ProtocolError):
    code = "protocol.version"
    exit_code = 50
    default_remedy = "Update the add-on and the backend to the same version."


class MessageMalformed(ProtocolError):
    code = "protocol.malformed"
    exit_code = 51
    default_remedy = "Update the add-on and the backend to the same version."


class MessageTooLarge(ProtocolError):
    code = "protocol.too_large"
    exit_code = 52
    default_remedy = "Use a smaller picture or mesh."


class HelloRequired(ProtocolError):
    code = "protocol.hello_required"
    exit_code = 53
    default_remedy = "Connect again."


class TooManyRequests(ProtocolError):
    code = "protocol.too_many"
    exit_code = 54
    default_remedy = "Close programs that are connected to this backend, then try again."


class JobError(Kiss3DError):
    """A job cannot go on."""


class JobUnknown(JobError):
    code = "job.unknown"
    exit_code = 60
    default_remedy = "List the jobs to see which ones the backend knows."


class JobConflict(JobError):
    code = "job.conflict"
    exit_code = 61
    default_remedy = "Give every job an id of its own."


class QueueFull(JobError):
    code = "job.queue_full"
    exit_code = 62
    default_remedy = "Wait until some jobs have finished, or cancel some."


class TooManyJobs(JobError):
    code = "job.too_many"
    exit_code = 56
    default_remedy = "Wait until some of your jobs have finished, or cancel some."


class JobCancelled(JobError):
    code = "job.cancelled"
    exit_code = 63


class JobNotWaiting(JobError):
    code = "job.not_waiting"
    exit_code = 69
    default_remedy = "Choose while the job shows its bundles, and only once."


class JobNotEnded(JobError):
    code = "job.not_ended"
    exit_code = 59
    default_remedy = "Wait for its end, or cancel it."


class JobWithoutResult(JobError):
    code = "job.no_result"
    exit_code = 57
    default_remedy = "Wait until the job has made a mesh, or choose another job."


class StageFailed(JobError):
    code = "job.stage_failed"
    exit_code = 64
    default_remedy = "Try again; if it fails again, report it with the log of the backend."


class OutOfMemory(JobError):
    code = "job.out_of_memory"
    exit_code = 65
    default_remedy = "Close other programs or choose a lighter preset, then try again."


class WorkerDied(JobError):
    code = "job.worker_died"
    exit_code = 66
    default_remedy = "The worker has been started again: try once more."


class JobInterrupted(JobError):
    """The job was given up after it had been interrupted too often."""

    code = "job.interrupted"
    exit_code = 58
    default_remedy = "This job may be what stops the backend: try a lighter preset or another picture first."


class WorkerHung(JobError):
    code = "job.worker_hung"
    exit_code = 67
    default_remedy = "The worker has been started again: try once more."


class ArtifactLost(JobError):
    code = "job.artifact_lost"
    exit_code = 68
    default_remedy = "Generate it again."


class BackendError(Kiss3DError):
    """The backend itself cannot start or go on."""


class BackendStartFailed(BackendError):
    code = "backend.start_failed"
    exit_code = 70
    default_remedy = "Run 'kiss3d doctor' in the backend's environment to see what is missing."


class BackendStopping(BackendError):
    code = "backend.stopping"
    exit_code = 71
    default_remedy = "Start the backend again."


class BackendFault(BackendError):
    code = "backend.fault"
    exit_code = 78
    default_remedy = "Its log says what. Please report it with the lines around it."


class BindRefused(BackendError):
    code = "backend.bind_refused"
    exit_code = 72
    default_remedy = "Pair a client first ('kiss3d pair NAME'), or bind to 127.0.0.1."


class AddressInUse(BackendError):
    code = "backend.address_in_use"
    exit_code = 73
    default_remedy = "Stop the other program, or choose another port with --bind."


class DataDirectoryUnusable(BackendError):
    code = "backend.data_directory"
    exit_code = 74
    default_remedy = "Choose another folder with --data-dir."


class DiskFull(BackendError):
    code = "backend.disk_full"
    exit_code = 77
    default_remedy = "Free disk space on the backend's machine, or delete jobs there, then try again."


class SetupError(Kiss3DError):
    """The set-up of a backend cannot go on."""


class SetupPythonMissing(SetupError):
    code = "setup.no_python"
    exit_code = 35
    default_remedy = (
        "Install Python 3.12 from python.org (Debian and Ubuntu: python3 and python3-venv), or uv, and try again."
    )


class SetupFolderForeign(SetupError):
    code = "setup.folder"
    exit_code = 36
    default_remedy = "Choose a folder that is empty or does not exist yet, and that you may write to."


class SetupWithoutRoom(SetupError):
    code = "setup.no_room"
    exit_code = 37
    default_remedy = "Free disk space, or choose a folder on a larger disk."


class SetupBusy(SetupError):
    code = "setup.busy"
    exit_code = 38
    default_remedy = "Wait until the other set-up has ended, or cancel it."


class SetupStepFailed(SetupError):
    code = "setup.step_failed"
    exit_code = 39
    default_remedy = (
        "Its log says why. Check the network and pip's settings, and try again: it goes on where it stopped."
    )


class SetupCheckFailed(SetupError):
    code = "setup.check_failed"
    exit_code = 45
    default_remedy = "Run 'kiss3d doctor' in the environment to see what is wrong, or remove it and set it up again."


class SetupCancelled(SetupError):
    code = "setup.cancelled"
    exit_code = 46
    default_remedy = "Start the set-up again: it goes on where it stopped."


class ClusterUnreachable(BackendError):
    code = "backend.cluster_unreachable"
    exit_code = 79
    default_remedy = "Start Ray on this machine ('ray start', with --head or --address), and check --ray-address."


class NoWorkers(BackendError):
    code = "backend.no_workers"
    exit_code = 87
    default_remedy = "Start Ray on a machine that has one; one without may say 'ray start --num-gpus 1'."


class MeshError(Kiss3DError):
    """Something is wrong with a mesh, or with the views that one is made of."""


class MeshFileMissing(MeshError):
    code = "mesh.missing"
    exit_code = 80
    default_remedy = "Check the path of the mesh."


class MeshFileUnreadable(MeshError):
    code = "mesh.unreadable"
    exit_code = 81
    default_remedy = "Export it again as GLB, OBJ or PLY, without compression."


class MeshTooLarge(MeshError):
    code = "mesh.too_large"
    exit_code = 82
    default_remedy = "Decimate it and scale its textures down, then export it again."


class MeshEmpty(MeshError):
    code = "mesh.empty"
    exit_code = 83
    default_remedy = "Export an object with faces that have an area."


class BundleInvalid(MeshError):
    code = "mesh.bundle_invalid"
    exit_code = 84
    default_remedy = "Use a picture of 2048 x 1024 pixels: four views on white above, their normals below."


class ViewEmpty(MeshError):
    code = "mesh.view_empty"
    exit_code = 85
    default_remedy = "Make the bundle again, with the object in all four views."


class ViewsDisagree(MeshError):
    code = "mesh.views_disagree"
    exit_code = 86
    default_remedy = "Make the bundle again, with the same object in all four views."


class EnginePartMissing(BackendError):
    code = "backend.part_missing"
    exit_code = 75
    default_remedy = "Install it into the backend's environment: pip install 'kiss3d[gpu]'."


class MemoryTooSmall(BackendError):
    code = "backend.memory_too_small"
    exit_code = 76
    default_remedy = "Choose a lighter preset, raise --vram-budget, or close other programs that use the graphics card."


class ModelError(Kiss3DError):
    """A model file is not there, or is not what it should be."""


class ModelFileMissing(ModelError):
    code = "model.missing"
    exit_code = 90
    default_remedy = "Get it with 'kiss3d models pull', or point its catalogue entry to a local file."


class ModelFileCorrupt(ModelError):
    code = "model.corrupt"
    exit_code = 91
    default_remedy = "Delete the file and get it again with 'kiss3d models pull'."


class ModelKeysWrong(ModelError):
    code = "model.keys"
    exit_code = 92
    default_remedy = "Use the file that the catalogue names; 'kiss3d models list' shows where it comes from."


class ModelGated(ModelError):
    code = "model.gated"
    exit_code = 93
    default_remedy = "Accept the licence on the model's page, then log in with 'hf auth login' and try again."


class ModelNotFound(ModelError):
    code = "model.not_found"
    exit_code = 94
    default_remedy = "Check the repository, revision and file of the entry in the catalogue."


class ModelDownloadFailed(ModelError):
    code = "model.download_failed"
    exit_code = 95
    default_remedy = "Check the network and run 'kiss3d models pull' again: it goes on where it stopped."


class ModelDiskFull(ModelError):
    code = "model.disk_full"
    exit_code = 96
    default_remedy = "Free disk space, or set HF_HOME to a folder on a larger disk, and try again."


class ModelsOffline(ModelError):
    code = "model.offline"
    exit_code = 97
    default_remedy = "Unset HF_HUB_OFFLINE, or copy the file here and use 'kiss3d models import'."


class CatalogueInvalid(ModelError):
    code = "model.catalogue_invalid"
    exit_code = 98
    default_remedy = "Correct the file, or delete it to use the catalogue that comes with Kiss3D."


class RemoteError(Kiss3DError):
    """A code that this version does not know, kept as it came (``code`` is set per instance)."""

    exit_code = 99

    def __init__(self, message: str, remedy: str | None = None, *, code: str) -> None:
        super().__init__(message, remedy)
        self.code = code  # pyright: ignore[reportAttributeAccessIssue]


def _leaves(cls: type[Kiss3DError]) -> dict[str, type[Kiss3DError]]:
    found = {cls.code: cls} if "code" in vars(cls) else {}
    for child in cls.__subclasses__():
        if child is not RemoteError:
            found |= _leaves(child)
    return found


ERRORS: dict[str, type[Kiss3DError]] = {
    code: cls for code, cls in _leaves(Kiss3DError).items() if cls is not Kiss3DError
}
"""Every stable code and its class."""


def error_from_wire(code: str, message: str, remedy: str) -> Kiss3DError:
    """The error that the other side described; :class:`RemoteError` when its code is unknown here."""
    cls = ERRORS.get(code)
    return cls(message, remedy) if cls is not None else RemoteError(message, remedy, code=code)

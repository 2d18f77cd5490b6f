"""What a user can set for a job, with ranges: the panel, the command line and the backend share these."""

from __future__ import annotations

from attrs import field, frozen, validators

MAX_SEED = 2**32 - 1


@frozen
class PresetInfo:
    """A preset as people see it. ``title`` and ``description`` are short texts."""

    name: str
    title: str
    description: str


PRESETS: tuple[PresetInfo, ...] = (
    PresetInfo("draft", "Draft", "Inflates the silhouette in seconds; needs no GPU and no model files"),
    PresetInfo("fast", "Fast", "FLUX.1-schnell in fp8, 4 steps"),
    PresetInfo("balanced", "Balanced", "FLUX.1-dev in fp8, 8 steps"),
    PresetInfo("quality", "Quality", "FLUX.1-dev in fp8 with ControlNet and Redux, 20 steps"),
)
"""Every preset of this version, lightest first. Whether a backend can run one is said in its welcome."""

DEFAULT_PRESET = "draft"


@frozen
class GenerateParams:
    """Settings of one job.

    ``preset``: a name of :data:`PRESETS` (the backend refuses others by name). ``seed``: 0 to
    :data:`MAX_SEED`; the same seed, picture and preset give the same mesh on one device.
    """

    preset: str = field(default=DEFAULT_PRESET, validator=validators.max_len(64))
    seed: int = field(default=0, validator=[validators.ge(0), validators.le(MAX_SEED)])

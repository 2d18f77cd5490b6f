"""What the doctor says of each preset: how it would run on this machine, or why not, and what is missing.

Models of a preset that nobody has begun to get are no fault; of one that was begun, they are worth a warning.
"""

from __future__ import annotations

from pathlib import Path

from kiss3d_backend.commands.findings import Finding, Verdict
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.planner import plan
from kiss3d_backend.devices.workload import WORKLOADS, workload_of
from kiss3d_backend.models.offers import preset_offers
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.errors import MemoryTooSmall
from kiss3d_protocol.messages import PresetOffer
from kiss3d_protocol.params import DEFAULT_RECIPE

GIB = 2**30


def preset_findings(data_dir: Path, machine: Machine) -> list[Finding]:
    """One line for each preset, lightest first. Asks no hub, and loads nothing."""
    offers = preset_offers(data_dir)
    begun = _begun(data_dir, [offer.name for offer in offers if offer.missing_models])
    return [_preset(offer, machine, begun) for offer in offers]


def _begun(data_dir: Path, names: list[str]) -> set[str]:
    """Those of ``names`` that somebody has begun to get."""
    if not names:
        return set()
    store = ModelStore(data_dir)
    return {name for name in names if store.preset(name).begun}


def _preset(offer: PresetOffer, machine: Machine, begun: set[str]) -> Finding:
    subject = f"Preset {offer.name}"
    planned: Plan | None = None
    if offer.name in WORKLOADS and machine.torch is not None:
        try:
            planned = plan(DEFAULT_RECIPE, workload_of(DEFAULT_RECIPE, offer.name), machine)
        except MemoryTooSmall as error:
            return Finding(subject, "warning", error.message, error.remedy, error.code)
    if offer.missing_models:
        return _without_models(subject, offer, machine, planned, "warning" if offer.name in begun else "note")
    if not offer.offered:
        remedy = "The lines above say what is missing; the draft preset runs without it."
        return Finding(subject, "warning", offer.reason, remedy, "preset.unavailable")
    text = f"Can run here{_how(planned)}."
    if planned is not None and machine.device == "cpu":
        remedy = "Run the backend on a machine with a GPU, or use the draft preset."
        return Finding(subject, "note", text, remedy, "preset.slow")
    return Finding(subject, "ok", text)


def _how(planned: Plan | None) -> str:
    """The plan in words, after "can run here"; empty for a preset without networks."""
    if planned is None:
        return ""
    if planned.vram is None:
        return f", on the processor, many times slower than on a GPU, with up to {planned.ram / GIB:.1f} GiB of memory"
    # The plan's own name ends with the figure of the card.
    return f": FLUX {planned.name} of the card, {planned.ram / GIB:.1f} GiB of memory"


def _without_models(
    subject: str, offer: PresetOffer, machine: Machine, planned: Plan | None, verdict: Verdict
) -> Finding:
    free = machine.models_disk.free
    # Where torch is there, the offer's own reason is that models are missing.
    reason = f"{offer.reason} " if machine.torch is None else ""
    text = f"{reason}Missing models: {', '.join(offer.missing_models)}; {amount_text(offer.bytes_to_get)} to download."
    text += f" With them it can run here{_how(planned)}." if planned is not None else ""
    remedy = f"Get them with 'kiss3d models pull {offer.name}'."
    if offer.bytes_to_get <= free:
        return Finding(subject, verdict, text, remedy, "preset.models_missing")
    lacking = amount_text(offer.bytes_to_get - free)
    text = f"{text} The disk lacks {lacking} for them."
    remedy = f"Free that much, or set HF_HOME to a folder on a larger disk. {remedy}"
    return Finding(subject, verdict, text, remedy, "preset.no_room")

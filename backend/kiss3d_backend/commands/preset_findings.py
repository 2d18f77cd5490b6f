"""What the doctor says of each preset: that it can run on this machine, or what is missing."""

from __future__ import annotations

from pathlib import Path

from kiss3d_backend.commands.findings import Finding
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.models.amounts import amount_text
from kiss3d_backend.models.offers import preset_offers
from kiss3d_protocol.messages import PresetOffer


def preset_findings(data_dir: Path, machine: Machine) -> list[Finding]:
    """One line for each preset, lightest first. Asks no hub."""
    return [_preset(offer, machine) for offer in preset_offers(data_dir)]


def _preset(offer: PresetOffer, machine: Machine) -> Finding:
    subject = f"Preset {offer.name}"
    if offer.missing_models:
        return _without_models(subject, offer, machine)
    if not offer.offered:
        remedy = "The lines above say what is missing; the draft preset runs without it."
        return Finding(subject, "warning", offer.reason, remedy, "preset.unavailable")
    if offer.name != "draft" and machine.device == "cpu":
        return Finding(
            subject,
            "note",
            "Can run here, on the processor, where it takes many times longer than on a GPU.",
            "Run the backend on a machine with a GPU, or use the draft preset.",
            "preset.slow",
        )
    return Finding(subject, "ok", "Can run here.")


def _without_models(subject: str, offer: PresetOffer, machine: Machine) -> Finding:
    free = machine.models_disk.free
    # Where torch is there, the offer's own reason is that models are missing.
    reason = f"{offer.reason} " if machine.torch is None else ""
    text = f"{reason}Missing models: {', '.join(offer.missing_models)}; {amount_text(offer.bytes_to_get)} to download."
    remedy = f"Get them with 'kiss3d models pull {offer.name}'."
    if offer.bytes_to_get <= free:
        return Finding(subject, "warning", text, remedy, "preset.models_missing")
    lacking = amount_text(offer.bytes_to_get - free)
    text = f"{text} The disk lacks {lacking} for them."
    remedy = f"Free that much, or set HF_HOME to a folder on a larger disk. {remedy}"
    return Finding(subject, "warning", text, remedy, "preset.no_room")

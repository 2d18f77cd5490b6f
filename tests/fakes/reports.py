"""One report with something of everything in it, the same on every run."""

from __future__ import annotations

from kiss3d_backend.models.used import UsedFile
from kiss3d_backend.reports.record import (
    Advice,
    CheckRecord,
    ErrorRecord,
    InputsRecord,
    JobPart,
    LoadRecord,
    MeshRecord,
    PictureRecord,
    Report,
    RunRecord,
    StageRecord,
    WarningRecord,
)
from kiss3d_protocol.messages import Device
from kiss3d_protocol.params import GenerateParams

JOB = "0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"
HOSTILE = "<script>alert('1')</script>\"&'<img src=http://evil.example/x>"
"""What must come out as it is, and do nothing."""

GB = 10**9


def stages() -> tuple[StageRecord, ...]:
    return (
        StageRecord("background", "Removing the background", 100.0, 2.5, True, peak_ram=2 * GB),
        StageRecord("multiview", "Imagining the other sides", 102.5, 10.0, True, True),
        StageRecord(
            "bundle",
            "Drawing the bundle",
            112.5,
            30.25,
            completed=True,
            plan="streamed",
            lowered=1,
            planned_vram=11 * GB,
            peak_vram=int(10.5 * GB),
            allocated_vram=10 * GB,
            planned_ram=24 * GB,
            peak_ram=22 * GB,
            loads=(LoadRecord("flux_schnell_fp8", 12.5),),
        ),
        StageRecord("refine", HOSTILE, 142.75, 8.0, used={"rasterizer": "torch", "rasterizer_device": "cuda:0"}),
    )


def checks() -> tuple[CheckRecord, ...]:
    return (
        CheckRecord("bundle", "bundle.iou", 0.75, 0.9, None, False, 0, 2),
        CheckRecord("bundle", "bundle.offset", 1.5, None, 4.0, True, 0, 0),
        CheckRecord("bundle", "bundle.outwards_x", None, 0.25, None, True, 0, None),
    )


def run() -> RunRecord:
    return RunRecord(
        recipe="image_to_3d",
        device=Device("cuda", f"A card {HOSTILE}", 12 * GB, 11 * GB, 32 * GB, 20 * GB),
        versions={"kiss3d": "0.1.0", "torch": "2.6.0"},
        jobs_before=0,
        stages=stages(),
        checks=checks(),
        warnings=(
            WarningRecord("bundle.drawn_again", f"The bundle of seed 3 {HOSTILE}", "Nothing.", "bundle"),
            WarningRecord(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        ),
        files=(
            UsedFile("lrm", "someone/lrm", "abc123", "apache-2.0", "model.safetensors", 2 * GB, "ab" * 32),
            UsedFile("mine", "", "", HOSTILE, HOSTILE, 5, "", local=True),
        ),
        meshes=(MeshRecord("coarse", 0, 500, 1000), MeshRecord("final", 0, 10_000, 20_000)),
        pictures=(
            PictureRecord("preview", "preview-1.webp", "image/webp", 256, 256, stage="background"),
            PictureRecord("bundle", "bundle-1.webp", "image/webp", 768, 384, seed=3),
            PictureRecord("turntable", "turntable-final-1.webp", "image/webp", 768, 96, 8, quality="final"),
            PictureRecord("turntable", "turntable-coarse-1.webp", "image/webp", 768, 96, 8, quality="coarse"),
        ),
    )


def report() -> Report:
    """A job that failed in its last stage."""
    return Report(
        job=JobPart(
            id=JOB,
            name=HOSTILE,
            state="failed",
            params=GenerateParams(
                "fast", 3, prompt=HOSTILE, texture_size=2048, bundles=2, bundle_seed=9, write_prompt=True
            ),
            inputs=InputsRecord("cd" * 32, ("ef" * 32,), 400, 800),
            created=90.0,
            started=99.5,
            finished=151.0,
            attempts=2,
            seconds=51.5,
        ),
        run=run(),
        error=ErrorRecord("job.stage_failed", HOSTILE, "Try again.", "refine"),
        advice=(Advice("keep_running", {"seconds": 12.5, "share": 0.25}),),
    )

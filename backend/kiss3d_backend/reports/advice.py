"""What would make the next run faster, from the figures of this one. Pure: a report in, advice out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kiss3d_backend.reports.record import Advice, Report, StageRecord

WORTH_SHARE = 0.15
"""Of a job's time: what can be saved below it is not worth a sentence."""

WORTH_SECONDS = 1.0

_SLOW_RASTERIZERS = frozenset({"torch", "pytorch3d"})
_DRAWING = "bundle"
_KEPT_BEFORE_DRAWING = frozenset({"multiview", "reference_shape", "caption"})
_AFTER_DRAWING = frozenset({"split_bundle", "coarse", "fit_coarse", "start", "refine", "finish", "texture"})
_LARGEST_TEXTURE = 4096
_MUCH_DRAWN = 0.5


def advise(report: Report) -> tuple[Advice, ...]:
    """The advice that the figures support, what saves most first; none for a job that never ran."""
    total = sum(stage.seconds or 0.0 for stage in report.run.stages)
    if total <= 0.0:
        return ()
    found = [each for rule in _RULES for each in rule(report, total)]
    return tuple(sorted(found, key=lambda each: -float(each.values.get("seconds", 0.0))))


def _loading(report: Report, total: float) -> Iterator[Advice]:
    """Loads of the first job of a worker are spared by the next; later ones mean that the networks do not fit."""
    seconds = sum(load.seconds for stage in report.run.stages for load in stage.loads)
    if seconds < max(WORTH_SECONDS, WORTH_SHARE * total):
        return
    code = "keep_running" if report.run.jobs_before == 0 else "more_memory"
    yield Advice(code, {"seconds": round(seconds, 1), "share": round(seconds / total, 3)})


def _processor(report: Report, total: float) -> Iterator[Advice]:
    """Networks on the processor: without a graphics card, or with a torch that cannot use the one that is there."""
    if report.job.params.preset == "draft" and report.job.params.recipe != "views_to_3d":
        return
    device, torch = report.run.device, report.run.versions.get("torch", "")
    if device is None or not torch:
        return
    if device.kind == "cpu":
        yield Advice("graphics_card", {"seconds": round(total, 1), "device": device.name})
    elif device.kind == "cuda" and torch.endswith("+cpu"):
        yield Advice("torch_for_cuda", {"seconds": round(total, 1), "device": device.name, "torch": torch})


def _rasterizer(report: Report, total: float) -> Iterator[Advice]:
    """The plain rasterisers are many times slower than Warp's on a card and numba's without one."""
    for stage in report.run.stages:
        name = stage.used.get("rasterizer", "")
        if name in _SLOW_RASTERIZERS and _worth(stage, total):
            fast = "warp-lang" if stage.used.get("rasterizer_device", "").startswith("cuda") else "numba"
            yield Advice("rasterizer", {"seconds": _seconds(stage), "rasterizer": name, "package": fast})


def _memory(report: Report, total: float) -> Iterator[Advice]:
    """A stage that ran out of memory did its work twice."""
    lowered = [stage for stage in report.run.stages if stage.lowered]
    if lowered:
        yield Advice("lower_budget", {"seconds": sum(map(_seconds, lowered)), "plan": lowered[-1].plan})


def _budget(report: Report, total: float) -> Iterator[Advice]:
    """How much is lost to streaming depends on the bus; what was asked for decides, so it is said without a figure."""
    if any(stage.used.get("bound_by") == "budget" for stage in report.run.stages):
        yield Advice("larger_budget")


def _again(report: Report, total: float) -> Iterator[Advice]:
    """Another bundle of the same picture need not imagine its other sides again."""
    if report.job.state != "finished" or report.job.params.recipe != "image_to_3d":
        return
    kept = [stage for stage in report.run.stages if stage.stage in _KEPT_BEFORE_DRAWING and not stage.from_checkpoint]
    seconds = sum(map(_seconds, kept))
    drawn = any(stage.stage == _DRAWING for stage in report.run.stages)
    if drawn and seconds >= max(WORTH_SECONDS, WORTH_SHARE * total):
        yield Advice("bundle_seed", {"seconds": round(seconds, 1)})


def _pick(report: Report, total: float) -> Iterator[Advice]:
    """Every bundle that is gone on with costs a mesh."""
    finals = {mesh.bundle for mesh in report.run.meshes if mesh.quality == "final"}
    if len(finals) < 2:
        return
    meshes = sum(_seconds(stage) for stage in report.run.stages if stage.stage in _AFTER_DRAWING)
    spared = meshes * (1 - 1 / len(finals))
    if spared >= max(WORTH_SECONDS, WORTH_SHARE * total):
        yield Advice("pick", {"seconds": round(spared, 1), "bundles": float(len(finals))})


def _preset(report: Report, total: float) -> Iterator[Advice]:
    """Drawing is what the lighter preset spares."""
    if report.job.params.preset not in ("balanced", "quality"):
        return
    drawing = sum(_seconds(stage) for stage in report.run.stages if stage.stage == _DRAWING)
    if drawing >= max(WORTH_SECONDS, _MUCH_DRAWN * total):
        yield Advice("fast_preset", {"seconds": round(drawing, 1), "share": round(drawing / total, 3)})


def _texture(report: Report, total: float) -> Iterator[Advice]:
    """The largest texture has four times the pixels of the next one."""
    if report.job.params.texture_size != _LARGEST_TEXTURE:
        return
    for stage in report.run.stages:
        if stage.stage == "texture" and _worth(stage, total):
            yield Advice("smaller_texture", {"seconds": _seconds(stage)})


def _restarts(report: Report, total: float) -> Iterator[Advice]:
    """What had no checkpoint was done once more."""
    if report.job.attempts > 1:
        yield Advice("restarted", {"attempts": float(report.job.attempts)})


_RULES: tuple[Callable[[Report, float], Iterator[Advice]], ...] = (
    _loading,
    _processor,
    _rasterizer,
    _memory,
    _budget,
    _again,
    _pick,
    _preset,
    _texture,
    _restarts,
)


def _seconds(stage: StageRecord) -> float:
    return round(stage.seconds or 0.0, 1)


def _worth(stage: StageRecord, total: float) -> bool:
    return _seconds(stage) >= max(WORTH_SECONDS, WORTH_SHARE * total)

"""Bars for times and memory as inline SVG. The words beside them are HTML, which stays readable on a narrow page."""

from __future__ import annotations

from kiss3d_backend.reports.record import StageRecord
from kiss3d_backend.reports.texts import Both, amount, number, same, say, say_or


def stage_title(stage: str, title: str) -> Both:
    """What a stage is called."""
    return say_or(f"stage.{stage}", title or stage)


def time_chart(stages: tuple[StageRecord, ...]) -> str:
    """A bar for each stage, as long as its share of the longest; its loading in another colour."""
    longest = max((stage.seconds or 0.0 for stage in stages), default=0.0) or 1.0
    rows: list[str] = []
    for stage in stages:
        seconds = stage.seconds or 0.0
        loading = min(sum(load.seconds for load in stage.loads), seconds)
        bar = _bar([("load", loading / longest), ("work", (seconds - loading) / longest)])
        value = number(seconds, 2 if seconds < 10 else 1)
        rows.append(_row(stage_title(stage.stage, stage.title), bar, _with_unit(value, "s"), _notes_of_time(stage)))
    key = f'<p class="key">{_key("work", say("time.working"))}{_key("load", say("time.loading"))}</p>'
    return f'<div class="bars">{"".join(rows)}</div>{key}'


def memory_chart(stages: tuple[StageRecord, ...]) -> str:
    """A bar for each stage, of the card's memory and then of the machine's: measured, and in outline what was planned.

    A kind of memory of which nothing is known in any stage is only named.
    """
    parts: list[str] = []
    for kind in ("vram", "ram"):
        planned = [_bytes(stage, f"planned_{kind}") for stage in stages]
        measured = [_bytes(stage, f"peak_{kind}") for stage in stages]
        parts.append(f"<h3>{say(f'memory.{kind}').html()}</h3>")
        most = max([value for value in (*planned, *measured) if value is not None], default=0)
        if not most:
            parts.append(f'<p class="faint">{say("memory.unmeasured").html()}</p>')
            continue
        rows: list[str] = []
        for stage, plan, peak in zip(stages, planned, measured, strict=True):
            bar = _bar([("work", (peak or 0) / most)], None if plan is None else plan / most)
            said = [say("memory.measured", amount=amount(peak)) if peak is not None else say("memory.unmeasured")]
            said.append(say("memory.planned", amount=amount(plan)) if plan is not None else say("memory.unplanned"))
            notes = [say("memory.plan", plan=stage.plan)] if stage.plan and kind == "vram" else []
            value = Both(", ".join(each.en for each in said), ", ".join(each.pt_br for each in said))
            rows.append(_row(stage_title(stage.stage, stage.title), bar, value, notes))
        parts.append(f'<div class="bars">{"".join(rows)}</div>')
    return "".join(parts)


def _bytes(stage: StageRecord, name: str) -> int | None:
    return getattr(stage, name)


def _notes_of_time(stage: StageRecord) -> list[Both]:
    notes: list[Both] = []
    if stage.loads:
        loads = [_with_unit(number(load.seconds), f"s {load.name}") for load in stage.loads]
        listed = Both(", ".join(each.en for each in loads), ", ".join(each.pt_br for each in loads))
        notes.append(say("time.loaded", loads=listed))
    if stage.from_checkpoint:
        notes.append(say("time.kept"))
    if stage.lowered:
        notes.append(say("time.lowered", count=str(stage.lowered)))
    if not stage.completed:
        notes.append(say("time.ended"))
    return notes


def _with_unit(value: Both, unit: str) -> Both:
    return Both(f"{value.en} {unit}", f"{value.pt_br} {unit}")


def _row(title: Both, bar: str, value: Both, notes: list[Both]) -> str:
    text = "; ".join(note.html() for note in notes)
    note = f'<div class="note">{text}</div>' if notes else ""
    return f'<div>{title.html()}</div>{bar}<div class="value">{value.html()}</div>{note}'


def _bar(parts: list[tuple[str, float]], outline: float | None = None) -> str:
    """Parts one behind the other, each (class, length in [0, 1]); the outline begins where they do."""
    shapes: list[str] = []
    at = 0.0
    for name, length in parts:
        if length > 0:
            shapes.append(f'<rect class="{name}" x="{at:.2f}" y="1" width="{100 * length:.2f}" height="8"/>')
            at += 100 * length
    if outline is not None:
        shapes.append(
            f'<rect class="planned" x="0" y="1" width="{100 * outline:.2f}" height="8" '
            'vector-effect="non-scaling-stroke"/>'
        )
    return f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{"".join(shapes)}</svg>'


def _key(name: str, text: Both) -> str:
    square = f'<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{name}" width="10" height="10"/></svg>'
    return f"<span>{square}{text.html()}</span>"


def plain(text: object) -> str:
    """A name, a code, a number: escaped, the same in both languages."""
    return same(text).html()

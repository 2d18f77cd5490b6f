"""The results as text, and which targets they miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from tests.benchmarks.whole.cards import ideal_seconds
from tests.benchmarks.whole.counting import Counted
from tests.benchmarks.whole.rates import Rates

GIB, TERA = 2**30, 1e12
PLANNED_WITHIN = 0.10
WARM_CAPPED, WARM_UNCAPPED, FIRST_PREVIEW = 20.0, 12.0, 25.0
MOST_RESERVED = 11.5
PROJECTED = {"RTX 3060 12 GB": 90.0, "RTX 4070 12 GB": 60.0}


def with_fractions(stages: list[dict[str, Any]], counted: Mapping[str, Counted], rates: Rates, streamed: int) -> None:
    """Adds to each stage what it computed and the share of its time that the roofline would give it."""
    for stage in stages:
        count = counted.get(stage["stage"], Counted())
        ideal = ideal_seconds(count, rates, streamed if stage["stage"] == "bundle" else 0)
        stage["counted"] = attrs.asdict(count)
        stage["ideal_seconds"] = round(ideal, 4)
        stage["fraction"] = round(ideal / stage["seconds"], 3) if stage["seconds"] else None


def missed(parts: Mapping[str, Any]) -> list[str]:
    """The targets of the fast preset that were not met, in words; only what was measured counts."""
    about = parts["machine"]
    jobs = {name: part["jobs"] for name, part in parts.items() if name.startswith("cap ")}
    found = [f"{name}: {job['error']}" for name, done in jobs.items() for job in done if job["error"]]
    if about["tiny"] or about["preset"] != "fast":
        return found
    for name, done in jobs.items():
        cap = parts[name]["cap_gib"]
        limit = {MOST_RESERVED: WARM_CAPPED, None: WARM_UNCAPPED}.get(cap)
        if limit and len(done) > 1 and done[-1]["seconds"] >= limit:
            found.append(f"{name}: a warm job took {done[-1]['seconds']} s, not below {limit}")
        first = done[0]["first_preview"] if done else None
        if first is None or first >= FIRST_PREVIEW:
            found.append(f"{name}: the first preview came after {first} s, not below {FIRST_PREVIEW}")
        for number, job in enumerate(done, start=1):
            if cap and (job["most_reserved"] or 0) > cap * GIB:
                found.append(f"{name}, job {number}: {job['most_reserved'] / GIB:.2f} GiB reserved")
            for stage in job["stages"]:
                ratio = stage["planned_by_reserved"]
                if ratio is not None and abs(ratio - 1) > PLANNED_WITHIN:
                    found.append(f"{name}, job {number}, {stage['stage']}: planned {ratio} of what was reserved")
    for each in parts.get("projections", {}).get("from", {}).get(f"cap {MOST_RESERVED}", ()):
        limit = PROJECTED.get(each["card"])
        if limit and each["seconds"] >= limit:
            found.append(f"{each['card']}: projected {each['seconds']} s, not below {limit}")
    return found


def report_lines(parts: Mapping[str, Any]) -> Iterator[str]:
    """For people, also of what is not complete."""
    about = parts.get("machine")
    if about is None:
        return
    if about["tiny"]:
        yield "Tiny networks: a dry run, whose figures say nothing."
    rates = about["rates"]
    shown = {name: "none" if rate is None else f"{rate / TERA:.3g}e12/s" for name, rate in rates.items()}
    yield f"{about['device']}, torch {about['torch']}, preset {about['preset']}: {shown}"
    for name, part in parts.items():
        if name.startswith("cap "):
            yield from _part(name, part)
    projections = parts.get("projections")
    if projections:
        yield ""
        yield "Projected warm jobs. " + " ".join(projections["assumptions"])
        for name, cards in projections["from"].items():
            for card in cards:
                slow = sorted(card["stages"].items(), key=lambda item: -item[1])[:4]
                most = ", ".join(f"{stage} {seconds}" for stage, seconds in slow)
                yield f"  from {name}: {card['card']} {card['seconds']} s ({card['plan']}): {most}"
    for line in parts.get("missed", ()):
        yield f"MISSED {line}"


def _part(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for number, job in enumerate(part["jobs"], start=1):
        kind = "cold" if number == 1 else "warm"
        most = "" if job["most_reserved"] is None else f", at most {job['most_reserved'] / GIB:.2f} GiB reserved"
        yield (
            f"{name}, job {number}, {kind}: {job['seconds']} s, {job['with_the_account']} s with its "
            f"account, first preview after {job['first_preview']} s, of the "
            f"drawing {job['first_preview_of_the_drawing']} s{most}; plan {job['plan']} {job['error'] or ''}"
        )
    if not part["jobs"]:
        return
    yield (
        f"  {'stage':16} {'cold s':>7} {'warm s':>7} {'loads s':>7} {'planned':>8} {'reserved':>8} {'alloc.':>7} "
        f"{'ratio':>6} {'TFLOP':>7} {'GB':>7} {'roofline':>8}"
    )
    cold = {stage["stage"]: stage for stage in part["jobs"][0]["stages"]}
    for stage in part["jobs"][-1]["stages"]:
        counted = stage.get("counted", {})
        operations = sum(counted.get(kind, 0) for kind in ("float8", "attention", "other")) / TERA
        memory = [_gib(stage[key]) for key in ("planned_vram", "reserved_vram", "allocated_vram")]
        yield (
            f"  {stage['stage']:16} {_number(cold.get(stage['stage'], {}).get('seconds')):>7} "
            f"{_number(stage['seconds']):>7} {sum(stage['loads'].values()):7.2f} {memory[0]:>8} {memory[1]:>8} "
            f"{memory[2]:>7} {_number(stage['planned_by_reserved']):>6} {operations:7.1f} "
            f"{counted.get('moved', 0) / 1e9:7.1f} {_number(stage.get('fraction')):>8}"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _gib(value: int | None) -> str:
    return "" if value is None else f"{value / GIB:.2f}"

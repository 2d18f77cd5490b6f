"""The report as one page of HTML that loads nothing: no pictures, no styles, no scripts from anywhere.

Every text that comes from outside (names, prompts, messages) is escaped where it is put in, and the page's own policy
allows no script but the one line that chooses the browser's language.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from kiss3d_backend.reports.chart import memory_chart, plain, stage_title, time_chart
from kiss3d_backend.reports.checks_table import checks_section
from kiss3d_backend.reports.record import PictureRecord, Report
from kiss3d_backend.reports.texts import Both, amount, number, same, say, told

MOST_PICTURE_BYTES = 1_200_000
"""Of all pictures together, before they are written as base64, which makes them a third longer."""

_SCRIPT = 'if (/^pt/i.test(navigator.language)) document.getElementById("pt").checked = true;'


def make_page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """The page. ``pictures``: the files that the report names; those that are not there are left out."""
    style = files("kiss3d_backend.reports").joinpath("page.css").read_text(encoding="utf-8")
    title = say("page.title", name=report.job.name)
    body = "".join(
        (
            _error(report),
            _section("advice", _advice(report)),
            _section("warnings", _warnings(report)),
            _section("pictures", shown) if (shown := _pictures(report, pictures)) else "",
            _section("times", time_chart(report.run.stages) if report.run.stages else _faint(say("time.nothing"))),
            _section("memory", memory_chart(report.run.stages)) if report.run.stages else "",
            _section("request", _request(report)),
            checks_section(report.run.checks),
            _section("files", _files(report)),
            _section("machine", _machine(report)),
        )
    )
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(_SCRIPT)}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title.alone()}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<input class="switch" type="radio" name="language" id="en" checked>\n'
        '<input class="switch" type="radio" name="language" id="pt">\n'
        f"{_header(report)}\n<main>\n{body}</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _section(name: str, content: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<section{attribute}>\n<h2>{say(f'section.{name}').html()}</h2>\n{content}\n</section>\n"


def _faint(text: Both) -> str:
    return f'<p class="faint">{text.html()}</p>'


def _header(report: Report) -> str:
    job = report.job
    facts: list[Both] = [same(f"{job.params.recipe} · {job.params.preset}")]
    if job.seconds is not None:
        facts.append(say("summary.took", seconds=number(job.seconds)))
    else:
        facts.append(say("summary.never"))
    waited = (job.started if job.started is not None else job.finished or job.created) - job.created
    if waited >= 1.0:
        facts.append(say("summary.waited", seconds=number(waited)))
    if job.attempts > 1:
        facts.append(say("summary.attempts", count=str(job.attempts)))
    languages = (
        '<div class="languages"><label for="en" lang="en">English</label>'
        '<label for="pt" lang="pt-BR">Português</label></div>'
    )
    state = f'<span class="state {job.state}">{say(f"state.{job.state}").html()}</span>'
    line = " · ".join(fact.html() for fact in facts)
    return f'<header>{languages}<h1>{plain(job.name)}</h1>\n<p>{state} <span class="faint">{line}</span></p></header>'


def _error(report: Report) -> str:
    if report.job.state == "cancelled":
        return _section("error", f"<p>{say('error.cancelled').html()}</p>", "error")
    error = report.error
    if error is None:
        return ""
    lines = [f"<p><strong>{told('say', error.code, error.message).html()}</strong></p>"]
    if error.remedy:
        lines.append(f"<p>{say('error.remedy', remedy=told('remedy', error.code, error.remedy)).html()}</p>")
    if error.stage:
        named = stage_title(error.stage, _title_of(report, error.stage))
        lines.append(f"<p>{say('error.stage', stage=named).html()}</p>")
    lines.append(f'<p class="faint"><code>{plain(error.code)}</code></p>')
    return _section("error", "\n".join(lines), "error")


def _title_of(report: Report, stage: str) -> str:
    return next((each.title for each in report.run.stages if each.stage == stage), stage)


def _advice(report: Report) -> str:
    if not report.advice:
        return _faint(say("advice.none"))
    items = [say(f"advice.{each.code}", **each.values).html() for each in report.advice]
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _warnings(report: Report) -> str:
    if not report.run.warnings:
        return _faint(say("warning.none"))
    items: list[str] = []
    for note in report.run.warnings:
        said = told("say", note.code, note.message).html()
        remedy = f"<br>{told('remedy', note.code, note.remedy).html()}" if note.remedy else ""
        where = f" · {stage_title(note.stage, _title_of(report, note.stage)).html()}" if note.stage else ""
        items.append(f'<li>{said}{remedy}<br><span class="faint"><code>{plain(note.code)}</code>{where}</span></li>')
    return f"<ul>{''.join(items)}</ul>"


def _pictures(report: Report, pictures: Mapping[str, bytes]) -> str:
    figures: list[str] = []
    left = MOST_PICTURE_BYTES
    for picture in report.run.pictures:
        data = pictures.get(picture.file)
        if data is None or len(data) > left:
            continue
        left -= len(data)
        caption = _caption(report, picture)
        source = f"data:{html.escape(picture.media_type)};base64,{base64.b64encode(data).decode('ascii')}"
        figures.append(
            f'<figure class="{picture.kind}"><img src="{source}" width="{picture.width}" height="{picture.height}"'
            f' alt="{caption.alone()}"><figcaption>{caption.html()}</figcaption></figure>'
        )
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _caption(report: Report, picture: PictureRecord) -> Both:
    number_of = str(picture.bundle + 1)
    if picture.kind == "bundle":
        seed = "?" if picture.seed is None else str(picture.seed)
        return say("picture.bundle", number=number_of, seed=seed)
    if picture.kind == "turntable":
        several = sum(each.kind == "turntable" and each.quality == "final" for each in report.run.pictures) > 1
        name = "alone" if picture.quality == "final" and not several else picture.quality
        return say(f"picture.turntable_{name}", number=number_of)
    return say("picture.preview", stage=stage_title(picture.stage, _title_of(report, picture.stage)))


def _request(report: Report) -> str:
    job, params = report.job, report.job.params
    as_preset = say("request.as_preset")
    rows: list[tuple[Both, str]] = [
        (say("request.recipe"), plain(params.recipe)),
        (say("request.preset"), plain(params.preset)),
        (say("request.seed"), plain(params.seed)),
    ]
    if params.bundle_seed is not None:
        rows.append((say("request.bundle_seed"), plain(params.bundle_seed)))
    if params.prompt:
        rows.append((say("request.prompt"), plain(params.prompt)))
    if params.write_prompt:
        rows.append((say("request.write_prompt"), say("request.by_model").html()))
    for name, value in (("faces", params.faces), ("texture_size", params.texture_size)):
        rows.append((say(f"request.{name}"), (as_preset if value is None else number(value, 0)).html()))
    if params.bundles > 1:
        rows.append((say("request.bundles"), plain(params.bundles)))
    if job.inputs.picture is not None:
        rows.append((say("request.picture"), f"<code>{plain(job.inputs.picture)}</code>"))
    for index, sha256 in enumerate(job.inputs.views):
        rows.append((say("request.view", number=str(index + 1)), f"<code>{plain(sha256)}</code>"))
    if job.inputs.mesh_vertices is not None and job.inputs.mesh_triangles is not None:
        rows.append((say("request.mesh"), _counts(job.inputs.mesh_vertices, job.inputs.mesh_triangles)))
    rows += [
        (say("request.result"), _counts(mesh.vertices, mesh.triangles))
        for mesh in report.run.meshes
        if mesh.quality == "final"
    ]
    created = datetime.fromtimestamp(job.created, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    rows += [(say("request.created"), plain(created)), (say("request.job"), f"<code>{plain(job.id)}</code>")]
    return _table(rows)


def _counts(vertices: int, triangles: int) -> str:
    return say("request.counts", vertices=number(vertices, 0), triangles=number(triangles, 0)).html()


def _files(report: Report) -> str:
    if not report.run.files:
        return _faint(say("files.none"))
    heads = "".join(f"<th>{say(f'files.{name}').html()}</th>" for name in ("model", "file", "licence"))
    lines: list[str] = []
    for file in report.run.files:
        where = say("files.local").html() if file.local else plain(f"{file.repository} @ {file.revision}")
        sha256 = plain(file.sha256) if file.sha256 else say("files.unknown").html()
        lines.append(
            f'<tr><td>{plain(file.entry)}<br><span class="faint">{where}</span></td>'
            f"<td>{plain(file.file)}, {amount(file.size).html()}<br><code>{sha256}</code></td>"
            f"<td>{plain(file.licence)}</td></tr>"
        )
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(lines)}</table></div>'


def _machine(report: Report) -> str:
    device = report.run.device
    if device is None:
        return _faint(say("machine.unknown"))
    rows = [(say("machine.device"), plain(f"{device.name} ({device.kind})"))]
    if device.vram_total is not None:
        rows.append((say("machine.vram"), _free(device.vram_total, device.vram_free or 0)))
    rows.append((say("machine.ram"), _free(device.ram_total, device.ram_free)))
    drawn = {name for stage in report.run.stages if (name := stage.used.get("rasterizer"))}
    if drawn:
        rows.append((say("machine.rasterizer"), plain(", ".join(sorted(drawn)))))
    versions = ", ".join(f"{name} {version}" for name, version in report.run.versions.items())
    rows.append((say("machine.versions"), plain(versions)))
    return _table(rows)


def _free(total: int, free: int) -> str:
    return say("machine.free", total=amount(total), free=amount(free)).html()


def _table(rows: Sequence[tuple[Both, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{head.html()}</th><td>{value}</td></tr>" for head, value in rows) + "</table>"

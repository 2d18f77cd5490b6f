"""The figures of the bundles' checks: a table for each bundle, a row for each figure, a column for each view."""

from __future__ import annotations

from kiss3d_backend.reports.record import CheckRecord
from kiss3d_backend.reports.texts import Both, number, same, say, say_or

VIEWS = 4


def checks_section(checks: tuple[CheckRecord, ...]) -> str:
    """The whole section, or nothing where nothing was checked. Of a bundle that was checked twice the later figures."""
    if not checks:
        return ""
    latest = {(each.bundle, each.name, each.view): each for each in checks}
    outside = sum(not each.passed for each in latest.values())
    summary = say("check.fine") if not outside else say("check.outside", count=str(outside), total=str(len(latest)))
    bundles = sorted({each.bundle for each in latest.values()})
    tables: list[str] = []
    for bundle in bundles:
        if len(bundles) > 1:
            tables.append(f"<h3>{say('check.bundle', number=str(bundle + 1)).html()}</h3>")
        tables.append(_table([each for each in latest.values() if each.bundle == bundle]))
    head = f"<h2>{say('section.checks').html()}</h2>"
    return f"<section>\n{head}\n<p>{summary.html()}</p>\n{''.join(tables)}\n</section>\n"


def _table(checks: list[CheckRecord]) -> str:
    views = "".join(f'<th class="number">{say(f"check.view_{view}").html()}</th>' for view in range(VIEWS))
    heads = f"<th>{say('check.figure').html()}</th>{views}<th>{say('check.limit').html()}</th>"
    rows: list[str] = []
    for name in dict.fromkeys(each.name for each in checks):
        of_name = {each.view: each for each in checks if each.name == name}
        whole = of_name.get(None)
        if whole is not None:
            cells = f'<td class="number{_mark(whole)}" colspan="{VIEWS}">{_value(whole).html()}</td>'
        else:
            cells = "".join(
                f'<td class="number{_mark(check)}">{_value(check).html()}</td>' if check else "<td></td>"
                for check in (of_name.get(view) for view in range(VIEWS))
            )
        limit = _limit(next(iter(of_name.values())))
        rows.append(f"<tr><td>{say_or(f'check.name.{name}', name).html()}</td>{cells}<td>{limit.html()}</td></tr>")
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'


def _mark(check: CheckRecord) -> str:
    return "" if check.passed else " bad"


def _value(check: CheckRecord) -> Both:
    if check.value is None:
        return same("–")
    value = number(check.value, 3)
    # Colour alone does not tell everybody.
    return value if check.passed else Both(f"{value.en} !", f"{value.pt_br} !")


def _limit(check: CheckRecord) -> Both:
    parts: list[Both] = []
    if check.least is not None:
        parts.append(say("check.least", limit=number(check.least, 2)))
    if check.most is not None:
        parts.append(say("check.most", limit=number(check.most, 2)))
    return Both(", ".join(part.en for part in parts), ", ".join(part.pt_br for part in parts))

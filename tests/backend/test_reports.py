"""The account of a job: what is in its JSON, what advice follows, and a page that only shows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.architecture.source_tree import ROOT
from tests.fakes.reports import GB, HOSTILE, JOB, report

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.store import JobStore
from kiss3d_backend.reports import advice, texts
from kiss3d_backend.reports.advice import advise
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.reports.page import MOST_PICTURE_BYTES, make_page
from kiss3d_backend.reports.record import (
    LoadRecord,
    MeshRecord,
    PictureRecord,
    Report,
    RunRecord,
    StageRecord,
    report_from_json,
    to_json,
)
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.messages import Cancelled, Device, Failed, Finished, JobReport, StageStarted
from kiss3d_protocol.params import GenerateParams

GOLDEN = Path(__file__).parent / "data" / "report.json"
PICTURE = b"RIFF, as it were"
PICTURES = {picture.file: PICTURE for picture in report().run.pictures}


def test_the_json_is_as_it_was_agreed() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    assert to_json(report()) + "\n" == text
    assert report_from_json(text) == report()


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(attrs.evolve(report(), job=attrs.evolve(report().job, seconds=float("nan"))))


class Page(HTMLParser):
    """Every element with its attributes, and whether each was closed."""

    VOID = frozenset({"meta", "input", "img", "br", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, str] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.content[self.open[-1]] = self.content.get(self.open[-1], "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(make_page(report(), PICTURES))


def test_the_page_is_whole_and_says_what_the_report_says(page: Page) -> None:
    assert page.open == []
    names = [tag for tag, _ in page.elements]
    assert names.count("h1") == 1 and names.count("img") == 4
    assert len([1 for tag, found in page.elements if tag == "rect" and found.get("class") == "load"]) == 2
    for words in (HOSTILE, "someone/lrm @ abc123", "ab" * 32, "cd" * 32, "2.6.0", "30.2 s", "10.5 GB", "11.0 GB", JOB):
        assert words in page.text, words
    assert "30,2 s" in page.text and "10,5 GB" in page.text, "Portuguese writes a comma"
    assert "not measured" in page.text and "não medido" in page.text
    alone = [found for tag, found in page.elements if tag == "span" and found.get("class") == "en"]
    assert len(alone) == len([1 for tag, found in page.elements if tag == "span" and found.get("class") == "pt"]) > 50


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_line(page: Page) -> None:
    for tag, found in page.elements:
        assert tag in {
            "html", "head", "meta", "title", "style", "body", "input", "header", "div", "label", "h1", "h2", "h3", "p",
            "span", "main", "section", "strong", "code", "ul", "li", "br", "figure", "img", "figcaption", "svg", "rect",
            "table", "tr", "th", "td", "script",
        }, tag  # fmt: skip
        assert not [name for name in found if name.startswith("on") or name in ("href", "srcset", "style", "action")]
        if "src" in found:
            assert tag == "img" and str(found["src"]).startswith("data:image/webp;base64,")
    assert "url(" not in page.content["style"] and "@import" not in page.content["style"]
    (policy,) = [str(found["content"]) for _, found in page.elements if "http-equiv" in found]
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.content[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_languages_are_switched_without_a_script(page: Page) -> None:
    radios = [found for tag, found in page.elements if tag == "input"]
    assert [(found["id"], found["name"], "checked" in found) for found in radios] == [
        ("en", "language", True),
        ("pt", "language", False),
    ]
    assert {found["for"] for tag, found in page.elements if tag == "label"} == {"en", "pt"}
    assert "#pt:checked ~ * .en { display: none; }" in page.content["style"].replace(".pt, #pt", "#pt")


def test_pictures_that_are_missing_or_too_many_are_left_out() -> None:
    assert make_page(report(), {}).count("<img") == 0
    large = {name: bytes(MOST_PICTURE_BYTES // 2) for name in PICTURES}
    text = make_page(report(), large)
    assert text.count("<img") == 2 and len(text) < 2_000_000


def test_every_text_is_there_in_both_languages_with_the_same_figures() -> None:
    for key, text in texts.catalogue().items():
        assert text.en.strip() and text.pt_br.strip(), key
        assert set(re.findall(r"{\w*}", text.en)) == set(re.findall(r"{\w*}", text.pt_br)), key
        assert text.en != text.pt_br or key in ("picture.preview",), key


def sources(folder: str) -> str:
    paths = (ROOT / "backend" / "kiss3d_backend" / folder).rglob("*.py")
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_warning_stage_check_and_advice_has_its_texts() -> None:
    known = texts.catalogue()
    stages, pipeline = sources("stages"), sources("pipeline")
    warned = re.findall(r'(?:context\.warn|JobWarning)\(\s*"([\w.]+)"', stages + pipeline)
    assert len(set(warned)) >= 8
    assert [code for code in warned if not {f"say.{code}", f"remedy.{code}"} <= known.keys()] == []
    names = re.findall(r'^    name = "(\w+)"', stages, re.MULTILINE)
    titles = re.findall(r'^    title = "(.+)"', stages, re.MULTILINE)
    assert len(names) == len(titles) >= 19
    assert [(name, known[f"stage.{name}"].en) for name in names] == list(zip(names, titles, strict=True))
    assert {f"stage.{name}" for name in ("coarse_shape", "shape", "coarse", "reference_shape")} <= known.keys()
    figures = re.findall(r'checked\(\s*f?"(bundle\.\w+)', pipeline)
    assert len(figures) == 8
    assert [each for each in figures if not any(key.startswith(f"check.name.{each}") for key in known)] == []
    advised = re.findall(r'Advice\("(\w+)"', Path(str(advice.__file__)).read_text(encoding="utf-8"))
    codes = {*advised, "keep_running", "more_memory"}
    assert {f"advice.{code}" for code in codes} == {key for key in known if key.startswith("advice.")} - {"advice.none"}


# -- advice


def stage(name: str, seconds: float, **more: Any) -> StageRecord:
    return StageRecord(name, name, 0.0, seconds, True, **more)


def ran(*stages: StageRecord, job: dict[str, Any] | None = None, **more: Any) -> Report:
    """A finished job of these stages on a card."""
    usual = {"device": Device("cuda", "A card", GB, GB, GB, GB), "versions": {"torch": "2.6.0+cu124"}}
    params = GenerateParams("fast", 1)
    part = attrs.evolve(report().job, **{"state": "finished", "attempts": 1, "params": params, **(job or {})})
    return Report(part, RunRecord(stages=stages, **{**usual, **more}))


def codes(told: Report) -> list[str]:
    return [each.code for each in advise(told)]


def test_nothing_is_advised_where_nothing_is_to_be_gained() -> None:
    assert codes(ran(stage("bundle", 10.0), stage("refine", 10.0))) == []
    assert codes(ran()) == []
    assert codes(ran(stage("bundle", 0.5, loads=(LoadRecord("flux", 0.4),)))) == [], "half a second is no reason"


def test_loading() -> None:
    loading = stage("bundle", 10.0, loads=(LoadRecord("flux", 3.0), LoadRecord("t5", 2.0)))
    (first,) = advise(ran(loading))
    assert (first.code, first.values) == ("keep_running", {"seconds": 5.0, "share": 0.5})
    assert codes(ran(loading, jobs_before=2)) == ["more_memory"]
    assert codes(ran(loading, stage("refine", 90.0))) == [], "a twentieth of the time is no reason"


def test_the_processor() -> None:
    cpu = {"device": Device("cpu", "x86", None, None, GB, GB), "versions": {"torch": "2.6.0+cpu"}}
    assert codes(ran(stage("bundle", 100.0), **cpu)) == ["graphics_card"]
    assert codes(ran(stage("bundle", 100.0), versions={"torch": "2.6.0+cpu"})) == ["torch_for_cuda"]
    draft = {"params": GenerateParams("draft", 1)}
    assert codes(ran(stage("shape", 100.0), job=draft, **cpu)) == [], "the draft has no networks"


def test_the_rasteriser() -> None:
    def drawn(name: str, device: str) -> Report:
        return ran(stage("refine", 20.0, used={"rasterizer": name, "rasterizer_device": device}))

    (found,) = advise(drawn("torch", "cuda:0"))
    assert found.values == {"seconds": 20.0, "rasterizer": "torch", "package": "warp-lang"}
    assert advise(drawn("torch", "cpu"))[0].values["package"] == "numba"
    assert codes(drawn("warp", "cuda:0")) == codes(drawn("numba", "cpu")) == []


def test_memory_that_ran_out_and_a_backend_that_was_restarted() -> None:
    (found,) = advise(ran(stage("bundle", 30.0, lowered=2, plan="streamed"), stage("refine", 9.0)))
    assert (found.code, found.values) == ("lower_budget", {"seconds": 30.0, "plan": "streamed"})
    assert codes(ran(stage("bundle", 30.0), job={"attempts": 2})) == ["restarted"]


def test_a_budget_that_keeps_flux_from_the_card() -> None:
    streamed = {"transformer": "streamed"}
    assert codes(ran(stage("bundle", 30.0, used={**streamed, "bound_by": "budget"}))) == ["larger_budget"]
    assert codes(ran(stage("bundle", 30.0, used=streamed))) == [], "the card itself is too small"


def test_what_is_kept_picked_and_chosen() -> None:
    views = stage("multiview", 30.0)
    assert codes(ran(views, stage("bundle", 30.0))) == ["bundle_seed"]
    assert codes(ran(attrs.evolve(views, from_checkpoint=True), stage("bundle", 30.0))) == []
    finals = tuple(MeshRecord("final", index, 1, 1) for index in range(4))
    (found,) = advise(ran(stage("bundle", 10.0), stage("refine", 80.0), meshes=finals))
    assert (found.code, found.values) == ("pick", {"seconds": 60.0, "bundles": 4.0})
    quality = {"params": GenerateParams("quality", 1, texture_size=4096)}
    assert codes(ran(stage("bundle", 90.0), stage("texture", 60.0), job=quality)) == ["fast_preset", "smaller_texture"]


def test_every_advice_can_be_said() -> None:
    several = ran(
        stage("multiview", 90.0),
        stage("bundle", 300.0, lowered=1, plan="p", loads=(LoadRecord("flux", 100.0),), used={"bound_by": "budget"}),
        stage("refine", 90.0, used={"rasterizer": "torch", "rasterizer_device": "cpu"}),
        stage("texture", 90.0),
        job={"params": GenerateParams("quality", 1, texture_size=4096), "attempts": 3},
        meshes=tuple(MeshRecord("final", index, 1, 1) for index in range(2)),
    )
    cards: tuple[dict[str, Any], ...] = (
        {},
        {"jobs_before": 1, "versions": {"torch": "2.6.0+cpu"}},
        {"device": Device("cpu", "x86", None, None, GB, GB)},
    )
    said: set[str] = set()
    for card in cards:
        told = attrs.evolve(several, run=attrs.evolve(several.run, **card))
        told = attrs.evolve(told, advice=advise(told))
        said |= {each.code for each in told.advice}
        assert "{" not in Page(make_page(told, {})).text
    assert {f"advice.{code}" for code in said} | {"advice.none"} == {
        key for key in texts.catalogue() if key.startswith("advice.")
    }


# -- the folder, and the end of a job


@pytest.fixture
def folder(data_dir: DataDir) -> ReportFolder:
    return ReportFolder(data_dir.reports)


@pytest.fixture
def book(data_dir: DataDir, folder: ReportFolder) -> Iterator[JobBook]:
    store = JobStore(data_dir.database)
    times = iter(range(1000, 9000))
    yield JobBook(
        store, Artifacts(data_dir.artifacts), "instance", ended=folder.close, clock=lambda: float(next(times))
    )
    store.close()


def told(folder: ReportFolder, job: str) -> Report:
    data, page = folder.paths(job)
    assert Page(page.read_text(encoding="utf-8")).open == []
    return report_from_json(data.read_text(encoding="utf-8"))


def test_a_job_that_never_began_has_a_report(book: JobBook, folder: ReportFolder, make_submit: Any) -> None:
    submit, blob = make_submit(seed=7)
    book.submit(submit, [blob])
    with pytest.raises(ArtifactLost):
        folder.paths(submit.job)
    book.cancel_waiting(submit.job)
    found = told(folder, submit.job)
    assert (found.job.state, found.job.seconds, found.job.started, found.job.attempts) == ("cancelled", None, None, 0)
    assert found.job.params == submit.params and found.job.inputs.picture == submit.picture.sha256
    assert found.run == RunRecord() and found.error is None


def test_a_worker_that_died_leaves_what_it_had_noted(book: JobBook, folder: ReportFolder, make_submit: Any) -> None:
    submit, blob = make_submit()
    book.submit(submit, [blob])
    record = book.take_next()
    assert record is not None and record.started is not None
    running = StageRecord("refine", "Refining the shape", record.started + 2.0)
    folder.save_run(submit.job, RunRecord(stages=(stage("bundle", 2.0), running), jobs_before=1))
    book.record(Posted(StageStarted(job=submit.job, stage="refine", title="Refining", index=0, count=1)))
    book.record(Posted(Failed(job=submit.job, code="job.worker_died", message="It died.", remedy="Again.")))
    found = told(folder, submit.job)
    assert found.error is not None and (found.error.code, found.error.stage) == ("job.worker_died", "refine")
    last = found.run.stages[-1]
    assert (
        found.job.finished is not None and last.seconds == found.job.finished - running.started and not last.completed
    )
    assert found.job.seconds == found.job.finished - record.started


def test_a_finished_job_shows_its_pictures_and_notes_that_cannot_be_read_cost_nothing(
    book: JobBook, folder: ReportFolder, make_submit: Any
) -> None:
    end = JobReport("draft", "draft", 0, "0" * 64, 1.0, (), (), {})
    for notes in (RunRecord(pictures=(PictureRecord("preview", "a.webp", "image/webp", 1, 1, stage="read"),)), None):
        submit, blob = make_submit()
        book.submit(submit, [blob])
        book.take_next()
        if notes is None:
            folder.folder(submit.job).mkdir(parents=True)
            (folder.folder(submit.job) / "run.json").write_text('{"stages": 5}', encoding="utf-8")
        else:
            folder.save_picture(submit.job, "a.webp", PICTURE)
            folder.save_run(submit.job, notes)
        book.record(Posted(Finished(job=submit.job, report=end)))
        assert told(folder, submit.job).job.state == "finished"
        text = folder.paths(submit.job)[1].read_text(encoding="utf-8")
        assert (base64.b64encode(PICTURE).decode() in text) == (notes is not None)


def test_a_report_that_cannot_be_written_does_not_keep_the_end_from_coming(
    book: JobBook, data_dir: DataDir, make_submit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    data_dir.reports.write_text("a file where a folder should be", encoding="utf-8")
    submit, blob = make_submit()
    book.submit(submit, [blob])
    (ended,) = book.cancel_waiting(submit.job)
    assert isinstance(ended.event, Cancelled) and "cannot be written" in caplog.text


def test_names_are_no_paths(folder: ReportFolder) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        folder.folder("../../etc")

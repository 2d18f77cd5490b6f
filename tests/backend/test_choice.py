"""A choice among bundles, inside a run: who waits, for what, and what ends it."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest
from tests.backend.test_pipeline import MESH, Step
from tests.stages.context import Record

from kiss3d_backend.broker.older import in_older_words
from kiss3d_backend.broker.outbox import Letter
from kiss3d_backend.pipeline.events import MeshQuality
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run, recipe_key
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.types import Bundle, Mesh
from kiss3d_protocol.errors import JobCancelled
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Preview


class Choosing(Recipe):
    name = "choosing"

    def __init__(self) -> None:
        self.one, self.two = Step("bundles", 1.0), Step("meshes", 1.0)
        self.stages = (self.one, self.two)

    def wire(self, inputs: JobInputs, run: Run) -> dict[int, Mesh]:
        run.stage(self.one, 0)
        chosen = run.choose([Bundle(np.zeros((2, 4, 3), np.uint8), seed) for seed in range(inputs.bundles)])
        run.stage(self.two, 1)
        return dict.fromkeys(chosen, MESH)


class BundleRecord(Record):
    """Keeps also of which bundle each mesh was made."""

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        super().mesh_ready(mesh, quality, bundle)
        self.events.append((quality, bundle))


def finals(record: Record) -> list[int]:
    return [bundle for (bundle,) in record.of("final")]


def run(inputs: JobInputs, *choices: tuple[int, ...]) -> Record:
    given: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()
    for choice in choices:
        given.put(choice)
    record = BundleRecord()
    run_recipe(Choosing(), inputs, record, threading.Event(), choices=given)
    return record


def test_all_bundles_are_shown_and_taken_without_a_choice() -> None:
    record = run(JobInputs(bundles=3))
    ((stage, bundles, waiting),) = record.of("bundles")
    assert (stage, [bundle.seed for bundle in bundles], waiting) == ("bundles", [0, 1, 2], False)
    assert finals(record) == [0, 1, 2]


def test_only_what_was_chosen_is_taken() -> None:
    record = run(JobInputs(bundles=4, choose=True), (3, 1))
    assert record.of("bundles")[0][2] is True
    assert finals(record) == [1, 3]


def test_a_choice_that_makes_no_sense_is_waited_over() -> None:
    assert finals(run(JobInputs(bundles=2, choose=True), (), (2,), (-1,), (1,))) == [1]


def test_a_cancel_ends_the_wait() -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(JobCancelled):
        run_recipe(Choosing(), JobInputs(bundles=2, choose=True), Record(), cancel, choices=queue.SimpleQueue())
    assert time.monotonic() - began < 1.0
    timer.join()


def test_waiting_counts_for_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    from kiss3d_backend.pipeline.clock import JobClock

    now = [0.0]
    clock = JobClock([1.0, 1.0], lambda: now[0])
    now[0] = 2.0
    clock.advance(0, 1, 1)
    now[0] = 102.0
    clock.leave_out(100.0)
    assert clock.advance(0, 1, 1) == (0.5, pytest.approx(2.0))


def test_a_choice_before_any_stage_is_a_mistake_of_the_recipe() -> None:
    class Hasty(Choosing):
        def wire(self, inputs: JobInputs, run: Run) -> dict[int, Mesh]:
            run.choose([])
            return {}

    with pytest.raises(AssertionError, match="before any stage"):
        run_recipe(Hasty(), JobInputs(), Record(), threading.Event())


def test_recipe_keys() -> None:
    assert recipe_key("image_to_3d", "draft") == "draft"
    assert recipe_key("text_to_3d", "fast") == "text_to_3d/fast"


def test_a_client_of_version_1_0_gets_a_preview_with_the_same_number() -> None:
    from tests.protocol.samples import bundles_ready, preview

    event, _ = bundles_ready(number=5)
    first, second = (bundle.image.sha256 for bundle in event.bundles)
    for content in (event, bytes(encode(event)[1])):
        letter = Letter(content, (first, second))
        assert in_older_words(letter, 1) is letter
        told = in_older_words(letter, 0)
        assert isinstance(told.content, Preview)
        assert (told.content.number, told.content.job, told.content.stage) == (5, event.job, event.stage)
        assert (told.content.image.sha256, told.content.image.blob, told.artifacts) == (first, 0, (first,))
    other = Letter(bytes(encode(preview()[0])[1]), (first,))
    assert in_older_words(other, 0) is other

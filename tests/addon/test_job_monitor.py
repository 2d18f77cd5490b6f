"""The monitor: what happens to a job and to the scene, without Blender."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from blender_addon import job_monitor
from blender_addon.connection import AddressTarget, LocalTarget
from blender_addon.importer.arrays import MeshArrays, read_mesh
from blender_addon.job import Job
from blender_addon.job_monitor import BUSY_INTERVAL, IDLE_INTERVAL, KEPT_JOBS
from blender_addon.job_state import Phase
from blender_addon.link_state import Link
from blender_addon.waiting import wait_until_settled
from tests.addon.conftest import Bench, Target
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Never, Pause, ScriptedBackend, ScriptedJob, Step, Until, coarse_then_final

from kiss3d_protocol.errors import (
    BackendStartFailed,
    BackendUnreachable,
    JobCancelled,
    JobError,
    JobNotEnded,
    JobUnknown,
    Kiss3DError,
    MessageMalformed,
    OutOfMemory,
    PresetUnavailable,
    StageFailed,
)


def coarse_then_wait(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", sphere(8, 6))
    yield Never()


def coarse_then_fail(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", sphere(8, 6))
    yield Pause(0.1)
    yield job.failed("job.out_of_memory", "Full.", "Empty it.")


def no_mesh(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.finished()


def test_meshes_are_placed_in_order_and_the_recipe_last(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.settled)
    done = bench.scene.of(job)
    # When both meshes have come before the first could be placed, the coarse one is not shown any more.
    assert done in (["place coarse", "place final", "finish"], ["place final", "finish"])
    recipe = bench.scene.calls[-1][2]
    assert recipe["quality"] == "final" and recipe["versions"]["kiss3d_addon"] == "9.9"
    assert recipe["seed"] == 1 and recipe["stages"] == {"shape": 0.25, "texture": 0.25}


def test_newest_mesh_wins_while_the_scene_is_hindered(bench: Bench) -> None:
    bench.scene.hindered = "It is being edited."
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.state.phase is Phase.FINISHED)
        bench.for_a_while()
        assert not job.settled and job.hindrance == "It is being edited." and not bench.scene.calls
        assert bench.monitor.interval == IDLE_INTERVAL, "nothing is in a hurry"
        bench.scene.hindered = ""
        bench.until(lambda: job.settled)
    assert bench.scene.of(job) == ["place final", "finish"]


def test_result_that_waits_can_be_let_go(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        bench.scene.hindered = "It is being edited."
        bench.until(lambda: job.state.phase is Phase.FINISHED)
        bench.monitor.cancel(job)
        bench.until(lambda: job.settled)
        assert backend.cancels == [] and job.state.phase is Phase.CANCELLED
    assert bench.scene.of(job) == []


def test_meshes_are_decoded_beside_the_main_thread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[threading.Thread] = set()
    came: list[MeshArrays] = []

    def read(*arguments: Any, **more: Any) -> MeshArrays:
        threads.add(threading.current_thread())
        came.append(read_mesh(*arguments, **more))
        return came[-1]

    monkeypatch.setattr(job_monitor, "read_mesh", read)
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.settled)
        assert threads and threading.main_thread() not in threads
        assert [one.edges is not None for one in came] == [True, False], "Blender itself is faster at a large one"
        bench.monitor.shut_down()
    assert not any(thread.is_alive() for thread in threads)


def test_a_mesh_that_cannot_be_read_ends_its_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> MeshArrays:
        raise MessageMalformed("The mesh that came is empty.")

    monkeypatch.setattr(job_monitor, "read_mesh", read)
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.settled)
    assert isinstance(job.state.error, MessageMalformed) and bench.scene.of(job) == []


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_half_made_result_is_removed(bench: Bench, ending: str) -> None:
    with ScriptedBackend(default=coarse_then_wait if ending == "cancel" else coarse_then_fail) as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: bench.scene.of(job) == ["place coarse"])
        bench.scene.locked = True
        if ending == "cancel":
            bench.monitor.cancel(job)
            assert job.state.cancel_requested and not job.state.ended, "the backend has to say so"
        bench.until(lambda: job.state.ended)
        bench.for_a_while()
        assert not job.settled, "an object that is being edited is left alone"
        bench.scene.locked = False
        bench.until(lambda: job.settled)
    assert bench.scene.of(job) == ["place coarse", "remove"]
    assert type(job.state.error) is (JobCancelled if ending == "cancel" else OutOfMemory)


def test_problem_of_the_scene_ends_that_job_only(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.scene.problem = RuntimeError("no more room")
    with ScriptedBackend({"bad": coarse_then_wait}) as backend:
        bad = bench.submit(backend.address, "bad")
        bench.until(lambda: bad.settled)
        assert isinstance(bad.state.error, StageFailed) and "no more room" in bad.state.error.message
        assert "no more room" in capsys.readouterr().err, "the developer needs the traceback"
        bench.scene.problem = None
        good = bench.submit(backend.address)
        bench.until(lambda: good.settled)
        assert good.state.phase is Phase.FINISHED
        assert backend.cancels == [bad.id], "the backend need not go on with it"


def test_job_without_a_mesh_fails(bench: Bench) -> None:
    with ScriptedBackend(default=no_mesh) as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.settled)
    assert job.state.phase is Phase.FAILED and "without sending a mesh" in str(job.state.error)


def test_refused_preset(bench: Bench) -> None:
    with ScriptedBackend(refused_presets={"quality": "No GPU."}) as backend:
        job = bench.submit(backend.address, preset="quality")
        bench.until(lambda: job.settled)
    assert isinstance(job.state.error, PresetUnavailable)


def test_a_tick_keeps_to_its_budget(bench: Bench) -> None:
    def chatty(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        for step in range(2000):
            yield job.progress(step / 2000, step + 1, 2000)
        yield job.mesh("final", sphere(8, 6))
        yield job.finished()

    with ScriptedBackend(default=chatty) as backend:
        job = bench.submit(backend.address)
        time.sleep(1.0)
        ticks = []
        while not job.settled:
            began = time.perf_counter()
            bench.monitor.poll(0.001)
            ticks.append(time.perf_counter() - began)
    assert len(ticks) > 5, "2000 events do not go into one tick"
    assert job.state.fraction == 1.0


def test_interval(bench: Bench) -> None:
    assert bench.monitor.interval is None, "nothing to watch"
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        assert bench.monitor.interval == BUSY_INTERVAL
        bench.until(lambda: job.settled)
        assert bench.monitor.interval == IDLE_INTERVAL, "a connection is watched"
        bench.monitor.disconnect(AddressTarget(backend.address))
        assert bench.monitor.interval is None


def test_cancel_while_nobody_hears_it(bench: Bench) -> None:
    job = bench.submit("tcp://127.0.0.1:9")
    bench.monitor.cancel(job)
    assert job.state.phase is Phase.CANCELLED
    bench.until(lambda: job.settled)


def test_job_that_no_backend_has_heard_of_fails_with_the_reason(bench: Bench) -> None:
    job = bench.submit(LocalTarget("/nowhere/python"))
    bench.until(lambda: job.settled)
    assert isinstance(job.state.error, BackendStartFailed) and "no Python" in job.state.error.message
    assert bench.monitor.interval is None


def test_disconnecting_ends_the_jobs(bench: Bench) -> None:
    with ScriptedBackend(default=coarse_then_wait) as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.placed == "coarse")
        bench.monitor.disconnect(AddressTarget(backend.address))
        assert job.state.phase is Phase.CANCELLED
        bench.until(lambda: job.settled)
        bench.until(lambda: backend.cancels == [job.id])
    assert bench.scene.of(job) == ["place coarse", "remove"]


def test_idle_connections_close_when_the_preferences_change(bench: Bench) -> None:
    with ScriptedBackend() as one, ScriptedBackend(default=coarse_then_wait) as two:
        done = bench.submit(one.address)
        busy = bench.submit(two.address)
        bench.until(lambda: done.settled and busy.placed == "coarse")
        bench.monitor.disconnect_idle(but=AddressTarget("tcp://127.0.0.1:9"))
        assert list(bench.monitor.connections) == [AddressTarget(two.address)]


def test_list_of_jobs_does_not_grow_without_end(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        for _ in range(KEPT_JOBS + 5):
            job = bench.submit(backend.address)
            bench.until(lambda job=job: job.settled)
    assert len(bench.monitor.jobs) == KEPT_JOBS and job.id in bench.monitor.jobs


def test_two_jobs_one_after_the_other(bench: Bench) -> None:
    go = threading.Event()

    def held(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield Until(go.is_set)
        yield job.mesh("final", sphere(8, 6))
        yield job.finished()

    with ScriptedBackend(default=held) as backend:
        first, second = bench.submit(backend.address), bench.submit(backend.address)
        bench.until(lambda: second.state.phase is Phase.QUEUED and first.state.phase is Phase.RUNNING)
        assert second.state.position == 1
        go.set()
        bench.until(lambda: first.settled and second.settled)


def test_shutting_down_takes_half_made_results_out_and_the_job_goes_on(bench: Bench) -> None:
    with ScriptedBackend(default=coarse_then_wait) as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: job.placed == "coarse")
        bench.monitor.shut_down()
        assert bench.scene.of(job) == ["place coarse", "remove"]
        assert not [one for one in threading.enumerate() if one.name == "kiss3d-client"]
        target = AddressTarget(backend.address)
        again = bench.monitor.follow(target, Target(job=job.id), job.params, job.recipe)
        bench.until(lambda: again.placed == "coarse")
        assert backend.cancels == [], "it was not stopped in between"
        bench.monitor.cancel(again)
        bench.until(lambda: again.settled)


# -- waiting ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_diagnosis")
def test_waiting_raises_why_nobody_answers(bench: Bench) -> None:
    job = bench.submit("tcp://127.0.0.1:9")
    with pytest.raises(BackendUnreachable):
        wait_until_settled(bench.monitor, job)
    assert job.settled


def test_waiting_for_what_cannot_be_placed_ends_with_the_reason(bench: Bench) -> None:
    bench.scene.hindered = "It is being edited."
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address)
        with pytest.raises(JobError, match="being edited"):
            wait_until_settled(bench.monitor, job)


def test_waiting_with_a_time_limit(bench: Bench) -> None:
    with ScriptedBackend(default=coarse_then_wait) as backend:
        job = bench.submit(backend.address)
        with pytest.raises(TimeoutError):
            wait_until_settled(bench.monitor, job, timeout=0.5)
        assert bench.scene.of(job)[-1:] in (["remove"], [])
        bench.until(lambda: backend.cancels == [job.id])


def test_progress_is_told(bench: Bench) -> None:
    phases = []
    with ScriptedBackend() as backend:
        job = bench.submit(backend.address, on_change=lambda state: phases.append(state.phase))
        wait_until_settled(bench.monitor, job)
    assert phases[0] is Phase.QUEUED and phases[-1] is Phase.FINISHED and Phase.RUNNING in phases
    assert job.connection.view.link is Link.CONNECTED


def test_a_report_is_handed_to_who_asked_and_a_refusal_does_not_end_the_job(bench: Bench) -> None:
    answers: list[bytes | Kiss3DError] = []
    with ScriptedBackend({"chair": coarse_then_final, "forever": coarse_then_wait}) as backend:
        done, going = bench.submit(backend.address, "chair"), bench.submit(backend.address, "forever")
        bench.until(lambda: done.settled and going.state.phase is Phase.RUNNING)
        assert bench.monitor.ask_report(done, answers.append)
        bench.until(lambda: len(answers) == 1)
        assert answers == [b"<!doctype html><title>chair</title>"]
        assert bench.monitor.ask_report(going, answers.append)
        bench.until(lambda: len(answers) == 2)
        assert isinstance(answers[1], JobNotEnded) and going.state.phase is Phase.RUNNING
        bench.monitor.disconnect(AddressTarget(backend.address))
        assert not bench.monitor.ask_report(done, answers.append), "nobody hears it"


def two_bundles(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("bundle", 0, 1)
    yield job.bundles([b"first", b"second"], 8, 4)
    yield Until(lambda: job.choice is not None)
    yield job.mesh("final", sphere(8, 6))
    yield job.finished()


def test_bundle_is_chosen_once_and_only_while_the_job_waits_for_it(bench: Bench) -> None:
    with ScriptedBackend(default=two_bundles) as backend:
        job = bench.submit(backend.address)
        assert not bench.monitor.choose(job, 0), "there is nothing to choose from yet"
        bench.until(lambda: job.state.choosing)
        assert [bundle.picture.data for bundle in job.state.bundles] == [b"first", b"second"]
        assert not bench.monitor.choose(job, 2), "there are two"
        assert bench.monitor.choose(job, 1) and not job.state.choosing
        assert not bench.monitor.choose(job, 0)
        bench.until(lambda: job.settled)
        assert backend.submits[0].choice == (1,)
        recipes = [detail for what, _, detail in bench.scene.calls if what == "finish"]
        assert [recipe["bundle_seed"] for recipe in recipes] == [1], "it makes the same object again"


def test_bundle_that_was_picked_beforehand_is_chosen_when_it_is_there(bench: Bench) -> None:
    with ScriptedBackend(default=two_bundles) as backend:
        job = bench.submit(backend.address, pick=1)
        bench.until(lambda: job.settled)
        assert job.state.phase is Phase.FINISHED and backend.submits[0].choice == (1,)


def test_what_a_job_was_made_of_makes_it_again(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        first = bench.submit(backend.address)
        bench.until(lambda: first.settled)
        again = bench.monitor.submit(first.backend, first.inputs, first.params, Target("chair"))
        bench.until(lambda: again.settled)
        one, other = backend.submits
        assert one.blobs == other.blobs and one.submit.params == other.submit.params
        assert again.id != first.id and bench.scene.of(again)[-2:] == ["place final", "finish"]
        assert 0 < first.elapsed(bench.monitor.now()) == first.elapsed(bench.monitor.now() + 5)


def test_ticks_that_put_something_into_the_scene_are_told_apart(bench: Bench) -> None:
    seen: list[str] = []

    def held(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield job.mesh("coarse", sphere(8, 6))
        yield Until(lambda: bool(seen))
        yield job.mesh("final", sphere(8, 6))
        yield job.finished()

    def settled(job: Job) -> bool:
        if bench.monitor.imported:
            seen.append(bench.monitor.imported)
        return job.settled

    with ScriptedBackend(default=held) as backend:
        job = bench.submit(backend.address)
        bench.until(lambda: settled(job))
        bench.monitor.poll()
        assert not bench.monitor.imported
    assert seen == ["coarse", "final", "final"], "the last one is the undo step"


def test_job_of_an_earlier_session_is_brought_back(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        first = bench.submit(backend.address)
        bench.until(lambda: first.settled)
        target = Target(job=first.id)
        again = bench.monitor.follow(AddressTarget(backend.address), target, first.params, {"job": first.id})
        assert list(bench.monitor.jobs.values()) == [again], "in place of the one that was settled"
        bench.until(lambda: again.settled)
        assert again.state.phase is Phase.FINISHED and bench.scene.of(again)[-2:] == ["place final", "finish"]
        connection = again.connection
        assert connection.list_jobs()
        bench.until(lambda: bool(connection.jobs_there))
        assert [(job.job, job.state) for job in connection.jobs_there] == [(first.id, "finished")]
        assert connection.delete(first.id)
        bench.until(lambda: not connection.jobs_there)
        assert connection.delete(first.id), "the backend says that there is none, and the list is asked for again"
        lost = bench.monitor.follow(AddressTarget(backend.address), Target(), first.params, {})
        bench.until(lambda: lost.settled)
        assert isinstance(lost.state.error, JobUnknown)


def test_job_that_is_brought_back_waits_for_a_connection(bench: Bench) -> None:
    with ScriptedBackend() as backend:
        first = bench.submit(backend.address)
        bench.until(lambda: first.settled)
        bench.monitor.disconnect(AddressTarget(backend.address))
        again = bench.monitor.follow(AddressTarget(backend.address), Target(job=first.id), first.params, {})
        assert not again.connection.list_jobs(), "nobody hears it yet"
        bench.until(lambda: again.settled)
        assert again.state.phase is Phase.FINISHED

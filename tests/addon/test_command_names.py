"""What results of a batch are called, and which jobs are imported under which names."""

from __future__ import annotations

from typing import Any

import pytest
from blender_addon.commands.naming import file_name, names_of_jobs, titles_of
from blender_addon.commands.selection import jobs_by_id, newest_jobs
from hypothesis import given
from hypothesis import strategies as st

from kiss3d_protocol.batch.rows import _checked_name
from kiss3d_protocol.errors import JobUnknown, JobWithoutResult
from kiss3d_protocol.messages import JobSummary

IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in (0xA1, 0xA2, 0xB1, 0xB2)]


def summary(number: int, name: str = "chair", state: Any = "finished", ended: float | None = 1.0) -> JobSummary:
    return JobSummary(IDS[number], name, state, "draft", 1, 0.0, 0.0, ended, "", 1.0, 9)


def test_objects_are_called_after_the_end_of_a_row_unless_another_is_too() -> None:
    names = ["chairs/red", "chairs/blue", "lamps/red", "stool"]
    assert titles_of(names) == {
        "chairs/red": "chairs/red",
        "chairs/blue": "blue",
        "lamps/red": "lamps/red",
        "stool": "stool",
    }


def test_jobs_of_one_name_get_names_of_their_own_and_keep_those_they_have() -> None:
    jobs = [summary(0), summary(1, "Chair"), summary(2, "lamp")]
    assert names_of_jobs(jobs, {}) == {IDS[0]: "chair", IDS[1]: "Chair-000000a2", IDS[2]: "lamp"}
    taken = {"chair": IDS[1], "lamp": "another"}
    assert names_of_jobs(jobs, taken) == {IDS[0]: "chair-000000a1", IDS[1]: "Chair", IDS[2]: "lamp-000000b1"}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\temp\\x", "C__temp_x"),
        ("a chair, 2.5 m", "a chair, 2.5 m"),
        ("chairs/red", "chairs/red"),
        (" . / ", "Kiss3D"),
        ("", "Kiss3D"),
        ("what?\n", "what__"),
    ],
)
def test_names_that_other_programs_gave_become_file_names(name: str, file: str) -> None:
    assert file_name(name) == file


@given(st.text(max_size=50))
def test_every_name_becomes_one_that_a_table_could_have(name: str) -> None:
    printable = "".join(letter for letter in name if letter.isprintable())
    assert _checked_name(file_name(printable), "here") == file_name(printable)


def test_jobs_are_found_by_the_beginning_of_their_ids() -> None:
    there = [summary(0), summary(1), summary(2, state="running"), summary(3)]
    assert [job.job for job in jobs_by_id(there, ["000000B2", "000000a1-", IDS[0]])] == [IDS[3], IDS[0]]
    for id, said in (("000000a", "several jobs"), ("ff", "no job"), ("", "no job")):
        with pytest.raises(JobUnknown, match=said):
            jobs_by_id(there, [id])
    with pytest.raises(JobWithoutResult, match="running"):
        jobs_by_id(there, ["000000b1"])


def test_newest_jobs_come_in_the_order_in_which_they_ended() -> None:
    there = [summary(0, ended=30), summary(1, state="failed", ended=25), summary(2, ended=20), summary(3, ended=10)]
    assert [job.job for job in newest_jobs(there, None, None)] == [IDS[3], IDS[2], IDS[0]]
    assert [job.job for job in newest_jobs(there, 20.0, None)] == [IDS[2], IDS[0]]
    assert [job.job for job in newest_jobs(there, None, 2)] == [IDS[2], IDS[0]]
    assert newest_jobs(there, 31.0, 5) == []

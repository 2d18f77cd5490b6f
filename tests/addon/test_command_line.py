"""What ``blender --command kiss3d`` understands, and what it refuses before anything is done."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from blender_addon.commands.options import BatchOptions, GenerateOptions, ImportOptions
from blender_addon.commands.parser import parse
from blender_addon.importer.result_options import ResultOptions

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.params import GenerateParams


def test_batch_into_one_blend() -> None:
    line = "batch pictures -o props.blend --recursive --jobs 2 --retry-failed --catalog Props/Oak --tags a,b --lods 1"
    options = parse([*line.split(), "--columns", "3", "--size", "0.5", "--preset", "fast", "--seed", "4294967295"])
    assert isinstance(options, BatchOptions)
    assert (options.source, options.jobs, options.recursive) == (Path("pictures"), 2, True)
    assert options.retry_failed and options.resume, "who tries again goes on"
    assert options.params == GenerateParams("fast", 2**32 - 1)
    output = options.output
    assert output.is_one_blend and output.path == Path("props.blend").absolute()
    assert (output.columns, output.size, output.catalog) == (3, 0.5, "Props/Oak")
    assert output.result == ResultOptions(1, True, ("a", "b")), "a catalogue is for assets"


def test_batch_into_a_folder_makes_what_kiss3d_batch_makes() -> None:
    options = parse(["batch", "rows.csv", "-o", "out"])
    assert isinstance(options, BatchOptions)
    assert not options.output.is_one_blend and options.output.format == "glb"
    assert options.output.result == ResultOptions() and not options.resume and options.connect is None


def test_generate_takes_what_kiss3d_generate_takes() -> None:
    views = [word for name in "abcd" for word in ("--view", f"{name}.png")]
    options = parse(["generate", "-o", "bust.glb", *views, "--no-redraw", "--write-prompt", "--connect", "workstation"])
    assert isinstance(options, GenerateOptions)
    assert options.picture is None and [view.name for view in options.views] == ["a.png", "b.png", "c.png", "d.png"]
    assert options.params == (GenerateParams(redraw=False, write_prompt=True),) and options.pick is None
    assert options.output.format == "glb" and options.connect == "workstation"
    assert options.output.in_folder().path == Path.cwd()


def test_one_of_several_bundles_is_picked_from_one_job() -> None:
    options = parse(["generate", "a.png", "-o", "a.blend", "--preset", "fast", "--bundles", "4", "--pick", "2"])
    assert isinstance(options, GenerateOptions)
    assert options.params == (GenerateParams("fast", bundles=4, choose=True),) and options.pick == 1
    only = parse(["generate", "a.png", "-o", "a.blend", "--pick", "1"])
    assert isinstance(only, GenerateOptions) and only.params == (GenerateParams(),)


def test_all_of_several_bundles_are_jobs_with_the_seeds_that_follow() -> None:
    options = parse(["generate", "a.png", "-o", "a.blend", "--preset", "fast", "--bundles", "3", "--seed", "7"])
    assert isinstance(options, GenerateOptions) and options.pick is None
    assert options.params == tuple(GenerateParams("fast", 7, bundle_seed=seed) for seed in (7, 8, 9))
    last = parse(f"generate a.png -o a.glb --preset fast --bundles 2 --bundle-seed {2**32 - 1} --pick all".split())
    assert isinstance(last, GenerateOptions)
    assert [params.bundle_seed for params in last.params] == [2**32 - 1, 0], "as the backend counts"


def test_import_by_id_and_by_date() -> None:
    by_id = parse(["import", "--id", "1f", "--id", "2e", "-o", "old.blend", "--server", "tcp://127.0.0.1:1"])
    assert isinstance(by_id, ImportOptions) and by_id.ids == ("1f", "2e") and by_id.connect == "tcp://127.0.0.1:1"
    by_date = parse(["import", "--since", "2026-11-01", "--last", "5", "-o", "old", "--format", "blend"])
    assert isinstance(by_date, ImportOptions) and by_date.output.format == "blend" and by_date.last == 5
    assert by_date.since == datetime(2026, 11, 1).astimezone().timestamp(), "midnight of this computer"
    later = parse(["import", "--since", "2026-11-01T00:00:00+05:00", "-o", "old"])
    assert isinstance(later, ImportOptions) and later.since == datetime.fromisoformat("2026-10-31T19:00Z").timestamp()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("generate a.png -o chair.obj", "neither a .blend nor a .glb"),
        ("generate a.png -o chair.glb --asset", "holds no assets"),
        ("generate a.png -o chair.glb --lods 2", "holds no levels"),
        ("generate a.png -o chair.blend --seed -1", "seed"),
        ("generate a.png -o chair.glb --preset fast --bundles 9", "9 bundles are not"),
        ("generate a.png -o chair.glb --bundles 2", "draws no bundles"),
        ("generate a.png -o chair.glb --preset fast --bundles 2 --pick 3", "no bundle '3'"),
        ("generate a.png -o chair.glb --preset fast --bundles 2 --pick 0", "no bundle '0'"),
        ("generate a.png -o chair.glb --preset fast --bundles 2 --pick best", "no bundle 'best'"),
        ("batch a -o b --texture-size 100", "texture size"),
        ("batch a -o b --jobs 0", "jobs at once"),
        ("batch a -o b.blend --format glb", "one file for all"),
        ("batch a -o b.blend --columns 0", "columns"),
        ("batch a -o b.blend --size 0", "size"),
        ("batch a -o b.blend --size nan", "size"),
        ("batch a -o b.blend --lods 9", "levels of detail"),
        ("batch a -o b --tags oak", "holds no assets"),
        ("import --since yesterday -o b", "no date"),
        ("import --last 0 -o b", "newest 0"),
        ("import --id 1 --last 2 -o b", "by their ids, or"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(line: str, said: str) -> None:
    with pytest.raises(ParamsInvalid, match=said):
        parse(line.split())


@pytest.mark.parametrize(
    "line", ["", "make a.png", "batch a", "batch a -o b --colour red", "batch a -o b --rec", "import -o b --last x"]
)
def test_what_is_no_option_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(line.split())
    assert end.value.code == 2 and "usage: blender --command kiss3d" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["generate", "batch", "import"])
def test_help_says_how_blender_is_called(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([command, "--help"])
    assert end.value.code == 0 and f"blender --command kiss3d {command}" in capsys.readouterr().out

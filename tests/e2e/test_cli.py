"""The ``kiss3d`` command as a user runs it: exit codes, one clear sentence, nothing lost."""

from __future__ import annotations

import http.server
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import psutil
import pytest
import trimesh
import zmq
from PIL import Image
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, BackendProcess

from kiss3d_protocol.errors import ERRORS
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.security import secure_backend


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "KISS3D_DATA_DIR": str(tmp_path / "data"), "PYTHONWARNINGS": "error"}


@pytest.fixture
def kiss3d(environment: dict[str, str]):
    def run(*arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kiss3d_backend", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout, check=False)

    return run


@pytest.fixture
def disc(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "disc.png"
    path.write_bytes(png)
    return path


@pytest.fixture
def backend(tmp_path: Path):
    with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process:
        yield process


def assert_error(result: subprocess.CompletedProcess[str], code: str) -> str:
    """One clear sentence and its remedy, the code's own exit code, no traceback."""
    assert "Traceback" not in result.stderr + result.stdout
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert result.returncode == ERRORS[code].exit_code, result.stderr
    assert errors[0].rstrip().endswith(".")
    return errors[0]


def bomb() -> bytes:
    """A PNG whose header claims 30000 x 30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


BAD_PICTURES = {
    "picture.unreadable": b"I am a text, whatever my name says.",
    "picture.truncated": saved(Image.effect_noise((400, 400), 80).convert("RGB"), "JPEG")[:9000],
    "picture.too_small": saved(Image.new("RGB", (1, 1))),
    "picture.too_large": bomb(),
    "picture.transparent": saved(Image.new("RGBA", (200, 200))),
    "picture.no_object": saved(Image.new("RGB", (200, 200), "white")),
}


class TestBadInput:
    @pytest.mark.parametrize("code", BAD_PICTURES)
    def test_bad_pictures(self, kiss3d, tmp_path: Path, code: str):
        picture, output = tmp_path / "bad.png", tmp_path / "out.glb"
        picture.write_bytes(BAD_PICTURES[code])
        assert_error(kiss3d("generate", picture, "-o", output), code)
        assert not output.exists()

    def test_missing_picture(self, kiss3d, tmp_path: Path):
        error = assert_error(kiss3d("generate", tmp_path / "no.png", "-o", tmp_path / "o.glb"), "picture.missing")
        assert "no.png" in error

    def test_a_directory(self, kiss3d, tmp_path: Path):
        assert_error(kiss3d("generate", tmp_path, "-o", tmp_path / "o.glb"), "picture.is_directory")

    @pytest.mark.parametrize("output", ["missing/folder/o.glb", ".", "o.obj", "disc.png/o.glb"])
    def test_outputs_that_cannot_be(self, kiss3d, disc: Path, tmp_path: Path, output: str):
        assert_error(kiss3d("generate", disc, "-o", tmp_path / output), "output.unwritable")

    def test_an_output_without_permission(self, kiss3d, disc: Path):
        if os.name != "posix":
            pytest.skip("/proc is a folder that nobody may write to on Linux only")
        assert_error(kiss3d("generate", disc, "-o", "/proc/o.glb"), "output.unwritable")

    def test_a_failed_job_keeps_the_old_output(self, kiss3d, tmp_path: Path):
        picture, output = tmp_path / "bad.png", tmp_path / "out.glb"
        picture.write_bytes(BAD_PICTURES["picture.no_object"])
        output.write_bytes(b"precious")
        assert_error(kiss3d("generate", picture, "-o", output), "picture.no_object")
        assert output.read_bytes() == b"precious"
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_presets(self, kiss3d, disc: Path, tmp_path: Path):
        unknown = kiss3d("generate", disc, "-o", tmp_path / "o.glb", "--preset", "draught")
        assert "draft, fast, balanced, quality" in assert_error(unknown, "params.preset_unknown")
        later = kiss3d("generate", disc, "-o", tmp_path / "o.glb", "--preset", "quality")
        assert "kiss3d models pull quality" in assert_error(later, "model.missing")

    def test_seed(self, kiss3d, disc: Path, tmp_path: Path):
        assert_error(kiss3d("generate", disc, "-o", tmp_path / "o.glb", "--seed", "-1"), "params.invalid")

    def test_json_errors(self, kiss3d, tmp_path: Path):
        result = kiss3d("generate", tmp_path / "no.png", "-o", tmp_path / "o.glb", "--json")
        told = json.loads(result.stdout)
        assert (told["code"], result.returncode) == ("picture.missing", 10)
        assert told["remedy"]


class TestAddresses:
    def generate(self, kiss3d, disc: Path, address: str) -> subprocess.CompletedProcess[str]:
        return kiss3d("generate", disc, "-o", disc.parent / "o.glb", "--connect", address)

    @pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:80", "tcp://127.0.0.1:99999", "tcp://:1"])
    def test_not_an_address(self, kiss3d, disc: Path, address: str):
        assert_error(self.generate(kiss3d, disc, address), "connect.address_invalid")

    def test_nobody_there(self, kiss3d, disc: Path):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        error = assert_error(self.generate(kiss3d, disc, f"tcp://127.0.0.1:{port}"), "connect.unreachable")
        assert "kiss3d serve" in error

    def test_a_web_server(self, kiss3d, disc: Path):
        class Quiet(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            result = self.generate(kiss3d, disc, f"tcp://127.0.0.1:{server.server_port}")
            server.shutdown()
        assert "web server" in assert_error(result, "connect.not_a_backend")

    @pytest.mark.parametrize(
        ("encrypted", "answer", "code"),
        [
            (True, [b"K3D2", b"\x80"], "protocol.version"),
            (True, None, "connect.key_refused"),
            (False, [b"hello"], "connect.not_a_backend"),
        ],
        ids=["another version", "silent", "another program"],
    )
    def test_other_zeromq_programs(self, kiss3d, disc: Path, encrypted: bool, answer: list[bytes] | None, code: str):
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.setsockopt(zmq.LINGER, 0)
            if encrypted:
                secure_backend(router, backend_keys().backend)
                router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
            port = router.bind_to_random_port("tcp://127.0.0.1")
            stop = threading.Event()

            def play() -> None:
                while not stop.is_set():
                    if router.poll(50):
                        identity, *_ = router.recv_multipart()
                        if answer is not None:
                            router.send_multipart([identity, *answer])

            player = threading.Thread(target=play)
            player.start()
            try:
                result = self.generate(kiss3d, disc, f"tcp://127.0.0.1:{port}")
            finally:
                stop.set()
                player.join()
        assert_error(result, code)


class TestJobsThatFail:
    def start(self, kiss3d, disc: Path, backend: BackendProcess, seed: int) -> subprocess.CompletedProcess[str]:
        output = disc.parent / "out.glb"
        return kiss3d("generate", disc, "-o", output, "--connect", backend.address, "--seed", seed)

    @pytest.mark.parametrize(
        ("seed", "code"),
        [
            (recipes.EXIT, "job.interrupted"),
            (recipes.NO_MEMORY, "job.out_of_memory"),
            (recipes.BROKEN, "job.stage_failed"),
        ],
    )
    def test_the_next_job_runs(self, kiss3d, disc: Path, backend: BackendProcess, seed: int, code: str):
        assert_error(self.start(kiss3d, disc, backend, seed), code)
        assert self.start(kiss3d, disc, backend, recipes.QUICK).returncode == 0
        assert trimesh.load(disc.parent / "out.glb", force="mesh").is_watertight

    def test_ctrl_c_cancels(self, kiss3d, disc: Path, backend: BackendProcess, environment: dict[str, str]):
        command = [sys.executable, "-m", "kiss3d_backend", "generate", str(disc), "-o", str(disc.parent / "o.glb")]
        report = disc.parent / "report.json"
        command += ["--connect", backend.address, "--seed", str(recipes.SLOW), "--report", str(report)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stderr is not None
        for line in process.stderr:
            if "Misbehaving" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        (job,) = json.loads(kiss3d("jobs", "--connect", backend.address, "--json").stdout)
        assert job["state"] == "cancelled"
        told = json.loads(report.read_text(encoding="utf-8"))
        assert told["job"]["state"] == "cancelled" and not told["run"]["stages"][0]["completed"]

    def test_ctrl_c_in_a_terminal_reaches_every_process_and_all_end(self, tmp_path: Path, environment: dict[str, str]):
        picture = tmp_path / "big.png"
        Image.effect_noise((1500, 1500), 90).convert("RGB").save(picture)
        command = [sys.executable, "-m", "kiss3d_backend", "generate", str(picture), "-o", str(tmp_path / "o.glb")]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "Removing the background" in line:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert "Cancelling" in errors
        assert not psutil.wait_procs(children, timeout=10)[1]

    def test_a_private_backend_that_dies_is_noticed(self, tmp_path: Path, environment: dict[str, str]):
        picture = tmp_path / "big.png"
        Image.effect_noise((1500, 1500), 90).convert("RGB").save(picture)
        command = [sys.executable, "-m", "kiss3d_backend", "generate", str(picture), "-o", str(tmp_path / "o.glb")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stderr is not None
        for line in process.stderr:
            if "Removing the background" in line:
                break
        (broker,) = psutil.Process(process.pid).children()
        broker.kill()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == ERRORS["connect.lost"].exit_code, errors
        assert "Traceback" not in errors

    def test_kill_9_of_the_command_ends_its_private_backend(self, disc: Path, environment: dict[str, str]):
        command = [sys.executable, "-m", "kiss3d_backend", "generate", str(disc), "-o", str(disc.parent / "o.glb")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        children: list[psutil.Process] = []
        while not children:
            children = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.01)
        process.kill()
        process.communicate()
        _gone, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


class TestReports:
    def test_jobs_of_a_backend_and_of_the_disk(self, kiss3d, disc: Path, backend: BackendProcess, tmp_path: Path):
        assert json.loads(kiss3d("jobs", "--json").stdout) == []
        result = kiss3d("generate", disc, "-o", tmp_path / "o.glb", "--connect", backend.address, "--json")
        job = json.loads(result.stdout.splitlines()[-1])["job"]
        for where in ((), ("--connect", backend.address)):
            (found,) = json.loads(kiss3d("jobs", "--json", *where).stdout)
            assert (found["job"], found["state"], found["name"]) == (job, "finished", "disc.png")
        assert job[:8] in kiss3d("jobs").stdout
        again = tmp_path / "again.glb"
        got = kiss3d("jobs", "get", job[:8], "-o", again, "--connect", backend.address)
        assert (got.returncode, got.stdout) == (0, f"{again}: 4 vertices, 4 triangles\n")
        assert again.read_bytes() == (tmp_path / "o.glb").read_bytes()

    def test_the_report_of_a_job(self, kiss3d, disc: Path, backend: BackendProcess, tmp_path: Path):
        page, data = tmp_path / "now.html", tmp_path / "later.json"
        where = ("--connect", backend.address)
        command = ("generate", disc, "-o", tmp_path / "o.glb", "--json", "--report", page, *where)
        job = json.loads(kiss3d(*command).stdout.splitlines()[-1])["job"]
        assert "Misbehaving" in page.read_text(encoding="utf-8")
        assert kiss3d("jobs", "report", job[:8], "-o", data, *where).returncode == 0
        on_disk = kiss3d("jobs", "report", job, "--json")
        assert json.loads(on_disk.stdout) == json.loads(data.read_text(encoding="utf-8"))
        assert json.loads(on_disk.stdout)["job"]["id"] == job
        kinds = [picture["kind"] for picture in json.loads(on_disk.stdout)["run"]["pictures"]]
        assert kinds == ["turntable", "turntable"]
        assert_error(kiss3d("jobs", "report", "ffffffff", *where), "job.unknown")
        assert_error(kiss3d("jobs", "report", job, "-o", tmp_path / "no.txt"), "output.unwritable")

        failed = kiss3d("generate", disc, "-o", tmp_path / "f.glb", "--seed", recipes.EXIT, "--report", data, *where)
        assert_error(failed, "job.interrupted")
        told = json.loads(data.read_text(encoding="utf-8"))
        assert (told["job"]["state"], told["error"]["code"]) == ("failed", "job.interrupted")
        assert [(stage["stage"], stage["completed"]) for stage in told["run"]["stages"]] == [("misbehave", False)]

    def test_doctor(self, kiss3d):
        result = kiss3d("doctor", "--json")
        told = json.loads(result.stdout)
        assert {each["verdict"] for each in told["findings"]} <= {"ok", "note", "warning"}
        found = [each["code"] for each in told["findings"] if each["verdict"] == "warning"]
        assert result.returncode == (3 if found else 0)
        assert not any(code.startswith(("preset.", "model.")) for code in found), "nobody has begun to get models"
        assert all(each["code"] and each["remedy"] for each in told["findings"] if each["verdict"] != "ok")
        assert told["machine"]["ram_total"] > 0 and told["machine"]["attention"][-1:] in ([], ["math"])
        assert told["seconds"]["probe"] > 0
        subjects = {finding["subject"] for finding in told["findings"]}
        assert {"Kiss3D", "Python", "Libraries", "Torch", "Device", "Memory", "Disk", "Data directory"} <= subjects
        assert [preset["name"] for preset in told["presets"] if preset["offered"]] == ["draft"]

    def test_doctor_names_a_data_directory_that_cannot_be(self, kiss3d, disc: Path):
        result = kiss3d("doctor", "--data-dir", disc / "data")
        assert result.returncode == 1
        (broken,) = [line for line in result.stdout.splitlines() if line.startswith(" error")]
        assert "Data directory" in broken and "--data-dir" in " ".join(result.stdout.split())

    def test_version(self, kiss3d):
        assert kiss3d("--version").stdout.startswith("kiss3d 0.1.0")

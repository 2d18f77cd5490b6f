"""The exact frames of the samples as text. A wanted change of the wire: ``python -m tests.protocol.golden``."""

from __future__ import annotations

from pathlib import Path

from tests.protocol.samples import client_samples, server_samples

from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import TAGS

GOLDEN = Path(__file__).with_name("golden_frames.txt")
_WIDTH = 100


def golden_text() -> str:
    """Each message's type, then its frames in hex, each with its length."""
    lines: list[str] = []
    for message, blobs in [*client_samples(), *server_samples()]:
        lines.append(TAGS[type(message)])
        for number, frame in enumerate(encode(message, blobs)):
            text = bytes(frame).hex()
            lines.append(f"  frame {number}, {len(frame)} bytes")
            lines += [f"    {text[start : start + _WIDTH]}" for start in range(0, len(text), _WIDTH)]
    return "\n".join(lines) + "\n"


def golden_frames(path: Path = GOLDEN) -> dict[str, list[bytes]]:
    """The frames in a file, by type."""
    found: dict[str, list[bytes]] = {}
    frames: list[bytes] = []
    for line in path.read_text(encoding="ascii").splitlines():
        if not line.startswith(" "):
            frames = found[line] = []
        elif line.startswith("    "):
            frames[-1] += bytes.fromhex(line)
        else:
            frames.append(b"")
    return found


if __name__ == "__main__":
    GOLDEN.write_text(golden_text(), encoding="ascii", newline="\n")

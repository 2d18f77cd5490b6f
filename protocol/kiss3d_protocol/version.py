"""The version of the wire (SPEC.md), which is not the version of any package."""

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 4
PROTOCOL_VERSION = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"

DEFAULT_PORT = 47800
DEFAULT_ADDRESS = f"tcp://127.0.0.1:{DEFAULT_PORT}"
HEARTBEAT_SECONDS = 2.0


def major_of(version: str) -> int | None:
    """The major number of ``"MAJOR.MINOR"``, or None when it is no such text."""
    major, _, minor = version.partition(".")
    return int(major) if major.isascii() and major.isdigit() and minor[:1].isdigit() else None


def minor_of(version: str) -> int:
    """The minor number of ``"MAJOR.MINOR"``, or 0 when it is no such text."""
    minor = version.partition(".")[2].partition(".")[0]
    return int(minor) if minor.isascii() and minor.isdigit() else 0

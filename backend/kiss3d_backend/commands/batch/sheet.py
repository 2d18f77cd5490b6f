"""``index.html``: all results of a batch as one page of pictures, and what has failed, with the reason."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from kiss3d_backend.commands.files import write_atomically
from kiss3d_protocol.batch.manifest import Entry

SHEET = "index.html"
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #8886; border-radius: .5rem; padding: .5rem; overflow-wrap: anywhere; }
img { width: 100%; height: auto; border-radius: .25rem; }
.failed { border-color: #b3261e; }
small { opacity: .75; }
"""


def write_sheet(folder: Path, entries: Sequence[Entry]) -> None:
    """Writes the page; pictures and meshes are links into the folder. Raises :class:`OutputUnwritable`."""
    made = sum(entry.state == "finished" for entry in entries)
    cells = "\n".join(_cell(entry) for entry in entries)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Kiss3D batch</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{made} of {len(entries)} made</h1>\n<main>\n{cells}\n</main>\n</body>\n</html>\n"
    )
    write_atomically(folder / SHEET, page.encode)


def _cell(entry: Entry) -> str:
    name = html.escape(entry.name)
    if entry.state == "finished":
        about = f"{entry.triangles or 0:,} triangles, {entry.seconds or 0:.1f} s"
        picture = f'<img loading="lazy" src="{quote(entry.picture)}" alt="{name}">'
        return (
            f'<figure><a href="{quote(entry.output)}">{picture}</a>'
            f"<figcaption>{name}<br><small>{about}</small></figcaption></figure>"
        )
    said = html.escape(f"{entry.error.get('message', entry.state)} {entry.error.get('remedy', '')}".strip())
    code = html.escape(entry.error.get("code", ""))
    return f'<figure class="failed"><figcaption>{name}<br>{said}<br><small>{code}</small></figcaption></figure>'

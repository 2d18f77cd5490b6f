"""Drags files over the window of another program and drops them: ``drag_files.py X Y FILE...``, pixels of the screen.

The source's side of the XDND protocol, version 5 (freedesktop.org), for the one window that takes drops; it runs under
the Debian folder's Python, against libX11.
"""

import ctypes
import sys
import time
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from pathlib import Path

CLIENT_MESSAGE, SELECTION_REQUEST, SELECTION_NOTIFY = 33, 30, 31
VERSION, SECONDS = 5, 20.0


class Event(ctypes.Structure):
    """XClientMessageEvent; the ``longs`` behind ``window`` are those of the other events too."""

    _fields_ = (
        *(("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p), ("window", c_ulong)),
        *(("message_type", c_ulong), ("format", c_int), ("data", c_long * 5), ("rest", c_long * 14)),
    )


class Selection(ctypes.Structure):
    """XSelectionRequestEvent, and without its ``owner`` XSelectionEvent."""

    _fields_ = (
        *(("type", c_int), ("serial", c_ulong), ("send_event", c_int), ("display", c_void_p), ("owner", c_ulong)),
        *(("requestor", c_ulong), ("selection", c_ulong), ("target", c_ulong), ("property", c_ulong)),
        *(("time", c_ulong), ("rest", c_long * 14)),
    )


x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype = c_void_p
for name in ("XDefaultRootWindow", "XInternAtom", "XCreateSimpleWindow"):
    getattr(x11, name).restype = c_ulong
display = c_void_p(x11.XOpenDisplay(c_char_p(None)))
root = c_ulong(x11.XDefaultRootWindow(display))
mine = x11.XCreateSimpleWindow(display, root, 0, 0, c_uint(1), c_uint(1), c_uint(0), c_ulong(0), c_ulong(0))


def atom(name):
    return x11.XInternAtom(display, name.encode(), 0)


URIS, COPY = atom("text/uri-list"), atom("XdndActionCopy")


def window_that_takes_drops():
    """The first window of the screen, or in one of those, with XdndAware."""
    waiting = [root.value]
    while waiting:
        window = waiting.pop(0)
        kind, form, count, left, data = c_ulong(), c_int(), c_ulong(), c_ulong(), c_void_p()
        found = (byref(kind), byref(form), byref(count), byref(left), byref(data))
        aware = c_ulong(atom("XdndAware"))
        x11.XGetWindowProperty(display, c_ulong(window), aware, c_long(0), c_long(1), 0, c_ulong(0), *found)
        if count.value or left.value:
            return window
        parent, number, children = c_ulong(), c_uint(), ctypes.POINTER(c_ulong)()
        x11.XQueryTree(display, c_ulong(window), byref(parent), byref(parent), byref(children), byref(number))
        waiting += children[: number.value]
    raise SystemExit("no window takes drops")


def send(window, message, *values):
    event = Event(CLIENT_MESSAGE, 0, 1, display, window, atom(message), 32, (c_long * 5)(mine, *values))
    x11.XSendEvent(display, c_ulong(window), 0, c_long(0), byref(event))
    x11.XFlush(display)


def answer(uris, until):
    """Gives the files to whoever asks for them, until a client message ``until`` comes; its data."""
    end, event = time.monotonic() + SECONDS, Event()
    while time.monotonic() < end:
        if not x11.XPending(display):
            time.sleep(0.01)
            continue
        x11.XNextEvent(display, byref(event))
        if event.type == CLIENT_MESSAGE and event.message_type == atom(until):
            return list(event.data)
        if event.type == SELECTION_REQUEST:
            asked = ctypes.cast(byref(event), ctypes.POINTER(Selection)).contents
            place = (display, c_ulong(asked.requestor), c_ulong(asked.property), c_ulong(asked.target))
            x11.XChangeProperty(*place, 8, 0, c_char_p(uris), len(uris))
            said = (asked.requestor, asked.selection, asked.target, asked.property, asked.time)
            notify = Selection(SELECTION_NOTIFY, 0, 1, display, *said)
            x11.XSendEvent(display, c_ulong(asked.requestor), 0, c_long(0), byref(notify))
            x11.XFlush(display)
    raise SystemExit(f"no {until} came")


x, y = int(sys.argv[1]), int(sys.argv[2])
uris = "".join(f"{Path(name).as_uri()}\r\n" for name in sys.argv[3:]).encode()
target = window_that_takes_drops()
x11.XSetSelectionOwner(display, c_ulong(atom("XdndSelection")), c_ulong(mine), c_ulong(0))
send(target, "XdndEnter", VERSION << 24, URIS, 0, 0)
for step in (12, 8, 4, 0):
    send(target, "XdndPosition", 0, (x - step) << 16 | y, 0, COPY)
    accepted = answer(uris, "XdndStatus")[1] & 1
if not accepted:
    raise SystemExit("the window does not take them there")
send(target, "XdndDrop", 0, 0, 0, 0)
answer(uris, "XdndFinished")

"""Watches an X display, $DISPLAY, for what its usual tools do not tell.

    x_tools.py bells     prints "ready", then a line for each bell (XKB, XkbBellNotify)
    x_tools.py pointer   prints where the pointer is (of use where xdotool needs extensions that a server lacks)
    x_tools.py cursor    prints how many pixels of the pointer that is shown now are red (XFixes)
"""

import ctypes
import sys

X11 = ctypes.CDLL("libX11.so.6")
X11.XOpenDisplay.restype = ctypes.c_void_p


class Cursor(ctypes.Structure):
    """XFixesCursorImage; its pixels are of type long, with alpha multiplied into them."""

    _fields_ = [("x", ctypes.c_short), ("y", ctypes.c_short), ("width", ctypes.c_ushort), ("height", ctypes.c_ushort),
                ("xhot", ctypes.c_ushort), ("yhot", ctypes.c_ushort), ("serial", ctypes.c_ulong),
                ("pixels", ctypes.POINTER(ctypes.c_ulong))]


def bells(display):
    core_keyboard, bell_notify = 0x100, 1 << 8
    if not X11.XkbQueryExtension(display, *(ctypes.byref(ctypes.c_int()) for _ in range(5))):
        raise SystemExit("no XKB")
    X11.XkbSelectEvents(display, core_keyboard, bell_notify, bell_notify)
    event = ctypes.create_string_buffer(256)
    print("ready", flush=True)
    while True:
        X11.XNextEvent(display, event)
        print("bell", flush=True)


def cursor(display):
    fixes = ctypes.CDLL("libXfixes.so.3")
    fixes.XFixesGetCursorImage.restype = ctypes.POINTER(Cursor)
    fixes.XFixesQueryExtension(display, ctypes.byref(ctypes.c_int()), ctypes.byref(ctypes.c_int()))
    image = fixes.XFixesGetCursorImage(display).contents
    count = image.width * image.height
    red = [image.pixels[at] & 0xffffff for at in range(count)]
    print(sum(pixel >> 16 > 247 and pixel >> 8 & 0xff < 8 and pixel & 0xff < 8 for pixel in red))


def pointer(display):
    number = [ctypes.c_int() for _ in range(4)]
    window = [ctypes.c_ulong(), ctypes.c_ulong()]
    X11.XQueryPointer(display, X11.XDefaultRootWindow(display), *map(ctypes.byref, window), *map(ctypes.byref, number),
                      ctypes.byref(ctypes.c_uint()))
    print(number[0].value, number[1].value)


{"bells": bells, "pointer": pointer, "cursor": cursor}[sys.argv[1]](ctypes.c_void_p(X11.XOpenDisplay(None)))

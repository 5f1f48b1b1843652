"""A guest's X display through the daemon: Xvnc, twm and an xterm, connected by `xenvnc guest`, in the viewer that watched the
guest's console before."""

import struct
import time

import lab as lab_module
from suite import Failure, check, check_equal, step

CONSOLE = (640, 400)
X = (800, 600)


def until_size(viewer, size, what, seconds=lab_module.BOOT_SECONDS):
    """Reads updates until the screen has this size and a whole picture of it has come."""
    deadline = time.monotonic() + seconds
    while (viewer.width, viewer.height) != size:
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}; the screen is {viewer.width}x{viewer.height}")
        viewer.request()
        viewer.update()
    viewer.refresh()


def point(viewer, x, y):
    viewer.socket.sendall(struct.pack(">BBHH", 5, 0, x, y))


def types_into_xterm(lab, viewer, name):
    # twm gives the keyboard to the window under the pointer; the first window is near the upper left corner.
    point(viewer, 250, 200)
    time.sleep(1)
    viewer.type(f"touch /tmp/{name}\n")
    lab.until(f"{lab_module.IN_GUEST} test -e /tmp/{name}", f"what was typed into the xterm ({name})", 60, 1)


def shows_x(lab, way):
    lab.destroy_all()
    lab.x = lab.create_x(way)
    viewer = lab.view(int(lab.console(lab.x, "vnc-port")))
    check_equal((viewer.width, viewer.height), CONSOLE, "the screen before X")
    viewer.png(lab.artifacts / f"x-{way}-before.png")
    until_size(viewer, X, "X in the viewer that watched the console")
    lab.until_x()
    types_into_xterm(lab, viewer, f"typed-{way}")
    viewer.refresh()
    viewer.png(lab.artifacts / f"x-{way}-during.png")
    check(viewer.colours() > 2, "the X screen is empty")
    displays = lab.listed("name", "x")["displays"]
    check(any(way in str(display) for display in displays), f"xenvnc list says {displays}")
    lab.xenvnc("switch x 1")
    until_size(viewer, CONSOLE, "the console after a switch", 60)
    viewer.png(lab.artifacts / f"x-{way}-console.png")
    lab.xenvnc("switch x 7")
    until_size(viewer, X, "X after a switch back", 60)
    # X dies: the viewer is on the console again, until xenvnc guest has started another.
    lab.guest("pkill -9 Xvnc || pkill -9 Xtigervnc")
    until_size(viewer, CONSOLE, "the console after the end of X", 60)
    until_size(viewer, X, "X that was started again", 120)
    viewer.png(lab.artifacts / f"x-{way}-after.png")
    lab.close_viewers()


@step("the guest's X comes to the viewer that watches its console, by vchan, and goes, and comes back")
def by_vchan(lab):
    lab.stop_daemon()
    lab.start_daemon()
    shows_x(lab, "vchan")


@step("xl destroy while the display is connected by vchan leaves no zombie", needs=[by_vchan])
def destroyed(lab):
    viewer = lab.view(int(lab.console(lab.x, "vnc-port")))
    until_size(viewer, X, "X for a new viewer", 60)
    lab.run("xl destroy x", timeout=60)
    lab.until("! xl list | grep -q null && [ $(xl list | wc -l) -eq 2 ]", "the domain to go", 30, 0.5)
    lab.close_viewers()


@step("the guest's X comes by TCP with a token as well", needs=[by_vchan])
def by_tcp(lab):
    shows_x(lab, "tcp")
    lab.destroy_all()

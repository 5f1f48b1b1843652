"""A guest's X display through the daemon: Xvnc, twm and an xterm, connected by `xenvnc guest` by every way that needs Xen or its
network, in the viewer that watched the guest's console before. What is killed on the way comes back."""

import contextlib
import struct
import threading
import time

import lab as lab_module
import rfb
from suite import Failure, check, check_equal, step

CONSOLE = (640, 400)
X = (800, 600)
# How long anything may take here on a busy machine: the guest boots, and Xvnc and its programs start.
SECONDS = 300
# As /lab/init starts it; a new agent finds the X of one that was killed.
AGENT = ("env RUST_LOG=xenvnc=debug xenvnc guest --xvnc --geometry 800x600 --via {} -- "
         "sh -c 'xterm -geometry 80x24 & exec twm -f /tmp/twmrc'")
IN_X = "DISPLAY=:0 XAUTHORITY=/run/xenvnc/display-0.auth"


def until(viewer, condition, what, seconds):
    """Reads updates until what the viewer has seen is so."""
    deadline = time.monotonic() + seconds
    try:
        while not condition():
            left = deadline - time.monotonic()
            check(left > 0, f"not within {seconds} s: {what}; the screen is {viewer.width}x{viewer.height}")
            viewer.socket.settimeout(max(left, rfb.TIMEOUT_SECONDS))
            viewer.request()
            viewer.update()
    finally:
        viewer.socket.settimeout(rfb.TIMEOUT_SECONDS)


def until_size(viewer, size, what):
    """Reads updates until the screen has this size and a whole picture of it has come."""
    until(viewer, lambda: (viewer.width, viewer.height) == size, what, SECONDS)
    viewer.refresh()


def until_drawn(viewer):
    """Reads updates until the xterm is to be seen: 80x24 characters of black on white, on a black screen."""
    until(viewer, lambda: viewer.pixels.count(0xFF) > 3 * 100_000, "the xterm's picture", SECONDS)


@contextlib.contextmanager
def meanwhile(run, *arguments):
    """Runs something beside a viewer that reads: what is seen for a moment only is not missed while a command is awaited."""
    failures = []

    def catch():
        try:
            run(*arguments)
        except Failure as failure:
            failures.append(failure)

    thread = threading.Thread(target=catch)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


def await_display(lab, number, origin, state):
    """Waits until a display of the guest has come in this way and is in this state."""
    seen = []

    def look():
        seen[:] = (lab.listed("domid", lab.x) or {}).get("displays", [])
        return any(
            each["display"] == number and origin in each["origin"] and each["state"].startswith(state) for each in seen
        )

    try:
        lab.wait_for(look, f"display {number} by {origin}, {state}", pause=1)
    except Failure as failure:
        raise Failure(f"{failure}, but {seen}") from failure


def types_into_xterm(lab, viewer, name):
    """Empties the xterm and fills it with numbers: what is typed arrives, and the answers are in the picture."""
    until_drawn(viewer)
    # The keyboard is for the window under the pointer; the first window is near the upper left corner.
    viewer.socket.sendall(struct.pack(">BBHH", 5, 0, 250, 200))
    time.sleep(1)
    viewer.type("clear\n")
    # An empty one has 152 000 white pixels, one full of digits about 20 000 less.
    until(viewer, lambda: viewer.pixels.count(0xFF) > 3 * 145_000, "an empty xterm", SECONDS)
    viewer.type(f"echo {{100..599}}; touch /tmp/{name}\n")
    until(viewer, lambda: viewer.pixels.count(0xFF) < 3 * 145_000, "an xterm full of numbers", SECONDS)
    lab.until(f"{lab_module.IN_GUEST} test -e /tmp/{name}", f"what was typed into the xterm ({name})", pause=1)
    check_numbers(viewer)


def check_numbers(viewer):
    """The xterm has come to rest: what came in pieces is what a whole picture shows, and each line of numbers is there once."""
    viewer.rest(3)
    shown = bytes(viewer.pixels)
    viewer.refresh()
    differing = [y for y in range(viewer.height)
                 if viewer.line(0, y, viewer.width) != shown[y * viewer.width * 4 : (y + 1) * viewer.width * 4]]
    check(not differing, f"lines of pixels that are wrong after changes: {differing}")
    # 24 lines of text of 13 pixels, above 2 pixels of white, which nothing else on this screen has below it.
    blank = b"\xff\xff\xff\0" * 480
    bottom = max((y for y in range(viewer.height) if blank in viewer.line(0, y, viewer.width)), default=None)
    check(bottom is not None, "there is no xterm")
    left, top = viewer.line(0, bottom, viewer.width).index(blank) // 4 + 2, bottom - 1 - 24 * 13
    lines = [b"".join(viewer.line(left, top + row * 13 + line, 480) for line in range(13)) for row in range(24)]
    twice = [row for row in range(24) if lines[row] in lines[:row]]
    check(not twice, f"lines of the xterm that are there twice: {twice}")


def end_agent(lab, signal):
    """Ends `xenvnc guest`; its X stays when it is killed, or when it is not of its making."""
    lab.guest(f"pkill -{signal} -x xenvnc; while pgrep -x xenvnc; do sleep 0.1; done")


@step("the guest's X comes to the viewer that watches its console, by vchan")
def by_vchan(lab):
    lab.stop_daemon()
    lab.destroy_all()
    lab.start_daemon()
    lab.x = lab.create_x("vchan")
    lab.port = int(lab.console(lab.x, "vnc-port"))
    viewer = lab.viewer = lab.view(lab.port)
    check_equal((viewer.width, viewer.height), CONSOLE, "the screen before X")
    lab.until_history("x", "lab: guest ready", lab_module.BOOT_SECONDS)
    viewer.refresh()
    viewer.png(lab.artifacts / "x-vchan-before.png")
    until_size(viewer, X, "X in the viewer that watched the console")
    lab.until_x()
    types_into_xterm(lab, viewer, "typed-vchan")
    viewer.png(lab.artifacts / "x-vchan-during.png")
    await_display(lab, 0, "vchan", "connected")
    lab.xenvnc("switch x 1")
    until_size(viewer, CONSOLE, "the console after a switch")
    viewer.png(lab.artifacts / "x-vchan-console.png")
    lab.xenvnc("switch x 7")
    until_size(viewer, X, "X after a switch back")


@step("X is killed: its viewer is on the console until xenvnc guest has started another", needs=[by_vchan])
def x_killed(lab):
    with meanwhile(lab.guest, "pkill -9 Xvnc || pkill -9 Xtigervnc"):
        until_size(lab.viewer, CONSOLE, "the console after the end of X")
    until_size(lab.viewer, X, "X that was started again")
    types_into_xterm(lab, lab.viewer, "typed-again")
    lab.viewer.png(lab.artifacts / "x-vchan-after.png")


@step("either end of the vchan is killed: the display is lost and found again", needs=[x_killed])
def ends_killed(lab):
    # The guest's end. Its nodes stay behind and prove nothing.
    with meanwhile(end_agent, lab, "KILL"):
        until_size(lab.viewer, CONSOLE, "the console after the end of xenvnc guest")
    await_display(lab, 0, "vchan", "not reached")
    check(lab.read(f"/local/domain/{lab.x}/data/xenvnc/display/0/ring-ref"), "a killed server's nodes are gone")
    check_equal(lab.listed("domid", lab.x)["vt"], 1, "the VT without a display")
    lab.guest_starts(AGENT.format("vchan"))
    until_size(lab.viewer, X, "X by the next xenvnc guest")
    # dom0's end: the daemon that is started for it finds the guest's next offer.
    lab.run("old=$(cat /run/xenvnc/daemon.pid); kill -9 $old; "
            f"until [ \"$(cat /run/xenvnc/daemon.pid 2>/dev/null)\" != $old ] && nc -z 127.0.0.1 {lab.port}; do sleep 0.1; done")
    lab.close_viewers()
    lab.viewer = lab.view(lab.port)
    until_size(lab.viewer, X, "X after a kill of the daemon")
    until_drawn(lab.viewer)


@step("a guest's display by TCP shows its token, once", needs=[ends_killed])
def by_tcp(lab):
    token = f"/local/domain/{lab.x}/xenvnc/token"
    with meanwhile(end_agent, lab, "TERM"):
        until_size(lab.viewer, CONSOLE, "the console after the end of xenvnc guest")
    first = lab.read(token)
    listed = lab.run(f"xenstore-ls -fp /local/domain/{lab.x}/xenvnc")
    for node in ("reverse-address", "token"):
        line = next(line for line in listed.splitlines() if f"/{node} = " in line)
        check(line.endswith(f"(n0,r{lab.x})"), f"{node} can be read by others: {line}")
    lab.guest_starts(AGENT.format("tcp"))
    until_size(lab.viewer, X, "X by TCP")
    types_into_xterm(lab, lab.viewer, "typed-tcp")
    await_display(lab, 0, "reverse TCP 10.9.0.2:", "connected")
    check(any("(token)" in each["origin"] for each in lab.listed("domid", lab.x)["displays"]), "not by its token")
    lab.until(f'[ "$(xenstore-read {token})" != {first} ]', "another token")
    check(first not in lab.run(f"cat {lab_module.LOG}"), "a token is in the log")
    with meanwhile(end_agent, lab, "TERM"):
        until_size(lab.viewer, CONSOLE, "the console after the end of the connection by TCP")
    await_display(lab, 0, "reverse TCP", "ended")


@step("a guest's display over a trusted bridge, as an installer connects it", needs=[by_tcp])
def by_bridge(lab):
    lab.guest(f"{IN_X} vncconfig -connect 10.9.0.1")
    until_size(lab.viewer, X, "X over the bridge")
    await_display(lab, 0, "(trusted bridge)", "connected")
    with meanwhile(lab.guest, f"{IN_X} vncconfig -disconnect"):
        until_size(lab.viewer, CONSOLE, "the console after the end of the connection over the bridge")
    # A bridge that knows it by another address does not know it.
    mac = lab.read(f"/libxl/{lab.x}/device/vif/0/mac")
    lab.run(f"xenstore-write /libxl/{lab.x}/device/vif/0/mac 00:16:3e:99:99:99")
    lab.guest(f"{IN_X} vncconfig -connect 10.9.0.1", check_status=False)
    lab.until(f"grep -q 'no domain has the MAC address' {lab_module.LOG}", "the refusal in the log")
    lab.viewer.refresh()
    check_equal((lab.viewer.width, lab.viewer.height), CONSOLE, "the screen of a guest that the bridge does not know")
    lab.run(f"xenstore-write /libxl/{lab.x}/device/vif/0/mac {mac}")

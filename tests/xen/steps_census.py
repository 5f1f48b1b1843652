"""A build with the cargo feature xenctrl, which asks the hypervisor: paused, shut down, crashed, gone."""

import os
import pathlib
import re
import subprocess

from lab import LAB, LOG, ROOT, XENVNC
from suite import Failure, Skip, check, check_equal, step

HEADER = pathlib.Path("/usr/include/xenctrl.h")
LIBRARY = "libxenctrl.so.4.17"
DEFAULT_BUILD = "/root/xenvnc.default"
ASKS = "the hypervisor says how domains are"
# Unoptimised: what it depends on has been built for the tests, and it must not take the place of a release.
BUILD = ("cargo", "build", "--locked", "--features", "xenctrl")
CANNOT_ASK = "the hypervisor cannot be asked how domains are"


def build():
    """The program with the feature."""
    if not HEADER.exists():
        raise Skip(f"{HEADER} is not there (scripts/setup installs libxen-dev)")
    done = subprocess.run(BUILD, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        raise Failure("it does not build: " + done.stdout.decode(errors="replace")[-3000:])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "debug" / "xenvnc"


def install(lab, program):
    """Puts the program in the place of the default build; it must have been built for the lab's Xen."""
    stage = lab.artifacts / "xenctrl"
    stage.mkdir(exist_ok=True)
    subprocess.run(["strip", "-o", stage / "xenvnc.xenctrl", program], check=True)
    needed = subprocess.run(["readelf", "-d", stage / "xenvnc.xenctrl"], stdout=subprocess.PIPE, check=True).stdout.decode()
    library = re.search(r"libxenctrl\.so[.\d]*", needed)
    check(library, "it is not linked with libxenctrl")
    if library[0] != LIBRARY:
        raise Skip(f"this machine's libxen-dev is for another Xen release: {library[0]}, and the lab has {LIBRARY}")
    subprocess.run([LAB / "copy", stage / "xenvnc.xenctrl", "/root"], check=True)
    (stage / "xenvnc.xenctrl").unlink()
    stage.rmdir()
    # Moved, not copied: the file of a running program cannot be written to.
    lab.run(f"mv {XENVNC} {DEFAULT_BUILD}; mv /root/xenvnc.xenctrl {XENVNC}")


def restart(lab):
    """Starts the daemon anew and gives what it logged since."""
    before = int(lab.run(f"wc -l <{LOG}"))
    lab.stop_daemon()
    lab.start_daemon()
    return lab.run(f"tail -n +{before + 1} {LOG}")


def state(lab, name="counted"):
    return lab.listed("name", name).get("state")


def until_named(viewer, wanted, unwanted):
    """Waits until the title bar says one thing and not the other."""
    while wanted not in viewer.name or unwanted in viewer.name:
        viewer.refresh()


def wake_ups(lab, seconds):
    """How often the daemon's threads woke up within a time in which nothing is asked of it."""
    count = "cat /proc/$p/task/*/status | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'"
    out = lab.run(f"p=$(cat /run/xenvnc/daemon.pid); a=$({count}); sleep {seconds}; b=$({count}); echo $((b - a))")
    return int(out)


@step("default build: it cannot tell how a domain is, and does not pretend to")
def default_build(lab):
    lab.destroy_all()
    lab.start_daemon()
    lab.create("counted", 'on_crash = "preserve"\non_poweroff = "preserve"')
    check("state" not in lab.listed("name", "counted"), "the list has a state")
    lab.run("xl pause counted")
    try:
        check("state" not in lab.listed("name", "counted"), "the list has a state")
    finally:
        lab.run("xl unpause counted")


@step("cargo feature xenctrl: the daemon asks the hypervisor", needs=[default_build])
def built(lab):
    install(lab, build())
    log = restart(lab)
    check(ASKS in log, f"it does not say so: {log}")
    check_equal(state(lab), "running", "state of a running domain")
    check("running" in lab.xenvnc("list"), "the list for people does not say so")
    lab.report.note(lab.xenvnc("list"))


@step("feature xenctrl: xl pause and unpause, in the list and in an open viewer's title", needs=[built])
def paused(lab):
    viewer = lab.view(int(lab.console(lab.domid("counted"), "vnc-port")))
    check("paused" not in viewer.name, f"the title is {viewer.name!r}")
    lab.run("xl pause counted")
    try:
        # Nothing but the daemon's own look every second tells it.
        until_named(viewer, "paused", "never said")
        check_equal(state(lab), "paused", "state after xl pause")
        lab.report.note(f"title: {viewer.name}")
        late = lab.view(int(lab.console(lab.domid("counted"), "vnc-port")))
        until_named(late, "paused", "never said")
        late.png(lab.artifacts / "paused.png")
    finally:
        lab.run("xl unpause counted")
    until_named(viewer, "counted", "paused")
    check_equal(state(lab), "running", "state after xl unpause")
    lab.close_viewers()


@step("feature xenctrl: nobody looks, nobody wakes up", needs=[paused])
def idle(lab):
    viewer = lab.view(int(lab.console(lab.domid("counted"), "vnc-port")))
    watched = wake_ups(lab, 6)
    viewer.close()
    lab.wait_for(lambda: lab.listed("name", "counted")["viewers"] == 0, "the viewer's end")
    alone = wake_ups(lab, 6)
    lab.report.note(f"wake-ups of the daemon in 6 s: {watched} with a viewer, {alone} without")
    # One more than none: the last answer to `xenvnc list` may still be under way.
    check(alone <= 2, f"{alone} wake-ups in 6 s without a viewer")
    check(watched >= 4, f"{watched} wake-ups in 6 s with a viewer, wanted one a second")


@step("feature xenctrl: a guest that has shut down and is kept, and one that was destroyed", needs=[built])
def shut_down(lab):
    lab.run("xl shutdown counted")
    lab.wait_for(lambda: state(lab) == "shutdown", "state shutdown", 120)
    viewer = lab.view(int(lab.console(lab.domid("counted"), "vnc-port")))
    until_named(viewer, "stopped", "never said")
    viewer.close()
    lab.destroy("counted")
    lab.wait_for(lambda: not lab.list(), "an empty list")
    check_equal(lab.states(), [], "domains in xl list")


@step("feature xenctrl: a crashed guest that is kept says so", needs=[built])
def crashed(lab):
    lab.destroy_all()
    lab.create("counted", 'on_crash = "preserve"')
    lab.run(f"echo 'echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger' | {XENVNC} type counted")
    crashed = lab.wait_for(lambda: next((d for d in lab.list() if d.get("state") == "crashed"), None), "state crashed")
    viewer = lab.view(int(crashed["address"].rpartition(":")[2]))
    until_named(viewer, "crashed", "never said")
    viewer.close()
    check_equal(lab.states()[0][2][4:5], "c", "xl list's own flag for it")
    lab.destroy_all()
    lab.wait_for(lambda: not lab.list(), "an empty list")


@step("feature xenctrl: without /dev/xen/privcmd xenstore alone decides", needs=[built])
def no_privcmd(lab):
    lab.destroy_all()
    lab.create("counted")
    lab.run("mv /dev/xen/privcmd /dev/xen/privcmd.away")
    try:
        log = restart(lab)
    finally:
        lab.run("mv /dev/xen/privcmd.away /dev/xen/privcmd")
    said = [line for line in log.splitlines() if CANNOT_ASK in line]
    check_equal(len(said), 1, "lines about it in the log")
    lab.report.note(said[0])
    check("state" not in lab.listed("name", "counted"), "the list has a state")
    lab.run(f"echo 'echo still-$((1+1))-served' | {XENVNC} type counted")
    lab.until_history("counted", "still-2-served")
    lab.destroy("counted")


@step("the default build again")
def default_again(lab):
    lab.destroy_all()
    lab.run(f"[ ! -e {DEFAULT_BUILD} ] || mv {DEFAULT_BUILD} {XENVNC}")
    log = restart(lab)
    check(ASKS not in log and CANNOT_ASK not in log, f"it asks: {log}")

"""xl and viewers with a plain paravirtual guest, xenconsoled running: the daemon interposes."""

import os
import re
import shutil
import subprocess

from lab import LAB, LOG, XENVNC, Terminal
from rfb import Closed
from suite import Failure, Skip, check, check_equal, step


def viewer_argv(lab, command):
    """What xl starts as a viewer, and what it gives it on standard input."""
    lab.run("rm -f /tmp/viewer")
    lab.run(command, timeout=120)
    lab.until("[ -s /tmp/viewer ]", "a viewer that xl started", 30)
    argv, _, stdin = lab.run("cat /tmp/viewer").partition("\n")
    return argv.removeprefix("argv: "), stdin


@step("the daemon starts without systemd, and says so")
def daemon_starts(lab):
    lab.start_daemon()
    check_equal(lab.status("/etc/init.d/xenvnc status")[0], 0, "status of the start script")
    check_equal(lab.list(), [], "domains before any was created")


@step("console/vnc-port is published before xl create returns, and somebody listens", needs=[daemon_starts])
def published_before_create_returns(lab):
    path = lab.configure("plain", 'on_crash = "preserve"', loglevel=7)
    # One command line, so that nothing of ours is between the two.
    out = lab.run(
        f"xl create -q {path} && d=/local/domain/$(xl domid plain)/console;"
        " xenstore-read $d/vnc-port $d/vnc-listen; nc -z 127.0.0.1 $(xenstore-read $d/vnc-port) && echo listens"
    )
    port, address, listens = (out.split("\n") + ["", ""])[:3]
    check(port.isdigit() and 5900 <= int(port) <= 5999, f"vnc-port: {port!r}")
    check_equal(address, "127.0.0.1", "vnc-listen")
    check_equal(listens, "listens", "connecting to the port at once")
    lab.plain_port = int(port)
    domain = lab.listed("name", "plain")
    check(domain is not None, "xenvnc list does not have it")
    check_equal(domain["address"], f"127.0.0.1:{port}", "address in xenvnc list")
    lab.keep("xenstore-ls.txt", lab.run("xenstore-ls -fp /local/domain/$(xl domid plain); xenstore-ls -fp /tool/xenvnc"))


@step("boot messages that came before any viewer are in the history, the first one first",
      needs=[published_before_create_returns])
def boot_messages(lab):
    lab.until_shell("plain")
    history = lab.history("plain")
    check("Linux version" in history[:400], f"the history begins with {history[:200]!r}")
    # xenconsoled keeps a log of its own: an independent record of the same bytes.
    log = lab.run("cat /var/log/xen/console/guest-plain.log")
    length = min(len(history), len(log))
    check(length > 2000, f"only {len(history)} and {len(log)} characters")
    check_equal(history[:length], log[:length], "history and xenconsoled's log")
    lab.report.note(f"{len(history)} characters of boot messages, the same as in xenconsoled's log")


@step("xenstore-ls finds our nodes with the right permissions", needs=[published_before_create_returns])
def permissions(lab):
    listing = lab.run("xenstore-ls -fp /local/domain/$(xl domid plain)/console")
    domid = lab.domid("plain")
    for node in ("vnc-port", "vnc-listen", "tty"):
        check(re.search(rf'/console/{node} = "[^"]+"\s+\(n0,r{domid}\)', listing), f"{node} in:\n{listing}")
    own = lab.run("xenstore-ls -fp /tool/xenvnc")
    check(str(domid) in own, f"no record of the domain in:\n{own}")
    check(f"r{domid}" not in own, f"the guest can read our records:\n{own}")


@step("xl vncviewer starts a viewer on our endpoint", needs=[published_before_create_returns])
def vncviewer(lab):
    for command in ("xl vncviewer plain", "VNCVIEWER=vncviewer xl vncviewer --autopass plain"):
        argv, _ = viewer_argv(lab, command)
        check_equal(argv, f"127.0.0.1:{lab.plain_port - 5900}", f"argv of `{command}`")
        lab.report.note(f"{command}: vncviewer {argv}")


@step("xl create -V -A starts a viewer with the password, which the guest cannot read", needs=[daemon_starts])
def create_with_viewer(lab):
    path = lab.configure("secret")
    argv, password = viewer_argv(lab, f"xl create -q -V -A {path}")
    domid = lab.domid("secret")
    port = int(lab.console(domid, "vnc-port"))
    check_equal(argv, f"127.0.0.1:{port - 5900} -autopass", "argv")
    check_equal(password.strip(), "secret12", "what the viewer got on standard input")
    lab.report.note(f"xl create -V -A: vncviewer {argv}")
    listing = lab.run(f"xenstore-ls -fp /local/domain/{domid}/console")
    check(re.search(r'/console/vnc-pass = "secret12"\s+\(n0\)', listing), f"vnc-pass in:\n{listing}")
    # A viewer that offers no password does not get in.
    check_equal(lab.view(port).security, {2}, "security types that are offered (2 is VncAuth)")
    lab.close_viewers()
    lab.secret_port = port


@step("a foreign viewer (vncdotool) logs in with the password; a wrong one is refused", needs=[create_with_viewer])
def foreign_viewer_password(lab):
    lab.until_shell("secret")
    picture = lab.artifacts / "vncdotool.png"
    picture.unlink(missing_ok=True)
    vncdo(lab, lab.secret_port, "-p", "secret12", "type", "echo", "key", "space", "type", "foreign", "key", "enter", "pause",
          "1", "capture", str(picture))
    check(picture.read_bytes().startswith(b"\x89PNG"), "no picture")
    lab.until(f"{XENVNC} history secret | tr -d '\\r' | grep -aqx foreign", "the shell's answer to a foreign viewer")
    picture.rename(lab.artifacts / "vncdotool-secret.png")
    try:
        vncdo(lab, lab.secret_port, "-p", "secret13", "capture", str(picture))
    except Failure:
        pass
    check(not picture.exists(), "a wrong password got a picture")
    lab.destroy("secret")


def vncdo(lab, port, *arguments):
    cache = os.environ.get("XENVNC_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "xenvnc")
    program = shutil.which("vncdo") or shutil.which(os.path.join(cache, "python", "bin", "vncdo"))
    if program is None:
        raise Skip("vncdotool is not installed (scripts/setup installs it)")
    try:
        done = subprocess.run([program, "-s", f"127.0.0.1::{lab.forward(port)}", *arguments], timeout=150, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as error:
        raise Failure("vncdo did not end within 150 s") from error
    check(done.returncode == 0, f"vncdo: status {done.returncode}: {done.stdout[-300:]!r}")


@step("a viewer sees the boot messages, types into the guest's shell and sees the answer", needs=[boot_messages])
def viewer_types(lab):
    viewer = lab.view(lab.plain_port)
    viewer.refresh()
    viewer.png(lab.artifacts / "booted-guest.png")
    check(viewer.colours() >= 2, "the screen is empty")
    check("plain" in viewer.name, f"the desktop's name: {viewer.name!r}")
    viewer.learn()
    viewer.type("echo $((6*7))-is-the-answer\n")
    viewer.until_line("42-is-the-answer")
    viewer.png(lab.artifacts / "typed.png")
    lab.plain_viewer = viewer


@step("xl console and a viewer at the same time: both see all, both type", needs=[viewer_types])
def console_and_viewer(lab):
    viewer = lab.plain_viewer
    with Terminal("xl console plain") as terminal:
        terminal.type("\r")
        terminal.until("# ")
        terminal.type("echo from-$((20+2))-console\r")
        terminal.until("from-22-console")
        viewer.until_line("from-22-console")
        viewer.type("echo from-$((30+3))-viewer\n")
        viewer.until_line("from-33-viewer")
        terminal.until("from-33-viewer")
        # More than any buffer between the two holds at once.
        terminal.type("dmesg -n 1; seq 100000 103000; echo done-$((40+4))\r")
        terminal.until("done-44")
        viewer.until_line("done-44")
        numbers = re.findall(rb"^(10[0-3]\d\d\d)\r?$", terminal.seen, re.MULTILINE)
        check_equal([int(n) for n in numbers], list(range(100000, 103001)), "what xl console saw of seq")
    shown = [line for line in viewer.text() if re.fullmatch(r"10[0-3]\d{3}", line)]
    check_equal(shown, [str(n) for n in range(103001 - len(shown), 103001)], "what the viewer shows of seq")
    check(len(shown) > 15, f"the viewer shows {len(shown)} lines")


@step("xl create -c shows the console from the first message on", needs=[daemon_starts])
def create_with_console(lab):
    path = lab.configure("attached", loglevel=7)
    with Terminal(f"xl create -q -c {path}") as terminal:
        terminal.until("Linux version", 60)
        terminal.until("tiny guest up after", 120)
        terminal.type("\recho got-$((50+5))\r")
        terminal.until("got-55")
    check("got-55" in lab.history("attached"), "the history has not what was typed in xl create -c")
    lab.destroy("attached")


@step("xenvnc type and screenshot", needs=[viewer_types])
def type_and_screenshot(lab):
    lab.run(f"echo 'echo typed-$((60+6))' | {XENVNC} type plain")
    lab.until_history("plain", "typed-66")
    lab.xenvnc("screenshot plain /tmp/plain.png")
    subprocess.run([LAB / "copy", "--from", "/tmp/plain.png", lab.artifacts / "screenshot-command.png"], check=True)
    check((lab.artifacts / "screenshot-command.png").read_bytes().startswith(b"\x89PNG"), "not a PNG file")


@step("clean exit gives everything back; a restart takes the same port", needs=[viewer_types])
def clean_exit(lab):
    domid = lab.domid("plain")
    before = lab.history("plain")
    lab.stop_daemon()
    check_equal(lab.console(domid, "vnc-port"), None, "vnc-port after the end")
    check_equal(lab.run("xenstore-ls /tool/xenvnc", check_status=False), "", "our records after the end")
    tty = lab.console(domid, "tty")
    check(tty.startswith("/dev/pts/"), f"tty after the end: {tty!r}")
    with Terminal("xl console plain") as terminal:
        terminal.type("\recho without-$((70+7))\r")
        terminal.until("without-77")
    try:
        lab.plain_viewer.update()
        raise Failure("the viewer's connection outlived the daemon")
    except Closed:
        pass
    lab.start_daemon()
    lab.until(f"[ \"$(xenstore-read /local/domain/{domid}/console/vnc-port)\" = {lab.plain_port} ]", "the same port again")
    check(lab.history("plain").startswith(before), "the history of before the restart is not there")


@step("nothing of a guest's is in the daemon's log", needs=[viewer_types])
def log_is_silent(lab):
    log = lab.run(f"cat {LOG}")
    for text in ("is-the-answer", "from-22-console", "secret12", "Linux version"):
        check(text not in log, f"the log has {text!r}")

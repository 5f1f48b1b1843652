"""dom0 of the lab as the suite sees it: commands, files, guests, terminals."""

import json
import os
import pathlib
import re
import selectors
import shlex
import shutil
import subprocess
import time

from rfb import Viewer
from suite import Failure, check

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = ROOT / "scripts" / "xen-lab"
XENVNC = "/usr/local/bin/xenvnc"
LOG = "/var/log/xenvnc.log"

# dom0's key lets it into the Debian guests.
IN_GUEST = "ssh -o ConnectTimeout=60 10.9.0.2"

# How long a condition may take under emulation on a busy machine; nothing waits this long when all is well.
PATIENCE_SECONDS = 120
BOOT_SECONDS = 180

GUEST = """
name = "{name}"
uuid = "{uuid}"
type = "pv"
kernel = "/lab/vmlinux"
ramdisk = "/lab/initramfs"
memory = 128
vcpus = 1
extra = "console=hvc0 lab=tiny hostname={name} mitigations=off loglevel={loglevel}"
{more}
"""


class Lab:
    """One instance of the lab, already up."""

    def __init__(self, report, artifacts):
        self.report = report
        self.artifacts = artifacts
        self.guests = 0
        self.viewers = []
        self.ended_ports = []

    # Commands -------------------------------------------------------------------------------------------------

    def run(self, command, *, check_status=True, stdin=None, timeout=PATIENCE_SECONDS):
        """Runs a shell command in dom0 and gives its standard output. A bad status is a failure that shows stderr."""
        try:
            done = subprocess.run(
                [LAB / "run", command],
                input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"not done after {timeout} s: {command}") from error
        if check_status and done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[-600:]
            raise Failure(f"status {done.returncode} of `{command}`: {said}")
        return done.stdout.decode(errors="surrogateescape")

    def status(self, command, **more):
        """The exit status of a command in dom0, and all that it said."""
        out = self.run(f"({command}) 2>&1; printf '\\n%s' $?", **more)
        said, _, status = out.rpartition("\n")
        return int(status), said

    def until(self, condition, what, seconds=PATIENCE_SECONDS, pause=0.3):
        """Waits until a shell condition holds in dom0. `pause`: seconds between looks, for a condition that costs dom0's
        only processor more than a moment."""
        script = (
            f"e=$(($(date +%s) + {seconds})); until {{ {condition}; }} >/dev/null 2>&1; do "
            f"[ $(date +%s) -lt $e ] || exit 9; sleep {pause}; done"
        )
        if self.status(script, timeout=seconds * 3)[0] != 0:
            raise Failure(f"not within {seconds} s: {what}")

    def wait_for(self, condition, what, seconds=PATIENCE_SECONDS, pause=0.5):
        """Waits until a Python condition gives something true, and gives it back."""
        deadline = time.monotonic() + seconds
        while True:
            seen = condition()
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise Failure(f"not within {seconds} s: {what}")
            time.sleep(pause)

    def forward(self, port):
        """A local TCP port that leads to a port of dom0's loopback."""
        said = subprocess.run([LAB / "forward", str(port)], stdout=subprocess.PIPE, check=True).stdout.decode()
        return int(said.strip().rpartition(":")[2])

    def install(self, binary):
        """Installs as a user does, into a directory that is then copied over dom0's root; with the suite's settings."""
        self.binary = binary
        stage = self.artifacts / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        subprocess.run([ROOT / "scripts" / "install", "--dom0", "--destdir", stage, "--binary", binary], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["strip", "--strip-debug", stage / "usr/local/bin/xenvnc"], check=False)
        example = pathlib.Path(binary).parent / "examples" / "vchan"
        if example.exists():
            shutil.copy(example, stage / "usr/local/bin/vchan-example")
            subprocess.run(["strip", "--strip-debug", stage / "usr/local/bin/vchan-example"], check=False)
        subprocess.run([LAB / "copy", *sorted(stage.iterdir()), "/"], check=True)
        shutil.rmtree(stage)
        self.write("/etc/xenvnc/config.toml", (pathlib.Path(__file__).parent / "config.toml").read_text())
        self.run("echo secret12 >/etc/xenvnc/password; chmod 600 /etc/xenvnc/password")
        # Shows its arguments and what it is given on standard input, as a viewer that xl starts.
        self.write("/usr/local/bin/vncviewer", '#!/bin/sh\n{ echo "argv: $*"; case "$*" in *-autopass*) cat ;; esac; } '
                   '>/tmp/viewer.$$ 2>&1; mv /tmp/viewer.$$ /tmp/viewer\n')
        self.run("chmod 755 /usr/local/bin/vncviewer")

    def write(self, path, text):
        self.run(f"cat >{shlex.quote(path)}", stdin=text.encode())

    def keep(self, name, text):
        """Keeps a text as an artefact of the run."""
        (self.artifacts / name).write_text(text, errors="replace")

    # The daemon -----------------------------------------------------------------------------------------------

    def xenvnc(self, arguments, **more):
        return self.run(f"{XENVNC} {arguments}", **more)

    def list(self):
        return json.loads(self.xenvnc("list --json"))

    def listed(self, key, value):
        """What `xenvnc list` has about the one domain where `key` is `value`, or None."""
        return next((domain for domain in self.list() if domain[key] == value), None)

    def start_daemon(self):
        self.run("/etc/init.d/xenvnc start", timeout=90)

    def stop_daemon(self):
        self.run("/etc/init.d/xenvnc stop", timeout=90)

    def history(self, name):
        """The console's bytes, as they came."""
        return self.xenvnc(f"history --raw {name}")

    def until_history(self, name, text, seconds=PATIENCE_SECONDS):
        self.until(f"{XENVNC} history --raw {name} | grep -aqF {shlex.quote(text)}", f"{text!r} in the history of {name}", seconds, 0.6)

    # xenstore -------------------------------------------------------------------------------------------------

    def read(self, path):
        """A node's value, or None."""
        status, value = self.status(f"xenstore-read {path}")
        return value.rstrip("\n") if status == 0 else None

    def console(self, domid, node):
        return self.read(f"/local/domain/{domid}/console/{node}")

    def domid(self, name):
        return int(self.run(f"xl domid {name}"))

    def is_listening(self, port):
        return self.status(f"nc -z 127.0.0.1 {port}")[0] == 0

    # Guests ---------------------------------------------------------------------------------------------------

    def configure(self, name, more="", loglevel=4, uuid=None):
        """Writes the configuration of a small guest and gives its path in dom0. The UUID follows from the name."""
        self.guests += 1
        uuid = uuid or f"5eed0000-0000-4000-8000-{self.guests:012d}"
        path = f"/root/{name}.cfg"
        self.write(path, GUEST.format(name=name, uuid=uuid, more=more, loglevel=loglevel))
        return path

    def create(self, name, more="", loglevel=4, options=""):
        """Creates a small guest and waits for its shell. Gives its domid."""
        path = self.configure(name, more, loglevel)
        self.run(f"xl create -q {options} {path}")
        self.until_shell(name)
        return self.domid(name)

    def until_shell(self, name, times=1):
        """Waits until a small guest has come up (for the `times`-th time: its history goes on over a reboot)."""
        text = "tiny guest up after"
        # Asking the daemon again and again takes from the guest the processor that it needs for booting. xenconsoled's
        # log, where there is one, is cheap to look at.
        self.until(
            f"if [ -e /run/xen/xenconsoled.pid ]; then f=/var/log/xen/console/guest-{name}.log; "
            f"[ $(grep -ac '{text}' $f) -ge {times} ]; else sleep 1; "
            f"[ $({XENVNC} history --raw {name} | grep -ac '{text}') -ge {times} ]; fi",
            f"the shell of {name}", BOOT_SECONDS, 0.3,
        )
        self.until(f"[ $({XENVNC} history --raw {name} | grep -ac '{text}') -ge {times} ]", f"the shell in the history of {name}",
                   pause=0.5)

    def want_x(self):
        """Sees to it that there is a guest of `create_x`: the one of an earlier step, or a new one without a connection."""
        if self.status("xl domid x")[0] != 0:
            self.destroy_all()
            self.x = self.create_x("")
        self.until_x()

    def create_x(self, way):
        """Creates the Debian guest with an X display that `xenvnc guest` connects by this way ("" for none). Gives its domid at
        once; `until_x` waits."""
        self.run("mkdir -p /mnt && mount /dev/vdb /mnt && { cp /usr/local/bin/xenvnc /mnt/usr/local/bin/; "
                 "cp /usr/local/bin/vchan-example /mnt/usr/local/bin/; umount /mnt; }")
        config = (LAB / "guests" / "x.cfg").read_text().replace("labx=vchan", f"labx={way}" if way else "")
        self.write("/root/x.cfg", config)
        self.run("xl create -q /root/x.cfg")
        return self.domid("x")

    def until_x(self):
        """Waits until commands can be run in the guest of `create_x`."""
        self.until(f"{IN_GUEST} true", "ssh into the guest", BOOT_SECONDS, 1)

    def guest(self, command, **more):
        """Runs a shell command in the guest of `create_x`, and gives its standard output."""
        return self.run(f"{IN_GUEST} {shlex.quote(command)}", **more)

    def guest_starts(self, command):
        """Starts a command in the guest of `create_x` that goes on by itself. What it says goes to /tmp/said there."""
        self.guest(f"rm -f /tmp/pid; setsid sh -c {shlex.quote('echo $$ >/tmp/pid; exec ' + command)} "
                   ">/tmp/said 2>&1 </dev/null & until [ -s /tmp/pid ]; do sleep 0.05; done")

    def destroy(self, name):
        self.run(f"xl destroy {name}", check_status=False)

    def destroy_all(self):
        """So that what one step left cannot disturb the next."""
        self.run("xl list | awk 'NR > 1 && $2 != 0 { print $2 }' | while read -r d; do xl destroy $d; done",
                 check_status=False)

    def states(self):
        """The domains as xl sees them: (name, domid, state) without dom0, zombies included."""
        rows = (line.split() for line in self.run("xl list").splitlines()[1:])
        return [(row[0], int(row[1]), row[4]) for row in rows if row[1] != "0"]

    # Viewers --------------------------------------------------------------------------------------------------

    def view(self, port):
        viewer = Viewer(("127.0.0.1", self.forward(port)))
        self.viewers.append(viewer)
        return viewer

    def close_viewers(self):
        for viewer in self.viewers:
            viewer.close()
        self.viewers.clear()

    def after_failure(self):
        """What helps to understand a failure."""
        for what, command in (
            ("xl list", "xl list"),
            ("end of the daemon's log", f"tail -n 15 {LOG}"),
            ("xenvnc list", f"{XENVNC} list"),
        ):
            said = self.run(f"{command} 2>&1", check_status=False)
            text = re.sub(r"[^\n -~]", "?", said)
            self.report.note(f"{what}:\n{text}")


class Terminal:
    """A command on a terminal of its own in dom0, such as `xl console`."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [LAB / "run", "-t", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def pump(self, seconds):
        """Reads what there is, waiting for it at most so long. False at the end."""
        if not self.selector.select(seconds):
            return True
        data = self.process.stdout.read()
        if data:
            self.seen += data
        return data != b""

    def until(self, text, seconds=PATIENCE_SECONDS):
        """Waits until it has printed this."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.seen:
            alive = self.pump(0.2)
            if not alive or time.monotonic() > deadline:
                raise Failure(f"{text!r} was not printed {'within %d s' % seconds if alive else 'before its end'}, but: "
                              f"{self.seen[-300:]!r}")

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close(self):
        """Ctrl-] leaves xl console; whatever does not go then is ended."""
        if self.process.poll() is None:
            try:
                self.type("\x1d")
                self.process.wait(5)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()


def stream_lines(text):
    """The lines of the guests' `stream` in a text: (number, uptime). Fails on a damaged, missing or doubled one."""
    lines = []
    for line in text.replace("\r", "").split("\n"):
        if not line.startswith("stream 0") and not line.startswith("stream 1"):
            continue
        match = re.fullmatch(r"stream (\d{7}) (\d{7}) (\d+\.\d+)", line)
        check(match, f"a damaged line after number {lines[-1][0] if lines else 0}: {line!r}")
        number = int(match[1])
        check(int(match[2]) == number * 7919 % 1000003, f"a line with a wrong sum: {line!r}")
        if lines:
            check(number == lines[-1][0] + 1, f"line {number} came after {lines[-1][0]}")
        lines.append((number, float(match[3])))
    return lines

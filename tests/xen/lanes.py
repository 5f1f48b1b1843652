"""The suite in several labs at the same time: an emulated machine has one processor, and the one that runs it has more."""

import os
import re
import subprocess
import sys
import threading

import steps_census
import steps_display
import steps_harm
import steps_life
import steps_long
import steps_own
import steps_vchan
import steps_xl
from suite import STEPS

# What takes about as long as the other. A step needs steps of its own lane only.
LANES = {
    "toolstack": (steps_xl, steps_life, steps_census, steps_harm),
    "displays": (steps_display, steps_vchan, steps_own, steps_long),
}


def steps_of(lane):
    names = {module.__name__ for module in LANES[lane]}
    return [each for each in STEPS if each.every_lane or each.run.__module__ in names]


def lanes_of(chosen):
    """The lanes in which these functions run."""
    own = {each.run.__module__ for each in STEPS if each.run in chosen and not each.every_lane}
    used = [name for name, modules in LANES.items() if own & {module.__name__ for module in modules}]
    # Those that are for every lane, and nothing else.
    return used or list(LANES)[:1]


class Lane:
    """One lane, as another run of this program whose lines are printed as they come."""

    def __init__(self, name, arguments):
        self.name = name
        self.sums = None
        environment = dict(os.environ, XEN_LAB_NAME=f"{os.environ['XEN_LAB_NAME']}-{name}")
        self.process = subprocess.Popen([sys.executable, sys.argv[0], "--lane", name, *arguments], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            sums = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", text)
            if sums:
                self.sums = [int(number) for number in sums.groups()]
            print(f"{self.name:9} {text}", flush=True)

    def wait(self):
        """The exit status, when it has ended."""
        self.thread.join()
        return self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()


def run_lanes(names, arguments):
    """Runs these lanes side by side, prints what they add up to, and gives the exit status for all."""
    lanes = []
    try:
        lanes += [Lane(name, arguments(name)) for name in names]
        statuses = [lane.wait() for lane in lanes]
    finally:
        for lane in lanes:
            lane.end()
    # One that ended without its sums has failed.
    sums = [lane.sums or [0, 1, 0] for lane in lanes]
    print("{} passed, {} failed, {} skipped".format(*(sum(column) for column in zip(*sums))), flush=True)
    return next((status for status in statuses if status not in (0, 77)), max(statuses))

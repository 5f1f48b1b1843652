"""Steps, their order, their results: what runs the end-to-end suite."""

import contextlib
import dataclasses
import sys
import time
import traceback


class Failure(Exception):
    """What was seen is not what was wanted. The message says both."""


class Skip(Exception):
    """This step cannot run here, and why."""


class NotInThisBuild(Skip):
    """What the step tests is no part of the program that is tested. Says so, and does not spoil the exit status."""


@dataclasses.dataclass
class Step:
    name: str
    run: object
    long: bool
    needs: tuple
    every_lane: bool


STEPS = []


def step(name, *, long=False, needs=(), every_lane=False):
    """Registers a function as a step. Steps run in the order of their definition. `long`: with --long only. `needs`:
    functions of steps without which this one makes no sense. `every_lane`: in each lab, not only in its module's."""

    def register(function):
        STEPS.append(Step(name, function, long, tuple(needs), every_lane))
        return function

    return register


def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(seen, wanted, what):
    if seen != wanted:
        raise Failure(f"{what}: saw {short(seen)}, wanted {short(wanted)}{difference(seen, wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"


def difference(a, b):
    """For long texts: where they begin to differ. For long lists: what one has and the other has not."""
    if isinstance(a, list) and isinstance(b, list) and max(len(a), len(b)) > 20:
        missing, more = [x for x in b if x not in set(a)], [x for x in a if x not in set(b)]
        return f"; {len(missing)} missing: {short(missing)}; {len(more)} not wanted: {short(more)}; {len(a)} for {len(b)}"
    if not (isinstance(a, str) and isinstance(b, str)) or max(len(a), len(b)) <= 300:
        return ""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"; they differ at {at}: {a[at:at + 60]!r} and {b[at:at + 60]!r} ({len(a)} and {len(b)} characters)"


class Report:
    """Prints each step as it ends and keeps the count."""

    def __init__(self, transcript):
        self.started = time.monotonic()
        self.transcript = transcript
        self.passed, self.failed, self.skipped = [], [], []
        self.excused = 0
        self.notes = []

    def line(self, text):
        print(text, flush=True)
        self.transcript.write(text + "\n")
        self.transcript.flush()

    def note(self, text):
        """Something worth keeping beside a result: a figure, an argv, a listing. Printed below the result."""
        self.notes += text.rstrip("\n").split("\n")

    def flush_notes(self):
        for line in self.notes:
            self.line(f"                     | {line}")
        self.notes.clear()

    def result(self, outcome, name, seconds, detail=""):
        at = time.monotonic() - self.started
        self.line(f"{at:7.1f}s {outcome:7} {seconds:5.1f}s  {name}{': ' + detail if detail else ''}")
        {"ok": self.passed, "FAILED": self.failed, "skipped": self.skipped}[outcome].append(name)
        self.flush_notes()

    def summary(self):
        self.line(f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped")


def run_steps(context, report, wants):
    """Runs the registered steps that `wants` (a predicate on Step) chooses, with `context` as their argument."""
    outcome = {}
    for each in STEPS:
        if not wants(each):
            continue
        started = time.monotonic()
        missing = [need for need in each.needs if outcome.get(need) != "ok"]
        try:
            if missing:
                names = ", ".join(s.name for s in STEPS if s.run in missing)
                raise Skip(f"needs \"{names}\"")
            each.run(context)
            outcome[each.run], detail = "ok", ""
        except Skip as skip:
            report.excused += isinstance(skip, NotInThisBuild)
            outcome[each.run], detail = "skipped", str(skip)
        except Failure as failure:
            outcome[each.run], detail = "FAILED", str(failure)
        except Exception as error:  # a fault of the suite's own counts as a failure, with its place
            outcome[each.run] = "FAILED"
            detail = f"{type(error).__name__}: {error}"
            traceback.print_exc(file=sys.stderr)
        report.result(outcome[each.run], each.name, time.monotonic() - started, detail)
        if outcome[each.run] == "FAILED":
            with contextlib.suppress(Exception):
                context.after_failure()
            report.flush_notes()

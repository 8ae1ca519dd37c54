"""What must hold of a sequence whose fields fit: every step reachable, no loop, and a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activation.declared import Marks
from activation.findings import Finding

if TYPE_CHECKING:
    from activation.sequence import Sequence, Step


def check_graph(sequence: Sequence, marks: Marks, file: str) -> list[Finding]:
    """Steps that nothing leads to, targets that do not exist, loops, missing stops and waits.

    Args:
        sequence: whose fields fit.
        marks: of its file.
        file: the file's name.
    """
    check = _Check(sequence, marks, file)
    check.stops()
    for step in sequence.steps:
        check.targets(step)
        check.branches(step)
        check.wait(step)
    check.reachable()
    return check.findings


class _Check:
    def __init__(self, sequence: Sequence, marks: Marks, file: str) -> None:
        self.findings: list[Finding] = []
        self._sequence = sequence
        self._marks = marks
        self._file = file

    def _add(self, path: tuple[str | int, ...], code: str, message: str, remedy: str) -> None:
        line, column = self._marks.at(path)
        where = ".".join(str(part) for part in path)
        self.findings.append(Finding(self._file, line, column, code, f"{where}: {message}", remedy))

    def stops(self) -> None:
        """An opt-out always ends a sequence; a reply does, or every step says what it leads to."""
        stop_on = self._sequence.stop_on
        if "opt_out" not in stop_on:
            self._add(
                ("stop_on",), "no-stop-on-opt-out",
                "the sequence does not stop on an opt-out.",
                "Add opt_out to stop_on.",
            )  # fmt: skip
        if "reply" in stop_on:
            return
        for number, step in enumerate(self._sequence.steps):
            last = step.step == len(self._sequence.steps)
            if not last and not any(branch.when.reply for branch in step.branches):
                self._add(
                    ("steps", number), "no-stop-on-reply",
                    f"nothing says what happens when a lead replies to step {step.step}.",
                    "Add reply to stop_on, or a branch 'when: reply' to the step.",
                )  # fmt: skip

    def targets(self, step: Step) -> None:
        """Every target exists and lies ahead: a step goes out at most once to a lead."""
        at = step.step - 1
        places: list[tuple[tuple[str | int, ...], int | str]] = [
            (("steps", at, "branches", number, "go_to"), branch.go_to)
            for number, branch in enumerate(step.branches)
        ]
        places.append((("steps", at, "otherwise"), step.otherwise))
        count = len(self._sequence.steps)
        for path, target in places:
            if isinstance(target, str):
                continue
            if not 1 <= target <= count:
                self._add(
                    path, "unknown-step", f"there is no step {target}.",
                    f"Name a step from {step.step + 1} to {count}, or end.",
                )  # fmt: skip
            elif target <= step.step:
                self._add(
                    path, "loop",
                    f"step {step.step} leads back to step {target}: a loop.",
                    "Lead to a later step or to end; each step is sent at most once.",
                )  # fmt: skip

    def branches(self, step: Step) -> None:
        """A branch on what stops the sequence, or behind one that asks the same, never holds."""
        seen: list[str] = []
        for number, branch in enumerate(step.branches):
            path = ("steps", step.step - 1, "branches", number, "when")
            asked = branch.when.model_dump(exclude_none=True)
            for kind in ("reply", "click", "appointment"):
                if asked.get(kind) and kind in self._sequence.stop_on:
                    self._add(
                        path, "dead-branch",
                        f"the branch can never be taken, since the sequence stops on {kind}.",
                        f"Take {kind} out of stop_on, or remove the branch.",
                    )  # fmt: skip
            if (asked.get("open") or asked.get("click")) and "email" not in step.templates:
                self._add(
                    path, "dead-branch",
                    f"step {step.step} sends no email, so nobody can open or click it.",
                    "Give the step an email template, or ask for something else.",
                )  # fmt: skip
            if str(branch.when) in seen:
                self._add(
                    path, "dead-branch",
                    f"an earlier branch of the step asks for {branch.when} already.",
                    "Remove one of the two.",
                )  # fmt: skip
            seen.append(str(branch.when))

    def wait(self, step: Step) -> None:
        """A step that others follow says how long to wait first."""
        follows = self._sequence.after(step.step) != "end" or step.branches
        if follows and step.wait is None:
            self._add(
                ("steps", step.step - 1), "no-wait",
                f"step {step.step} does not say how long to wait before what follows.",
                "Add 'wait: 3 days', or 'otherwise: end'.",
            )  # fmt: skip
        if not follows and step.wait is not None:
            self._add(
                ("steps", step.step - 1, "wait"), "idle-wait",
                f"nothing follows step {step.step}, so there is nothing to wait for.",
                "Remove the wait.",
            )  # fmt: skip

    def reachable(self) -> None:
        """Every step can be reached from the first."""
        steps = self._sequence.steps
        reached, open_ = {1}, [1]
        while open_:
            step = steps[open_.pop() - 1]
            ways = [branch.go_to for branch in step.branches] + [self._sequence.after(step.step)]
            for way in ways:
                if isinstance(way, int) and 1 <= way <= len(steps) and way not in reached:
                    reached.add(way)
                    open_.append(way)
        for step in steps:
            if step.step not in reached:
                self._add(
                    ("steps", step.step - 1), "unreachable-step",
                    f"nothing leads to step {step.step}.",
                    "Lead a branch or an 'otherwise' to it, or remove it.",
                )  # fmt: skip

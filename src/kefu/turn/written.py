"""What the generator has written so far, and how much of it a customer may read."""

from __future__ import annotations

from kefu.clauses import clause_ends, ends_sentence
from kefu.turn.grounding import Grounding, Verdict


class Written:
    """Lets through what the passages support, clause by clause, and stops at the first fault.

    Give it pieces with `add` until `fault` is set, then `finish`. The verdict depends on the text
    alone, not on how it was cut into pieces.
    """

    def __init__(self, grounding: Grounding, refusal: str) -> None:
        self._grounding = grounding
        self._refusal = refusal
        self._all = ""
        self._judged = 0  # up to here all clauses are complete and judged
        self._supported = 0  # up to here the text may be read
        self._kept = 0  # up to here it is whole sentences
        self._sent = 0
        self._repeats = False
        self._numbers: set[int] = set()
        self.fault: Verdict | None = None

    def add(self, piece: str) -> str:
        """Take a piece; the text that may be sent now."""
        self._all = self._all + piece if self._all else piece.lstrip()
        if self._all.startswith(self._refusal):
            self.fault = Verdict.REFUSED
        elif not self._may_be_refusal:
            self._judge_complete()
        return self._take()

    def finish(self, finish_reason: str | None) -> str:
        """Judge the end; the text that may still be sent."""
        rest = self._all[self._judged :].strip()
        if self.fault is None and finish_reason == "length" and not ends_sentence(self._all):
            self.fault = Verdict.CUT_OFF
        elif self.fault is None and rest:
            self._judge(len(self._all.rstrip()), is_last=True)
        if self.fault is None and not self._supported:
            self.fault = Verdict.ECHO if self._repeats else Verdict.EMPTY
        return self._take()

    @property
    def text(self) -> str:
        """All of it, or the whole sentences before the fault: empty where there are none."""
        text = self._all[: self._kept if self.fault else self._supported].strip()
        return f"{text[:-1]}。" if self.fault and text.endswith("；") else text

    @property
    def has_sent(self) -> bool:
        return self._sent > 0

    @property
    def passages(self) -> tuple[int, ...]:
        """Numbers of the passages that `text` stands on, the first one first."""
        return tuple(sorted(self._numbers))

    @property
    def _may_be_refusal(self) -> bool:
        return self._refusal.startswith(self._all.rstrip())

    def _judge_complete(self) -> None:
        for end in clause_ends(self._all, self._judged):
            self._judge(end)
            if self.fault:
                return
        if self._grounding.is_looping(self._all[self._judged :]):
            self.fault = Verdict.LOOP

    def _judge(self, end: int, *, is_last: bool = False) -> None:
        clause = self._all[self._judged : end]
        verdict, number = self._grounding.judge(clause, self._all[: self._judged])
        if verdict.is_fault:
            self.fault = verdict
            return
        self._judged = end
        self._repeats |= verdict is Verdict.REPEATED
        if verdict is Verdict.SUPPORTED and number is not None:
            self._numbers.add(number)
            self._supported = end
        if self._supported and (verdict is Verdict.POLITE or self._supported == end):
            self._supported = end
            if is_last or ends_sentence(clause):
                self._kept = end

    def _take(self) -> str:
        """What was not sent yet of the supported text, and of a clause copied so far."""
        end = self._supported
        if self.fault is None and self._is_copying():
            end = len(self._all.rstrip())
        begin, self._sent = self._sent, max(self._sent, end)
        return self._all[begin : self._sent]

    def _is_copying(self) -> bool:
        return not self._may_be_refusal and self._grounding.is_copy_so_far(
            self._all[self._supported :]
        )

"""How often two artifacts say the same, and whether that is enough."""

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["enough", "too little", "undecided"]
_Z = 1.959964  # 95 %


def wilson_interval(successes: int, trials: int, z: float = _Z) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson 1927)."""
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True)
class Agreement:
    """Faces that two artifacts were shown, and those of the same emotion; ``aim`` 0..1."""

    compared: int
    agreed: int
    aim: float

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share that agrees; it takes faces as independent."""
        return wilson_interval(self.agreed, self.compared) if self.compared else (0.0, 1.0)

    @property
    def verdict(self) -> Verdict:
        """Whether the whole interval lies above the aim, or below."""
        low, high = self.interval
        if low >= self.aim:
            return "enough"
        return "too little" if high < self.aim else "undecided"

    @property
    def faces_lacking(self) -> int | None:
        """How many more at this rate would be enough; None where they never would."""
        share = self.agreed / self.compared if self.compared else 1.0
        if share <= self.aim:
            return None
        trials = max(self.compared, 1)
        while wilson_interval(round(share * trials), trials)[0] < self.aim:
            trials = math.ceil(trials * 1.05)
        return trials - self.compared

    def sentence(self, shadow: str, primary: str) -> str:
        """Say it in words."""
        if not self.compared:
            return f"{shadow} has not been compared with {primary} yet."
        low, high = self.interval
        found = (
            f"{shadow} gives the emotion of {primary} for {self.agreed / self.compared:.1%} of "
            f"{self.compared:,} faces ({low:.1%} to {high:.1%})"
        )
        aim = f"{self.aim:.1%}"
        if self.verdict == "enough":
            return f"{found}: at least {aim}, enough to put it in its place."
        if self.verdict == "too little":
            return f"{found}: less than {aim}, do not put it in its place."
        more = self.faces_lacking
        outlook = f"about {more:,} more at this rate would be enough" if more else "wait for more"
        return f"{found}: too few to say whether it is {aim}; {outlook}."

"""GET /shadow: how the shadow compares with the artifact whose place it may take."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from emotion.agreement import Agreement, Verdict
from emotion.errors import UnknownArtifactError
from service.runtime import RuntimeDep
from service.shadow import shadow_pair, versioned
from service.shadow_metrics import DIFFERENCE, DROPPED, FACES

router = APIRouter(tags=["models"])


class Disagreement(BaseModel):
    """Faces for which the two say different emotions."""

    emotion: str
    shadow_emotion: str
    faces: int


class ShadowAnswer(BaseModel):
    """What was counted since the start, of the versions that serve now, in all workers."""

    primary: str | None = Field(description="model/precision@version; null where no shadow runs")
    shadow: str | None
    compared: int = Field(description="faces shown to both")
    agreed: int = Field(description="of them, with the same emotion")
    agreement: float | None = Field(description="the share of them, 0..1")
    agreement_low: float = Field(description="lower end of its 95 % Wilson interval")
    agreement_high: float = Field(description="upper end of its 95 % Wilson interval")
    aim: float = Field(description="EMOTION_SHADOW_AGREEMENT")
    mean_difference: float | None = Field(
        description="of a face's probabilities: absolute, over emotions and faces"
    )
    disagreements: list[Disagreement] = Field(description="the most frequent first")
    dropped: dict[str, int] = Field(description="pictures whose answers were not compared, and why")
    verdict: Verdict | Literal["off"] = Field(
        description="whether the whole interval lies above the aim (enough), or below (too little)"
    )
    summary: str


@router.get("/shadow")
def shadow(runtime: RuntimeDep) -> ShadowAnswer:
    """Say how often the shadow agrees, and whether that is enough to put it in place."""
    settings, metrics = runtime.settings, runtime.metrics
    try:
        pair = shadow_pair(settings, runtime.classifier.store)
    except UnknownArtifactError:  # a newer store lacks one of them
        pair = None
    primary, second = map(versioned, pair) if pair else (None, None)
    ours = {"primary": primary, "shadow": second}
    pairs: dict[tuple[str, str], int] = {}
    sums = {f"{DIFFERENCE}_sum": 0.0, f"{DIFFERENCE}_count": 0.0}
    dropped: dict[str, int] = {}
    for name, labels, value in metrics.samples(f"{FACES}_total", f"{DROPPED}_total", *sums):
        if name == f"{DROPPED}_total":
            dropped[labels["reason"]] = int(value)
        elif ours.items() <= labels.items():
            if name in sums:
                sums[name] += value
            else:
                pairs[labels["emotion"], labels["shadow_emotion"]] = int(value)
    agreed = sum(faces for (one, other), faces in pairs.items() if one == other)
    agreement = Agreement(sum(pairs.values()), agreed, settings.shadow_agreement)
    low, high = agreement.interval
    total, faces = sums.values()
    apart = [
        Disagreement(emotion=one, shadow_emotion=other, faces=count)
        for (one, other), count in sorted(pairs.items(), key=lambda item: -item[1])
        if one != other
    ]
    return ShadowAnswer(
        primary=primary,
        shadow=second,
        compared=agreement.compared,
        agreed=agreed,
        agreement=agreed / agreement.compared if agreement.compared else None,
        agreement_low=low,
        agreement_high=high,
        aim=settings.shadow_agreement,
        mean_difference=total / faces if faces else None,
        disagreements=apart,
        dropped=dropped,
        verdict=agreement.verdict if pair else "off",
        summary=agreement.sentence(str(second), str(primary)) if pair else _OFF,
    )


_OFF = "No shadow runs: name an artifact of the store in EMOTION_SHADOW."

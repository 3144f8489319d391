"""Everything that decides what a training run produces, as one value."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """Two phases: the new head on a frozen base, then the whole network at a lower rate.

    Each field but ``model`` is an option of ``python -m training train`` of the same name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input_size: int = Field(ge=32, description="side of the input in pixels")
    init: str = Field(
        default="imagenet", description="imagenet (Keras downloads it), random, or a weights file"
    )
    seed: int = Field(default=7, description="of everything random")
    batch_size: int = Field(default=32, ge=2, description="images a step")
    head_epochs: int = Field(default=2, ge=0, description="epochs of the head alone")
    head_rate: float = Field(default=1e-3, gt=0, description="learning rate of the head alone")
    epochs: int = Field(default=14, ge=1, description="epochs of the whole network at most")
    rate: float = Field(
        default=3e-4, gt=0, description="peak of its cosine schedule after a linear warm-up"
    )
    weight_decay: float = Field(default=1e-4, ge=0, description="AdamW's")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, description="of the one-hot labels")
    balance: float = Field(
        default=1,
        ge=0,
        le=1,
        description="exponent of the classes' weights: 1 balances them, 0 leaves them as they are",
    )
    dropout: float = Field(default=0.3, ge=0, lt=1, description="rate before the last layer")
    patience: int = Field(
        default=8, ge=1, description="epochs without a lower validation loss before stopping"
    )
    refit: Literal["none", "all"] = Field(
        default="none",
        description="all: once the temperature is known, train from the start again on the people "
        "that it was fitted on as well, for all epochs",
    )
    compute: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="type of the training arithmetic; the weights stay float32",
    )
    activations: Literal["exact", "int8"] = Field(
        default="exact",
        description="int8: train with ReLU6 rounded to 8 bits, so that quantization costs less",
    )
    rehearsal: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of each batch that comes from FER2013 or FER+, so that CK+'s few people "
        "are not learnt by heart",
    )
    teacher: str = Field(
        default="",
        description="models of the same split whose mean answers are learnt beside the labels, "
        "with commas between them",
    )
    distillation: float = Field(
        default=0.5, ge=0, le=1, description="the teachers' share of what is learnt"
    )
    brightness: float = Field(
        default=0, ge=0, le=1, description="random change of brightness at most, of the range"
    )
    contrast: float = Field(default=0, ge=0, le=1, description="random change of contrast at most")
    cutout: float = Field(
        default=0, ge=0, le=1, description="share of images with a random rectangle erased"
    )
    mixup: float = Field(
        default=0, ge=0, description="alpha of the Beta distribution that blends pairs; 0 for none"
    )
    weight_average: float = Field(
        default=0.98,
        ge=0,
        lt=1,
        description="decay per step of the moving average of the weights; 0 for none",
    )

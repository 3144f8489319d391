"""What a killed training finds again."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.test_batches import followed

if TYPE_CHECKING:
    import keras

    from training.average import WeightAverage
    from training.checkpoint import Checkpoint


def epoch(
    checkpoint: "Checkpoint", model: "keras.Model", average: "WeightAverage", *, last: bool
) -> None:
    """Let an epoch pass that leaves its number in every weight."""
    checkpoint.progress.epoch += 1
    model.set_weights([np.full_like(w, checkpoint.progress.epoch) for w in model.get_weights()])
    average.on_train_batch_end(0)
    if checkpoint.progress.epoch == 1:
        checkpoint.note_best(model)
    checkpoint.save(model, average, last=last)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_run_goes_on_from_what_was_last_written(tmp_path: Path) -> None:
    from training.checkpoint import Checkpoint, OtherRunError

    model, average = followed(steps=1)
    checkpoint = Checkpoint(tmp_path, "this", "abc")
    epoch(checkpoint, model, average, last=False)
    epoch(checkpoint, model, average, last=False)  # half a minute has not passed
    assert Checkpoint(tmp_path, "this", "abc").progress.epoch == 1
    (tmp_path / "3.npz").write_bytes(b"what a killed save has left")
    epoch(checkpoint, model, average, last=True)
    assert {path.name for path in tmp_path.iterdir()} == {"progress.json", "3.keras", "3.npz"}

    again = Checkpoint(tmp_path, "this", "abc")
    assert again.progress == checkpoint.progress
    assert (again.progress.epoch, again.progress.best_epoch) == (3, 1)
    assert {float(w.max()) for w in again.best} == {1.0}
    resumed, its_average = again.resume(0.5)
    assert {float(w.max()) for w in resumed.get_weights()} == {3.0}
    for before, after in zip(average.values, its_average.values, strict=True):
        assert np.array_equal(before, after)

    with pytest.raises(OtherRunError, match=f"{tmp_path} holds a run with another recipe"):
        Checkpoint(tmp_path, "another", "abc")
    (tmp_path / "3.npz").unlink()
    with pytest.raises(OtherRunError, match="delete it to start anew"):
        Checkpoint(tmp_path, "this", "abc")

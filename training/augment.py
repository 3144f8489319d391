"""Training-time changes to a face: rotation, translation, flip, scale."""

import keras

ROTATION_DEGREES = 15
TRANSLATION = 0.08  # of the side
ZOOM = 0.1


def augmentation(seed: int) -> keras.Sequential:
    """Random rotation, translation, zoom and horizontal flip of pixels [n, size, size, 3]."""
    turn = ROTATION_DEGREES / 360
    layers = keras.layers
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal", seed=seed),
            layers.RandomRotation(turn, fill_mode="nearest", seed=seed + 1),
            layers.RandomTranslation(TRANSLATION, TRANSLATION, fill_mode="nearest", seed=seed + 2),
            layers.RandomZoom(ZOOM, fill_mode="nearest", seed=seed + 3),
        ],
        name="augmentation",
    )

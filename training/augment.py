"""Training-time changes to a face: rotation, translation, flip, scale, and those of a recipe."""

import keras

from training.recipe import Recipe

ROTATION_DEGREES = 15
TRANSLATION = 0.08  # of the side
ZOOM = 0.1
ERASED = (0.02, 0.2)  # of the area
ERASED_WITH = 127.5  # mid-grey; CLAHE's output is centred there


def augmentation(seed: int, recipe: Recipe) -> keras.Sequential:
    """Random changes of grey pixels [n, size, size, 1], 0..255.

    Rotation, translation, zoom and horizontal flip always; brightness, contrast and random
    erasing (Zhong et al. 2020) where the recipe asks for them.
    """
    turn = ROTATION_DEGREES / 360
    layers = keras.layers
    changes = [
        layers.RandomFlip("horizontal", seed=seed),
        layers.RandomRotation(turn, fill_mode="nearest", seed=seed + 1),
        layers.RandomTranslation(TRANSLATION, TRANSLATION, fill_mode="nearest", seed=seed + 2),
        layers.RandomZoom(ZOOM, fill_mode="nearest", seed=seed + 3),
    ]
    if recipe.brightness:
        changes.append(layers.RandomBrightness(recipe.brightness, seed=seed + 4))
    if recipe.contrast:
        changes.append(layers.RandomContrast(recipe.contrast, seed=seed + 5))
    if recipe.cutout:
        always = (recipe.cutout, recipe.cutout)
        changes.append(layers.RandomErasing(always, ERASED, ERASED_WITH, seed=seed + 6))
    return keras.Sequential(changes, name="augmentation")

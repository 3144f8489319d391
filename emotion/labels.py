"""The seven emotion classes of CK+, in the one order used everywhere."""

EMOTIONS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

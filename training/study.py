"""The figures of the study that this project measures itself against."""

# Accuracy on one random 70/15/15 split over CK+'s images.
STUDY_ACCURACY = {
    "mobilenet": {"float32": 0.635, "float16": 0.635, "int8": 0.574},
    "resnet50": {"float32": 0.723, "float16": 0.723, "int8": 0.703},
    "vgg16": {"float32": 0.655, "float16": 0.655, "int8": 0.649},
}

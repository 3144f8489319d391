"""The Caffe face detector to LiteRT artifacts, measured against the original."""

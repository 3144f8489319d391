#!/bin/sh
# Ask the service with curl: sh examples/curl.sh photo.jpg
set -eu
url=${EMOTION_URL:-http://127.0.0.1:8000}
photo=${1:-examples/astronaut.jpg}

# One picture, one artifact.
curl --fail-with-body --silent --show-error -F "image=@$photo" "$url/predict?model=mobilenet&precision=int8"
echo

# The raw body will do as well; a 503 (overloaded) is tried again after the service's Retry-After.
curl --fail-with-body --silent --show-error --retry 5 --data-binary "@$photo" -H "content-type: image/jpeg" "$url/predict?faces=all"
echo

# The same face in every precision, side by side.
curl --fail-with-body --silent --show-error -F "image=@$photo" "$url/compare?models=mobilenet&repeats=20"
echo

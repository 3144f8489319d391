/** The camera: opened when asked for, closed when done, its refusals as sentences. */

import { Problem } from "./api.js";

const REFUSALS = {
  NotAllowedError: ["The camera was not allowed", "Allow it for this page in the browser's address bar, then try again."],
  NotFoundError: ["There is no camera", "Connect one, or choose a picture instead."],
  NotReadableError: ["The camera is busy", "Close the program that uses it, then try again."],
};

export const OPENING = "Opening the camera; the browser may ask you to allow it…";

/** Show the camera until `signal` aborts, be it while the browser asks; `gone(problem)` is called where it goes away by itself. */
export function openCamera(video, signal, gone) {
  const stopped = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  return Promise.race([stopped, opened(video, signal, gone)]);
}

async function opened(video, signal, gone) {
  const stream = await ask();
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    if (video.srcObject === stream) video.srcObject = null; // else it shows a later one
  };
  if (signal.aborted) return close();
  signal.addEventListener("abort", close);
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () => gone(new Problem("The camera went away", "Connect it, close other programs that use it, then try again.")));
  }
  video.srcObject = stream;
  return video.play();
}

async function ask() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem("The camera cannot be used here", "Browsers allow it over https or on localhost only.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" } });
  } catch (error) {
    const [title, detail] = REFUSALS[error.name] ?? ["The camera cannot be used", `${error.message}. Choose a picture instead.`];
    throw new Problem(title, detail);
  }
}

const canvas = document.createElement("canvas");

/** The frame shown now as a JPEG, at most `most` pixels wide. */
export function still(video, most, quality = 0.9) {
  const scale = Math.min(1, most / video.videoWidth);
  canvas.width = Math.round(scale * video.videoWidth);
  canvas.height = Math.round(scale * video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

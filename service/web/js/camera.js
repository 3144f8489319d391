/** The camera: opened when asked for, closed when done, its refusals as sentences. */

import { Problem } from "./api.js";

const REFUSALS = {
  NotAllowedError: ["The camera was not allowed", "Allow it for this page in the browser's address bar, then try again."],
  NotFoundError: ["There is no camera", "Connect one, or choose a picture instead."],
  NotReadableError: ["The camera is busy", "Close the program that uses it, then try again."],
};

export async function openCamera(video) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem("The camera cannot be used here", "Browsers allow it over https or on localhost only.");
  }
  try {
    const wanted = { video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" } };
    video.srcObject = await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    const [title, detail] = REFUSALS[error.name] ?? ["The camera cannot be used", `${error.message}. Choose a picture instead.`];
    throw new Problem(title, detail);
  }
  await video.play();
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
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

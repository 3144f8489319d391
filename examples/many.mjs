// Ask about many pictures at once: node examples/many.mjs *.jpg (Node 18 or newer, or a browser)
import { readFile } from "node:fs/promises";

const URL = process.env.EMOTION_URL ?? "http://127.0.0.1:8000";
const IN_FLIGHT = 8;
const TRIES = 10;
const sleep = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds));

// One picture; in a browser, `photo` is a File of an <input type="file">.
async function predict(photo, query = "faces=all") {
  const form = new FormData();
  form.append("image", photo);
  for (let attempt = 1; ; attempt++) {
    let pause = Math.min(0.1 * 2 ** attempt, 5);
    try {
      const response = await fetch(`${URL}/predict?${query}`, { method: "POST", body: form });
      const answer = await response.json();
      if (response.ok) return answer.faces;
      // 503: it is at its limit, 429: you are at yours; come back later. Any other problem says in
      // `detail` what to do about it.
      if (![429, 503].includes(response.status) || attempt === TRIES)
        throw new Error(answer.detail);
      pause = Number(response.headers.get("retry-after") ?? 1);
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === TRIES) throw error; // TypeError: no connection
    }
    await sleep(pause * (0.5 + Math.random()));
  }
}

const waiting = process.argv.slice(2);

async function worker() {
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    try {
      const faces = await predict(new Blob([await readFile(path)]));
      console.log(path, faces.map((face) => face.emotion).join(", "));
    } catch (error) {
      process.exitCode = 1;
      console.error(path, error.message);
    }
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, worker));

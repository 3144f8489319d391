// Ask about many pictures at once: node examples/many.mjs *.jpg (Node 18 or newer)
import { readFile } from "node:fs/promises";
import { predict } from "./predict.mjs";

const ADDRESS = process.env.EMOTION_URL ?? "http://127.0.0.1:8000";
const IN_FLIGHT = 8;
const waiting = process.argv.slice(2);

async function worker() {
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    try {
      const faces = await predict(new Blob([await readFile(path)]), ADDRESS);
      console.log(path, faces.map((face) => face.emotion).join(", "));
    } catch (error) {
      process.exitCode = 1;
      console.error(path, error.message);
    }
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, worker));

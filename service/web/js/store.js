/** What the store holds: listed once, and again where an answer tells that a newer store took over. */

import { getJson, Problem } from "./api.js";

let listed = null;

/** Tells of `replaced`. */
export const store = new EventTarget();

/** The store's records. */
export function artifacts() {
  if (!listed) {
    const asked = getJson("/models").then((answer) => {
      if (answer.artifacts.length) return answer.artifacts.map((a) => a.record);
      throw new Problem("The store is empty", "Publish a model, or start the service with another store.");
    });
    asked.catch(() => {
      if (listed === asked) listed = null;
    });
    listed = asked;
  }
  return listed;
}

export async function artifactsAnew() {
  listed = null;
  const records = await artifacts();
  store.dispatchEvent(new Event("replaced"));
  return records;
}

/** The store's records, those of `answers` among them. */
export async function recordsOf(answers) {
  const has = (records) => answers.every((a) => records.some((r) => r.model === a.model && r.precision === a.precision && r.sha256.startsWith(a.version)));
  let records = await artifacts();
  if (!has(records)) records = await artifactsAnew();
  if (!has(records)) throw new Problem("The store was replaced meanwhile", "Try again.");
  return records;
}

/** Do something with the records; where they name what is gone, once more with newer ones. */
export async function withArtifacts(work) {
  try {
    return await work(await artifacts());
  } catch (problem) {
    if (problem.type !== "unknown-artifact") throw problem;
    return work(await artifactsAnew());
  }
}

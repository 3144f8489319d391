/** The service's API: answers as objects, everything else as a Problem with a sentence. */

export class Problem extends Error {
  constructor(title, detail, { type = "", requestId = null, retryAfter = 0 } = {}) {
    super(detail);
    Object.assign(this, { title, detail, type, requestId, retryAfter });
  }
}

const KEY = "emotion-service-key"; // in the session's storage: gone with the tab

/** What a header can carry. */
export const KEY_PATTERN = "[ -~]+";

/** The session's storage; nothing where the browser blocks site data. */
function storage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

let key = storage()?.getItem(KEY);
if (!new RegExp(`^${KEY_PATTERN}$`).test(key)) key = null;

/** Use a key from now on; returns whether it outlives a reload. */
export function useKey(given) {
  key = given;
  storage()?.setItem(KEY, key);
  return Boolean(storage());
}

function forgetKey() {
  key = null;
  storage()?.removeItem(KEY);
}

async function request(path, { params = {}, body, signal } = {}) {
  const query = new URLSearchParams(params).toString();
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, {
      method: body ? "POST" : "GET",
      headers: {
        ...(body ? { "content-type": "application/octet-stream" } : {}),
        ...(key ? { authorization: `Bearer ${key}` } : {}),
      },
      body,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(
      "The service did not answer",
      "Check that it is running and that you can reach it, then try again.",
    );
  }
  if (response.status === 401) forgetKey();
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem(
    told.title ?? `The service answered ${response.status}`,
    told.detail ?? "It did not say why. Try again, and look into its log if that does not help.",
    {
      type: (told.type ?? "").split(":").pop(),
      requestId: told.request_id ?? response.headers.get("x-request-id"),
      retryAfter: Number(response.headers.get("retry-after")) || 0,
    },
  );
}

export const getJson = async (path, options) => (await request(path, options)).json();
export const getText = async (path, options) => (await request(path, options)).text();
export const getBlob = async (path, options) => (await request(path, options)).blob();

export const predict = (body, params, signal) => getJson("/predict", { body, params, signal });
export const compare = (body, params, signal) => getJson("/compare", { body, params, signal });
export const explain = (body, params, signal) => getJson("/explain", { body, params, signal });

/** Ask for the first amount of work that the service has time for: { answer, amount }. */
export async function inTime([amount, ...less], ask) {
  try {
    return { answer: await ask(amount), amount };
  } catch (problem) {
    if (problem.type !== "deadline-passed" || !less.length) throw problem;
    return inTime(less, ask);
  }
}

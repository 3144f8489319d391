// Ask about one picture, again where the service is busy. Runs in a browser and in Node 18 or newer.
const sleep = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds));

// `photo` is a Blob: in a browser, a File of an <input type="file">. `address` is the service's,
// such as http://127.0.0.1:8000.
export async function predict(photo, address, { query = "faces=all", tries = 10, seconds = 30 } = {}) {
  if (!/^https?:/.test(address)) throw new Error(`${address} must begin with http:// or https://`);
  const form = new FormData();
  form.append("image", photo);
  for (let attempt = 1; ; attempt++) {
    let pause = Math.min(0.1 * 2 ** attempt, 5);
    try {
      const signal = AbortSignal.timeout(1000 * seconds);
      const response = await fetch(`${address}/predict?${query}`, { method: "POST", body: form, signal });
      if (response.ok) return (await response.json()).faces;
      // 503: it is at its limit, 429: you are at yours, 502: a proxy finds it restarting; come back
      // later. Any other problem says in `detail` what to do about it; a proxy's answer is no JSON.
      if (![429, 502, 503].includes(response.status) || attempt === tries) {
        const problem = await response.json().catch(() => ({}));
        throw new Error(problem.detail ?? `${response.status} ${response.statusText}`);
      }
      pause = Number(response.headers.get("retry-after") ?? 1);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // TypeError: no connection
      const why = error.cause?.code ?? error.message;
      if (attempt === tries) throw new Error(`${address} cannot be reached: ${why}`, { cause: error });
    }
    await sleep(pause * (0.5 + Math.random()));
  }
}

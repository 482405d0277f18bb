// Requests to the endpoint: the token, pictures that it keeps, answers, and what its errors mean.
// Addresses are relative, so that the page works behind a proxy that serves the endpoint below a prefix.

import { find } from "./dom.js";

const TOKEN = "token";

export const address = (path) => new URL(`../${path}`, location.href);
export const applyPath = (name) => `v1/models/${name}:apply`;

// A request that the server refused or failed at.
export class ServerError extends Error {
  constructor(status, { code = "", message, request_id: requestId = "" }, retryAfter) {
    super(message);
    Object.assign(this, { status, code, requestId, retryAfter });
  }
}

// A request, with the token that an endpoint for others asks for; it is kept until the tab is closed.
async function send(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers = { ...headers, Authorization: `Bearer ${token}` };
  const response = await fetch(address(path), { ...options, headers });
  if (response.status === 401) {
    // Another request may have brought a new token meanwhile.
    if (sessionStorage.getItem(TOKEN) === token) await askToken(Boolean(token));
    return send(path, { headers, ...options });
  }
  if (!response.ok) throw await readError(response);
  return response;
}

async function readError(response) {
  const text = await response.text();
  const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
  let error;
  try {
    error = JSON.parse(text).error;
  } catch {
    error = undefined; // a proxy's page
  }
  return new ServerError(response.status, error ?? { message: text.slice(0, 200) }, retryAfter);
}

let asked = null;

function askToken(again) {
  asked ??= new Promise((done) => {
    find("refused").hidden = !again;
    find("lock").showModal();
    // Without a token there is nothing to do here.
    find("lock").oncancel = (event) => event.preventDefault();
    find("unlock").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, find("token").value.trim());
      find("lock").close();
      asked = null;
      done();
    };
  });
  return asked;
}

export async function fetchModels() {
  return (await (await send("v1/models")).json()).models;
}

// Whether the file goes with each request: browsers hash only on secure contexts, and a server keeps what it has room for.
export const goesAlong = (picture) => picture.goesAlong || !globalThis.crypto?.subtle;

// Have the server keep a picture. Resolves to its name there and its upright size, or to null where the file goes with
// each request; repeated calls share one request.
export async function keep(picture) {
  if (goesAlong(picture)) return null;
  picture.kept ??= put(picture).catch((error) => {
    picture.kept = null;
    if (error.code !== "too_large_to_keep") throw error;
    picture.goesAlong = true;
    return null;
  });
  return picture.kept;
}

async function put({ file, lifetime }) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const name = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const options = { method: "PUT", body: file, signal: lifetime.signal, headers: stickTo(name) };
  return (await send(`v1/images/${name}`, options)).json();
}

// Of several replicas, the one that keeps a picture gets all requests with it.
const stickTo = (name) => ({ "X-Session-Id": name });

// Restore a picture.
//   options: form fields beside the sliders, such as region or max_side
export async function apply(model, picture, values, options, { signal, accept = "image/png" }, isSentAgain = false) {
  const form = new FormData();
  const name = (await keep(picture))?.sha256;
  const headers = { Accept: accept, ...(name && stickTo(name)) };
  form.append("image", name ?? picture.file);
  for (const [name, value] of Object.entries({ ...values, ...options })) form.append(name, value);
  signal.throwIfAborted();
  try {
    const response = await send(applyPath(model), { method: "POST", body: form, signal, headers });
    return await response.blob();
  } catch (error) {
    if (error.code !== "image_gone" || !name) throw error;
    picture.kept = null;
    picture.goesAlong = isSentAgain; // what is gone at once would be for ever: too many pictures, or another replica's
    return apply(model, picture, values, options, { signal, accept }, true);
  }
}

// What to do about an error, and after how many seconds to try again unasked.
export function explain(error, limits) {
  if (!(error instanceof ServerError)) {
    return error instanceof TypeError
      ? { text: "The server does not answer. Check that it is running and that you are connected.", retryAfter: 5 }
      : { text: `Something went wrong on this page: ${error.message}. Reload it.` };
  }
  const { status, code, message, requestId } = error;
  const reference = requestId ? ` (request ${requestId})` : "";
  if (status === 429) return { text: "The server is busy with other pictures.", retryAfter: error.retryAfter ?? 2 };
  if (status === 503) return { text: "The server cannot compute just now.", retryAfter: error.retryAfter ?? 5 };
  if (code === "image_too_large" || code === "body_too_large") {
    return { text: `The picture is too large: choose one of ${describeLimits(limits)}.` };
  }
  if (code === "bad_image" || status === 415) {
    return { text: `The server cannot read this file: ${message}. Choose a PNG, JPEG, WebP or TIFF file.` };
  }
  if (status === 408) return { text: "That took longer than the server allows. Zoom in, or choose a smaller picture." };
  if (status >= 500) return { text: `The server failed${reference}. Try again; its log says why.` };
  return { text: `The server refused: ${message}${reference}.` };
}

export function describeLimits({ max_pixels: pixels, max_body_bytes: bytes }) {
  return `at most ${Number((pixels / 1e6).toPrecision(2))} megapixels and ${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

// Pictures: the file as chosen, what the browser can show of it, and smaller versions.

import { keep } from "./requests.js";

const LEVEL_PX = 2048; // longer side of the version that is drawn when the whole picture is in view

export const area = ({ width, height }) => width * height;

// Open a file. A picture that the browser cannot show, such as TIFF, has no bitmap; its size comes from the server.
//   checked: whether the server must accept it before it is shown
export async function openPicture(file, { checked }) {
  const picture = { file, bitmap: null, level: null, reduced: null, kept: null, lifetime: new AbortController() };
  picture.bitmap = await createImageBitmap(file).catch(() => null);
  if (picture.bitmap) Object.assign(picture, { width: picture.bitmap.width, height: picture.bitmap.height });
  const kept = checked ? await keep(picture) : null;
  if (kept) {
    const { width, height } = kept;
    // Where browser and server disagree on what is upright, the server's answers count.
    if (width !== picture.width || height !== picture.height) picture.bitmap = null;
    Object.assign(picture, { width, height });
  }
  if (picture.bitmap && Math.max(picture.width, picture.height) > LEVEL_PX) {
    picture.level = await resize(picture.bitmap, LEVEL_PX / Math.max(picture.width, picture.height));
  }
  return picture;
}

export function closePicture({ bitmap, level, reduced, lifetime }) {
  lifetime.abort();
  bitmap?.close();
  level?.close();
  reduced?.then((small) => closePicture(small), () => {});
}

function resize(bitmap, factor) {
  return createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * factor)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * factor)),
    resizeQuality: "high",
  });
}

// The whole picture with about so many pixels, as a picture of its own.
export function reduce(picture, pixels) {
  picture.reduced ??= makeReduced(picture, pixels);
  return picture.reduced;
}

async function makeReduced({ bitmap, file }, pixels) {
  const small = await resize(bitmap, Math.min(1, Math.sqrt(pixels / area(bitmap))));
  const canvas = new OffscreenCanvas(small.width, small.height);
  canvas.getContext("2d").drawImage(small, 0, 0);
  small.close();
  const blob = await canvas.convertToBlob();
  return { ...(await openPicture(new File([blob], file.name), { checked: false })), isReduced: true };
}

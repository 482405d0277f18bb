// The dialog for programmers: the same request with curl, the form's fields, the addresses.

import { find, make, short } from "./dom.js";
import { address, applyPath } from "./requests.js";

const OPTIONS = [
  ["region", "x,y,width,height", "all of it", "this part of the result alone, in pixels of the upright picture"],
  ["max_side", "pixels", "", "the result, reduced until its longer side is at most this"],
  ["metadata", "keep or none", "keep", "whether the file's metadata come along"],
  ["quality", "1 to 100", "", "for JPEG, and for WebP that is not to be lossless"],
];

find("help").addEventListener("click", () => find("call").showModal());

// Browsers give the clipboard to pages from this machine or over https only.
for (const id of ["copy", "link"]) find(id).hidden = !navigator.clipboard;

export function copyOnClick(button, text) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
}

copyOnClick(find("copy"), () => find("curl").textContent);

export function showModel({ name, sliders }) {
  find("apply").textContent = `/${applyPath(name)}`;
  find("card").textContent = `/v1/models/${name}`;
  find("card").href = address(`v1/models/${name}`);
  find("fields").replaceChildren(
    makeRow("image", "a file, or the SHA-256 of one that was PUT", "", "the picture: PNG, JPEG, WebP, TIFF"),
    ...sliders.map((s) => makeRow(s.name, `${s.low} to ${s.high} ${s.unit}`, short(s.default), s.description)),
    ...OPTIONS.map((option) => makeRow(...option)),
  );
}

export function showCall(name, values) {
  const fields = Object.entries(values).map(([field, value]) => ` -F ${field}=${value}`);
  find("curl").textContent =
    `curl -F image=@photo.png${fields.join("")} \\\n  -o restored.png ${address(applyPath(name))}`;
}

const makeRow = (field, ...texts) =>
  make("tr", {}, make("td", {}, make("code", {}, field)), ...texts.map((text) => make("td", {}, text)));

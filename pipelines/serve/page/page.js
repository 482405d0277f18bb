// The page at /docs: choose a model and a picture, turn the sliders, compare. This module puts the others together.

import { Controls } from "./controls.js";
import { announce, describe, find, make, seconds } from "./dom.js";
import { Download } from "./download.js";
import { copyOnClick, showCall, showModel } from "./help.js";
import { Painter } from "./paint.js";
import { area, closePicture, openPicture } from "./picture.js";
import { Plane } from "./plane.js";
import { hideProblem, showProblem } from "./problem.js";
import { apply, describeLimits, explain, fetchModels } from "./requests.js";
import { Restorer } from "./restorer.js";
import { View } from "./view.js";

const NOTICED_MS = 300; // shorter computations are not worth a word
const LONG_MS = 1000; // longer ones can be cancelled
const LABEL_PX = 64;
const HASH_MS = 200; // browsers refuse more frequent changes of the address

let cards = [];
let card = null;
let picture = null;
let announced = "";
let hashTimer = 0;
let answerFailed = false; // whether the problem that is shown is one of the answer in view
let opening = ""; // name of the file that is being opened
let choices = 0; // of files

const view = new View({ changed: () => draw(), moved: () => restorer.moved() });
const controls = new Controls(() => valuesChanged());
const plane = new Plane(controls);
const restorer = new Restorer(view, controls, { changed: () => update(), failed: showFailure });
const painter = new Painter(view);
const download = new Download(
  () => ({ card, picture, values: controls.values, total: restorer.estimate(area(picture)) }),
  {
    failed: showProblem,
    changed: () => {
      restorer.paused = Boolean(download.current);
      restorer.wake();
    },
  },
);

async function start() {
  cards = await fetchModels();
  find("model").replaceChildren(
    ...cards.map(({ name, version }) => make("option", { value: name }, `${name} ${version.slice(0, 8)}`)),
  );
  restoreHash();
  const sample = await (await fetch("sample.jpg")).blob();
  if (!choices) await show(new File([sample], "sample.jpg"), { checked: false });
}

function chooseModel(name, values) {
  card = cards.find((candidate) => candidate.name === name) ?? cards[0];
  find("model").value = card.name;
  const { limits, description, scale } = card;
  find("description").textContent = scale > 1 ? `${description} The result is ${scale} times as large.` : description;
  find("limits").textContent = describeLimits(limits);
  hideProblem();
  restorer.setCard(card);
  view.enlarging = scale;
  showModel(card);
  controls.show(card, values);
}

function valuesChanged() {
  showCall(card.name, controls.values);
  plane.show();
  if (picture) restorer.aimStrip();
  clearTimeout(hashTimer);
  hashTimer = setTimeout(writeHash, HASH_MS);
  restorer.wake();
}

// The model and the setting are in the address, so that a link restores them.
function writeHash() {
  const fields = new URLSearchParams({ model: card.name, ...controls.values });
  history.replaceState(null, "", `#${fields}`);
}

function restoreHash() {
  const { model, ...values } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  chooseModel(model, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, parseFloat(value)])));
}

async function take(file) {
  if (!file) return;
  const turn = ++choices;
  opening = file.name;
  update();
  try {
    await show(file, { checked: true });
    find("source").hidden = true;
  } catch (error) {
    answerFailed = false;
    if (turn === choices) showProblem(explain(error, card.limits), () => take(file));
  }
  if (turn === choices) opening = "";
  update();
}

async function show(file, { checked }) {
  const turn = choices;
  const next = await openPicture(file, { checked });
  if (!next.width) await measure(next);
  if (turn !== choices) {
    closePicture(next); // another was chosen meanwhile
    return;
  }
  if (picture) closePicture(picture);
  picture = next;
  hideProblem();
  restorer.setPicture(picture);
  view.alone = !picture.bitmap;
  find("stage").classList.toggle("alone", view.alone);
  view.show(picture.width, picture.height);
  restorer.settle();
}

// The size of a picture that the browser cannot show and the server cannot keep is that of a result.
async function measure(next) {
  const blob = await apply(card.name, next, controls.values, {}, { signal: next.lifetime.signal });
  const result = await createImageBitmap(blob);
  Object.assign(next, { width: result.width / card.scale, height: result.height / card.scale });
  result.close();
}

function showFailure(error, key) {
  const explained = explain(error, card.limits);
  if (explained.retryAfter) restorer.waitFor(explained.retryAfter);
  else restorer.halted = key;
  answerFailed = true;
  showProblem(explained, () => restorer.resume());
}

function draw() {
  showLabels(restorer.scene());
  painter.request(() => restorer.scene());
}

// Say what is on either side; a label that has no room on its side is left out.
function showLabels({ state, label = "" }) {
  const width = view.node.clientWidth;
  find("stage").dataset.state = state;
  const [before, after] = [find("before-label"), find("after-label")];
  if (after.textContent !== label) after.textContent = label;
  const [left, right] = [view.cut * width, (1 - view.cut) * width];
  before.classList.toggle("unseen", state === "empty" || left < LABEL_PX);
  after.classList.toggle("unseen", state === "empty" || right < LABEL_PX);
  after.style.maxWidth = `${Math.max(0, right - 16)}px`;
  find("wipe").ariaValueNow = String(Math.round(view.wipe * 100));
  find("zoom").textContent = `${formatZoom((view.scale / view.actualScale) * 100)} %`;
}

const formatZoom = (percent) => (percent < 10 ? percent.toFixed(1) : String(Math.round(percent)));

// Everything that depends on the work: the bar below the picture, and what a screen reader hears.
function update() {
  draw();
  if (!card || !picture) return;
  const { progress } = restorer;
  const { state } = restorer.scene();
  const isStopped = restorer.isStopped && state !== "exact";
  find("stage").dataset.busy = restorer.jobs.current?.job.kind ?? "";
  find("stage").dataset.preview = restorer.isReady ? "ready" : "";
  find("status").textContent = download.text || statusText(progress, state, isStopped);
  find("progress").hidden = !(progress?.ms > LONG_MS);
  if (progress?.total) Object.assign(find("progress"), { max: progress.total, value: Math.min(progress.ms, progress.total) });
  else find("progress").removeAttribute("value");
  find("cancel").hidden = !(progress?.ms > LONG_MS) && !(isStopped && find("problem").hidden);
  find("cancel").textContent = isStopped ? "Compute" : "Cancel";
  if (state !== "exact") return;
  if (answerFailed) {
    answerFailed = false;
    hideProblem();
  }
  const setting = `${card.name}: ${describe(controls.values)}`;
  if (!progress && setting !== announced) {
    announced = setting;
    announce(`Result for ${setting}`);
  }
}

function statusText(progress, state, isStopped) {
  if (opening) return `Opening ${opening} …`;
  if (isStopped) return find("problem").hidden ? "Cancelled" : "";
  if (progress && progress.ms > NOTICED_MS) {
    return `Computing: ${seconds(progress.ms)}${progress.total ? ` of about ${seconds(progress.total)}` : ""}`;
  }
  if (state !== "exact" || !restorer.last) return "";
  const size = ({ width, height }) => `${width} × ${height}`;
  const { scale } = card;
  const result = { width: picture.width * scale, height: picture.height * scale };
  return `${scale > 1 ? `${size(picture)} to ` : ""}${size(result)}, ${seconds(restorer.last.ms)}`;
}

setInterval(() => (restorer.progress || download.current) && update(), 250);

find("model").addEventListener("change", (event) => chooseModel(event.target.value));
find("cancel").addEventListener("click", () => (restorer.progress ? restorer.cancel() : restorer.resume()));
find("file").addEventListener("change", (event) => take(event.target.files[0]));
copyOnClick(find("link"), () => {
  writeHash();
  return location.href;
});
window.addEventListener("hashchange", restoreHash);
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("stage").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}

const begin = () =>
  start().catch((error) => showProblem(explain(error), () => begin()));
begin();

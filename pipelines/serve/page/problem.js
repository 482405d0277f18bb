// What went wrong, in words, and what happens next: a button, or a countdown to the next attempt.

import { find } from "./dom.js";

let timer = 0;

// Show a problem until it is hidden or tried again.
//   retryAfter: seconds to the next attempt; without it, only the button tries again
export function showProblem({ text, retryAfter }, retry) {
  hideProblem();
  find("problem-text").textContent = text;
  find("problem").hidden = false;
  find("retry").onclick = () => {
    hideProblem();
    retry();
  };
  if (!retryAfter) return;
  const end = performance.now() + retryAfter * 1000;
  const count = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    find("countdown").textContent = `Trying again in ${left} s.`;
    if (left <= 0) find("retry").onclick();
  };
  timer = setInterval(count, 250);
  count();
}

export function hideProblem() {
  clearInterval(timer);
  find("problem").hidden = true;
  find("problem-text").textContent = find("countdown").textContent = "";
}

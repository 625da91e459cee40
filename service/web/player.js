// Controls that walk through the states of something: back, play, forward, and a slider; by keyboard too.

import {h, newId} from "./dom.js";

const WHOLE_MS = 8000; // to play from the first state to the last
const LEAST_MS = 40;
const MOST_MS = 900;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Controls for the states 0 … `last`. `show(state)` draws one; `name(state)` says it in words.
 * Returns {element, go(state), step(by), stop(), keys}: `stop` when the reader leaves; `keys` listens to the keydown of what is shown.
 */
export function player({last, show, name, label}) {
  const id = newId("player");
  let state = 0;
  let timer = null;
  const slider = h("input", {type: "range", id, min: 0, max: last, step: 1, value: 0, oninput: () => (stop(), go(Number(slider.value)))});
  const play = h("button", {type: "button", class: "primary", onclick: () => (timer === null ? start() : stop())}, "Play");
  const back = h("button", {type: "button", onclick: () => step(-1)}, "Back");
  const forward = h("button", {type: "button", onclick: () => step(1)}, "Forward");
  const said = h("output", {for: id});
  const element = h("div", {class: "player", role: "group", "aria-label": label},
    h("div", {class: "player-buttons"}, back, play, forward), h("label", {for: id, class: "unseen"}, label), slider, said);

  function go(next) {
    state = Math.max(0, Math.min(last, next));
    slider.value = state;
    slider.setAttribute("aria-valuetext", name(state));
    said.textContent = name(state);
    back.disabled = state === 0;
    forward.disabled = state === last;
    show(state);
  }

  function step(by) {
    stop();
    go(state + by);
  }

  function start() {
    const least = calm.matches ? MOST_MS : LEAST_MS; // fewer, larger steps where motion is not wanted
    const pause = Math.max(least, Math.min(MOST_MS, WHOLE_MS / last));
    const stride = Math.max(1, Math.round((last * pause) / WHOLE_MS));
    if (state === last) go(0);
    play.textContent = "Pause";
    said.setAttribute("aria-live", "off"); // a screen reader could not follow
    timer = setInterval(() => {
      go(state + stride);
      if (state === last) stop();
    }, pause);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    said.removeAttribute("aria-live");
  }

  function keys(event) {
    // What takes input has keys of its own.
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, summary, .scroll")) return;
    const moves = {ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last};
    if (event.key in moves) step(moves[event.key]);
    else if (event.key === " " && event.target.tagName !== "BUTTON") play.click();
    else return;
    event.preventDefault();
  }

  return {element, go, step, stop, keys};
}

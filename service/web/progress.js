// A job while it runs: how far it is, its loss as it falls, and a way to stop it.

import {send} from "./api.js";
import {axes, chart, lines, points} from "./chart.js";
import {h, notice, replace} from "./dom.js";
import {extent, farther, number, wider} from "./numbers.js";

const STEEP = 50; // a loss that fell by this factor is drawn on a logarithmic scale

/** Show a job in `place`; returns the function that hears its record whenever it changes. */
export function jobProgress(place) {
  const seen = new Map(); // epoch -> loss, as far as the record told
  const text = h("p", {role: "status"}, "Sending the rows …");
  const bar = h("progress", {max: 1, "aria-label": "How far the training is"});
  const stop = h("button", {type: "button", hidden: true}, "Stop");
  const figure = chart({
    title: "The loss as it goes", label: "Loss by epoch, as far as the training has come", height: 240, draw: (plot) => draw(plot, seen),
  });
  figure.hidden = true;
  replace(place, text, h("div", {class: "row"}, bar, stop), figure);
  let id = null;
  stop.addEventListener("click", async () => {
    stop.disabled = true;
    try {
      await send("DELETE", `/jobs/${id}`);
    } catch (problem) {
      place.append(notice(problem));
    }
  });

  return (record) => {
    id = record.id;
    stop.hidden = false;
    text.textContent = described(record);
    const share = shareOf(record.progress ?? {});
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    const {epoch, loss, losses = []} = record.progress ?? {};
    if (epoch === undefined || loss === null) return;
    for (const [at, value] of [...losses, [epoch, loss]]) seen.set(at, value);
    figure.hidden = false;
    figure.redraw();
  };
}

function described({state, progress = {}}) {
  if (state === "queued") return "Waiting for the trainer …";
  const {rows, rows_total: total, epoch, epochs, loss, seconds_left: left} = progress;
  const time = left ? `, about ${number(Math.max(1, Math.round(left)))} s left` : "";
  if (epoch !== undefined) return `Epoch ${number(epoch)} of ${number(epochs)}, loss ${number(loss, 5)}${time}`;
  if (rows) return `${number(rows)}${total ? ` of about ${number(total)}` : ""} rows read${time}`;
  return "Training …";
}

function shareOf({rows, rows_total: total, epoch, epochs}) {
  if (epoch !== undefined) return epoch / epochs;
  return rows && total ? rows / total : null;
}

function draw(plot, seen) {
  const epochs = [...seen.keys()].sort((a, b) => a - b);
  const losses = epochs.map((epoch) => seen.get(epoch));
  const [low, high] = extent(losses);
  const log = low > 0 && high > STEEP * low;
  const y = log ? farther([low, high]) : wider([low, high]);
  axes(plot, {x: [0, Math.max(...epochs, 1)], y, yLog: log, xWhole: true, xLabel: "epoch", yLabel: "loss"});
  lines(plot, epochs, losses);
  points(plot, epochs.slice(-1), losses.slice(-1), "contrast", {radius: 5});
}

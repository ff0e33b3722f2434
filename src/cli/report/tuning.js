// SPDX-License-Identifier: Apache-2.0
// What a tuning journal shows: the best variants, their gain and bandwidth, and what was rejected.
"use strict";

const tunedCells = (device) => device.cells;
const tunedFamily = (cell) => cell.family + (cell.routed > 0 ? `, ${percent(cell.routed)} routed` : "");

function measuredText(name, one) {
  const spread = `MAD ${digits(one.mad_percent, 2)} %`;
  return `${name}: ${digits(one.median_us, 4)} µs (${spread}), ${one.variant} | ${one.launch}`;
}

function tunedTip(cell) {
  const shown = ["best", "planned", "generic"].filter((name) => cell[name]);
  const bandwidth =
      `${digits(rate(cell, cell.best.median_us), 4)} GB/s, ${percent(cell.read_us / cell.best.median_us)} of read`;
  return [cell.problem, ...shown.map((name) => measuredText(name, cell[name])), bandwidth].join("\n");
}

function bestVariants(devices) {
  const kinds = groupBy(devices.flatMap(tunedCells), (cell) => variantKind(cell.best.variant));
  kinds.sort((a, b) => b[1].length - a[1].length);
  const names = kinds.map(([name]) => name);
  const cellOf = (cell) => {
    const index = Math.min(names.indexOf(variantKind(cell.best.variant)), kColours - 1);
    const style = `background: ${tint(index, 0.22)}; border-left-color: ${colour(index)}`;
    const [engine, ...lines] = variantLines(cell.best.variant);
    return html("td", {style, "data-tip": tunedTip(cell)}, html("b", {}, engine), lines.map((line) => html("span", {}, line)));
  };
  section(
      "Best variant",
      "The fastest variant by batch (down) and kv_len (across): engine, schedule and fusion (which the colour follows), " +
          "work-group size and tile, vector width and stages.",
      panels(devices, tunedCells, tunedFamily, (cells) => heatMap(cells, cellOf)));
}

function speedUps(devices) {
  // Fixed shades, so that devices compare: twice as fast is the darkest.
  const shade = (gain) => tint(gain < 1 ? 1 : 0, 0.6 * Math.min(1, Math.abs(Math.log2(gain))) ** 0.7);
  const cellOf = (cell) => {
    if (cell.gain === undefined) return html("td", {class: "none", "data-tip": tunedTip(cell)}, "–");
    return html("td", {class: "value", style: `background: ${shade(cell.gain)}`, "data-tip": tunedTip(cell)}, times(cell.gain));
  };
  section(
      "Speed-up over generic",
      "Time of the generic variant over that of the best one, paired by round. Blue: the best one is faster.",
      panels(devices, tunedCells, tunedFamily, (cells) => heatMap(cells, cellOf)));
}

function tunedBandwidth(devices) {
  const bestUs = (cell) => cell.best.median_us, readUs = (cell) => cell.read_us;
  const line = (cells, usOf) => cells.map((cell) => ({x: cell.kv_len, y: rate(cell, usOf(cell)), tip: tunedTip(cell)}));
  const draw = (cells, device, family) => {
    const series = groupBy(cells, (cell) => cell.batch)
                       .flatMap(
                           ([batch, own], index) =>
                               [{name: `batch ${batch}`, index, points: line(own, bestUs)},
                                {index, bare: true, dash: "5 4", points: line(own, readUs)},
    ]);
    return bandwidthPlot(`Bandwidth on ${device.name}: ${family}`, series);
  };
  section(
      "Bandwidth of the best variant",
      "Bytes that the step must read, by its time. Dashed, in the same colour: a kernel that only reads as many.",
      panels(devices, tunedCells, tunedFamily, draw));
}

function tunedNumbers(devices) {
  const us = (one) => one ? digits(one.median_us, 4) : "–";
  const gain = (value) => value === undefined ? "–" : times(value);
  const columns = [
    ["problem", (cell) => cell.problem],
    ["routed", (cell) => percent(cell.routed), "number"],
    ["best µs", (cell) => us(cell.best), "number"],
    ["MAD %", (cell) => digits(cell.best.mad_percent, 2), "number"],
    ["generic µs", (cell) => us(cell.generic), "number"],
    ["gain", (cell) => gain(cell.gain), "number"],
    ["over planned", (cell) => gain(cell.gain_over_planned), "number"],
    ["GB/s", (cell) => digits(rate(cell, cell.best.median_us), 4), "number"],
    ["% read", (cell) => digits(100 * cell.read_us / cell.best.median_us), "number"],
    ["rounds", (cell) => String(cell.rounds), "number"],
    ["candidates", (cell) => String(cell.candidates), "number"],
    ["best variant | launch", (cell) => `${cell.best.variant} | ${cell.best.launch}`, "long"],
  ];
  section("Tuned cells", "", wholePanels(devices, tunedCells, (cells) => numbers(cells, columns)));
}

function rejectedCandidates() {
  const kLongest = 180;  // a build log has more
  const devices = devicesWith("rejected");
  const rowsOf = (device) => device.rejected;
  const most = Math.max(...devices.flatMap(rowsOf).map((row) => row.count));
  const engines = [...new Set(devices.flatMap(rowsOf).map((row) => row.engine))].sort();
  const bar = (row) => {
    const style = `width: ${120 * row.count / most}px; background: ${colour(engines.indexOf(row.engine))}`;
    return html("div", {class: "bar", style});
  };
  const example = ({reason, variant}) => {
    const brief = reason.length > kLongest ? `${reason.slice(0, kLongest)}…` : reason;
    return html("div", {"data-tip": `${variant}\n${reason}`}, brief);
  };
  const columns = [
    ["reason", (row) => row.why],
    ["engine", (row) => row.engine],
    ["count", (row) => String(row.count), "number"],
    ["", bar],
    ["for example", example, "long"],
  ];
  section(
      "Rejected candidates", "Candidates that were not timed to the end, by reason and engine.",
      wholePanels(devices, rowsOf, (rows) => table(rows, columns)));
}

function tuning() {
  const devices = devicesWith("cells");
  bestVariants(devices);
  speedUps(devices);
  tunedBandwidth(devices);
  tunedNumbers(devices);
  rejectedCandidates();
}

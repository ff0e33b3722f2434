// SPDX-License-Identifier: Apache-2.0
// Elements, names and plots of the page of clsink report. Text enters the page as text nodes and attributes, never as markup.
"use strict";

// --- Elements ----------------------------------------------------------------------------------------------------------

const svgNamespace = document.getElementById("svg").namespaceURI;

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}
const html = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(svgNamespace, name), attributes, children);

// --- Numbers and names -------------------------------------------------------------------------------------------------

const digits = (value, precision = 3) => String(Number(value.toPrecision(precision)));
const percent = (fraction) => `${digits(100 * fraction)} %`;
const times = (ratio) => `×${ratio.toFixed(2)}`;
const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const rate = (row, us) => us > 0 ? 1e-3 * row.bytes / us : 0;  // GB/s

function tokens(n) {
  for (const [unit, size] of [["M", 1 << 20], ["K", 1 << 10]]) {
    if (n >= size && n % size === 0) return `${n / size}${unit}`;
  }
  return String(n);
}

const ascending = (values) => [...new Set(values)].sort((a, b) => a - b);
const least = (rows, valueOf) => rows.reduce((best, row) => valueOf(row) < valueOf(best) ? row : best);

// Pairs of key and rows, keys in the order in which they come up.
function groupBy(rows, keyOf) {
  const groups = new Map();
  for (const row of rows) {
    const key = keyOf(row);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups];
}

// What a cell has room for, a line each: engine; schedule and fusion; the other fields.
function variantLines(variant) {
  const kBrief = {tile_kv: "kv", stages: "st", sub_group_size: "sg"};
  const [engine, ...fields] = variant.split(" ");
  const {schedule, fusion, ...others} = Object.fromEntries(fields.map((field) => field.split("=")));
  const kind = [schedule, fusion !== "none" && fusion].filter(Boolean).join(" ");
  return [engine, kind, Object.entries(others).map(([key, value]) => `${kBrief[key] ?? key}${value}`).join(" ")];
}
const variantKind = (variant) => variantLines(variant).slice(0, 2).join(" ");

// --- Colours and marks: beyond seven the colours come again with other marks --------------------------------------------

const kColours = 7;
const kMarks = [
  "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
  "M-4,-4h8v8h-8z",
  "M0,-5.5l5,9h-10z",
  "M0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z",
  "M0,5.5l5,-9h-10z",
  "M-5,-1.8h3.2v-3.2h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2z",
  "M-6,-3h12v6h-12z",
];
const colour = (index) => `var(--c${index % kColours})`;
const tint = (index, share) => `color-mix(in srgb, ${colour(index)} ${Math.round(100 * share)}%, var(--paper))`;

function mark(index, attributes) {
  const outline = kMarks[(index + Math.floor(index / kColours)) % kMarks.length];
  return svg("path", {class: "mark", d: outline, fill: colour(index), ...attributes});
}

// A series is {name, index: of colour and mark, bare: without marks, dash, stroke: instead of the colour, points}; one without
// a name is not in the legend.
function legend(series) {
  const swatch = ({index, bare, dash, stroke}) =>
      svg("svg", {width: 30, height: 12},
          svg("line", {class: "line", x1: 0, x2: 30, y1: 6, y2: 6, stroke: stroke ?? colour(index), "stroke-dasharray": dash}),
          bare ? null : mark(index, {transform: "translate(15 6)"}));
  return html("ul", {class: "legend"}, series.filter((one) => one.name).map((one) => html("li", {}, swatch(one), one.name)));
}

// --- Plots -------------------------------------------------------------------------------------------------------------

// Round numbers from low to high, with `beyond` as far as it takes to hold both between them.
function roundSteps(low, high, wanted, beyond = false) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= 0.999 * raw);
  const first = beyond ? Math.floor(low / step + 1e-9) : Math.ceil(low / step - 1e-9);
  const last = beyond ? Math.max(first + 1, Math.ceil(high / step - 1e-9)) : Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const plots = [];  // functions that draw again for the width at hand
const layOut = () => plots.forEach((draw) => draw());

// Lines over x: {label, log2, ticks, tickText}, from 0 on y: {label, tickText}; a point is {x, y, tip}.
function linePlot(title, x, y, series) {
  const drawn = html("div");
  const figure = html("div", {class: "plot"}, drawn, legend(series));
  const along = x.log2 ? Math.log2 : (value) => value;
  const [first, last] = [along(x.ticks[0]), along(x.ticks[x.ticks.length - 1])];
  const highest = 1.04 * Math.max(...series.flatMap((one) => one.points.map((point) => point.y)));

  plots.push(() => {
    const width = Math.max(260, Math.min(720, figure.clientWidth));
    const height = Math.round(Math.max(220, Math.min(320, 0.55 * width)));
    const [left, right, top, bottom] = [48, width - 18, 24, height - 42];
    const atX = (value) => left + 14 + (along(value) - first) / (last - first || 1) * (right - left - 20);
    const atY = (value) => bottom - value / highest * (bottom - top);
    const text = (attributes, content) => svg("text", attributes, content);
    const parts = [
      text({x: 2, y: 12}, y.label),
      text({x: (left + right) / 2, y: height - 6, "text-anchor": "middle"}, x.label),
    ];
    for (const step of roundSteps(0, highest, 5)) {
      parts.push(svg("line", {class: "grid", x1: left, x2: right, y1: atY(step), y2: atY(step)}));
      parts.push(text({x: left - 6, y: atY(step) + 4, "text-anchor": "end"}, y.tickText(step)));
    }
    let labelled = -Infinity;  // where the last label stands; a closer one would touch it
    for (const value of x.ticks) {
      parts.push(svg("line", {class: "grid", x1: atX(value), x2: atX(value), y1: top, y2: bottom}));
      if (atX(value) - labelled < 38) continue;
      labelled = atX(value);
      parts.push(text({x: labelled, y: bottom + 17, "text-anchor": "middle"}, x.tickText(value)));
    }
    parts.push(svg("path", {class: "axes", d: `M${left},${top}V${bottom}H${right}`}));
    for (const {index, bare, dash, stroke, points} of series) {
      const path = points.map((point) => `${atX(point.x).toFixed(1)},${atY(point.y).toFixed(1)}`).join("L");
      parts.push(svg("path", {class: "line", d: `M${path}`, stroke: stroke ?? colour(index), "stroke-dasharray": dash}));
      for (const point of bare ? [] : points) {
        parts.push(mark(index, {transform: `translate(${atX(point.x)} ${atY(point.y)})`, "data-tip": point.tip}));
      }
    }
    drawn.replaceChildren(svg("svg", {viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": title}, parts));
  });
  return figure;
}

// GB/s over kv_len; null for fewer than two lengths, which make no line.
function bandwidthPlot(title, series) {
  const lengths = ascending(series.flatMap((one) => one.points.map((point) => point.x)));
  if (lengths.length < 2) return null;
  const x = {label: "kv_len", log2: true, ticks: lengths, tickText: tokens};
  return linePlot(title, x, {label: "GB/s of K and V", tickText: (value) => digits(value, 6)}, series);
}

// One strip a row, with its dots, over a common axis with a line at `reference`.
// rows: [{label, dots: [{index, value, from, to, tip}]}], where a line leads from `from` to `to`.
function strips(series, rows, {label: axisLabel, tickText, reference}) {
  const values = rows.flatMap((row) => row.dots.flatMap(({value, from, to}) => [value, from ?? value, to ?? value]));
  const ticks = roundSteps(Math.min(reference, ...values), Math.max(reference, ...values), 5, true);
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const at = (value) => `${(5 + 90 * (value - low) / (high - low)).toFixed(2)}%`;
  const upright = (kind, value) => svg("line", {class: kind, x1: at(value), x2: at(value), y1: 0, y2: "100%"});
  const span = ({index, from, to}) =>
      svg("line", {class: "line", x1: at(from), x2: at(to), y1: "50%", y2: "50%", stroke: colour(index)});
  const dot = ({index, value, tip}) => svg("svg", {x: at(value), y: "50%"}, mark(index, {"data-tip": tip}));
  const strip = (label, ...parts) => html("div", {class: "strip"}, html("span", {}, label), svg("svg", {}, ...parts));
  const drawn = ({label, dots}) => strip(
      label, ticks.map((tick) => upright("grid", tick)), upright("reference", reference),
      dots.filter(({from, to}) => to > from).map(span), dots.map(dot));
  const tickLabel = (tick) => svg("text", {x: at(tick), y: 16, "text-anchor": "middle"}, tickText(tick));
  const axis = () => strip("", svg("g", {class: "axis"}, ticks.map(tickLabel)));
  return html("div", {}, legend(series), html("p", {class: "label"}, axisLabel), axis(), rows.map(drawn), axis());
}

// --- Tables ------------------------------------------------------------------------------------------------------------

const scrolling = (content) => html("div", {class: "scroll"}, content);
const heading = (text, kind) => html("th", {scope: "col", class: kind}, text);

// Batch down, kv_len across; cellOf: row -> table cell.
function heatMap(rows, cellOf) {
  const lengths = ascending(rows.map((row) => row.kv_len));
  const cell = (batch, length) => {
    const row = rows.find((one) => one.batch === batch && one.kv_len === length);
    return row ? cellOf(row) : html("td", {class: "none"}, "–");
  };
  const line = (batch) =>
      html("tr", {}, html("th", {scope: "row"}, String(batch)), lengths.map((length) => cell(batch, length)));
  const head = html("tr", {}, heading("b \\ kv"), lengths.map((length) => heading(tokens(length))));
  const batches = ascending(rows.map((row) => row.batch));
  return scrolling(html("table", {class: "heat"}, html("thead", {}, head), html("tbody", {}, batches.map(line))));
}

// columns: [heading, row -> text or element, class]
function table(rows, columns) {
  const line = (row) => html("tr", {}, columns.map(([, content, kind]) => html("td", {class: kind}, content(row))));
  const head = html("tr", {}, columns.map(([text, , kind]) => heading(text, kind)));
  return scrolling(html("table", {class: "numbers"}, html("thead", {}, head), html("tbody", {}, rows.map(line))));
}
const numbers = (rows, columns) =>
    html("details", {}, html("summary", {}, `Numbers: ${plural(rows.length, "row")}`), table(rows, columns));

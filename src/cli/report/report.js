// SPDX-License-Identifier: Apache-2.0
// The page of clsink report: an overview of the devices in its document, then the sections for which there are data.
"use strict";

const report = JSON.parse(document.getElementById("document").textContent);
const page = document.getElementById("page");
const tip = document.getElementById("tip");

const devicesWith = (field) => report.devices.filter((device) => device[field].length > 0);
const deviceName = (device) => `${device.name}, driver ${device.driver}`;

// One row a family, in it one panel a device. draw: (rows, device, family) -> element, or null where lines lack points.
// Returns null if nothing was drawn.
function panels(devices, rowsOf, familyOf, draw) {
  const families = new Set(devices.flatMap((device) => rowsOf(device).map(familyOf)));
  const drawnRows = [...families].map((family) => {
    const figures = devices.map((device) => {
      const own = rowsOf(device).filter((row) => familyOf(row) === family);
      return own.length ? draw(own, device, family) : undefined;
    });
    if (!figures.some(Boolean)) return null;
    const panel = (figure, i) => {
      const missing = figure === null ? "too few points for a line" : "not measured";
      const content = figure ?? html("div", {class: "none"}, missing);
      return html("div", {class: "panel"}, html("h4", {}, deviceName(devices[i])), content);
    };
    const row = html("div", {class: "row", style: `--columns: ${devices.length}`}, figures.map(panel));
    return html("section", {}, family ? html("h3", {}, family) : null, row);
  });
  return drawnRows.some(Boolean) ? html("div", {class: devices.length === 1 ? "solo" : "all"}, drawnRows) : null;
}
// The same with all rows of a device in one panel.
const wholePanels = (devices, rowsOf, draw) => panels(devices, rowsOf, () => "", draw);

function section(title, note, content) {
  if (content !== null) page.append(html("h2", {}, title), html("p", {}, note), content);
}

function overview() {
  const listed = (words) => words.filter(Boolean).join(", ");
  const sum = (rows, field) => rows.reduce((total, row) => total + row[field], 0);
  const facts = ({platform, class: kind, compute_units: units}) =>
      listed([platform, kind, units && plural(units, "compute unit")]);
  const counts = ({cells, samples, rejected, bench: rows, peers: comparisons}) => listed([
    cells.length && `${plural(cells.length, "tuned cell")} of ${plural(sum(cells, "candidates"), "candidate")}`,
    samples && plural(samples, "sample"),
    rejected.length && plural(sum(rejected, "count"), "rejected candidate"),
    rows.length && plural(rows.length, "row of the bench", "rows of the bench"),
    comparisons.length && plural(comparisons.length, "comparison with a peer", "comparisons with peers"),
  ]);
  const run = ({kind, date, version, clock, suite, file}) => html("li", {}, listed([
                                                                    kind,
                                                                    date,
                                                                    version && `clsink ${version}`,
                                                                    clock && `${clock} clock`,
                                                                    suite && `suite ${suite}`,
                                                                    file.split("/").pop(),
                                                                  ]));
  const card = (device) => html(
      "div", {class: "panel"}, html("h3", {}, deviceName(device)), html("p", {}, facts(device)), html("p", {}, counts(device)),
      html("ul", {}, device.runs.map(run)));
  page.append(html("h1", {}, "clsink report"));
  if (report.remarks.length) {
    page.append(html("ul", {class: "remarks"}, report.remarks.map((remark) => html("li", {}, remark))));
  }
  page.append(html("div", {class: "overview"}, report.devices.map(card)));
}

// The text of the element under the pointer, beside it and within the window.
function showTip(event) {
  const target = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  tip.hidden = target === null;
  if (tip.hidden) return;
  tip.textContent = target.getAttribute("data-tip");
  const kGap = 12;
  const {width, height} = tip.getBoundingClientRect();
  const below = event.clientY + kGap, above = event.clientY - kGap - height;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + kGap, innerWidth - width - 4))}px`;
  tip.style.top = `${below + height > innerHeight ? Math.max(4, above) : below}px`;
}

// Families together, sizes in order.
function bySize(a, b) {
  return a.family.localeCompare(b.family) || a.batch - b.batch || a.kv_len - b.kv_len || a.routed - b.routed;
}

page.replaceChildren();
document.title = ["clsink report", ...report.devices.map((device) => device.name)].join(", ");
for (const device of report.devices) {
  for (const rows of [device.cells, device.bench, device.peers]) rows.sort(bySize);
}
overview();
tuning();
bench();
peers();
layOut();
addEventListener("resize", layOut);
document.addEventListener("pointerover", showTip);

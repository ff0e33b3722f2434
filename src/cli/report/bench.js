// SPDX-License-Identifier: Apache-2.0
// What rows of clsink bench and comparisons with peers show.
"use strict";

// The problem but for kv_len, and the load: what a line over kv_len joins.
function caseOf(row) {
  const load = [];
  if (row.lengths && row.lengths !== "full") load.push(`lengths=${row.lengths}`);
  if (row.pattern && row.pattern !== "spread") load.push(`pattern=${row.pattern}`);
  return [row.family, `b=${row.batch}`, ...load].join(" ");
}
const wholeCaseOf = (row) => `${caseOf(row)} kv=${row.kv_len}`;
const routedText = (fraction) => fraction > 0 ? `${percent(fraction)} routed` : "nothing routed";

// --- The bench -----------------------------------------------------------------------------------------------------------

function benchTip(row) {
  return [
    `${wholeCaseOf(row)}, ${routedText(row.routed)}`,
    `${digits(row.us, 4)} µs (MAD ${digits(row.mad_percent, 2)} %)${row.speedup ? `, ${times(row.speedup)}` : ""}`,
    `${digits(row.gb_per_s, 4)} GB/s, ${digits(row.percent_of_read)} % of read`,
    row.variant,
    ...(row.correct ? [] : ["WRONG RESULT"]),
  ].join("\n");
}

// Of several variants the fastest stands for the case.
function fastestRows(device) {
  const groups = groupBy(device.bench, (row) => `${wholeCaseOf(row)} ${row.routed}`);
  return groups.map(([, rows]) => least(rows, (row) => row.us));
}

function benchShares(devices, fractions) {
  const series = fractions.map((fraction, index) => ({name: routedText(fraction), index, fraction}));
  const dot = (row) => ({index: fractions.indexOf(row.routed), value: row.percent_of_read, tip: benchTip(row)});
  const draw = (rows) => {
    const present = series.filter(({fraction}) => rows.some((row) => row.routed === fraction));
    const lines = groupBy(rows, wholeCaseOf).map(([label, own]) => ({label, dots: own.map(dot)}));
    return strips(present, lines, {label: "% of read bandwidth", tickText: digits, reference: 100});
  };
  section(
      "Bench: share of read bandwidth", "GB/s of the step in percent of a kernel that only reads as many bytes.",
      wholePanels(devices, fastestRows, draw));
}

function benchBandwidth(devices, fractions) {
  const line = (rows, field) => rows.map((row) => ({x: row.kv_len, y: row[field], tip: benchTip(row)}));
  const draw = (rows, device, family) => {
    const series = fractions.flatMap((fraction, index) => {
      const own = rows.filter((row) => row.routed === fraction);
      if (!own.length) return [];
      return [
        {name: routedText(fraction), index, points: line(own, "gb_per_s")},
        {index, bare: true, dash: "5 4", points: line(own, "read_gb_per_s")},
      ];
    });
    return bandwidthPlot(`Bandwidth on ${device.name}: ${family}`, series);
  };
  section(
      "Bench: bandwidth against kv_len",
      "Shapes that were measured at two lengths or more. Dashed, in the same colour: a kernel that only reads as many bytes.",
      panels(devices, fastestRows, caseOf, draw));
}

function benchSpeedUps(devices, fractions) {
  const kLone = "shapes of one length";  // share a plot, the last
  const most = Math.max(0, ...fractions.filter((fraction) => fraction < 1));
  if (most === 0) return;
  const cases = devices.flatMap((device) => groupBy(fastestRows(device), caseOf));
  const long = cases.filter(([, rows]) => rows.some((row) => row.kv_len !== rows[0].kv_len)).map(([name]) => name);
  const isLone = (row) => !long.includes(caseOf(row));
  const rowsOf = (device) => fastestRows(device).filter((row) => row.speedup > 0).sort((a, b) => isLone(a) - isLone(b));
  const steps = Array.from({length: 41}, (_, i) => most * i / 40);
  const points = steps.map((x) => ({x, y: 1 / (1 - x)}));
  const ideal = {name: "ideal, 1 / (1 - routed)", bare: true, stroke: "var(--ink)", points};

  const draw = (rows, device, family) => {
    const named = groupBy(rows, (row) => family === kLone ? wholeCaseOf(row) : `kv ${tokens(row.kv_len)}`);
    const series = named.filter(([, own]) => own.length > 1).map(([name, own], index) => {
      return {name, index, points: own.map((row) => ({x: row.routed, y: row.speedup, tip: benchTip(row)}))};
    });
    if (!series.length) return null;
    const x = {label: "routed fraction of the groups", ticks: ascending(rows.map((row) => row.routed)), tickText: digits};
    const y = {label: "times faster than nothing routed", tickText: (value) => `×${digits(value)}`};
    return linePlot(`Speed-up on ${device.name}: ${family}`, x, y, [...series, ideal]);
  };
  section(
      "Bench: speed-up against the routed fraction",
      "Over nothing routed. The line without marks is ideal: time in proportion to what is left.",
      panels(devices, rowsOf, (row) => isLone(row) ? kLone : caseOf(row), draw));
}

function benchNumbers(devices) {
  const columns = [
    ["problem", wholeCaseOf],
    ["routed", (row) => percent(row.routed), "number"],
    ["µs", (row) => digits(row.us, 4), "number"],
    ["MAD %", (row) => digits(row.mad_percent, 2), "number"],
    ["GB/s", (row) => digits(row.gb_per_s, 4), "number"],
    ["read GB/s", (row) => digits(row.read_gb_per_s, 4), "number"],
    ["% read", (row) => digits(row.percent_of_read), "number"],
    ["speed-up", (row) => row.speedup ? times(row.speedup) : "–", "number"],
    ["correct", (row) => row.correct ? "yes" : "NO"],
    ["variant", (row) => row.variant, "long"],
  ];
  section("Bench: rows", "", wholePanels(devices, (device) => device.bench, (rows) => numbers(rows, columns)));
}

function bench() {
  const devices = devicesWith("bench");
  const fractions = ascending(devices.flatMap((device) => device.bench).map((row) => row.routed));
  benchShares(devices, fractions);
  benchBandwidth(devices, fractions);
  benchSpeedUps(devices, fractions);
  benchNumbers(devices);
}

// --- Peers ---------------------------------------------------------------------------------------------------------------

const peerRows = (device) => device.peers;

function peerTip(row) {
  return [
    `${row.problem}, ${routedText(row.routed)}`,
    `${row.label}: ${digits(row.peer_ms, 4)} ms; clsink: ${digits(row.clsink_ms, 4)} ms`,
    `ratio ${times(row.ratio)} (${times(row.ratio_min)} to ${times(row.ratio_max)})`,
    row.clsink_variant,
  ].join("\n");
}

function peerRatios(devices, names) {
  const dot = (row) =>
      ({index: names.indexOf(row.peer), value: row.ratio, from: row.ratio_min, to: row.ratio_max, tip: peerTip(row)});
  const legendName = (name) => name === "clsink" ? "clsink on sequences of equal length" : name;
  const draw = (rows) => {
    const present = names.filter((name) => rows.some((row) => row.peer === name));
    const series = present.map((name) => ({name: legendName(name), index: names.indexOf(name)}));
    const lines = groupBy(rows, (row) => `${row.problem}, ${routedText(row.routed)}`);
    const axis = {label: "time of the peer / time of clsink", tickText: (value) => `×${digits(value)}`, reference: 1};
    return strips(series, lines.map(([label, own]) => ({label, dots: own.map(dot)})), axis);
  };
  section(
      "Peers: time ratio",
      "By shape, with the least and the largest of the rounds. Right of ×1 clsink is faster than the peer.",
      wholePanels(devices, peerRows, draw));
}

function peerBandwidth(devices, names) {
  const rowsOf = (device) => device.peers.filter((row) => row.routed === 0 && row.peer !== "clsink");
  const line = (rows, field) => groupBy(rows, (row) => row.kv_len).map(([length, same]) => {
    const row = least(same, (one) => one[field]);
    return {x: length, y: rate(row, 1e3 * row[field]), tip: peerTip(row)};
  });
  const draw = (rows, device, family) => {
    const others = groupBy(rows, (row) => row.peer);
    return bandwidthPlot(`Bandwidth on ${device.name}: ${family}`, [
      {name: "clsink", index: names.indexOf("clsink"), points: line(rows, "clsink_ms")},
      ...others.map(([name, own]) => ({name, index: names.indexOf(name), points: line(own, "peer_ms")})),
      {name: "plain read", bare: true, dash: "5 4", stroke: "var(--ink)", points: line(rows, "read_ms")},
    ]);
  };
  section(
      "Peers: bandwidth against kv_len",
      "Shapes that were measured at two lengths or more, nothing routed. Dashed: a plain read of as many bytes.",
      panels(devices, rowsOf, caseOf, draw));
}

function peerNumbers(devices) {
  const columns = [
    ["shape", (row) => row.problem],
    ["routed", (row) => percent(row.routed), "number"],
    ["peer", (row) => row.label],
    ["peer ms", (row) => digits(row.peer_ms, 4), "number"],
    ["clsink ms", (row) => digits(row.clsink_ms, 4), "number"],
    ["ratio", (row) => times(row.ratio), "number"],
    ["least", (row) => times(row.ratio_min), "number"],
    ["largest", (row) => times(row.ratio_max), "number"],
    ["variant of clsink", (row) => row.clsink_variant, "long"],
  ];
  section("Peers: rows", "", wholePanels(devices, peerRows, (rows) => numbers(rows, columns)));
}

function peers() {
  const devices = devicesWith("peers");
  const names = [...new Set(["clsink", ...devices.flatMap(peerRows).map((row) => row.peer)])];
  peerRatios(devices, names);
  peerBandwidth(devices, names);
  peerNumbers(devices);
}

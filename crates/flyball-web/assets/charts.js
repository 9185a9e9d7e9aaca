// Draws one figure with all charts on one time axis. Knows neither the network nor the rest of the
// page: it gets samples, decisions and thresholds, and reports which moment was clicked.

import { axisTime, direction } from "./words.js";

/* global Plotly */

const GAP_MS = 8_000;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colours() {
  const names = ["ink", "muted", "faint", "card", "ready", "starting", "draining", "threshold", "second", "pressing"];
  return Object.fromEntries(names.map((name) => [name, style(`--${name}`)]));
}

// What `colour` looks like where it covers that share of `ground`.
function tint(colour, ground, share) {
  const parts = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  const below = parts(ground);
  return `rgb(${parts(colour).map((own, i) => Math.round(own * share + below[i] * (1 - share))).join(", ")})`;
}

// A gap in the samples is drawn as a gap.
function withHoles(samples, limit) {
  const whole = [];
  for (const sample of samples) {
    const last = whole.at(-1);
    if (last && sample.wall_ms - last.wall_ms > limit) whole.push({ wall_ms: last.wall_ms + 1 });
    whole.push(sample);
  }
  return whole;
}

function line(samples, of, y, name, look) {
  return {
    type: "scatter", mode: "lines", name, yaxis: y, xaxis: "x",
    x: samples.map((s) => axisTime(s.wall_ms)), y: samples.map((s) => of(s) ?? null),
    customdata: samples.map((s) => s.wall_ms), connectgaps: false, showlegend: false,
    ...look,
  };
}

// The area below a line. Plotly fills an area across gaps, so that it would cover time without
// samples: here it falls to zero where a gap begins and rises where it ends.
function area(samples, of, y, look) {
  const points = [];
  let last = null;
  for (const sample of samples) {
    const value = of(sample) ?? null;
    if (last != null && value == null) points.push({ wall_ms: last, value: 0 });
    if (last == null && value != null) points.push({ wall_ms: sample.wall_ms, value: 0 });
    if (value != null) points.push({ wall_ms: sample.wall_ms, value });
    last = value == null ? null : sample.wall_ms;
  }
  return line(points, (point) => point.value, y, "", { fill: "tozeroy", hoverinfo: "skip", ...look });
}

// Requests that failed per second, from how many had failed at each sample.
function errorsOf(samples, limitMs) {
  const rates = new Map();
  samples.forEach((sample, i) => {
    const before = samples[i - 1];
    const [ms, more] = [sample.wall_ms - before?.wall_ms, sample.errors - before?.errors];
    if (before?.errors != null && sample.errors != null && more >= 0 && ms > 0 && ms <= limitMs) rates.set(sample, more / ms * 1000);
  });
  return (sample) => rates.get(sample);
}

const sum = (...counts) => counts.some((n) => n == null) ? null : counts.reduce((all, n) => all + n);

function traces(samples, errors, c, narrow) {
  const steps = { shape: "hv", width: 1.5 };
  // Each area reaches from zero up to its own sum and covers the one behind it. Plotly's own stacks
  // would draw what is unknown as zero.
  const layer = (of, upTo, name, legendrank, colour, pattern) => [
    area(samples, upTo, "y3", {
      name, showlegend: true, legendrank, line: { ...steps, width: 0 }, fillcolor: tint(colour, c.card, 0.34),
      ...(pattern && { fillpattern: { shape: pattern, fgcolor: colour, bgcolor: c.card, size: 5, solidity: 0.35 } }),
    }),
    line(samples, upTo, "y3", name, { line: { ...steps, width: 0.8, color: colour }, text: samples.map((s) => of(s)), hovertemplate: "%{text}" }),
  ];
  return [
    line(samples, (s) => s.mean_cpu == null ? null : s.mean_cpu * 100, "y4", "mean CPU",
      { line: { width: 1.8, color: c.ready }, hovertemplate: "%{y:.0f} %" }),
    ...layer((s) => s.draining, (s) => sum(s.ready, s.starting, s.draining), "draining", 3, c.draining, "."),
    ...layer((s) => s.starting, (s) => sum(s.ready, s.starting), "starting", 2, c.starting, "/"),
    ...layer((s) => s.ready, (s) => s.ready, "ready", 1, c.ready, ""),
    line(samples, (s) => s.desired, "y3", "wanted", { showlegend: !narrow, legendrank: 4, line: { ...steps, width: 2, color: c.ink }, hovertemplate: "%{y}" }),
    area(samples, (s) => s.arrivals_per_s, "y2", { line: { width: 0 }, fillcolor: `${c.ready}1c` }),
    line(samples, (s) => s.arrivals_per_s, "y2", "arrivals",
      { showlegend: true, legend: "legend3", line: { width: 1.6, color: c.ready }, hovertemplate: "%{y:.1f}/s" }),
    line(samples, errors, "y2", "errors",
      { showlegend: true, legend: "legend3", line: { width: 1.8, color: c.pressing, dash: "4px,2px" }, hovertemplate: "%{y:.1f}/s" }),
    line(samples, (s) => s.p99_ms, "y", "p99", { showlegend: true, legend: "legend2", line: { width: 1.6, color: c.second }, hovertemplate: "%{y:.0f} ms" }),
    line(samples, (s) => s.p50_ms, "y", "p50", { showlegend: true, legend: "legend2", line: { width: 1.6, color: c.ready, dash: "dot" }, hovertemplate: "%{y:.0f} ms" }),
    area(samples, (s) => s.waiting, "y6", { line: { width: 0, shape: "hv" }, fillcolor: `${c.muted}33` }),
    line(samples, (s) => s.waiting, "y6", "waiting", { line: { width: 1, color: c.muted, shape: "hv" }, hovertemplate: "%{y}" }),
  ];
}

const SYMBOLS = { out: "triangle-up", in: "triangle-down", same: "circle" };

function marks(told, c) {
  const ways = told.map((t) => direction(t.decision));
  return {
    type: "scatter", mode: "markers", name: "decision", xaxis: "x", yaxis: "y5", showlegend: false, cliponaxis: false,
    x: told.map((t) => axisTime(t.decision.wall_ms)), y: told.map(() => 0.5),
    text: ways.map((w) => w.words), customdata: told.map((t) => t.decision.wall_ms),
    marker: {
      symbol: ways.map((w) => SYMBOLS[w.way]), size: ways.map((w) => (w.way === "same" ? 5 : 11)),
      color: ways.map((w) => (w.way === "out" ? c.starting : w.way === "in" ? c.ready : c.faint)),
      line: { width: 0 },
    },
    hovertemplate: "%{text}",
  };
}

// From the bottom: decisions, waiting, latency, arrivals, replicas, CPU.
const DOMAINS = { y5: [0, 0.03], y6: [0.085, 0.14], y: [0.195, 0.335], y2: [0.39, 0.53], y3: [0.585, 0.765], y4: [0.835, 0.97] };

// On a narrow page the legend of the replicas takes a row of its own, below their title.
const LEGEND_ROW = 16;

function title(text, y, c, raised = 0) {
  return { text, xref: "paper", yref: "paper", x: 0, xanchor: "left", xshift: -2, y: DOMAINS[y][1], yanchor: "bottom",
    yshift: 5 + raised, showarrow: false, font: { size: 12, color: c.muted } };
}

// Plotly's own legends: text with a style of its own would need a laxer content policy.
function legend(key, font) {
  return { orientation: "h", x: 1, xanchor: "right", xref: "paper", y: DOMAINS[key][1], yanchor: "bottom", yref: "paper",
    bgcolor: "rgba(0,0,0,0)", font, itemclick: false, itemdoubleclick: false, itemwidth: 30, traceorder: "normal" };
}

// Whole numbers from zero up: a tick for each while they are few.
function counted(highest, few) {
  return highest <= few ? { dtick: 1, tickmode: "linear", range: [0, Math.max(1, highest) * 1.08] } : {};
}

function layout(window, thresholds, narrow, c, highest) {
  const axis = (key, more) => ({ domain: DOMAINS[key], fixedrange: true, rangemode: "tozero", zeroline: false,
    gridcolor: c.faint, gridwidth: 0.5, nticks: 4, tickfont: { size: 11, color: c.muted }, automargin: false, ...more });
  const used = thresholds.map((t) => t.share * 100);
  const top = Math.max(100, highest.share * 105);
  const waiting = Math.max(4, highest.waiting);
  return {
    height: narrow ? 700 : 760, margin: { l: narrow ? 38 : 44, r: narrow || thresholds.length === 0 ? 12 : 92, t: 8, b: 26 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style("--font"), size: 12, color: c.ink }, dragmode: false, hovermode: "x unified", hoversubplots: "axis",
    hoverlabel: { bgcolor: c.card, bordercolor: c.faint, font: { color: c.ink, size: 12, family: style("--font") } },
    xaxis: { type: "date", range: window.map(axisTime), fixedrange: true, anchor: "y5", showgrid: true, gridcolor: c.faint, gridwidth: 0.5,
      nticks: narrow ? 4 : 8, tickfont: { size: 11, color: c.muted }, hoverformat: window[1] - window[0] > 86_400_000 ? "%e %b %H:%M" : "%H:%M:%S", tickformatstops: [
        { dtickrange: [null, 60_000], value: "%H:%M:%S" }, { dtickrange: [60_000, 40_000_000], value: "%H:%M" },
        { dtickrange: [40_000_000, null], value: "%e %b" }],
      showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "solid", spikecolor: c.muted, spikesnap: "cursor" },
    yaxis: axis("y"),
    yaxis2: axis("y2"),
    yaxis3: axis("y3", { tickformat: "d", ...counted(highest.replicas, 5) }),
    yaxis4: axis("y4", { range: [0, top], tickvals: [0, 50, 100] }),
    yaxis5: axis("y5", { range: [0, 1], visible: false }),
    yaxis6: axis("y6", { tickmode: "array", tickvals: [0, waiting], range: [0, waiting * 1.08], showgrid: false }),
    legend: legend("y3", { size: 11, color: c.muted }),
    legend2: legend("y", { size: 11, color: c.muted }),
    legend3: legend("y2", { size: 11, color: c.muted }),
    shapes: used.map((y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y4", y0: y, y1: y,
      line: { color: c.threshold, width: 1.2, dash: "dash" } })),
    annotations: [
      title("Mean CPU of ready replicas, %", "y4", c),
      title(narrow ? "Replicas (line: wanted)" : "Replicas", "y3", c, narrow ? LEGEND_ROW : 0),
      title(narrow ? "Requests per second" : "Arrivals and errors per second", "y2", c),
      title("Latency, ms", "y", c),
      title("Waiting requests", "y6", c),
      title("Decisions  ▲ more  ▼ fewer", "y5", c),
      ...thresholds.map((t, i) => ({ text: `${t.label} ${Math.round(t.share * 100)} %`,
        xref: "paper", yref: "y4", x: 1, y: t.share * 100,
        xanchor: narrow ? "right" : "left", yanchor: narrow ? (i === 0 ? "bottom" : "top") : "middle", xshift: narrow ? 0 : 5, align: "left",
        showarrow: false, font: { size: 11, color: c.threshold } })),
    ],
  };
}

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

// A redraw takes away what the mouse points at, so it waits while the mouse is moving there.
const READING_MS = 5_000;

export function chart(node, explainAt) {
  let listening = false;
  let readingUntil = 0;
  const mouse = (kind, ms) => node.addEventListener(kind, (event) => {
    if (event.pointerType === "mouse") readingUntil = performance.now() + ms;
  });
  mouse("pointermove", READING_MS);
  mouse("pointerleave", 0);
  return async function draw({ samples, told, thresholds, window }) {
    if (performance.now() < readingUntil) return;
    const c = colours();
    const narrow = node.clientWidth < 560;
    const limitMs = Math.max(GAP_MS, 4 * (window[1] - window[0]) / 600);
    const data = withHoles(samples, limitMs);
    const errors = errorsOf(samples, limitMs);
    const most = (of) => Math.max(0, ...samples.map((s) => of(s) ?? 0));
    const highest = {
      share: Math.max(most((s) => s.mean_cpu), ...thresholds.map((t) => t.share)),
      waiting: Math.ceil(most((s) => s.waiting)),
      replicas: most((s) => Math.max(s.desired, (s.ready ?? 0) + (s.starting ?? 0) + (s.draining ?? 0))),
    };
    const inside = told.filter((t) => t.decision.wall_ms >= window[0]);
    await Plotly.react(node, [...traces(data, errors, c, narrow), marks(inside, c)], layout(window, thresholds, narrow, c, highest), CONFIG);
    if (!listening) {
      listening = true;
      node.on("plotly_click", ({ points }) => {
        const mark = points.find((p) => p.data.name === "decision");
        const moment = (mark ?? points[0])?.customdata;
        if (moment != null) explainAt(moment);
      });
    }
  };
}


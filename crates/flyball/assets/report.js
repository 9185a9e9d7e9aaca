"use strict";
// Draws the page from the data in it. Decides nothing: every figure was calculated by the program.

/* global Plotly */

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
// Told apart by people who see few colours, too.
const COLOURS = ["#0f8277", "#b25e09", "#7a4f9e", "#1f6feb", "#a8452f", "#5f7d0c", "#b0357c", "#47616e", "#9a7b00"];
const LOOK = {
  margin: { l: 56, r: 20, t: 10, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: "system-ui, sans-serif", size: 13, color: "#1c2326" },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: "#b9bfb8", activecolor: "#1c2326" },
  hoverlabel: { font: { family: "system-ui, sans-serif" } },
};
const AXIS = { gridcolor: "#e6e8e3", zerolinecolor: "#c9cdc6", automargin: true };
const OPTIONS = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

const COLUMNS = [
  ["cost / ideal", (s) => s.cost_ratio.toFixed(3)],
  ["over the limit", (s) => `${s.over_limit_pct.toFixed(3)} %`],
  ["unserved", (s) => `${s.unserved_pct.toFixed(3)} %`],
  ["99 % within", (s) => `${Math.round(s.p99_ms)} ms`, (s) => s.p99_ms !== null],
  ["time short", (s) => `${s.tau_u.toFixed(2)} %`],
  ["replicas short", (s) => s.a_u.toFixed(3)],
  ["replicas to spare", (s) => s.a_o.toFixed(2)],
  ["actions", (s) => s.actions],
  ["reversals", (s) => s.reversals],
];

function clock(seconds) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return `day ${Math.floor(seconds / 86400) + 1}, ${two((seconds % 86400) / 3600)}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
}

function row(kind, cells, interval = "") {
  const line = document.createElement("tr");
  line.className = look;
  cells.forEach((text, column) => {
    const cell = document.createElement(kind);
    cell.textContent = text;
    if (look === "decision" && column === 3) cell.className = "words";
    line.append(cell);
  });
  return line;
}

function scores(load) {
  const lines = [...load.runs].sort((a, b) => a.score.cost_ratio - b.score.cost_ratio);
  // A column without a figure in any line is left out.
  const columns = COLUMNS.filter(([, , known]) => !known || lines.some((run) => known(run.score)));
  const cells = (run) => columns.map(([, of, known]) => (known && !known(run.score) ? "-" : of(run.score)));
  at("scores").replaceChildren(
    row("th", ["policy", ...columns.map(([name]) => name)]),
    ...lines.map((run) => row("td", [run.policy, ...cells(run)], run.front ? "front" : "")),
  );
}

// A logarithmic axis has no zero: less than this is drawn as this.
const LEAST_PCT = 0.001;
const height = (run) => Math.max(run.score.over_limit_pct, LEAST_PCT);

function front(load) {
  const order = [...load.runs].sort((a, b) => a.score.cost_ratio - b.score.cost_ratio);
  // Neighbours on the axis have their names on different sides.
  const side = (run) => (order.indexOf(run) % 2 ? "bottom center" : "top center");
  const best = load.runs.filter((run) => run.front).sort((a, b) => a.score.cost_ratio - b.score.cost_ratio);
  const points = load.runs.map((run, n) => ({
    type: "scatter", mode: "markers+text", name: run.policy, text: [run.policy], showlegend: false,
    textposition: side(run), cliponaxis: false, x: [run.score.cost_ratio], y: [height(run)], customdata: [run.score.over_limit_pct],
    marker: { size: 11, color: COLOURS[n % COLOURS.length], symbol: run.front ? "circle" : "circle-open", line: { width: 2 } },
    hovertemplate: "%{text}<br>cost %{x:.3f} of the ideal<br>%{customdata:.3f} % over the limit<extra></extra>",
  }));
  const line = {
    type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: "#7b858c", width: 1.5, dash: "dot" },
    x: best.map((run) => run.score.cost_ratio), y: best.map(height),
  };
  Plotly.react("front", [line, ...points], {
    ...LOOK, margin: { ...LOOK.margin, t: 30 }, xaxis: { ...AXIS, type: "log", tickvals: [0.5, 0.7, 1, 1.2, 1.5, 2, 3, 5, 7, 10, 20, 50], title: { text: "replica-seconds paid for, over the ideal" } },
    yaxis: { ...AXIS, type: "log", range: [Math.log10(LEAST_PCT) - 0.4, 2.1], tickvals: [0.001, 0.01, 0.1, 1, 10, 100], ticktext: ["0.001 or less", "0.01", "0.1", "1", "10", "100"], title: { text: "requests over the limit, %" } },
  }, OPTIONS);
}

function supply(load) {
  const span = load.demand.length * load.step_s;
  const [unit, length] = span > 172800 ? ["days", 86400] : span > 10800 ? ["hours", 3600] : ["minutes", 60];
  const since = load.demand.map((_, n) => n * load.step_s / length);
  const when = load.demand.map((_, n) => clock(n * load.step_s));
  const line = (name, y, look) => ({
    type: "scattergl", mode: "lines", name, x: since, y, customdata: when, hovertemplate: "%{y}",
    line: { shape: "hv", width: 1.2, ...look },
  });
  const runs = load.runs.map((run, n) => ({
    ...line(run.policy, run.serving, { color: COLOURS[n % COLOURS.length] }), visible: n < 3 ? true : "legendonly",
  }));
  Plotly.react("supply", [...runs, line("demand", load.demand, { color: "#1c2326", width: 1 })], {
    ...LOOK, hovermode: "x unified", legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    margin: { ...LOOK.margin, t: 40 }, xaxis: { ...AXIS, title: { text: `${unit} since the load began` } },
    yaxis: { ...AXIS, title: { text: "replicas" }, rangemode: "tozero" },
  }, OPTIONS);
}

function decisions(run) {
  at("shown").textContent = run.changes.length < run.changes_in_all
    ? `the first ${run.changes.length} of ${run.changes_in_all}` : `${run.changes.length} in all`;
  at("decisions").replaceChildren(
    row("th", ["when", "from", "to", "why"], "decision"),
    ...run.changes.map(([seconds, before, after, why]) => row("td", [clock(seconds), before, after, why], "decision")),
  );
}

function choices(select, names, chosen) {
  select.replaceChildren(...names.map((name, n) => new Option(name, n)));
  select.onchange = () => chosen(Number(select.value));
  chosen(0);
}

choices(at("trace"), data.map((load) => load.name), (n) => {
  const load = data[n];
  const steps = `${load.demand.length} steps of ${load.step_s} s`;
  const { start_lag_s: half, start_lag_p99_s: most } = load.runs[0];
  const lag = most === null ? `start lag ${half} s` : `start lag ${half} s (99 of 100 within ${most} s)`;
  const followed = load.runs[0].score.p50_ms === null ? "" : "; every request followed";
  at("facts").textContent = `${load.name}: ${steps}; one replica serves ${load.capacity} ${load.unit}; ${lag}${followed}`;
  scores(load);
  front(load);
  supply(load);
  choices(at("policy"), load.runs.map((run) => run.policy), (m) => decisions(load.runs[m]));
});
at("which").hidden = data.length < 2;

"use strict";

// The charts.

// A model's tags say which of its properties has the colour of which CSS variable.
function paint() {
  const style = getComputedStyle(document.documentElement);
  for (const model of models())
    for (const tag of model.tags ?? []) {
      const [property, variable] = tag.split(" ");
      if (variable) model[property] = style.getPropertyValue(variable).trim();
    }
}

function models() {
  return Bokeh.documents[0].roots().flatMap(root => [...root.references()]);
}

// More marks than these hide the price: they come with the zoom.
const MOST_MARKS = 150;

function showMarks() {
  const {start, end} = timeRange();
  const marks = models().filter(model => model.tags?.includes("mark"));
  const inside = mark => mark.data_source.get("entry").reduce((sum, time) => sum + (time >= start && time <= end), 0);
  const shown = marks.reduce((sum, mark) => sum + inside(mark), 0) / 2;
  for (const mark of marks) mark.visible = shown <= MOST_MARKS;
}

function timeRange() {
  return models().find(model => model.name === "time");
}

function ready() {
  paint();
  showMarks();
  const box = document.getElementById("benchmark"), line = models().find(model => model.name === "benchmark");
  box?.addEventListener("change", () => { line.visible = box.checked; });
  timeRange().change.connect(showMarks);
}

function zoomTo(from, to) {
  const range = timeRange();
  const room = Math.max((to - from) * 1.5, 3600e3);
  range.setv({start: from - room, end: to + room});
  document.getElementById("chart").scrollIntoView({block: "start"});
}

const data = document.getElementById("chart-data");
if (data) {
  Bokeh.embed.embed_item(JSON.parse(data.textContent), "chart").then(ready);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}

// The table of trades.

const table = document.getElementById("trade-table");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows];
  const words = document.getElementById("trade-words"), kind = document.getElementById("trade-kind");

  function valueOf(cell) {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text.replaceAll(",", "").replace("\u2212", "-"));
    return Number.isNaN(number) ? text : number;
  }

  function sortBy(column, header) {
    const falling = header.getAttribute("aria-sort") === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const keyed = rows.map(row => [valueOf(row.cells[column]), row]);
    keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (falling ? -1 : 1));
    body.append(...keyed.map(([, row]) => row));
  }

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(wanted.every(word => text.includes(word)) && (!kind.value || row.className === kind.value));
      shown += !row.hidden;
    }
    document.getElementById("trade-count").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
  }

  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(column, header));
    header.append(button);
  });
  if (data)
    for (const row of rows) {
      const cell = row.cells[0], button = document.createElement("button");
      button.append(...cell.childNodes);
      button.title = "Show it in the charts";
      cell.append(button);
    }
  body.addEventListener("click", event => {
    const cell = event.target.closest("button")?.closest("td");
    if (cell) zoomTo(Number(cell.dataset.from), Number(cell.dataset.to));
  });
  words.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  filter();
}

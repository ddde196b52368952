"use strict";

// The heat map.

const data = JSON.parse(document.getElementById("heat-data")?.textContent ?? "null");
const byId = id => document.getElementById(id);

const FORMS = {
  ratio: [1, 2, ""], money: [1, 2, ""], percent: [100, 1, "%"], count: [1, 0, ""],
};

function shown(value, form) {
  if (value === null) return "–";
  const [factor, digits, unit] = FORMS[form];
  const options = {minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative"};
  return (value * factor).toLocaleString("en", options).replace("-", "\u2212") + unit;
}

function option(select, value, text) {
  select.append(new Option(text, value));
}

function chosen() {
  const [x, y] = [Number(byId("heat-x").value), Number(byId("heat-y").value)];
  const figure = data.figures.find(each => each.name === byId("heat-figure").value);
  const reduction = data.parameters.length > 2 ? byId("heat-reduction").value : "best";
  const turned = data.parameters.length > 1 && x > y;
  const [low, high] = turned ? [y, x] : [x, data.parameters.length > 1 ? y : null];
  const found = data.heats.find(each =>
    each.figure === figure.name && each.x === low && each.y === high && each.reduction === reduction);
  const cells = turned ? found.cells[0].map((_, at) => found.cells.map(row => row[at])) : found.cells;
  return {figure, x, y: data.parameters.length > 1 ? y : null, reduction, cells};
}

// How strong the colour of a value is, from -1 to 1; without a neutral value from 0 to 1.
function strengths(figure, values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (figure.neutral === null) {
    const [worst, best] = figure.is_better_low ? [high, low] : [low, high];
    return {low: worst, high: best, of: value => worst === best ? 0.5 : (value - worst) / (best - worst)};
  }
  const most = Math.max(high - figure.neutral, figure.neutral - low) || 1;
  return {low: figure.neutral - most, high: figure.neutral + most, of: value => (value - figure.neutral) / most};
}

function cellOf(value, figure, scale) {
  const cell = document.createElement("td");
  if (value === null) {
    cell.className = "empty";
    cell.textContent = "·";
    return cell;
  }
  const strength = scale.of(value);
  cell.textContent = shown(value, figure.form);
  cell.style.setProperty("--strength", Math.abs(strength) * 90);
  if (figure.neutral !== null) cell.classList.add(strength < 0 ? "down" : "up");
  // Where the colour of the page reads better on it than that of the text does: sooner in the dark.
  if (Math.abs(strength) > 0.65) cell.classList.add("firm");
  if (Math.abs(strength) > 0.85) cell.classList.add("strong");
  return cell;
}

function header(text, scope, kind) {
  const made = document.createElement("th");
  made.scope = scope;
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function draw() {
  const {figure, x, y, reduction, cells} = chosen();
  const across = data.parameters[x], down = y === null ? null : data.parameters[y];
  const scale = strengths(figure, cells.flat().filter(value => value !== null));
  const table = byId("heat"), head = document.createElement("thead"), body = document.createElement("tbody");
  table.replaceChildren(head, body);
  table.classList.toggle("wide", across.values.length > 14);
  table.classList.toggle("small", across.values.length > 24);
  const top = head.insertRow();
  top.append(header(down ? `${across.name} →\n${down.name} ↑` : `${across.name} →`, "col", "axis"));
  for (const value of across.values) top.append(header(value, "col"));
  // Upwards is more, as on any chart.
  for (let at = cells.length - 1; at >= 0; at--) {
    const row = body.insertRow();
    row.append(header(down ? down.values[at] : figure.label, "row"));
    cells[at].forEach((value, place) => {
      const cell = cellOf(value, figure, scale);
      const where = `${across.name} ${across.values[place]}` + (down ? `, ${down.name} ${down.values[at]}` : "");
      const among = data.parameters.length > 2 ? ` (${reduction === "best" ? "the best" : "the median"} of its trials)` : "";
      cell.title = value === null ? `${where}: nothing to show` : `${where}: ${figure.label} ${shown(value, figure.form)}${among}`;
      if (data.best && data.best[x] === place && (y === null || data.best[y] === at)) cell.classList.add("best");
      row.append(cell);
    });
  }
  const legend = byId("heat-scale"), [from, middle, to] = legend.querySelectorAll("span");
  legend.hidden = false;
  legend.classList.toggle("signed", figure.neutral !== null);
  [from.textContent, to.textContent] = [shown(scale.low, figure.form), shown(scale.high, figure.form)];
  middle.textContent = figure.neutral === null ? "" : shown(figure.neutral, figure.form);
  byId("heat-said").textContent = "The framed cell holds the best trial; a dot is what was not tried or has no value. Point at a cell to read it.";
}

function say(event) {
  const cell = event.target.closest("td");
  if (!cell) return;
  byId("heat").querySelector(".held")?.classList.remove("held");
  cell.classList.add("held");
  byId("heat-said").textContent = cell.title;
}

// Another parameter takes the place of the one that was chosen twice.
function keepApart(changed, other, before) {
  if (changed.value === other.value) other.value = before;
}

if (data) {
  const several = data.parameters.length > 1;
  for (const each of data.figures) option(byId("heat-figure"), each.name, each.label);
  data.parameters.forEach((each, at) => {
    option(byId("heat-x"), at, each.name);
    option(byId("heat-y"), at, each.name);
  });
  byId("heat-y").value = several ? 1 : 0;
  byId("heat-x").parentElement.hidden = byId("heat-y").parentElement.hidden = !several;
  byId("heat-reduction").parentElement.hidden = data.parameters.length < 3;
  const axes = [byId("heat-x"), byId("heat-y")];
  let before = axes.map(each => each.value);
  axes.forEach((axis, number) => axis.addEventListener("change", () => {
    keepApart(axis, axes[1 - number], before[number]);
    before = axes.map(each => each.value);
    draw();
  }));
  for (const id of ["heat-figure", "heat-reduction"]) byId(id).addEventListener("change", draw);
  byId("heat").addEventListener("mouseover", say);
  byId("heat").addEventListener("click", say);
  byId("heat-tools").hidden = false;
  draw();
}

// The table of trials.

const table = byId("trials");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows], all = byId("show-all");
  const first = rows.filter(row => !row.classList.contains("more")).length;

  function valueOf(cell) {
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  }

  // What has no value comes last either way.
  function compare(a, b, falling) {
    if (a === null || b === null) return (a === null) - (b === null);
    return (a < b ? -1 : a > b ? 1 : 0) * (falling ? -1 : 1);
  }

  function sortBy(column, head) {
    const falling = head.getAttribute("aria-sort") !== "descending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const keyed = rows.map(row => [valueOf(row.cells[column]), row]);
    keyed.sort(([a], [b]) => compare(a, b, falling));
    keyed.forEach(([, row], place) => row.classList.toggle("more", place >= first));
    body.append(...keyed.map(([, row]) => row));
  }

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(column, head));
    head.append(button);
  });
  if (all) {
    all.hidden = false;
    all.addEventListener("click", () => {
      table.classList.add("all");
      all.hidden = true;
    });
  }
}

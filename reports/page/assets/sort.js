// Tables sort by a click on a heading, or Enter or Space on it. Without this script they are in the paper's order.
"use strict";

function sortable(table) {
  const headings = Array.from(table.querySelectorAll("thead th[data-sort]"));
  const body = table.tBodies[0];
  const order = new Map(Array.from(body.rows, (row, place) => [row, place]));

  const hint = table.querySelector(".hint");
  if (hint) hint.hidden = false;

  function key(row, place, numeric) {
    const cell = row.cells[place];
    if (!numeric) return cell.textContent.trim();
    return "value" in cell.dataset ? Number(cell.dataset.value) : null;
  }

  function compare(a, b, numeric, sign) {
    // What has no number, a state or nothing, follows the numbers in both directions.
    const lacking = (a === null || a === "") - (b === null || b === "");
    if (lacking || a === b || a === null) return lacking;
    return sign * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
  }

  function sort(heading, place) {
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of headings) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const numeric = heading.dataset.sort === "number";
    const rows = Array.from(order.keys());
    const keys = new Map(rows.map((row) => [row, key(row, place, numeric)]));
    rows.sort((a, b) =>
      compare(keys.get(a), keys.get(b), numeric, rising ? 1 : -1) || order.get(a) - order.get(b));
    body.append(...rows);
  }

  for (const heading of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(heading, Number(heading.dataset.column)));
  }
}

document.querySelectorAll("table.sortable").forEach(sortable);

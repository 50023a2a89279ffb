// Sorts tables by a click on a heading, and copies text. The page is complete without it.
"use strict";

function valueOf(cell) {
  const text = cell.textContent.trim();
  const found = /-?\d[\d,]*\.?\d*(e[+-]?\d+)?/.exec(text.replace(/\u2212/g, "-"));
  if (!found) return text === "" || text === "\u2013" ? null : text.toLowerCase();
  const units = { kB: 1e3, MB: 1e6, GB: 1e9 };
  const unit = /\b(kB|MB|GB)\b/.exec(text);
  return parseFloat(found[0].replace(/,/g, "")) * (unit ? units[unit[1]] : 1) - (/<\s*\d/.test(text) ? 1e-9 : 0);
}

function compareValues(first, second) {
  if (typeof first === "number" && typeof second === "number") return first - second;
  return String(first).localeCompare(String(second), undefined, { numeric: true });
}

function sortBy(table, column, sign) {
  const words = table.tBodies[0].rows[0].cells[column].tagName === "TH";
  const rows = Array.from(table.tBodies[0].rows, row => {
    const cell = row.cells[column];
    return [words ? cell.textContent.trim().toLowerCase() : valueOf(cell), row];
  });
  rows.sort(([first], [second]) => {
    if (first === null || second === null) return (first === null) - (second === null);
    return sign * compareValues(first, second);
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return; // a column without a name, such as bars
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending ? 1 : -1);
    });
  });
}

for (const block of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy " + block.dataset.copy;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
    } catch {
      getSelection().selectAllChildren(block);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy " + block.dataset.copy; }, 2000);
  });
  block.before(button);
}

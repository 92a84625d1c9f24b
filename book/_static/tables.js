// Tables of the book: sorted by a button in each header, saved as CSV. The file holds the text
// that the table shows and nothing else.
(() => {
  "use strict";
  // Tables of a run, and those of the prose.
  const BOXES = ".table-scroll, .pst-scrollable-table-container";
  const EMPTY = new Set(["", "–", "hidden"]);
  const NUMBER = /^[<>≥≤=~]?\s?\(?([+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?=$|[\s%)×])/;
  const text = (cell) => cell.textContent.replace(/[\u00a0\s]+/g, " ").trim();
  const plain = (cell) => text(cell).replace(/−/g, "-");

  // Cells by row and column, those that span several rows repeated in each.
  function grid(rows) {
    const made = rows.map(() => []);
    rows.forEach((row, i) => {
      let column = 0;
      for (const cell of row.cells) {
        while (made[i][column]) column += 1;
        for (let down = 0; down < cell.rowSpan && i + down < rows.length; down += 1)
          for (let across = 0; across < cell.colSpan; across += 1)
            made[i + down][column + across] = cell;
        column += cell.colSpan;
      }
    });
    return made;
  }

  // Rows that are sorted apart have to say each for itself what a spanning cell said for all.
  function unspan(rows) {
    grid(rows).forEach((cells, i) => {
      const row = rows[i];
      const own = cells.map((cell) => {
        if (cell.parentNode === row) return cell;
        const copy = cell.cloneNode(true);
        if (copy.scope === "rowgroup") copy.scope = "row";
        copy.removeAttribute("id");
        copy.rowSpan = 1;
        return copy;
      });
      row.replaceChildren(...own);
    });
    for (const row of rows)
      for (const cell of row.cells) {
        if (cell.scope === "rowgroup") cell.scope = "row";
        if (cell.rowSpan > 1) cell.rowSpan = 1;
      }
  }

  function number(cell) {
    const found = NUMBER.exec(plain(cell));
    return found ? Number(found[1].replace(/,/g, "")) : NaN;
  }

  function compare(rows, column) {
    const cells = rows.map((row) => row.cells[column]);
    const filled = cells.filter((cell) => cell && !EMPTY.has(text(cell)));
    const numbers = filled.length > 0 && filled.every((cell) => !Number.isNaN(number(cell)));
    return (a, b, sign) => {
      const [x, y] = [a.cells[column], b.cells[column]];
      const [gone, none] = [EMPTY.has(text(x)), EMPTY.has(text(y))];
      // What is missing stands last, whichever way.
      if (gone || none) return gone - none;
      if (numbers) return sign * (number(x) - number(y));
      return sign * plain(x).localeCompare(plain(y), "en", { numeric: true });
    };
  }

  function sortable(table, say) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const original = [...body.rows];
    if (original.length < 3) return;
    let spanned = original.some((row) => [...row.cells].some((cell) => cell.rowSpan > 1));
    heads.forEach((head, column) => {
      const name = text(head);
      if (!name || head.tagName !== "TH" || head.colSpan > 1) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        if (spanned) unspan(original);
        spanned = false;
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")];
        const order = next === undefined ? "ascending" : next;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (order) head.setAttribute("aria-sort", order);
        const by = compare(original, column);
        const sign = order === "descending" ? -1 : 1;
        const rows = order ? [...original].sort((a, b) => by(a, b, sign)) : original;
        body.append(...rows);
        say(order ? `Sorted by ${name}, ${order}.` : "In the original order.");
      });
    });
  }

  function csv(table) {
    const rows = [...table.tHead.rows].concat(...[...table.tBodies].map((body) => [...body.rows]));
    const quoted = (cell) => {
      let value = cell ? plain(cell) : "";
      if (value === "–") value = "";
      // A spreadsheet would run a text that starts so as a formula.
      if (/^[=@]/.test(value) || (/^[+-]/.test(value) && !NUMBER.test(value))) value = `'${value}`;
      return /[",\n]/.test(value) ? `"${value.replace(/"/g, '""')}"` : value;
    };
    return grid(rows).map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";
  }

  function fileName(table, box) {
    const page = location.pathname.split("/").pop().replace(/\.html?$/, "") || "table";
    const said = box.dataset.name || `${page}_${table.caption ? text(table.caption) : "table"}`;
    return `${said.replace(/[^\w-]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 60)}.csv`;
  }

  function savable(table, box, bar) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "csv";
    button.textContent = "Download CSV";
    if (table.caption) button.setAttribute("aria-label", `Download CSV: ${text(table.caption)}`);
    button.addEventListener("click", () => {
      // The mark at the start tells spreadsheets that this is UTF-8.
      const address = URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv" }));
      const link = document.createElement("a");
      link.href = address;
      link.download = fileName(table, box);
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
    bar.prepend(button);
  }

  function equip(table) {
    const box = table.closest(BOXES);
    if (!box || !table.tHead || !table.tBodies.length || box.hasAttribute("data-plain")) return;
    const bar = document.createElement("div");
    bar.className = "table-tools";
    const said = document.createElement("span");
    said.className = "table-said";
    said.setAttribute("aria-live", "polite");
    bar.append(said);
    savable(table, box, bar);
    sortable(table, (message) => { said.textContent = message; });
    box.after(bar);
  }

  // Smaller type only where a table would not fit the column, or its cells become towers: a page
  // without scripts, and paper, keep what the table's number of columns suggests. A phone's tables
  // scroll.
  function fit(table) {
    const box = table.closest(BOXES);
    if (!box) return;
    box.classList.remove("wide");
    if (box.clientWidth < 500) return;
    const tooWide = () => box.scrollWidth > box.clientWidth + 1;
    const heights = [...table.rows].map((row) => row.offsetHeight);
    const broken = heights.filter((height) => height > 40).length;
    const towers = heights.some((height) => height > 120) || (broken > 6 && broken > heights.length / 2);
    if (tooWide() || towers) box.classList.add("snug");
    if (tooWide()) box.classList.add("wide");
  }

  // A long name may break after an underscore or a slash.
  function breakable(box) {
    box.querySelectorAll("code").forEach((code) => {
      const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT), found = [];
      while (walker.nextNode()) found.push(walker.currentNode);
      for (const node of found) {
        const parts = node.data.split(/(?<=[_/])(?=.)/);
        if (parts.length > 1 && node.data.length > 12)
          node.replaceWith(...parts.flatMap((part, i) => i ? [document.createElement("wbr"), part] : [part]));
      }
    });
  }

  function start() {
    document.querySelectorAll(BOXES).forEach((box) => {
      const table = box.querySelector(":scope > table");
      if (table) { breakable(box); equip(table); fit(table); }
    });
    // Those of a page of prose look alike.
    const prose = document.querySelectorAll(".pst-scrollable-table-container");
    const snug = [...prose].some((box) => box.classList.contains("snug"));
    prose.forEach((box) => box.classList.toggle("snug", snug));
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

// Copy what a page says, as it stands after its scripts have run, for one printed document.
// Called with the page's own name and the names of all pages ("book/index", ...).
([own, pages]) => {
  const mark = name => name.replace(/[^\w-]/g, "-");
  const article = document.querySelector("article.bd-article");
  article.querySelectorAll("canvas").forEach(canvas => {
    const image = new Image();
    image.src = canvas.toDataURL();
    image.alt = canvas.getAttribute("aria-label") || "";
    canvas.replaceWith(image);
  });
  // Folded code stays out; any other fold prints open.
  article.querySelectorAll("details.hide .cell_input").forEach(code => code.remove());
  article.querySelectorAll("details.hide").forEach(fold => {
    fold.querySelector("summary")?.remove();
    fold.textContent.trim() || fold.querySelector("img, svg, table")
      ? fold.replaceWith(...fold.childNodes) : fold.remove();
  });
  article.querySelectorAll("details").forEach(fold => { fold.open = true; });
  // A header of a table is a button, to sort by; paper keeps what it says.
  article.querySelectorAll("button.sort").forEach(button => button.replaceWith(...button.childNodes));
  article.querySelectorAll("script, noscript, button, input, select, .table-tools, .headerlink, [hidden]")
    .forEach(needless => needless.remove());
  const root = new URL("../".repeat(own.split("/").length - 1) || "./", document.baseURI);
  const place = (page, id) => `${mark(page)}${id ? "--" + id : ""}`;
  article.querySelectorAll("a[href]").forEach(link => {
    const target = new URL(link.getAttribute("href"), document.baseURI);
    if (!target.href.startsWith(root.href)) {
      if (target.protocol === "file:") link.removeAttribute("href");
      return;
    }
    const page = decodeURI(target.href.slice(root.href.length)).replace(/\.html.*$/, "");
    const id = decodeURIComponent(target.hash.slice(1));
    if (pages.includes(page)) link.setAttribute("href", `#${place(page, id)}`);
    else link.removeAttribute("href");  // a download, which paper has not
    link.removeAttribute("target");
  });
  // Every page calls its parts alike ("conclusion"): within one document each needs its own.
  const ids = new Set([...article.querySelectorAll("[id]")].map(e => e.id));
  const moved = text => text.replace(/#([\w.:-]+)/g, (all, id) => ids.has(id) ? `#${place(own, id)}` : all);
  article.querySelectorAll("*").forEach(element => {
    for (const { name, value } of [...element.attributes]) {
      if (name === "id") element.setAttribute(name, place(own, value));
      else if (["for", "headers"].includes(name) || /^aria-.*(by|controls|owns)$/.test(name))
        element.setAttribute(name, value.split(" ").map(id => place(own, id)).join(" "));
      else if (/url\(#/.test(value) || (/href$/.test(name) && element.closest("svg")))
        element.setAttribute(name, moved(value));
    }
  });
  article.querySelectorAll("style").forEach(style => { style.textContent = moved(style.textContent); });
  article.querySelectorAll("img[src]").forEach(image => { image.src = image.src; image.loading = "eager"; });
  article.id = place(own, "");
  return {
    html: article.outerHTML,
    title: article.querySelector("h1")?.firstChild?.textContent.trim() ?? own,
    sheets: [...document.querySelectorAll('link[rel="stylesheet"]')].map(link => link.href),
  };
}

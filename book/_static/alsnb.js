// A drawing that is wider than a phone scrolls in its box: by keyboard too, and only then.
(() => {
  const reach = () => document.querySelectorAll(".alsnb-figure").forEach(figure => {
    if (figure.scrollWidth > figure.clientWidth + 1) figure.tabIndex = 0;
    else figure.removeAttribute("tabindex");
  });
  addEventListener("load", reach);
  addEventListener("resize", reach);
})();

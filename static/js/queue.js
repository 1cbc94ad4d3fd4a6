// j and k in a list: down and up its links. Only while the focus is inside the list, so that no key is taken elsewhere.
(function () {
  "use strict";
  document.addEventListener("keydown", (event) => {
    const list = event.target instanceof Element && event.target.closest("[data-queue]");
    if (!list || event.ctrlKey || event.metaKey || event.altKey || (event.key !== "j" && event.key !== "k")) return;
    const links = Array.from(list.querySelectorAll("a.row-link"));
    const at = links.indexOf(document.activeElement);
    const next = links[Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), links.length - 1)];
    if (next) { event.preventDefault(); next.focus(); }
  });
})();

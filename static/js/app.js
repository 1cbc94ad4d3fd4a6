// Behaviour that every page shares, all by delegation so that htmx swaps need no set-up: copy buttons, menus, dialogs,
// submit-once, toasts, keyboard, live regions. Every feature has a plain link or form underneath.
(function () {
  "use strict";

  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const COPIED_MS = 1600;
  const TOAST_MS = 7000;
  const SUBMIT_LOCK_MS = 10000;

  // -- live region: says to screen readers what just changed
  function announce(text) {
    const region = $("#live");
    if (!region || !text) return;
    region.textContent = "";
    requestAnimationFrame(() => { region.textContent = text; });
  }

  // -- copy buttons: data-copy holds the text, or data-copy-from the selector of an element
  async function copy(button) {
    const source = button.dataset.copyFrom ? $(button.dataset.copyFrom) : null;
    const box = button.closest(".code");
    const shown = box && ($("pre.is-shown", box) || $("pre", box));
    const text = button.dataset.copy || (source || shown || {}).textContent || "";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("is-copied");
    announce(button.dataset.copied || document.body.dataset.copied);
    setTimeout(() => button.classList.remove("is-copied"), COPIED_MS);
  }

  // -- code tabs: one visible <pre> of several
  function showSample(tab) {
    const box = tab.closest(".code");
    $$("[role=tab]", box).forEach((other) => {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      if (panel) panel.classList.toggle("is-shown", chosen);
    });
  }

  // -- toasts
  function dismiss(toast) { if (toast) toast.remove(); }
  function armToasts(root) {
    $$(".toast:not([data-armed])", root).forEach((toast) => {
      toast.dataset.armed = "1";
      if (!toast.classList.contains("toast-error")) setTimeout(() => dismiss(toast), TOAST_MS);
    });
  }

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (!(target instanceof Element)) return;
    const copier = target.closest(".copy");
    if (copier) { event.preventDefault(); copy(copier); return; }
    const tab = target.closest(".code-tabs [role=tab]");
    if (tab) { showSample(tab); return; }
    const closer = target.closest(".toast button");
    if (closer) { dismiss(closer.closest(".toast")); return; }
    const pause = target.closest("[data-pause]");
    if (pause) {
      const region = pause.closest("[data-refresh]");
      const isPaused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(isPaused));
      if (isPaused) region.dataset.paused = "1"; else { delete region.dataset.paused; pause.blur(); }
      return;
    }
    const opener = target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (dialog && dialog.showModal) { event.preventDefault(); dialog.showModal(); return; }
    }
    if (target.closest("[data-close]")) {
      const dialog = target.closest("dialog");
      if (dialog) { event.preventDefault(); dialog.close(); return; }
    }
    if (target instanceof HTMLDialogElement && target.open) target.close();
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
  });

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const typing = target instanceof Element && target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      const menu = $("details.menu[open]");
      if (menu) { menu.open = false; $("summary", menu).focus(); }
    }
    if (target instanceof Element && target.matches(".code-tabs [role=tab]") && /^Arrow(Left|Right)$/.test(event.key)) {
      const tabs = $$("[role=tab]", target.parentElement);
      const step = event.key === "ArrowRight" ? 1 : tabs.length - 1;
      const next = tabs[(tabs.indexOf(target) + step) % tabs.length];
      next.focus();
      showSample(next);
    }
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const field = $("[data-search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    }
  });

  // -- a form is sent once: the button that sent it says so and waits
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.dataset.sending || form.method === "dialog") {
      if (form.dataset.sending) event.preventDefault();
      return;
    }
    if (form.method !== "post") return;
    form.dataset.sending = "1";
    const button = event.submitter;
    setTimeout(() => { if (button) button.setAttribute("aria-busy", "true"); }, 0);
    setTimeout(() => unlock(form), SUBMIT_LOCK_MS);
  });
  function unlock(form) {
    delete form.dataset.sending;
    $$("[aria-busy=true]", form).forEach((button) => button.removeAttribute("aria-busy"));
  }
  window.addEventListener("pageshow", (event) => { if (event.persisted) $$("form[data-sending]").forEach(unlock); });

  // -- a form whose button does its work by script (a passkey): Enter in one of its fields presses that button
  document.addEventListener("submit", (event) => {
    const by = event.target.dataset.submitBy;
    if (!by) return;
    event.preventDefault();
    document.getElementById(by).click();
  }, true);

  // -- the browser gave no passkey: allauth's script says why, and people see it in words
  const PASSKEY_REASONS = { SecurityError: "address", TypeError: "address", InvalidStateError: "known" };
  document.addEventListener("allauth.error", (event) => {
    const problem = $("#passkey-problem");
    if (!problem) return;
    event.preventDefault();
    const toast = problem.content.cloneNode(true);
    const text = problem.dataset[PASSKEY_REASONS[event.detail.exception.name]];
    if (text) $("p", toast).textContent = text;
    $("#toasts").replaceChildren(toast);
  });

  // -- selects and switches that send their form at once
  document.addEventListener("change", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-submit-on-change]")) event.target.form.requestSubmit();
  });

  // -- an error summary takes the focus, so that a failed form starts where it failed
  function focusErrors() {
    const summary = $(".error-summary");
    if (summary) summary.focus();
  }

  // -- a table that is wider than its place can be scrolled by keyboard too
  function reachTables() {
    $$(".table-wrap").forEach((wrap) => {
      if (wrap.scrollWidth > wrap.clientWidth + 1) wrap.tabIndex = 0; else wrap.removeAttribute("tabindex");
    });
  }
  window.addEventListener("resize", reachTables);
  document.addEventListener("portal:swapped", reachTables);

  // -- tabs that do not fit: the current one is in view, and a side that hides more fades out
  function hintTabs(tabs) {
    const hidden = tabs.scrollWidth - tabs.clientWidth;
    tabs.classList.toggle("has-before", tabs.scrollLeft > 1);
    tabs.classList.toggle("has-after", tabs.scrollLeft < hidden - 1);
  }
  function reachTabs() {
    $$("nav.tabs").forEach((tabs) => {
      const current = $("[aria-current]", tabs);
      if (current) tabs.scrollLeft = current.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
      hintTabs(tabs);
      tabs.onscroll = () => hintTabs(tabs);
    });
  }
  window.addEventListener("resize", reachTabs);

  // -- htmx: errors become toasts, swapped regions say so, focus goes to the region's heading when it asks for it
  document.addEventListener("htmx:load", (event) => {
    const region = event.detail.elt;
    if (region === document.body) return;
    armToasts(document);
    if (region.dataset.announce) announce(region.dataset.announce);
    const head = $("[data-focus]", region);
    if (head) { head.tabIndex = -1; head.focus(); }
    document.dispatchEvent(new CustomEvent("portal:swapped", { detail: { root: region } }));
  });
  // A region that refreshes itself waits while nobody looks, while somebody works in it, and when it was told to pause
  document.addEventListener("htmx:beforeRequest", (event) => {
    const region = event.detail.elt;
    if (!region.matches("[data-refresh]")) return;
    const isBusy = region.contains(document.activeElement) || $("details[open]", region);
    if (document.hidden || isBusy || region.dataset.paused) event.preventDefault();
  });
  document.addEventListener("htmx:sendError", () => announce(document.body.dataset.offline));
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.elt.closest && event.detail.elt.closest("form");
    if (form) unlock(form);
  });

  document.addEventListener("DOMContentLoaded", () => { armToasts(document); focusErrors(); reachTables(); reachTabs(); });
})();

// What the theme leaves out: names for its two sidebars, and keyboard access to what scrolls sideways.
addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  for (const box of document.querySelectorAll("pre, .table-wrapper, figure.drawn")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});

"use strict";
// Elements would save what is typed into the page, secrets too, in the browser's profile. This lasts as long as the page.
const page = JSON.parse(document.getElementById("page").textContent);
const kept = new Map();
Object.defineProperty(window, "localStorage", { value: {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => { kept.set(name, String(value)); },
  removeItem: (name) => { kept.delete(name); },
} });
let text = JSON.stringify(page.contract);
if (page.sandbox) { // every address is the sandbox's, so that samples can be pasted
  text = text.replaceAll(page.contract.servers[0].url, location.origin);
  localStorage.setItem("TryIt_securitySchemeValues", JSON.stringify(page.sandbox));
}

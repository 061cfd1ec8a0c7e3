"use strict";

// Every page works without this file.

// A button that shows the password and hides it again. It is not there without script.
for (const button of document.querySelectorAll("button[data-reveals]")) {
  const field = document.getElementById(button.dataset.reveals);
  const hidden = { text: button.textContent, label: button.getAttribute("aria-label") };
  const shown = { text: button.dataset.hide, label: button.dataset.hideLabel };
  const show = (yes) => {
    const words = yes ? shown : hidden;
    field.type = yes ? "text" : "password";
    button.textContent = words.text;
    button.setAttribute("aria-label", words.label);
  };
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers remember what stands in a text field, and pages gone back to.
  field.form.addEventListener("submit", () => show(false));
  addEventListener("pagehide", () => show(false));
  button.hidden = false;
}

// Moments in the reader's own time zone, written as the page writes them.
const locale = { en: "en-GB", fr: "fr-FR" }[document.documentElement.lang];
const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
for (const moment of document.querySelectorAll("time.moment")) {
  const at = new Date(moment.dateTime);
  if (!Number.isNaN(at.getTime())) moment.textContent = format.format(at);
}

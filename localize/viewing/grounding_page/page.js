"use strict";
for (const film of document.querySelectorAll(".film")) {
  const marked = [...film.querySelectorAll("[data-sentence]")];
  const show = (number) => {
    film.classList.toggle("pointing", number !== null);
    for (const one of marked) one.classList.toggle("on", one.dataset.sentence === number);
  };
  const numberAt = (event) => event.target.closest("[data-sentence]")?.dataset.sentence ?? null;
  film.addEventListener("pointerover", (event) => show(numberAt(event)));
  film.addEventListener("pointerleave", () => show(null));
  film.addEventListener("focusin", (event) => show(numberAt(event)));
  film.addEventListener("focusout", () => show(null));
}

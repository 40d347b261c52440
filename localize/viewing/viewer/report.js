// The report beside a film. Pointing at a sentence, or moving to it with Tab, shows its boxes alone;
// choosing it (click, Enter, t) makes it the sentence of the boxes that are drawn from now on.
const OPTION_LETTERS = 70;

function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export class ReportPanel {
  // `onShow(text)` is called with the sentence whose boxes are to be shown, null for all;
  // `onChoose(sentence)` with the chosen sentence { text, findings, ... }, null for none.
  constructor(list, select, onShow, onChoose) {
    Object.assign(this, { list, select, onShow, onChoose, sentences: [], chosen: null, pointed: null });
    list.addEventListener("pointerover", (event) => this.point(this.sentenceAt(event)));
    list.addEventListener("pointerleave", () => this.point(this.sentenceAt({ target: document.activeElement })));
    list.addEventListener("focusin", (event) => this.point(this.sentenceAt(event)));
    list.addEventListener("focusout", () => this.point(null));
    list.addEventListener("click", (event) => {
      const sentence = this.sentenceAt(event);
      if (!sentence) return;
      const isOff = sentence === this.chosen;
      if (isOff) document.activeElement.blur();
      this.choose(isOff ? null : sentence);
    });
  }

  show(report) {
    this.sentences = report?.sentences ?? [];
    this.chosen = this.pointed = null;
    let section = "";
    this.list.replaceChildren(...this.sentences.map((one, k) => {
      const button = node("button", { type: "button", class: one.boxes ? "sentence" : "sentence none", "data-sentence": k, "aria-pressed": "false" },
        node("bdi", {}, one.text), ...one.captions.flatMap((text) => [" ", node("span", { class: "caption" }, text)]));
      const row = node("li", {}, button);
      if (one.section && one.section !== section) row.prepend(node("span", { class: "section" }, one.section));
      section = one.section;
      return row;
    }));
    const shortened = (text) => (text.length > OPTION_LETTERS ? `${text.slice(0, OPTION_LETTERS)} …` : text);
    const texts = [...new Set(this.sentences.map((one) => one.text))];
    this.select.replaceChildren(node("option", { value: "" }, "none"), ...texts.map((text) => node("option", { value: text }, shortened(text))));
  }
  sentenceAt({ target }) {
    const number = target?.closest?.("[data-sentence]")?.dataset.sentence;
    return number === undefined ? null : this.sentences[Number(number)];
  }
  point(sentence) {
    this.pointed = sentence;
    this.onShow(this.shownText());
  }
  choose(sentence) {
    this.chosen = sentence;
    for (const button of this.buttons()) button.setAttribute("aria-pressed", String(this.sentenceAt({ target: button }) === sentence));
    this.onChoose(sentence);
    this.onShow(this.shownText());
  }
  // Chooses the next sentence, or the one before, and moves there.
  chooseNext(by) {
    const count = this.sentences.length;
    if (!count) return;
    const place = this.sentences.indexOf(this.chosen);
    const next = place < 0 ? (by > 0 ? 0 : count - 1) : (place + by + count) % count;
    this.buttons()[next].focus();
    this.choose(this.sentences[next]);
  }
  clear() {
    if (this.list.contains(document.activeElement)) document.activeElement.blur();
    this.pointed = null;
    this.choose(null);
  }
  // Marks the sentence of a box.
  mark(text) {
    for (const button of this.buttons()) button.classList.toggle("on", text !== "" && this.sentenceAt({ target: button }).text === text);
  }
  shownText() {
    return (this.pointed ?? this.chosen)?.text ?? null;
  }
  buttons() {
    return [...this.list.querySelectorAll("[data-sentence]")];
  }
}

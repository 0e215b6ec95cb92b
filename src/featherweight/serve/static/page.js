// The drawing page: handles input, sends the drawing to the server and shows the prediction.

import { Asker } from "./ask.js";
import { fileOf, open } from "./picture.js";
import { Sheet } from "./sheet.js";
import { inWords, make, prepareBars, showAnswer, showNothing } from "./show.js";

const $ = (id) => document.getElementById(id);
const QUIET = 600;          // milliseconds without a new answer; then screen readers get the latest
let card = null;
let latest = null;
let speaking = 0;

const sheet = new Sheet($("sheet"), ask);
const asker = new Asker(answered, fail);

function ask() {
  $("undo").disabled = !sheet.actions.length;
  $("clear").disabled = sheet.empty;
  invite();
  fail(null);
  if (!sheet.empty) return asker.ask(() => sheet.blob(), number());
  asker.forget();
  latest = null;
  clearTimeout(speaking);
  return showNothing();
}

// Shows a text on the sheet if it is empty, or if the browser cannot show the picture.
function invite() {
  const { picture } = sheet.shown;
  $("invite").hidden = !sheet.empty && (!picture || Boolean(picture.picture));
  const [large, small] = picture ? [picture.file.name, "cannot be shown here"] : ["Draw here", "or drop a picture, or paste one"];
  $("invite").firstChild.textContent = large;
  $("invite").lastChild.textContent = small;
}

function answered(answer) {
  latest = answer;
  showAnswer(answer);
  if (answer.digits > 1) hint(`There seem to be ${answer.digits} digits side by side. This page reads them as one.`);
  clearTimeout(speaking);
  speaking = setTimeout(() => { $("spoken").textContent = inWords(answer); }, QUIET);
}

function hint(text) {
  $("fault").hidden = !text;
  $("fault").textContent = text;
}

function fail(fault) {
  hint(fault?.message ?? "");
  $("frame").classList.toggle("wrong", Boolean(fault));
  if (fault) {
    latest = null;
    showNothing();
  }
}

async function take(file) {
  if (!file) return;
  try {
    const { picture, file: sent } = await open(file);
    sheet.show(picture, sent);
  } catch (fault) {
    fail(fault);
  }
}

function number() {
  return card?.takes_number ? Number(document.querySelector("#numbers :checked").value) : null;
}

function introduce(found) {
  card = found;
  for (const head in card.heads) card.heads[head] = card.heads[head].filter((name) => name !== "none");
  const accuracy = Object.entries(card.accuracy).map(([head, share], _, all) =>
    `${(100 * share).toFixed(2)} %${all.length > 1 ? ` ${head}` : ""}`).join(", ");
  const about = `${card.model} · ${card.parameters.toLocaleString("en")} parameters · ${accuracy} on ${card.dataset} test`;
  $("card").textContent = about;
  const digits = Object.values(card.heads)[0].every((name) => /^\d$/.test(name));
  if (card.takes_number) title("Draw a digit, add a number");
  else if (!digits) title("Draw, or show a picture");
  prepareBars(card.heads);
  showNothing();
  $("numbers").hidden = !card.takes_number;
  for (const part of document.querySelectorAll(".sum-only")) part.hidden = !card.takes_number;
  if (card.takes_number) $("numbers").lastElementChild.append(...Array.from({ length: 10 }, (_, k) => choice(k)));
  if (!sheet.empty) ask();
}

function title(text) {
  $("title").textContent = text;
  document.title = `${text} · Featherweight`;
}

function choice(k) {
  const [label, input] = [make("label", "", String(k)), make("input")];
  Object.assign(input, { type: "radio", name: "number", value: k, checked: k === 4 });
  input.addEventListener("change", ask);
  label.append(input);
  return label;
}

function press(event) {
  if (event.altKey || event.target.type === "file") return;
  const key = event.key.toLowerCase();
  const held = event.ctrlKey || event.metaKey;
  if (held && key === "z" && !event.shiftKey && !$("undo").disabled) sheet.undo();
  else if (!held && (key === "delete" || key === "escape" || key === "backspace")) sheet.clear();
  else if (!held && card?.takes_number && /^\d$/.test(key)) {
    document.querySelector(`#numbers [value="${key}"]`).checked = true;
    ask();
  } else return;
  event.preventDefault();
}

$("undo").addEventListener("click", () => sheet.undo());
$("clear").addEventListener("click", () => sheet.clear());
for (const [button, input] of [["choose", "file"], ["photograph", "camera"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    take($(input).files[0]);
    $(input).value = "";        // the same file may be chosen again
  });
}
document.addEventListener("keydown", press);
document.addEventListener("paste", (event) => take(fileOf(event.clipboardData)));
for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("frame").classList.toggle("over", over);
    if (kind === "drop") take(fileOf(event.dataTransfer));
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  sheet.paint();
  if (latest) showAnswer(latest);
});

fetch("model").then((answer) => answer.json()).then(introduce).catch(() =>
  fail(new Error("The server does not answer. Is it still running?")));

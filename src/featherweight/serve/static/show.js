// Shows a prediction on the page: as text, as bars, and with the input, the important regions and the layers.

const $ = (id) => document.getElementById(id);

// A probability as text. A network is never fully certain, so the text is never 100 % or 0 %.
function percent(share) {
  if (share > 0.9995) return "over 99.9 %";
  if (share < 0.0005) return "under 0.1 %";
  return `${(100 * share).toFixed(share > 0.985 || share < 0.1 ? 1 : 0)} %`;
}

export function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// Creates the bars of every head in the order of the classes, so that they do not move while the prediction changes.
export function prepareBars(heads) {
  $("heads").replaceChildren(...Object.entries(heads).map(([head, names]) => {
    const part = make("div");
    if (Object.keys(heads).length > 1) part.append(make("h3", "", head));
    const list = make("ol", names.length > 12 ? "bars many" : "bars");
    list.setAttribute("aria-label", `Probability of each ${head}`);
    list.dataset.head = head;
    list.append(...names.map((name) => {
      const bar = make("li");
      bar.dataset.name = name;
      bar.append(make("span", "percent"), make("span", "column"), make("span", "name", name));
      bar.children[1].append(make("span"));
      return bar;
    }));
    part.append(list);
    return part;
  }));
}

function showBars(heads) {
  for (const list of document.querySelectorAll(".bars")) {
    const ranked = heads?.[list.dataset.head] ?? [];
    const shares = new Map(ranked.map((one) => [one.class, one.probability]));
    for (const bar of list.children) {
      const share = shares.get(bar.dataset.name) ?? 0;
      bar.classList.toggle("best", ranked[0]?.class === bar.dataset.name);
      bar.children[0].textContent = share < 0.01 ? "" : share > 0.99 ? ">99 %" : `${Math.round(100 * share)} %`;
      bar.children[1].firstChild.style.height = `${100 * share}%`;
    }
  }
}

export function showNothing() {
  $("said").className = document.querySelectorAll(".bars").length > 1 ? "empty long" : "empty";
  $("equation").textContent = "–";
  $("share").textContent = $("spoken").textContent = "";
  $("second").textContent = "The prediction follows your drawing.";
  $("layers-note").textContent = "The outputs of each layer appear here.";
  $("layers").replaceChildren();
  for (const id of ["seen", "looked"]) {
    $(id).width += 0;       // clears the canvas
    $(id).setAttribute("aria-label", "Nothing yet");
  }
  showBars(null);
}

export function showAnswer(answer) {
  const ranked = Object.values(answer.heads);
  const last = ranked.at(-1);
  showWords(ranked, answer.number);
  if (answer.doubted && ranked.length === 1) $("equation").replaceChildren(make("b", "", "?"));
  $("share").textContent = answer.doubted ? "I don't know" : percent(last[0].probability);
  $("second").textContent = answer.doubted ? `${candidates(last)}?` : `Next: ${last[1].class}, ${percent(last[1].probability)}`;
  $("said").classList.toggle("unsure", last[0].probability < 0.6);
  showBars(answer.heads);
  showSeen(answer.seen);
  showLooked(answer.seen, Object.values(answer.looked)[0]);
  showLayers(answer.layers);
}

// Returns the two best classes, as "4, 48 %, or 9, 39 %".
function candidates([first, second]) {
  return `${first.class}, ${percent(first.probability)}, or ${second.class}, ${percent(second.probability)}`;
}

// Shows the best class, "3", or with a number to add, "3 + 4 = 7".
function showWords(ranked, number) {
  const [first, last] = [ranked[0][0].class, ranked.at(-1)[0].class];
  $("said").className = ranked.length > 1 ? "long" : "";
  if (ranked.length === 1) return $("equation").replaceChildren(make("b", "", first));
  return $("equation").replaceChildren(first, make("i", "", "+"), String(number), make("i", "", "="), make("b", "", last));
}

// Returns the text for screen readers.
export function inWords(answer) {
  if (answer.doubted) return `I don't know: ${candidates(Object.values(answer.heads).at(-1))}?`;
  const parts = Object.entries(answer.heads).map(([head, [best]]) => `${head} ${best.class}, ${percent(best.probability)}`);
  return parts.join("; ");
}

function paint(canvas, height, width, colour) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let at = 0; at < height * width; at += 1) image.data.set([...colour(at), 255], 4 * at);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Returns one pixel of the input as [red, green, blue]. The input holds one plane per channel.
function pixel({ pixels, channels, height, width }, at) {
  return channels === 3 ? [0, 1, 2].map((plane) => pixels[plane * height * width + at]) : Array(3).fill(pixels[at]);
}

function showSeen(seen) {
  paint($("seen"), seen.height, seen.width, (at) => pixel(seen, at));
  $("seen").setAttribute("aria-label", `${seen.width} by ${seen.height} pixels, the input of the network`);
  $("seen-note").textContent = `${seen.width} × ${seen.height} pixels: the whole input of the network.`;
}

function showLooked(seen, looked) {
  const most = Math.max(...looked.falls);
  const scale = most > 0.005 ? 1 / most : 0;
  paint($("looked"), seen.height, seen.width, (at) => {
    const heat = Math.max(0, looked.falls[at] * scale) ** 0.8;
    return pixel(seen, at).map((value, plane) => 0.45 * value * (1 - heat) + [255, 146, 46][plane] * heat);
  });
  const patch = `${looked.patch} × ${looked.patch}`;
  const points = Math.max(1, Math.round(100 * most));
  const said = scale ? `Hiding ${patch} pixels lowers the probability of its ${looked.class} by up to ${points} points.`
    : `Hiding ${patch} pixels hardly changes the probability of its ${looked.class}.`;
  $("looked-note").textContent = said;
  $("looked").setAttribute("aria-label", said);
}

function showLayers(layers) {
  const list = $("layers");
  if (list.children.length !== layers.length) list.replaceChildren(...layers.map(prepareLayer));
  $("layers-note").textContent = "One square per channel. Blue is positive, orange is negative.";
  const colours = ["--raised", "--accent", "--warm"].map(channelsOf);
  layers.forEach((layer, index) => showMaps(layer, list.children[index], colours));
}

function prepareLayer({ title, shape: [channels, height, width] }) {
  const [row, words, maps] = [make("div", "layer"), make("div"), make("div", height * width === 1 ? "maps points" : "maps")];
  words.append(make("h3", "", title), make("p", "pale", `${channels} × (${width} × ${height})`));
  maps.setAttribute("role", "img");
  maps.setAttribute("aria-label", `${channels} activation maps of ${title}, ${width} by ${height} each`);
  maps.append(...Array.from({ length: channels }, () => make("canvas")));
  row.append(words, maps);
  return row;
}

function showMaps({ shape: [channels, height, width], low, high, maps }, row, [ground, above, below]) {
  const bytes = Uint8Array.from(atob(maps), (letter) => letter.charCodeAt(0));
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const canvases = row.lastChild.children;
  for (let channel = 0; channel < channels; channel += 1) {
    paint(canvases[channel], height, width, (at) => {
      const value = (low + (bytes[channel * height * width + at] / 255) * (high - low)) / most;
      const full = value < 0 ? below : above;
      return ground.map((part, plane) => part + (full[plane] - part) * Math.abs(value));
    });
  }
}

// Returns a colour of the theme, such as "#0a5f94", as [10, 95, 148].
function channelsOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
}

// The drawing sheet. Strokes are stored as points between 0 and 1, so that they can be drawn at any size and undone.

const WIDTH = 0.085;        // width of a stroke, as a fraction of the sheet's side
const SENT = 140;           // side of the sent picture in pixels; with twice as many, the server needs twice the time
const STEP = 1 / 56;        // distance of one press of an arrow key, as a fraction of the side

export class Sheet {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.actions = [];      // {points, pen} a stroke, {picture, file} a picture, {} a clearing of the sheet
    this.stroke = null;     // the stroke that is being drawn
    this.cursor = null;     // position of the pen when the keyboard moves it
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.end());
    canvas.addEventListener("keydown", (event) => this.type(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.stroke = null; this.paint(); });
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  // The current content of the sheet: a picture, or the strokes since the last picture or clearing.
  get shown() {
    const start = this.actions.findLastIndex((action) => !action.points);
    const picture = this.actions[start]?.file ? this.actions[start] : null;
    const strokes = this.actions.slice(start + 1);
    return picture && !strokes.length ? { picture, strokes } : { picture: null, strokes };
  }

  get empty() {
    const { picture, strokes } = this.shown;
    return !picture && !strokes.length;
  }

  begin(event) {
    if (event.button > 0 || this.stroke) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = null;
    this.start(this.place(event), event.pointerType === "pen");
  }

  go(event) {
    if (!this.stroke || this.cursor) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.stroke.points.push(this.place(one));
    this.drawn();
  }

  end() {
    if (this.stroke && !this.cursor) this.stroke = null;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, force: event.pressure };
  }

  start(point, pen) {
    this.stroke = { points: [point], pen };
    this.actions.push(this.stroke);
    this.drawn();
  }

  type(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves || event.key === " ")) return;
    event.preventDefault();
    this.cursor ??= { x: 0.5, y: 0.3 };
    if (event.key === " ") {
      if (this.stroke) this.stroke = null;
      else this.start({ ...this.cursor }, false);
      return this.paint();
    }
    const [x, y] = moves[event.key].map((way) => way * STEP * (event.shiftKey ? 4 : 1));
    this.cursor = { x: Math.min(1, Math.max(0, this.cursor.x + x)), y: Math.min(1, Math.max(0, this.cursor.y + y)) };
    if (!this.stroke) return this.paint();
    this.stroke.points.push({ ...this.cursor });
    return this.drawn();
  }

  undo() {
    this.stroke = null;
    this.actions.pop();
    this.drawn();
  }

  clear() {
    this.stroke = null;
    if (!this.empty) this.actions.push({});
    this.drawn();
  }

  show(picture, file) {
    this.stroke = null;
    this.actions.push({ picture, file });
    this.drawn();
  }

  drawn() {
    this.paint();
    this.changed();
  }

  fit() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (side !== this.canvas.width) this.canvas.width = this.canvas.height = side;
    this.paint();
  }

  paint() {
    const ink = getComputedStyle(this.canvas).color;
    const context = this.canvas.getContext("2d");
    const side = this.canvas.width;
    const { picture, strokes } = this.shown;
    context.clearRect(0, 0, side, side);
    if (picture?.picture) lay(context, picture.picture, side);
    for (const stroke of strokes) line(context, stroke, side, ink);
    if (this.cursor) ring(context, this.cursor, side, ink, this.stroke);
  }

  // Returns the file to send: the picture unchanged, or the strokes in black on white.
  async blob() {
    const { picture, strokes } = this.shown;
    if (picture) return picture.file;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SENT;
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, SENT, SENT);
    for (const stroke of strokes) line(context, stroke, SENT, "black");
    return new Promise((done) => canvas.toBlob(done));
  }
}

// Draws a stroke as curves between the midpoints of its points. More pressure on a pen gives a wider line.
function line(context, { points, pen }, side, ink) {
  context.strokeStyle = ink;
  context.lineCap = context.lineJoin = "round";
  const wide = ({ force }) => side * WIDTH * (pen && force ? 0.6 + 0.8 * force : 1);
  const at = ({ x, y }) => [x * side, y * side];
  const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  let from = points[0];
  context.fillStyle = ink;
  context.beginPath();        // a stroke of one point needs a disc, because a canvas draws no line of length 0
  context.arc(...at(from), wide(from) / 2, 0, 2 * Math.PI);
  context.fill();
  points.forEach((point, index) => {
    const to = index + 1 < points.length ? middle(point, points[index + 1]) : point;
    context.lineWidth = wide(point);
    context.beginPath();
    context.moveTo(...at(from));
    context.quadraticCurveTo(...at(point), ...at(to));
    context.stroke();
    from = to;
  });
}

function lay(context, picture, side) {
  const scale = side / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
}

function ring(context, { x, y }, side, ink, down) {
  context.beginPath();
  context.arc(x * side, y * side, side * WIDTH * (down ? 0.7 : 0.5), 0, 2 * Math.PI);
  context.strokeStyle = ink;
  context.lineWidth = Math.max(2, side / 200);
  context.setLineDash(down ? [] : [side / 60, side / 60]);
  context.stroke();
  context.setLineDash([]);
}

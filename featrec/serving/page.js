// The page of the server: takes an image, sends it to /predict and /explain, and shows the answers.
"use strict";

const at = id => document.getElementById(id);
const main = at("main");
// The longest side of the map of contributions in pixels, and how much finer the outlines are drawn; smaller parts are widened to
// this share of the side.
const SIDE = 400, FINER = 3, LEAST = 1 / 48;
// Images whose longer side is at most this are shown enlarged, without smoothing.
const TINY = 64;
// Number of outlined parts for the class, and against it; more on request. Number of named parts.
const STRONGEST = 3, MANY = 30, NAMED = 6;
const HOW_TO_UNLOCK = "Enter the token with which the server was started.";
const MOST_LIKELY = 5, MOST_PARTS = 5000;
const MOST_CLASSES = 40;
const LONGEST_WAIT = 120000, FIRST_PAUSE = 1000, LONGEST_PAUSE = 8000;

let file = null;          // the image, a File or Blob
let answer = null;        // the result of /predict for it
let explained = null;     // the result of /explain for it
let request = null;       // AbortController of the request that runs
let waiting = null;       // timer of the next look for the server
let stream = null;        // the camera
let token = "";
let known = {};           // what the server says about each model
let again = () => predict();

// Talking to the server

class Refused extends Error {
  constructor(status, message, detail) { super(message); this.status = status; this.detail = detail; }
}
class Gone extends Error {}

function headers() { return token ? { Authorization: "Bearer " + token } : {}; }

async function call(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { ...options, headers: headers(), cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
    // A server that refuses a large upload may close the connection before the browser has sent all of it.
    if (await isAlive()) throw new Refused(0, "The server closed the connection before it answered.", told(file));
    throw new Gone();
  }
  let body = null;
  try { body = await response.json(); } catch { /* not JSON: the status says enough */ }
  if (response.ok && body !== null) return body;
  const id = (body && body.request_id) || response.headers.get("x-request-id");
  const wait = response.headers.get("retry-after");
  const detail = [wait && `Try again in ${wait} s.`, id && `Request ${id}.`].filter(Boolean).join(" ");
  throw new Refused(response.status, messageOf(body) || `The server answered with status ${response.status}.`, detail);
}

function messageOf(body) {
  const found = body && (body.error ?? body.detail);
  return typeof found === "string" ? found : found ? JSON.stringify(found) : "";
}

async function isAlive() {
  try { await fetch("v2/health/live", { cache: "no-store", headers: headers() }); return true; } catch { return false; }
}

function started() {
  if (request) request.abort();
  clearTimeout(waiting);
  const own = request = new AbortController();
  return AbortSignal.any ? AbortSignal.any([own.signal, AbortSignal.timeout(LONGEST_WAIT)]) : own.signal;
}

function form() {
  const data = new FormData();
  data.append("image", file, file.name || "image");
  return data;
}

function query(more) {
  const model = at("model").value;
  return new URLSearchParams({ ...(model ? { model } : {}), ...more });
}

async function send(address, whatFor, use) {
  const signal = started(), own = request;
  again = () => send(address, whatFor, use);
  show("working");
  at("told").textContent = whatFor;
  at("detail").textContent = told(file);
  try {
    const body = await call(address, { method: "POST", body: form(), signal });
    if (own === request) use(body);
  } catch (error) {
    if (own === request) fail(error);
  }
}

function predict() {
  return file && send(`predict?${query({ top: MOST_LIKELY })}`, "Recognising the image …", body => {
    answer = { ...body, ...(body.results && body.results[0]) };
    show("done");
    tell(body);
    at("show").hidden = known[at("model").value]?.explain === false;
    if (wanted() !== "image") explain();
  });
}

function explain() {
  if (!file || explained) return explained && draw();
  return send(`explain?${query({ top: MOST_LIKELY, parts: MOST_PARTS })}`, "Looking for what the model saw …", body => {
    explained = { ...body, ...(body.results && body.results[0]) };
    show("done");
    tellAnswer();
    draw();
  });
}

function fail(error) {
  if (error.name === "AbortError") return;
  if (error instanceof Gone) return gone();
  const late = error.name === "TimeoutError";
  const locked = error.status === 401 || (error.status === 403 && !token);
  show(locked ? "locked" : "error");
  const title = late ? "The server took too long." : locked && token ? "This token is not accepted." : titleOf(error);
  const message = late ? `There was no answer after ${LONGEST_WAIT / 1000} seconds.` : locked ? HOW_TO_UNLOCK : error.message;
  tellProblem(title, message, locked ? "" : error.detail);
  at("again").hidden = locked || !(late || mayPass(error.status));
  at("unlock").hidden = !locked;
  if (locked) at("token").focus();
  if (!explained) select("image");
}

function titleOf({ status }) {
  const titles = { 0: "The upload was stopped.", 401: "This server asks for a token.", 403: "This server asks for a token.",
    413: "The image is too large.", 429: "Too many requests.", 503: "The server is busy." };
  return titles[status] ?? (status >= 500 ? "The server failed." : status >= 400 ? "This image cannot be used." : "The page failed.");
}

// Whether the same request may succeed later.
function mayPass(status) { return !(status >= 400 && status < 500) || status === 408 || status === 429; }

function tellProblem(title, message, detail = "") {
  at("problem-told").textContent = title;
  at("problem-message").textContent = capital(message);
  at("problem-detail").textContent = detail;
  at("problem-detail").hidden = !detail;
}

function gone(pause = FIRST_PAUSE) {
  show("gone");
  tellProblem("The server does not answer.", "It may have been stopped, or the network is down. This page continues when it is back.");
  at("again").hidden = false;
  const before = request;
  waiting = setTimeout(async () => {
    const back = await isAlive();
    if (before !== request || main.dataset.state !== "gone") return;
    if (back) again(); else gone(Math.min(2 * pause, LONGEST_PAUSE));
  }, pause);
}

async function models() {
  again = models;
  try {
    const body = await call("models");
    listModels(body);
    show("idle");
    tellClasses();
  } catch (error) {
    fail(error);
  }
}

function listModels(body) {
  const all = (Array.isArray(body) ? body : body.models ?? []).map(one => typeof one === "string" ? { name: one } : one);
  const before = at("model").value;
  at("model").replaceChildren(...all.map(one => new Option(one.name, one.name)));
  const first = all.some(one => one.name === before) ? before : body.default;
  if (first) at("model").value = first;
  at("model-many").hidden = all.length < 2;
  at("model-one").textContent = all.length === 1 ? "Model " + all[0].name : "";
  known = Object.fromEntries(all.map(one => [one.name, one]));
}

// Before the first image: the classes of the model.
function tellClasses() {
  const { classes = [] } = known[at("model").value] ?? {};
  if (answer || !classes.length) return;
  const more = classes.length > MOST_CLASSES ? `, and ${many(classes.length - MOST_CLASSES)} more` : "";
  at("detail").textContent = `This model knows ${many(classes.length)} classes: ${classes.slice(0, MOST_CLASSES).join(", ")}${more}.`;
}

// Showing the answer

function show(state) {
  main.dataset.state = state;
  const problem = state === "error" || state === "gone" || state === "locked";
  at("problem").hidden = !problem;
  at("status").hidden = problem;
  at("unlock").hidden = state !== "locked";
  at("again").hidden = !problem;
  at("found").hidden = !answer || problem;
  at("found").classList.toggle("old", state === "working");
  main.setAttribute("aria-busy", String(state === "working"));
}

function told(image) {
  if (!image) return "";
  const size = image.size < 1e6 ? `${Math.max(1, Math.round(image.size / 1e3))} kB` : `${(image.size / 1e6).toFixed(1)} MB`;
  return image.name ? `${image.name}, ${size}` : `Image of ${size}`;
}

function percent(share) {
  return typeof share === "number" ? `${(100 * share).toFixed(1)} %` : "";
}

function tell(body) {
  tellAnswer();
  // A model without probabilities gives scores, which have no common range: they are numbers without bars.
  const top = answer.top ?? [], probable = typeof answer.confidence === "number";
  at("bars").replaceChildren(...top.map((one, index) => bar(one, index === 0, probable)));
  at("classes").textContent = probable ? "Probabilities" : "Scores";
  at("classes").hidden = !top.length;
  tellTimes(answer.seconds ?? {});
  at("json").textContent = JSON.stringify(body, null, 1);
  if (answer.width && at("layers").classList.contains("blank")) shape(answer.width, answer.height);
}

function tellAnswer() {
  const rejected = answer.rejected;
  at("told").textContent = rejected ? "Not recognised" : String(answer.label);
  const size = answer.width ? `${answer.width} × ${answer.height} pixels` : "";
  const sure = rejected ? reason(rejected) : percent(answer.confidence);
  at("detail").textContent = [sure && !rejected ? `Confidence ${sure}` : sure, size].filter(Boolean).join("; ");
}

function reason(rejected) {
  const words = typeof rejected === "string" ? rejected : rejected.reason ?? "none of the known classes";
  return capital(words);
}

function capital(words) { return words.charAt(0).toUpperCase() + words.slice(1); }

function bar({ label, confidence, score }, first, probable) {
  const row = document.createElement("li"), name = document.createElement("span"), value = document.createElement("span");
  name.className = "name";
  name.textContent = label;
  value.textContent = probable ? percent(confidence) : signed(confidence ?? score);
  row.className = first ? "first" : "";
  row.append(name, value);
  if (!probable || typeof confidence !== "number") return row;
  const track = document.createElement("span"), length = document.createElement("span");
  track.className = "bar";
  length.style.setProperty("--share", Math.min(1, Math.max(0, confidence)));
  track.setAttribute("aria-hidden", "true");
  track.append(length);
  row.append(track);
  return row;
}

function tellTimes(seconds) {
  const { total, ...rest } = seconds;
  const stages = Object.entries(rest).filter(([, value]) => typeof value === "number");
  const sum = stages.reduce((all, [, value]) => all + value, 0) || 1;
  at("times").hidden = at("seconds").hidden = !stages.length && typeof total !== "number";
  at("stages").replaceChildren(...stages.map(([, value], index) => {
    const part = document.createElement("span");
    part.className = `stage-${Math.min(index + 1, 5)}`;
    part.style.setProperty("--share", value / sum);
    return part;
  }));
  at("stages").hidden = !stages.length;
  const rows = stages.map(([name, value], index) => time(name, value, `stage-${Math.min(index + 1, 5)}`));
  at("seconds").replaceChildren(...rows, ...(typeof total === "number" ? [time("total", total, "")] : []));
}

function time(name, value, kind) {
  const row = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
  if (kind) term.append(Object.assign(document.createElement("i"), { className: kind }));
  term.append(name.replaceAll("_", " "));
  text.textContent = value < 1 ? `${(1000 * value).toFixed(value < 0.01 ? 1 : 0)} ms` : `${value.toFixed(2)} s`;
  row.append(term, text);
  return row;
}

// The map of contributions

const wanted = () => document.querySelector("[name=show]:checked").value;
const select = value => { document.querySelector(`[name=show][value=${value}]`).checked = true; draw(); };

function cornersOf(part) {
  const found = part.outline;
  return found && found.length === 4 && found.flat().every(Number.isFinite) ? found : null;
}

// Corners in the pixels of the map; sides that would be too short to be seen are widened.
function scaled(corners, scale, least) {
  const [a, b, , d] = corners.map(([x, y]) => [(x + 0.5) * scale[0], (y + 0.5) * scale[1]]);
  const along = stretched([b[0] - a[0], b[1] - a[1]], least), across = stretched([d[0] - a[0], d[1] - a[1]], least);
  const middle = [a[0] + (b[0] - a[0] + d[0] - a[0]) / 2, a[1] + (b[1] - a[1] + d[1] - a[1]) / 2];
  return { x: middle[0] - (along[0] + across[0]) / 2, y: middle[1] - (along[1] + across[1]) / 2, along, across };
}

function stretched(side, least) {
  const length = Math.max(Math.hypot(...side), 1e-9);
  return length >= least ? side : side.map(value => value * least / length);
}

// Spreads each value evenly over its part. Upright parts are differences at their corners, whose sums over rows and columns are the
// areas; turned parts are grids of points.
function spread(parts, width, height, wantedSign) {
  const corners = new Float64Array((width + 2) * (height + 2)), sums = new Float32Array(width * height);
  for (const { value, place } of parts) {
    if (value * wantedSign < 0) continue;
    if (Math.abs(place.along[1]) + Math.abs(place.across[0]) < 1e-6) addBox(corners, width, height, place, value);
    else addPoints(sums, width, height, place, value);
  }
  for (let row = 0, above = new Float64Array(width); row < height; row++) {
    for (let column = 0, left = 0; column < width; column++) {
      left += corners[row * (width + 2) + column];
      above[column] += left;
      sums[row * width + column] += above[column];
    }
  }
  return sums;
}

function addBox(corners, width, height, { x, y, along, across }, value) {
  const density = value / (along[0] * across[1]);
  for (const [edge, sign] of [[x, density], [x + along[0], -density]]) {
    for (const [end, signed] of [[y, sign], [y + across[1], -sign]]) {
      const column = Math.min(width, Math.max(0, edge)), row = Math.min(height, Math.max(0, end));
      const left = Math.floor(column), top = Math.floor(row), beside = column - left, below = row - top;
      const place = top * (width + 2) + left;
      corners[place] += signed * (1 - beside) * (1 - below);
      corners[place + 1] += signed * beside * (1 - below);
      corners[place + width + 2] += signed * (1 - beside) * below;
      corners[place + width + 3] += signed * beside * below;
    }
  }
}

function addPoints(sums, width, height, { x, y, along, across }, value) {
  const [n, m] = [along, across].map(side => Math.min(400, Math.max(2, Math.ceil(1.5 * Math.hypot(...side)))));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      const u = (i + 0.5) / n, v = (j + 0.5) / m;
      const column = Math.floor(x + u * along[0] + v * across[0]), row = Math.floor(y + u * along[1] + v * across[1]);
      if (column >= 0 && row >= 0 && column < width && row < height) sums[row * width + column] += value / (n * m);
    }
  }
}

function paint(canvas, sums) {
  const sizes = Float32Array.from(sums, Math.abs).sort();
  const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
  const small = document.createElement("canvas");
  [small.width, small.height] = [canvas.width / FINER, canvas.height / FINER];
  const picture = new ImageData(small.width, small.height);
  sums.forEach((value, index) => {
    // Orange favours the class, blue is against it.
    const [red, green, blue] = value > 0 ? [230, 159, 0] : [0, 114, 178];
    picture.data.set([red, green, blue, Math.round(217 * Math.min(1, Math.abs(value) / limit) ** 0.8)], 4 * index);
  });
  small.getContext("2d").putImageData(picture, 0, 0);
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
}

function outline(canvas, parts) {
  const context = canvas.getContext("2d"), few = parts.length <= 2 * STRONGEST;
  context.setTransform(FINER, 0, 0, FINER, 0, 0);
  for (const { value, place: { x, y, along, across } } of parts) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + along[0], y + along[1]);
    context.lineTo(x + along[0] + across[0], y + along[1] + across[1]);
    context.lineTo(x + across[0], y + across[1]);
    context.closePath();
    if (few) stroke(context, "#ffffff", 3, []);
    stroke(context, value > 0 ? "#9a5b00" : "#00446b", few ? 1.5 : 0.6, value > 0 ? [] : few ? [5, 3] : [3, 2]);
  }
}

function stroke(context, color, width, dash) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
}

function draw() {
  const kind = wanted(), drawn = kind !== "image" && explained !== null;
  const placed = drawn && (explained.parts ?? []).some(cornersOf);
  at("reading").hidden = !drawn;
  at("map").hidden = at("parts").hidden = !placed;
  at("layers").classList.toggle("mapped", placed);
  if (drawn) tellMap();
  if (placed) drawMap(kind);
}

function drawMap(kind) {
  const width = explained.width ?? at("image").naturalWidth, height = explained.height ?? at("image").naturalHeight;
  const factor = SIDE / Math.max(width, height), canvas = at("map");
  const columns = Math.max(1, Math.round(width * factor)), rows = Math.max(1, Math.round(height * factor));
  [canvas.width, canvas.height] = [columns * FINER, rows * FINER];
  const scale = [columns / width, rows / height];
  const parts = (explained.parts ?? []).map(part => ({ value: part.value, corners: cornersOf(part) }))
    .filter(part => part.corners).map(({ value, corners }) => ({ value, place: scaled(corners, scale, LEAST * SIDE) }));
  paint(canvas, spread(parts, columns, rows, { both: 0, for: 1, against: -1 }[kind]));
  outline(canvas, outlined(parts, kind));
}

function outlined(parts, kind) {
  const ordered = [...parts].sort((a, b) => b.value - a.value), most = at("outlines").checked ? MANY : STRONGEST;
  const positive = kind === "against" ? [] : ordered.filter(part => part.value > 0).slice(0, most);
  const negative = kind === "for" ? [] : ordered.filter(part => part.value < 0).slice(-most);
  return [...negative, ...positive].reverse();
}

function tellMap() {
  const { parts = [], n_parts: all = parts.length, target, base_value: base, decision, exact } = explained;
  const sums = [1, -1].map(sign => parts.reduce((sum, part) => sum + (part.value * sign > 0 ? part.value : 0), 0));
  const left = all > parts.length ? `, ${signed(explained.rest)} of ${many(all - parts.length)} weaker parts` : "";
  const end = exact ? `, base value ${signed(base)}: decision ${signed(decision)}.`
    : `. The decision is ${signed(decision)}; its parts are an approximation.`;
  const name = Array.isArray(target) ? target.filter(one => one !== null).join(" rather than ") : String(target);
  const sum = `${many(all)} parts: ${signed(sums[0])} for it, ${signed(sums[1])} against it${left}${end}`;
  at("reading").replaceChildren(...(parts.some(cornersOf) ? legend(name) : named(parts, name)), sum);
  at("map").setAttribute("aria-label", at("reading").textContent);
}

function legend(name) {
  const span = (kind, text) => Object.assign(document.createElement("span"), { className: kind, textContent: text });
  return [span("for", "Orange"), ` speaks for ${name}, `, span("against", "blue"),
    " against it. Solid outlines: the strongest parts for it; dashed outlines: the strongest against it. "];
}

// Parts without a place, such as colours, are named.
function named(parts, name) {
  const strongest = [...parts].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, NAMED);
  const list = strongest.map(part => `${part.name || part.source} (${signed(part.value)})`).join(", ");
  return [`The parts of this model have no place in the image. The strongest for or against ${name}: ${list}. `];
}

function many(number) { return number.toLocaleString("en"); }

function signed(value) {
  return typeof value === "number" ? (value < 0 ? "\u2212" : "+") + Math.abs(value).toPrecision(3) : "unknown";
}

// Taking an image

function take(files) {
  const images = Array.from(files ?? []);
  if (!images.length) return;
  stopCamera();
  [file] = images;
  answer = explained = null;
  at("show").hidden = true;
  select("image");
  preview();
  at("open").textContent = "Choose another";
  predict();
}

function preview() {
  const image = at("image");
  URL.revokeObjectURL(image.src);
  at("drop").classList.add("filled");
  at("invitation").hidden = true;
  at("layers").hidden = false;
  at("layers").className = "layers";
  at("unseen").hidden = image.hidden = true;
  image.alt = file.name ? `Your image, ${file.name}` : "Your image";
  image.src = URL.createObjectURL(file);
}

at("image").addEventListener("load", () => {
  shape(at("image").naturalWidth, at("image").naturalHeight);
  at("image").hidden = false;
});
at("image").addEventListener("error", () => {
  at("layers").classList.add("blank");
  at("unseen").hidden = false;
});

function shape(width, height) {
  at("layers").style.setProperty("--ratio", width / height);
  at("layers").classList.toggle("small", Math.max(width, height) <= TINY);
}

at("open").addEventListener("click", () => at("file").click());
at("invitation").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => { take(at("file").files); at("file").value = ""; });
at("retry").addEventListener("click", () => again());
at("unlock").addEventListener("submit", event => {
  event.preventDefault();
  token = at("token").value.trim();
  again();
});
at("model").addEventListener("change", () => { answer = explained = null; draw(); tellClasses(); predict(); });
at("outlines").addEventListener("change", draw);
for (const choice of document.querySelectorAll("[name=show]")) {
  choice.addEventListener("change", () => { if (wanted() === "image" || explained) draw(); else explain(); });
}

document.addEventListener("paste", event => {
  if (event.target.closest("input[type=password]")) return;
  const found = Array.from(event.clipboardData.files);
  if (found.length) { event.preventDefault(); take(found); }
});
let inside = 0;
document.addEventListener("dragenter", event => { event.preventDefault(); inside += 1; at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => { inside -= 1; if (inside <= 0) at("drop").classList.remove("over"); });
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  inside = 0;
  at("drop").classList.remove("over");
  take(event.dataTransfer.files);
});

// The camera

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    show("error");
    at("again").hidden = true;
    tellProblem("The camera cannot be used.", error.message || error.name);
    return;
  }
  at("video").srcObject = stream;
  await at("video").play();
  filming(true);
  at("shoot").focus();
}

function filming(on) {
  at("video").hidden = at("shooting").hidden = !on;
  at("choose").hidden = on;
  at("drop").classList.toggle("filled", on || file !== null);
  at("layers").hidden = on || file === null;
  at("invitation").hidden = on || file !== null;
  at("show").hidden = on || answer === null;
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = at("video").srcObject = null;
  filming(false);
}

function shoot() {
  const video = at("video"), canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob(blob => { take([new File([blob], "camera.jpg", { type: "image/jpeg" })]); at("open").focus(); }, "image/jpeg", 0.92);
}

at("camera").addEventListener("click", startCamera);
at("shoot").addEventListener("click", shoot);
at("stop").addEventListener("click", () => { stopCamera(); at("camera").focus(); });
at("camera").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
if (/Mac|iPhone|iPad/.test(navigator.platform)) document.querySelector("kbd").textContent = "⌘";
models();

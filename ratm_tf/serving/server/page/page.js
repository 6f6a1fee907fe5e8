// Tracks a video through the server's documented REST calls: `start`, then
// `step_encoded` frame by frame, with the states that the last answer brought.

const CLIPS = { digit: 60, digits: 60, ball: 60 }; // Frames, side by side in a picture.
const GLIMPSE = 28;
const RED = "#d33";

const find = (id) => document.getElementById(id);
const model = document.querySelector("meta[name=model]").content;
const url = `${location.origin}/v1/models/${encodeURIComponent(model)}`;
const screen = find("frame").getContext("2d");
const still = document.createElement("canvas"); // The frame, in pixels of its own.
const pixels = still.getContext("2d", { willReadFrequently: true });

let takesBox = false; // Whether the tracker starts on a given target.
let source = null; // {next(): whether there is one more frame, which is then in `still`}
let box = null; // [x1, y1, x2, y2] in pixels, where pixel a covers [a - 0.5, a + 0.5].
let running = false;

const say = (text) => { find("status").textContent = text; };

async function call(path, body) {
  const request = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  if (body) find("curl").textContent = `curl -d '${request.body}' \\\n  ${url}${path}`;
  const response = await fetch(url + path, request);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function predict(signature, inputs) {
  return (await call(":predict", { signature_name: signature, inputs })).outputs;
}

// ---- where frames come from ----

function show(image, x, width, height) {
  still.width = width;
  still.height = height;
  pixels.drawImage(image, x, 0, width, height, 0, 0, width, height);
}

async function clip(name) {
  const sheet = new Image();
  sheet.src = `page/clips/${name}.png`;
  await sheet.decode();
  const count = CLIPS[name];
  const width = sheet.naturalWidth / count;
  let index = 0;
  return {
    async next() {
      if (index === count) return false;
      show(sheet, width * index++, width, sheet.naturalHeight);
      return true;
    },
    again: () => clip(name),
    close() {},
  };
}

async function playing(video, live, again) {
  await video.play();
  if (!live) video.pause();
  const rate = 1 / 25;
  let time = 0;
  return {
    async next() {
      if (!live) {
        if (time >= video.duration) return false;
        const there = new Promise((done) => { video.onseeked = done; });
        video.currentTime = time;
        await there;
        time += rate;
      }
      show(video, 0, video.videoWidth, video.videoHeight);
      return true;
    },
    again,
    close() { video.srcObject?.getTracks().forEach((part) => part.stop()); },
  };
}

function element() {
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  return video;
}

async function file(chosen) {
  const video = element();
  video.src = URL.createObjectURL(chosen);
  return playing(video, false, () => file(chosen));
}

async function camera() {
  const video = element();
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  return playing(video, true, camera);
}

async function open(make) {
  running = false;
  source?.close();
  source = box = null;
  try {
    source = await make();
    if (!(await source.next())) throw new Error("it has no frame");
  } catch (error) {
    return say(`That cannot be opened: ${error.message}`);
  }
  draw();
  ready();
}

function ready() {
  find("track").disabled = !source || (takesBox && !box);
  if (!source) return;
  if (takesBox && !box) say("Draw a box around the target.");
  else say(takesBox ? "Track it, or draw another box." : "This tracker finds its target itself: track.");
}

// ---- what is shown ----

function draw() {
  const canvas = find("frame");
  canvas.width = still.width * Math.max(1, Math.round(800 / still.width));
  canvas.height = (canvas.width * still.height) / still.width;
  screen.imageSmoothingEnabled = false;
  screen.drawImage(still, 0, 0, canvas.width, canvas.height);
  if (!box) return;
  const scale = canvas.width / still.width;
  const [x1, y1, x2, y2] = box.map((edge) => (edge + 0.5) * scale);
  screen.strokeStyle = RED;
  screen.lineWidth = Math.max(2, scale / 2);
  screen.strokeRect(x1, y1, x2 - x1, y2 - y1);
}

// One row of weights for each of n filters on a grid about `center` (Eq. 9 and 10).
function bank(center, sigma, stride, n, size) {
  return Array.from({ length: n }, (_, i) => {
    const mu = center + (i - (n - 1) / 2) * stride;
    const row = Array.from({ length: size }, (_, a) => Math.exp(-0.5 * ((a - mu) / sigma) ** 2));
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return row.map((weight) => weight / sum);
  });
}

function drawGlimpse(window) {
  const [x, y, sigmaX, sigmaY] = window;
  const { width, height } = still;
  const strideX = (box[2] - box[0]) / GLIMPSE;
  const strideY = (box[3] - box[1]) / GLIMPSE;
  const columns = bank(x, sigmaX, strideX, GLIMPSE, width);
  const rows = bank(y, sigmaY, strideY, GLIMPSE, height);
  const { data } = pixels.getImageData(0, 0, width, height);
  const seen = new ImageData(GLIMPSE, GLIMPSE);
  for (let c = 0; c < 4; c++) {
    const across = columns.map((weights) => Array.from({ length: height }, (_, b) =>
      weights.reduce((sum, weight, a) => sum + weight * data[4 * (b * width + a) + c], 0)));
    for (let i = 0; i < GLIMPSE; i++) {
      for (let j = 0; j < GLIMPSE; j++) {
        seen.data[4 * (i * GLIMPSE + j) + c] = rows[i].reduce((sum, weight, b) => sum + weight * across[j][b], 0);
      }
    }
  }
  const small = new OffscreenCanvas(GLIMPSE, GLIMPSE);
  small.getContext("2d").putImageData(seen, 0, 0);
  const canvas = find("glimpse");
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

async function encoded() {
  const blob = await new Promise((done) => { still.toBlob(done, "image/png"); });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return { b64: btoa(text) };
}

// ---- tracking ----

async function track() {
  const start = takesBox ? { initial_box: [box] } : {};
  const tracked = source;
  running = true;
  find("track").disabled = true;
  find("stop").disabled = false;
  const boxes = [];
  try {
    const states = await predict("start", { frame_size: [[still.height, still.width]], ...start });
    const began = performance.now();
    do {
      const answer = await predict("step_encoded", { frame: [await encoded()], ...states });
      for (const name of Object.keys(states)) states[name] = answer[name];
      [box] = answer.boxes;
      boxes.push(box);
      draw();
      drawGlimpse(answer.windows[0]);
      find("number").textContent = boxes.length;
      find("box").textContent = box.map((edge) => edge.toFixed(1)).join(", ");
      find("score").textContent = answer.scores ? answer.scores[0].toFixed(2) : "this tracker has none";
      find("rate").textContent = ((1000 * boxes.length) / (performance.now() - began)).toFixed(1);
      say("Tracking …");
    } while (running && (await tracked.next()));
    say(`Tracked ${boxes.length} frames.`);
  } catch (error) {
    say(`The server says: ${error.message}`);
  }
  running = false;
  find("stop").disabled = true;
  document.body.dataset.tracked = JSON.stringify({ ...start, boxes });
  if (source !== tracked) return;
  // Once more from its beginning, where it has one.
  if (tracked.again !== camera) {
    tracked.close();
    source = await tracked.again();
    await source.next();
    if (takesBox) [box] = start.initial_box;
  }
  find("track").disabled = false;
}

// ---- drawing a box ----

function drawn(x1, y1, x2, y2) {
  const at = (a, size) => Math.min(Math.max(a, -0.5), size - 0.5);
  const { width, height } = still;
  box = [at(Math.min(x1, x2), width), at(Math.min(y1, y2), height), at(Math.max(x1, x2), width), at(Math.max(y1, y2), height)];
  draw();
}

function place(event) {
  const canvas = find("frame");
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [
    ((event.clientX - left) / width) * still.width - 0.5,
    ((event.clientY - top) / height) * still.height - 0.5,
  ];
}

find("frame").addEventListener("pointerdown", (event) => {
  if (!source || !takesBox || running) return;
  const canvas = event.currentTarget;
  const from = place(event);
  canvas.setPointerCapture(event.pointerId);
  canvas.onpointermove = (move) => drawn(...from, ...place(move));
  canvas.onpointerup = () => {
    canvas.onpointermove = canvas.onpointerup = null;
    if (box && (box[2] - box[0] < 1 || box[3] - box[1] < 1)) box = null;
    draw();
    ready();
  };
});

find("frame").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step || !source || !takesBox || running) return;
  event.preventDefault();
  const { width, height } = still;
  box ??= [width * 0.375, height * 0.375, width * 0.625, height * 0.625];
  const [x1, y1, x2, y2] = box;
  const [x, y] = step;
  const from = event.shiftKey ? [x1, y1] : [x1 + x, y1 + y];
  if (x2 + x > from[0] && y2 + y > from[1]) drawn(...from, x2 + x, y2 + y);
  ready();
});

// ---- controls ----

for (const button of document.querySelectorAll("[data-clip]")) {
  button.addEventListener("click", () => open(() => clip(button.dataset.clip)));
}
const videoButton = find("file").parentElement;
videoButton.addEventListener("keydown", (event) => { if (event.key === "Enter") find("file").click(); });
find("file").addEventListener("change", (event) => open(() => file(event.target.files[0])));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) open(() => file(event.dataTransfer.files[0]));
});
find("camera").addEventListener("click", () => open(camera));
find("track").addEventListener("click", track);
find("stop").addEventListener("click", () => { running = false; });
find("copy").addEventListener("click", () => navigator.clipboard.writeText(find("curl").textContent));

try {
  const { metadata } = await call("/metadata");
  const signatures = metadata.signature_def.signature_def;
  if (!signatures.start || !signatures.step_encoded) throw new Error("this model is no tracker");
  takesBox = "initial_box" in signatures.start.inputs;
  find("about").textContent = takesBox
    ? "It follows the target that you draw a box around."
    : "It finds its target itself.";
  ready();
} catch (error) {
  find("about").textContent = `The server says: ${error.message}`;
}

// A clip's way through the page: chosen, sent, waited for, shown.
import { record } from "/camera.js";
import { showTimeline } from "/timeline.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;
const VIEWS = {
  video: "The clip as it is.",
  flow: "The optical flow from each frame to the next: hue is direction, strength is speed.",
  attention: "Left what appearance saw, right what motion saw. Warm places spoke for the class, blue ones against it; below, when.",
};
let current = null; // the job that is shown or waited for
let sending = null; // an AbortController while a clip is on its way

async function ask(url, options) {
  const answer = await fetch(url, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("the server does not answer");
  });
  if (answer.status === 204) return null;
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

// Which of the page's parts are seen.
function show(...ids) {
  for (const id of ["choose", "camera", "work", "result"]) $(id).hidden = !ids.includes(id);
}

function say(problem, remedy = "") {
  $("problem").hidden = !problem;
  const lines = [`This did not work: ${problem}.`, remedy && `What helps: ${remedy}.`];
  $("problem").replaceChildren(...lines.filter(Boolean).map((line) => {
    const p = document.createElement("p");
    p.textContent = line;
    return p;
  }));
}

function sendFile(blob, name) {
  start(name, (signal) => ask(`/api/jobs?name=${encodeURIComponent(name)}`, {
    method: "POST", body: blob, signal, headers: { "Content-Type": "application/octet-stream" },
  }));
}

function sendExample(name) {
  start(name, (signal) => ask(`/api/examples/${encodeURIComponent(name)}`, { method: "POST", signal }));
}

async function start(name, send) {
  forget();
  say("");
  show("work");
  $("work-name").textContent = name;
  $("work-stage").textContent = "Sending";
  $("work-progress").removeAttribute("value");
  $("cancel").focus();
  sending = new AbortController();
  const { signal } = sending;
  try {
    const job = await send(signal);
    if (signal.aborted) throw new DOMException("", "AbortError");
    history.replaceState(null, "", `#${job.id}`);
    await follow(job.id);
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error.message);
  }
}

// Until the job ends, or another one is followed.
async function follow(id) {
  current = id;
  for (let version = -1; ;) {
    const job = await ask(`/api/jobs/${id}?after=${version}`);
    if (current !== id) return;
    version = job.version;
    if (job.state === "done") return showResult(job);
    if (job.state === "failed") return fail(job.error.problem, job.error.remedy);
    showWork(job);
  }
}

function showWork(job) {
  show("work");
  const waits = job.state === "waiting";
  const clips = job.ahead === 1 ? "1 clip is" : `${job.ahead} clips are`;
  const stage = waits ? (job.ahead ? `Waiting: ${clips} before yours` : "Starting") : job.stage;
  $("work-name").textContent = job.name;
  if ($("work-stage").textContent !== stage) $("work-stage").textContent = stage; // or it is read out again
  if (waits) $("work-progress").removeAttribute("value");
  else $("work-progress").value = job.progress;
}

function fail(problem, remedy) {
  forget();
  show("choose");
  say(problem, remedy);
}

// Nothing of the last clip is wanted any more, neither here nor on the server.
function forget() {
  sending?.abort();
  if (current) fetch(`/api/jobs/${current}`, { method: "DELETE" }).catch(() => {});
  current = sending = null;
  $("player").removeAttribute("src");
  $("player").load();
  history.replaceState(null, "", location.pathname);
}

function showResult(job) {
  const { result } = job;
  const file = (name) => `/api/jobs/${job.id}/files/${name}`;
  show("result");
  const [best] = result.predictions;
  $("verdict").textContent = `${best.label}, ${percent(best.score)}`;
  $("clip-name").textContent = job.name;
  $("warnings").hidden = !result.warnings.length;
  $("warnings").replaceChildren(...result.warnings.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  $("scores").tBodies[0].replaceChildren(...result.predictions.map(scoreRow));
  const { appearance, motion } = result.explained.streams;
  $("shares").textContent = `For ${result.explained.label} against the other classes, appearance gave ${signed(appearance)} and motion ${signed(motion)}.`;
  for (const link of document.querySelectorAll("[data-file]")) link.href = `${file(link.dataset.file)}?download=true`;
  const play = () => $("player").play().catch(() => {}); // not allowed, or another view comes: then not
  const setView = (view) => {
    const { currentTime, paused } = $("player");
    $("view-words").textContent = VIEWS[view];
    $("player").src = file(`${view}.mp4`);
    $("player").currentTime = currentTime;
    $("player").setAttribute("aria-label", `${job.name}, ${view} view`);
    if (!paused) play();
  };
  for (const radio of document.querySelectorAll("[name=view]")) {
    radio.checked = radio.value === "video";
    radio.onchange = () => setView(radio.value);
  }
  setView("video");
  showTimeline(result, $("player"));
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  $("verdict").focus();
}

const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;

function scoreRow(entry) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = entry.label;
  const cells = [["both", entry.score], ["appearance", entry.appearance], ["motion", entry.motion]].map(([name, score]) => {
    const cell = document.createElement("td");
    const bar = document.createElement("span");
    const fill = document.createElement("i");
    bar.className = "bar";
    fill.className = name;
    fill.style.width = percent(score).replace(" ", "");
    bar.append(fill);
    cell.append(percent(score), bar);
    return cell;
  });
  row.append(head, ...cells);
  return row;
}

async function begin() {
  const about = await ask("/api/about");
  const few = about.classes.slice(0, 8).join(", ") + (about.classes.length > 8 ? ", …" : "");
  $("about").textContent = `Drop a clip to see which action it shows, when, and what the network looked at. It knows ${about.classes.length} classes: ${few}.`;
  $("limits").textContent = `Up to ${about.video_seconds} seconds and ${about.upload_bytes / 1e6} MB; mp4, mov, avi, mkv, webm and others`;
  $("kept").textContent = `after ${Math.max(Math.round(about.keep_seconds / 60), 1)} minutes`;
  $("examples").hidden = !about.examples.length;
  about.examples.slice(0, 4).forEach(({ name, label }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${label} (${name.replace(/\.\w+$/, "")})`;
    button.onclick = () => sendExample(name);
    $("examples").append(button);
  });
  if (location.hash.length > 1) await follow(location.hash.slice(1)); // a reloaded page shows its job again
}

$("file").onchange = ({ target }) => {
  const [file] = target.files;
  if (file) sendFile(file, file.name);
  target.value = ""; // the same file may be chosen again
};
document.ondragover = (event) => { event.preventDefault(); $("drop").classList.add("over"); };
document.ondragleave = () => $("drop").classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) sendFile(file, file.name);
  else say("that is not a file", "save the clip first: addresses are not fetched");
};
$("cancel").onclick = $("again").onclick = () => { forget(); say(""); show("choose"); $("file").focus(); };
$("camera-open").hidden = !(navigator.mediaDevices && window.MediaRecorder);
$("camera-open").onclick = async () => {
  say("");
  show("choose", "camera");
  try {
    const blob = await record($);
    show("choose");
    if (blob) sendFile(blob, "camera.webm");
  } catch (error) {
    show("choose");
    say(`the camera cannot be used (${error.message})`, "allow it in the browser, or choose a file");
  }
};
begin().catch((error) => fail(error.message));

"use strict";
const $ = id => document.getElementById(id);
const HEADERS = { "X-AudioBuff": "1" };
const HINTS = {
  fast: "Quick, to try things out: half of the steps, where the model takes any.",
  balanced: "What the model recommends.",
  best: "Slow: more steps, where the model takes any, and more of the recording heard twice.",
};
const UNREACHABLE = "The server can't be reached: is audiobuff serve still running?";
const PLAY = "M4 2l14 8-14 8z", PAUSE = "M3 2h5v16H3zM12 2h5v16h-5z";
const root = document.querySelector("main");
const sounds = {};
let chosen = null, job = null, view = "after", sending = null, turn = 0;

/* ---- choosing ---- */
function choose(file) {
  if (!file) return;
  complain("");
  if (file.size > Number(root.dataset.maxBytes)) {
    complain(`${file.name} is larger than ${root.dataset.maxMb} MB: send a part of it.`);
    return;
  }
  chosen = file;
  $("chosen-name").textContent = file.name;
  $("chosen-size").textContent = size(file.size);
  $("drop").hidden = true;
  $("chosen").hidden = false;
  $("go").disabled = false;
}

function chooseAnother() {
  chosen = null;
  $("file").value = "";
  $("drop").hidden = false;
  $("chosen").hidden = true;
  $("go").disabled = true;
}

function size(bytes) {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

function complain(text) {
  $("problem-text").textContent = text;
  $("problem").hidden = !text;
}

function show(section) {
  for (const one of ["start", "work", "result"]) $(one).hidden = one !== section;
}

/* ---- working ---- */
async function start() {
  if (!chosen) return;
  const mine = ++turn;
  complain("");
  stop();
  progress("Sending", null);
  $("work-name").textContent = chosen.name;
  show("work");
  const preset = document.querySelector("[name=preset]:checked").value;
  const query = new URLSearchParams({ name: chosen.name, preset, strength: $("strength").value / 100 });
  try {
    const told = await send(`/api/jobs?${query}`, chosen, mine);
    if (mine !== turn) { forget(told.id); return; }
    job = told.id;
    await follow(mine);
  } catch (error) {
    if (mine !== turn) return;
    job = null;
    complain(error.message);
    show("start");
  }
}

/** Sends the file, telling how much has gone; `fetch` can't tell. */
function send(address, file, mine) {
  return new Promise((done, fail) => {
    const request = sending = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-AudioBuff", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = event => {
      if (mine === turn && event.lengthComputable) progress("Sending", event.loaded / event.total);
    };
    request.onload = () => {
      if (request.status === 202) done(request.response);
      else fail(new Error(request.response?.error ?? `The server answered ${request.status}.`));
    };
    request.onerror = () => fail(new Error(UNREACHABLE));
    request.onabort = () => fail(new Error("Cancelled."));
    request.send(file);
  });
}

async function follow(mine) {
  const begun = { at: null, share: 0 };
  while (mine === turn) {
    const answer = await fetch(`/api/jobs/${job}`, { headers: HEADERS }).catch(() => null);
    if (mine !== turn) return;
    if (!answer) throw new Error(UNREACHABLE);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    if (told.state === "failed") throw new Error(told.message);
    if (told.state === "done") { present(told.result); return; }
    if (told.state === "waiting") {
      const others = told.ahead === 1 ? "One recording is" : `${told.ahead} recordings are`;
      progress(told.ahead ? `${others} before yours` : "About to begin", null);
    } else {
      if (begun.at === null && told.share > 0) { begun.at = performance.now(); begun.share = told.share; }
      if (told.share === 0) progress("Looking for hum, clicks and the like", null);
      else progress(`Repairing${left(begun, told.share)}`, told.share);
    }
    await new Promise(later => setTimeout(later, 400));
  }
}

function left(begun, share) {
  if (begun.at === null || share - begun.share < 0.05) return "";
  const seconds = (performance.now() - begun.at) / 1000 / (share - begun.share) * (1 - share);
  return seconds > 90 ? `, ${Math.round(seconds / 60)} minutes left` : `, ${Math.ceil(seconds)} s left`;
}

function progress(text, share) {
  const meter = $("meter"), percent = Math.round(100 * (share ?? 0));
  meter.classList.toggle("waits", share === null);
  meter.firstElementChild.style.width = share === null ? "" : `${percent}%`;
  if (share === null) meter.removeAttribute("aria-valuenow"); else meter.setAttribute("aria-valuenow", percent);
  $("work-text").textContent = share === null ? `${text} …` : `${text} · ${percent} %`;
}

function forget(id) {
  if (id) fetch(`/api/jobs/${id}`, { method: "DELETE", headers: HEADERS }).catch(() => {});
}

function cancel() {
  turn += 1;
  sending?.abort();
  forget(job);
  job = null;
  show("start");
}

/* ---- the result ---- */
function present(result) {
  const address = name => `/api/jobs/${job}/files/${name}`;
  for (const name of ["before", "after", "difference"]) {
    const sound = sounds[name] = new Audio(address(`${name}.flac`));
    sound.preload = "auto";
    sound.addEventListener("ended", () => button(false));
    sound.addEventListener("loadedmetadata", tick);
  }
  $("result-title").textContent = title(result);
  $("result-facts").textContent = [
    chosen.name, result.duration, result.coding, levels(result), `repaired in ${result.seconds.toFixed(1)} s`,
  ].filter(Boolean).join(" · ");
  $("kinds").replaceChildren(...result.kinds.map(kind => {
    const chip = document.createElement("li");
    chip.className = "chip better";
    chip.textContent = kind.count > 1 ? `${kind.words} ${kind.count}×` : kind.words;
    return chip;
  }));
  list(result);
  for (const [id, name] of [["fetch", "restored"], ["fetch-removed", "removed"], ["fetch-report", "report"]]) {
    $(id).href = address(name);
  }
  $("map").src = address("map");
  look("after");
  button(false);
  show("result");
  $("result-title").focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

function title(result) {
  if (result.copied) return "Nothing to repair: it comes back as it was";
  if (!result.num_repairs) return "Repaired: only trifles were changed";
  return result.num_repairs === 1 ? "One repair" : `${result.num_repairs} repairs`;
}

function levels(result) {
  const was = result.before.loudness_lufs, now = result.after.loudness_lufs;
  return was === null || now === null || result.copied ? "" : `${was.toFixed(1)} → ${now.toFixed(1)} LUFS`.replaceAll("-", "−");
}

function list(result) {
  $("repairs-sheet").hidden = result.copied;
  const shown = result.repairs.length;
  $("repairs-told").textContent = !shown ? "None is large enough to be listed."
    : shown < result.num_repairs ? `The ${shown} of ${result.num_repairs} that changed most. Click one to hear it.`
    : "The one that changed most comes first. Click one to hear it.";
  $("repairs").replaceChildren(...result.repairs.map(one => {
    const item = document.createElement("li"), press = document.createElement("button");
    press.type = "button";
    const sure = one.confidence === null ? "" : `${Math.round(100 * one.confidence)} % sure`;
    const parts = [one.length, one.channels, `${one.size_db.toFixed(0).replace("-", "−")} dBFS`, sure];
    const more = parts.filter(Boolean).map(part => part.replaceAll(" ", "\u00a0")).join(" · ");
    for (const [kind, text] of [["at", one.place], ["what", one.words], ["more", more]]) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      press.append(part);
    }
    press.addEventListener("click", () => { seek(Math.max(0, one.start_seconds - 0.5)); play(); });
    item.append(press);
    return item;
  }));
}

/* ---- the player: three sounds in step, of which one is heard ---- */
function current() { return sounds[view]; }

function look(name) {
  const old = current(), playing = old && !old.paused;
  view = name;
  const sound = current();
  if (old && old !== sound) {
    sound.currentTime = old.currentTime;
    old.pause();
    if (playing) sound.play();
  }
  $("picture").src = `/api/jobs/${job}/files/${name}.png`;
  $("picture").alt = `Spectrogram: ${name}`;
  for (const one of document.querySelectorAll("[data-view]")) one.setAttribute("aria-pressed", one.dataset.view === name);
  tick();
}

function play() { current().play(); button(true); requestAnimationFrame(run); }
function pause() { current()?.pause(); button(false); }
function stop() { for (const name of Object.keys(sounds)) { sounds[name].pause(); delete sounds[name]; } }
function seek(seconds) { current().currentTime = seconds; tick(); }

function button(playing) {
  $("play").querySelector("path").setAttribute("d", playing ? PAUSE : PLAY);
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

function run() {
  tick();
  if (current() && !current().paused) requestAnimationFrame(run);
}

function tick() {
  const sound = current();
  if (!sound) return;
  const all = sound.duration || 0, share = all ? sound.currentTime / all : 0;
  $("head").style.left = `${100 * share}%`;
  $("seek").value = Math.round(1000 * share);
  $("time").textContent = `${clock(sound.currentTime)} / ${clock(all)}`;
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/* ---- what the user does ---- */
$("file").addEventListener("change", event => choose(event.target.files[0]));
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, event => { event.preventDefault(); $("drop").classList.add("over"); });
}
addEventListener("dragleave", event => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", event => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (!$("start").hidden) choose(event.dataTransfer.files[0]);
});
$("other").addEventListener("click", chooseAnother);
$("start").addEventListener("submit", event => { event.preventDefault(); start(); });
$("cancel").addEventListener("click", cancel);
$("strength").addEventListener("input", () => { $("strength-told").textContent = `${$("strength").value} %`; });
for (const one of document.querySelectorAll("[name=preset]")) one.addEventListener("change", hint);
for (const one of document.querySelectorAll("[data-view]")) one.addEventListener("click", () => look(one.dataset.view));
$("play").addEventListener("click", () => { if (current().paused) play(); else pause(); });
$("seek").addEventListener("input", () => seek(current().duration * $("seek").value / 1000 || 0));
$("stage").addEventListener("click", event => {
  const box = $("stage").getBoundingClientRect();
  seek(current().duration * (event.clientX - box.left) / box.width || 0);
  play();
});
$("again").addEventListener("click", leave);
$("next").addEventListener("click", () => { leave(); chooseAnother(); });
$("forget").addEventListener("click", () => { leave(); chooseAnother(); });

function leave() {
  stop();
  forget(job);
  job = null;
  show("start");
}

function hint() {
  $("preset-hint").textContent = HINTS[document.querySelector("[name=preset]:checked").value];
}
hint();

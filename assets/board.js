// The class board: follows /events, draws with text nodes only, and works by keyboard alone.
"use strict";

const SIGNS = {
  help: ["?", "needs help"], stuck: ["!", "stuck"], working: ["▸", "working"], ready: ["✓", "ready"],
  finished: ["★", "finished"], "not started": ["·", "not started"], away: ["✗", "away"], left: ["–", "left"],
  "not shown": ["○", "not shown"],
};
const STEPS = {
  open: ["·", "not begun", "quiet"], begun: ["▸", "begun", "working"], done: ["✓", "done", "good"],
  solved: ["+", "done by Firescreen", "warn"], impossible: ["–", "not with these versions", "quiet"],
};
const ORDER = Object.keys(SIGNS);
const $ = (id) => document.getElementById(id);
let board = null;
let offset = 0; // seconds that the board's clock is ahead of this one
let selected = "";
let chosenLab = "";
let byNeed = true;
let showJoin = true;
let lastHeard = 0;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const now = () => Date.now() / 1000 + offset;

function ago(since) {
  const seconds = Math.max(Math.round(now() - since), 0);
  if (!since) return "";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function took(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function labOf(student) {
  return student.labs.find((lab) => lab.id === chosenLab) || null;
}

function students() {
  const rows = [...board.students];
  if (byNeed) {
    rows.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.since - b.since || a.number - b.number);
  } else {
    rows.sort((a, b) => a.number - b.number);
  }
  return rows;
}

function stepTitles() {
  const longest = board.students.map(labOf).filter(Boolean).sort((a, b) => b.steps.length - a.steps.length)[0];
  return longest ? longest.steps : [];
}

function drawHead() {
  $("name").textContent = board.class_name ? `Class board: ${board.class_name}` : "Class board";
  document.title = `${board.class_name || "Firescreen"}: class board`;
  const counts = {};
  for (const student of board.students) counts[student.state] = (counts[student.state] || 0) + 1;
  $("counts").replaceChildren(...ORDER.filter((state) => counts[state]).map((state) =>
    element("span", `${SIGNS[state][0]} ${counts[state]} ${SIGNS[state][1]}`, state.replace(" ", "-"))));
  const { url, code, fingerprint } = board.join;
  $("join").hidden = !showJoin;
  $("show-join").setAttribute("aria-pressed", String(showJoin));
  $("join-command").textContent = `firescreen lab join ${url}`;
  $("code").textContent = code;
  $("finger").hidden = !fingerprint;
  $("fingerprint").textContent = fingerprint.slice(0, 32).toUpperCase().match(/.{1,4}/g)?.join(" ") || "";
  const labs = $("lab");
  const known = board.labs.map((lab) => lab.id).join(" ");
  if (labs.dataset.known !== known) {
    labs.dataset.known = known;
    labs.replaceChildren(...board.labs.map((lab) => {
      const option = element("option", lab.title);
      option.value = lab.id;
      return option;
    }));
  }
  labs.value = chosenLab;
  const pace = board.pace;
  const held = pace.lab !== "" && pace.lab === chosenLab;
  $("pace").textContent = held ? `Open: ${pace.open_steps} of ${stepTitles().length} steps` : "All steps are open.";
  $("open-all").hidden = !held;
  $("open-next").disabled = !chosenLab || (held && pace.open_steps >= stepTitles().length);
  $("open-next").firstChild.textContent = held ? "Open the next step " : "Open step by step ";
  $("legend").textContent = Object.values(STEPS).map(([sign, word]) => `${sign} ${word}`).join(" · ");
}

function drawRows() {
  const steps = stepTitles();
  const head = [element("th", "Student"), element("th", "State"), element("th", "For")];
  for (const [at, step] of steps.entries()) head.push(element("th", `${at + 1} ${step.title}`, "step"));
  head.push(element("th", "Hints", "sum"), element("th", "Checks", "sum"));
  for (const cell of head) cell.scope = "col";
  $("head").replaceChildren(...head);
  $("rows").replaceChildren(...students().map((student) => row(student, steps)));
  drawFoot(steps);
  const nobody = board.students.length === 0;
  $("empty").hidden = !nobody && board.unreadable.length === 0;
  $("empty").textContent = nobody
    ? "No student is here yet. They join with the command and the code above, or open the links of firescreen serve --students."
    : board.unreadable.map((line) => `Cannot be read: ${line}`).join("\n");
}

function row(student, steps) {
  const lab = labOf(student);
  const made = element("tr");
  made.dataset.id = student.id;
  made.tabIndex = student.id === selected ? 0 : -1;
  made.setAttribute("aria-selected", String(student.id === selected));
  const [sign, word] = SIGNS[student.state];
  const name = element("th", `${student.number} ${student.name}`.trim());
  name.scope = "row";
  name.title = name.textContent;
  const at = lab ? lab.steps.findIndex((step) => step.id === student.step) : -1;
  const state = element("td", `${sign} ${word}`, student.state.replace(" ", "-"));
  state.append(element("span", lab ? `${at < 0 ? lab.steps.length : at} of ${lab.steps.length} done` : "", "small"));
  const since = element("td", ago(student.since), "since");
  since.dataset.since = student.since;
  made.append(name, state, since);
  for (const step of steps) {
    const own = lab && lab.steps.find((one) => one.id === step.id);
    const [mark, meaning, colour] = STEPS[own ? own.state : "open"];
    const cell = element("td", own ? mark : "", `step ${colour}${own && own.id === student.step ? " here" : ""}`);
    cell.title = own ? `${step.title}: ${meaning}` : "";
    cell.setAttribute("aria-label", own ? meaning : "not started");
    if (own && own.state === "done" && own.seconds !== null) cell.textContent = `${mark} ${took(own.seconds)}`;
    made.append(cell);
  }
  const sum = (key) => (lab ? lab.steps.reduce((total, step) => total + step[key], 0) : "");
  made.append(element("td", String(sum("hints")), "sum"), element("td", String(sum("checks")), "sum"));
  return made;
}

function drawFoot(steps) {
  if (!steps.length || chosenLab !== board.lab) {
    $("foot").replaceChildren();
    return;
  }
  const summary = Object.fromEntries(board.steps.map((step) => [step.id, step]));
  const lines = [
    ["Done by", (step) => `${step.done}${step.solved ? ` (${step.solved} by Firescreen)` : ""}`],
    ["Median time", (step) => (step.done > step.solved ? took(step.median_seconds) : "")],
    ["Median checks, hints", (step) => (step.done > step.solved ? `${step.median_checks}, ${step.median_hints}` : "")],
  ];
  $("foot").replaceChildren(...lines.map(([title, value]) => {
    const made = element("tr");
    const head = element("th", title);
    head.scope = "row";
    head.colSpan = 3;
    made.append(head, ...steps.map((step) => element("td", summary[step.id] ? value(summary[step.id]) : "", "step")));
    return made;
  }));
}

function drawDetail() {
  const student = board.students.find((one) => one.id === selected);
  const pane = $("detail");
  pane.hidden = !student || pane.dataset.open !== "yes";
  if (pane.hidden) return;
  const [sign, word] = SIGNS[student.state];
  const parts = [
    element("h2", `${student.number} ${student.name}`.trim()),
    element("p", `${sign} ${word}${student.since ? `, for ${ago(student.since)}` : ""}`, student.state.replace(" ", "-")),
  ];
  if (student.state === "not shown") parts.push(element("p", "This student does not want to be shown."));
  for (const lab of student.labs) {
    parts.push(element("h3", `${lab.title}, started ${ago(lab.started)} ago`));
    const list = element("ol");
    for (const step of lab.steps) {
      const [mark, meaning, colour] = STEPS[step.state];
      const item = element("li", step.title);
      const counted = [meaning];
      if (step.seconds !== null && step.done_at) counted.push(took(step.seconds));
      if (step.checks) counted.push(`${step.checks} checks`);
      if (step.hints) counted.push(`${step.hints} hints`);
      item.append(element("div", `${mark} ${counted.join(", ")}`, colour));
      if (step.said) item.append(element("div", `last check ${ago(step.checked_at)} ago: ${step.said}`, "quiet"));
      list.append(item);
    }
    parts.push(list);
    for (const { question, answer } of lab.answers) {
      parts.push(element("p", question), element("blockquote", answer));
    }
  }
  const message = element("button", "Send a message (m)");
  message.type = "button";
  message.addEventListener("click", () => askMessage(selected));
  parts.push(message);
  pane.replaceChildren(...parts);
}

function draw() {
  if (!board) return;
  const ids = board.students.map((student) => student.id);
  if (!board.labs.some((lab) => lab.id === chosenLab)) chosenLab = board.lab;
  if (!ids.includes(selected)) selected = students()[0]?.id || "";
  const inTable = $("rows").contains(document.activeElement);
  drawHead();
  drawRows();
  drawDetail();
  if (inTable) focusRow();
  tick();
}

function focusRow() {
  $("rows").querySelector('[aria-selected="true"]')?.focus({ preventScroll: false });
}

function tick() {
  const until = board ? board.pace.clock_until : 0;
  const left = Math.max(Math.round(until - now()), 0);
  $("clock").hidden = !until;
  $("clock").textContent = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left` : "Time is up";
  $("clock").className = left ? "" : "warn";
  for (const cell of document.querySelectorAll(".since")) cell.textContent = ago(Number(cell.dataset.since));
  const lost = Date.now() - lastHeard > 15000;
  $("link").textContent = lost ? "no connection to the board; trying again…" : "live";
  $("link").className = lost ? "lost" : "";
}

async function post(path, data) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
  });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([found.error || `HTTP ${answer.status}`, found.todo].filter(Boolean).join(". "));
  return found;
}

let sendAsked = null;

function ask(label, type, send) {
  $("ask-label").textContent = label;
  $("ask-text").value = "";
  $("ask-text").type = type;
  $("ask-error").textContent = "";
  sendAsked = send;
  $("ask").showModal();
  $("ask-text").focus();
}

async function sendNow() {
  try {
    await sendAsked($("ask-text").value);
    $("ask").close();
  } catch (error) {
    $("ask-error").textContent = error.message;
  }
}

function askMessage(to) {
  const student = board.students.find((one) => one.id === to);
  const whom = student ? `${student.number} ${student.name}`.trim() : "all students";
  ask(`Message to ${whom}`, "text", (text) => post("message", { to: student ? to : "", text }));
}

function askClock() {
  ask("Minutes on the clock; 0 takes it away", "number", (text) => post("clock", { minutes: Number(text) }));
}

function openNext() {
  const held = board.pace.lab === chosenLab;
  post("pace", { lab: chosenLab, open_steps: held ? board.pace.open_steps + 1 : 1 }).catch(() => {});
}

function move(by) {
  const ids = students().map((student) => student.id);
  const at = Math.min(Math.max(ids.indexOf(selected) + by, 0), ids.length - 1);
  selected = ids[at] || "";
  draw();
  focusRow();
}

function openDetail(open) {
  $("detail").dataset.open = open ? "yes" : "no";
  draw();
  if (open) $("detail").focus();
  else focusRow();
}

const KEYS = {
  ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => move(-1000), End: () => move(1000),
  m: () => selected && askMessage(selected), a: () => askMessage(""), c: askClock,
  o: () => !$("open-next").disabled && openNext(),
  s: () => { byNeed = !byNeed; $("sort").setAttribute("aria-pressed", String(byNeed)); draw(); },
  j: () => { showJoin = !showJoin; draw(); },
  Enter: () => openDetail(true), Escape: () => openDetail(false),
};

document.addEventListener("keydown", (event) => {
  if ($("ask").open) {
    if (event.key === "Enter" && event.target === $("ask-text")) {
      event.preventDefault();
      sendNow();
    }
    return;
  }
  if (!board || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  if (event.key === "Enter" && ["BUTTON", "A"].includes(event.target.tagName)) return;
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row) {
    selected = row.dataset.id;
    openDetail(true);
  }
});
$("lab").addEventListener("change", () => { chosenLab = $("lab").value; draw(); });
$("open-next").addEventListener("click", openNext);
$("open-all").addEventListener("click", () => post("pace", { lab: "", open_steps: 0 }).catch(() => {}));
$("to-all").addEventListener("click", KEYS.a);
$("set-clock").addEventListener("click", askClock);
$("sort").addEventListener("click", KEYS.s);
$("show-join").addEventListener("click", KEYS.j);
$("ask-send").addEventListener("click", sendNow);

const events = new EventSource("events");
events.onmessage = (event) => {
  lastHeard = Date.now();
  board = JSON.parse(event.data);
  offset = board.at - Date.now() / 1000;
  draw();
};
events.addEventListener("alive", () => { lastHeard = Date.now(); });
setInterval(tick, 1000);

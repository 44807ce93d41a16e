"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const FARTHEST = 4; // steps of a slider to each side
  const PAD = 320; // pixels of the longer side of the pad

  let controls; // what the model has, as the server says
  const sliders = []; // every slider that can be reset
  const asked = { seed: 0, latent: null, label: 0, codes: {}, conditions: {}, steps: {}, truncation: 1, caption: "" };

  function made(tag, attributes = {}, ...children) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  }

  // --- asking ------------------------------------------------------------------------------------

  function say(words, wrong = false) {
    by("status").textContent = words;
    by("status").classList.toggle("wrong", wrong);
  }

  async function ask(path, body, headers = {}) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", body, headers });
    } catch {
      throw new Error("jaxgan explore has ended; start it again and reload the page");
    }
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  function show(blob, words) {
    const picture = by("picture");
    const before = picture.src;
    picture.src = URL.createObjectURL(blob);
    picture.alt = words;
    picture.hidden = false;
    by("nothing").hidden = true;
    by("save").href = picture.src;
    by("save").hidden = false;
    if (before) URL.revokeObjectURL(before);
  }

  // One question at a time; while it is answered only the latest next one is kept.
  let running = false;
  let next = null;

  async function latest(question) {
    next = question;
    if (running) return;
    running = true;
    while (next) {
      const now = next;
      next = null;
      const start = performance.now();
      try {
        const [answer, words] = await now();
        show(await answer.blob(), words);
        say(`${words}, in ${Math.round(performance.now() - start)} ms`);
      } catch (error) {
        say(error.message, true);
      }
    }
    running = false;
    document.documentElement.dataset.ready = "yes";
  }

  function words() {
    const found = [asked.latent ? "the projected photograph" : `seed ${asked.seed}`];
    if (controls.classes.length) found.push(controls.classes[asked.label]);
    return found.join(", ");
  }

  function draw() {
    if (controls.caption && !asked.caption.trim()) {
      say("Write a caption to draw.");
      document.documentElement.dataset.ready = "yes";
      return;
    }
    latest(async () => {
      const { seed, codes, conditions, steps } = asked;
      const sent = { seed, codes, conditions, steps };
      if (asked.latent) sent.latent = asked.latent;
      if (controls.classes.length) sent.label = asked.label;
      if (controls.caption) sent.caption = asked.caption;
      if (controls.truncation) sent.truncation = asked.truncation;
      const json = { "Content-Type": "application/json" };
      return [await ask("/picture", JSON.stringify(sent), json), words()];
    });
  }

  // --- controls ----------------------------------------------------------------------------------

  const fixed = (number) => number.toFixed(2);
  const short = (number) => String(Number(number.toPrecision(4)));

  function slider(name, { low, high, step, usual, blank = null, written = fixed }, change) {
    const id = `slider-${sliders.length}`;
    const value = made("output", { textContent: blank ?? written(usual), htmlFor: id });
    const input = made("input", { id, type: "range", min: low, max: high, step, value: usual });
    const label = made("label", { textContent: name, htmlFor: id });
    const whole = made("div", { className: "slider" }, made("div", { className: "top" }, label, value), input);
    const set = (number) => {
      value.textContent = number === null ? blank : written(number);
      change(number);
    };
    const reset = () => {
      input.value = usual;
      set(blank === null ? usual : null);
    };
    input.addEventListener("input", () => { set(Number(input.value)); draw(); });
    input.addEventListener("dblclick", () => { reset(); draw(); });
    sliders.push(reset);
    return whole;
  }

  function choices(name, options, chosen, change) {
    return options.map((text, number) => {
      const input = made("input", { type: "radio", name, value: number, checked: number === chosen });
      input.addEventListener("change", () => { change(number); draw(); });
      return made("label", {}, input, made("span", { textContent: text }));
    });
  }

  function steps(name, place) {
    const range = { low: -FARTHEST, high: FARTHEST, step: 0.05, usual: 0 };
    return slider(name, range, (step) => {
      if (step) asked.steps[place] = step;
      else delete asked.steps[place];
    });
  }

  const EXPLAINED = {
    sefa: "What the first layer amplifies most; in standard deviations of the latents.",
    pca: "What varies most in the features; in standard deviations of the latents.",
    concepts: "What separates a concept from others; in standard deviations of the latents.",
  };

  function addDirections() {
    let place = 0;
    for (const { method, names } of controls.directions) {
      const rows = names.map((name) => steps(name, place++));
      by("directions").append(made("fieldset", {},
        made("legend", { textContent: `Directions: ${method}` }),
        made("p", { className: "remark", textContent: EXPLAINED[method] ?? "" }),
        made("div", { className: "sliders" }, ...rows)));
    }
    const first = place;
    const all = made("details", {}, made("summary", { textContent: `Entries of the latent (${controls.size})` }));
    all.addEventListener("toggle", () => {
      if (all.childElementCount > 1) return;
      const rows = Array.from({ length: controls.entries }, (_, entry) => steps(`entry ${entry}`, first + entry));
      all.append(made("div", { className: "sliders" }, ...rows));
      if (controls.entries < controls.size) {
        all.append(made("p", { className: "remark", textContent: `The first ${controls.entries} are shown.` }));
      }
    });
    by("directions").append(all);
  }

  function addCodes() {
    for (const [name, classes] of Object.entries(controls.codes)) {
      if (classes === null) {
        const range = { low: -2, high: 2, step: 0.05, usual: 0, blank: "by the seed" };
        by("codes").append(slider(name, range, (value) => {
          if (value === null) delete asked.codes[name];
          else asked.codes[name] = value;
        }));
        continue;
      }
      const options = ["by the seed", ...Array.from({ length: classes }, (_, number) => String(number))];
      const set = (number) => {
        if (number === 0) delete asked.codes[name];
        else asked.codes[name] = number - 1;
      };
      const boxes = choices(`code-${name}`, options, 0, set);
      sliders.push(() => { boxes[0].firstChild.checked = true; set(0); });
      by("codes").append(made("div", { className: "code", role: "radiogroup", ariaLabel: `Code ${name}` },
        made("p", { textContent: name }), made("div", { className: "choices" }, ...boxes)));
    }
    by("code-part").hidden = !Object.keys(controls.codes).length;
  }

  function addConditions() {
    for (const [name, ends] of Object.entries(controls.conditions)) {
      ends.forEach(([low, high], place) => {
        const range = { low, high, step: (high - low) / 200, usual: (low + high) / 2, blank: "by the seed", written: short };
        by("conditions").append(slider(ends.length > 1 ? `${name} ${place + 1}` : name, range, (value) => {
          const numbers = asked.conditions[name] ?? {};
          if (value === null) delete numbers[place];
          else numbers[place] = Math.min(high, Math.max(low, value)); // the browser rounds
          asked.conditions[name] = numbers;
        }));
      });
    }
    by("condition-part").hidden = !Object.keys(controls.conditions).length;
  }

  function setSeed(seed) {
    if (!Number.isInteger(seed) || seed < 0 || seed > controls.seeds) {
      say(`A seed is a whole number from 0 to ${controls.seeds}.`, true);
      return;
    }
    asked.seed = seed;
    by("seed").value = seed;
    unproject();
    draw();
  }

  function unproject() {
    asked.latent = null;
    by("projected").hidden = true;
  }

  function ofNoise() {
    for (const id of ["seed-part", "reset"]) by(id).hidden = false;
    by("seed").max = controls.seeds;
    by("seed").addEventListener("input", () => { if (by("seed").value !== "") setSeed(Number(by("seed").value)); });
    by("before").addEventListener("click", () => setSeed(Math.max(0, asked.seed - 1)));
    by("after").addEventListener("click", () => setSeed(Math.min(controls.seeds, asked.seed + 1)));
    by("any").addEventListener("click", () => setSeed(Math.floor(Math.random() * 1e6)));
    by("unproject").addEventListener("click", () => { unproject(); draw(); });
    by("reset").addEventListener("click", () => { sliders.forEach((reset) => reset()); unproject(); draw(); });
    if (controls.classes.length) {
      by("class-part").hidden = false;
      by("classes").append(...choices("class", controls.classes, 0, (number) => { asked.label = number; }));
    }
    if (controls.truncation) {
      by("truncation-part").hidden = false;
      const range = { low: 0, high: 1, step: 0.01, usual: 1 };
      by("truncation-place").append(slider("factor of the latent", range, (factor) => { asked.truncation = factor; }));
    }
    if (controls.caption) {
      by("caption-part").hidden = false;
      by("caption").maxLength = controls.caption;
      by("caption").addEventListener("input", () => { asked.caption = by("caption").value; draw(); });
    }
    addCodes();
    addConditions();
    addDirections();
    if (controls.projection) offerFile("Photograph", "Drop a photograph to find its latent, or choose one.", project);
    draw();
  }

  // --- photographs -------------------------------------------------------------------------------

  function offerFile(title, text, use) {
    by("drop-part").hidden = false;
    by("drop-title").textContent = title;
    by("drop-words").textContent = text;
    const drop = by("drop");
    by("file").addEventListener("change", () => { if (by("file").files[0]) use(by("file").files[0]); });
    for (const [event, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
      drop.addEventListener(event, (happened) => {
        happened.preventDefault();
        drop.classList.toggle("over", over);
      });
    }
    drop.addEventListener("drop", (event) => { if (event.dataTransfer.files[0]) use(event.dataTransfer.files[0]); });
    for (const event of ["dragover", "drop"]) document.addEventListener(event, (missed) => missed.preventDefault());
  }

  async function project(file) {
    say("Looking for the latent of the photograph; on a CPU this may take a minute ...");
    try {
      const found = await (await ask("/projection", file)).json();
      by("photo").src = found.photograph;
      by("photo-words").textContent = `The photograph as the model sees it; its nearest image is shown (distance ${found.distance.toFixed(3)}).`;
      by("photo-part").hidden = false;
      sliders.forEach((reset) => reset());
      asked.latent = found.latent;
      if ("label" in found && controls.classes.length) {
        asked.label = found.label;
        document.querySelector(`input[name="class"][value="${found.label}"]`).checked = true;
      }
      by("projected").hidden = false;
      draw();
    } catch (error) {
      say(error.message, true);
    }
  }

  // --- drawings ----------------------------------------------------------------------------------

  const source = () => by("source").value;
  const strokes = [];

  function translate(image, what) {
    const of = source();
    latest(async () => [await ask(`/translation?source=${of}`, await image()), `translation of ${what}`]);
  }

  function paint() {
    const pen = by("pad").getContext("2d");
    const { width, height } = by("pad");
    pen.fillStyle = by("dark").checked ? "black" : "white";
    pen.fillRect(0, 0, width, height);
    pen.lineCap = pen.lineJoin = "round";
    for (const { points, wide, color } of strokes) {
      pen.strokeStyle = color ?? (by("dark").checked ? "white" : "black");
      pen.lineWidth = wide * PAD / 64;
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
    }
  }

  function redraw() {
    paint();
    translate(() => new Promise((use) => by("pad").toBlob(use, "image/png")), "the drawing");
  }

  function sizePad() {
    const { width, height, dark } = controls.sources[source()];
    by("dark").checked = dark; // as the model's own images of the domain are
    const scale = PAD / Math.max(width, height);
    by("pad").width = Math.round(scale * width);
    by("pad").height = Math.round(scale * height);
    strokes.length = 0;
    paint();
  }

  function ofImages() {
    const names = Object.keys(controls.sources);
    by("source").append(...names.map((name) => made("option", { value: name, textContent: `domain ${name}` })));
    by("source-part").hidden = names.length < 2;
    by("source").addEventListener("change", sizePad);
    by("pad-part").hidden = by("nothing").hidden = false;
    by("color-part").hidden = controls.sources[source()].channels === 1;
    const pad = by("pad");
    const at = (event) => {
      const place = pad.getBoundingClientRect();
      return [(event.clientX - place.x) * pad.width / place.width, (event.clientY - place.y) * pad.height / place.height];
    };
    let stroke = null;
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      const color = by("color-part").hidden || by("color").value === "#000000" ? null : by("color").value;
      stroke = { points: [at(event)], wide: Number(by("pen").value), color };
      strokes.push(stroke);
      redraw();
    });
    pad.addEventListener("pointermove", (event) => {
      if (!stroke) return;
      stroke.points.push(at(event));
      redraw();
    });
    for (const event of ["pointerup", "pointercancel"]) pad.addEventListener(event, () => { stroke = null; });
    by("dark").addEventListener("change", redraw);
    by("undo").addEventListener("click", () => { strokes.pop(); redraw(); });
    by("clear").addEventListener("click", () => { strokes.length = 0; redraw(); });
    offerFile("Image", "Or drop an image to translate, or choose one.", (file) => translate(async () => file, file.name));
    sizePad();
    document.documentElement.dataset.ready = "yes";
  }

  async function begin() {
    controls = await (await fetch("/controls")).json();
    by("name").textContent = controls.name;
    document.title = `${controls.name} - jaxgan explore`;
    if (controls.white !== 1) {
      by("range").textContent = `White is ${short(controls.white)}, black is -${short(controls.white)}, in the units of the model.`;
      by("range").hidden = false;
    }
    if (controls.noise) ofNoise();
    else ofImages();
  }

  begin().catch((error) => say(error.message, true));
})();

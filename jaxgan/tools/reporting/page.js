"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const slider = document.getElementById("time");
  const all = (selector) => document.querySelectorAll(selector);

  // --- samples -----------------------------------------------------------------------------------

  function clock() {
    const chosen = document.querySelector('input[name="clock"]:checked');
    return chosen ? chosen.value : "step";
  }

  function stop() {
    return report.stops[clock()][Number(slider.value)];
  }

  function words(at) {
    if (clock() === "step") return `step ${at}`;
    return at < 120 ? `${at.toFixed(1)} s` : `${(at / 60).toFixed(1)} min`;
  }

  function show() {
    const { at, shown } = stop();
    document.getElementById("at").textContent = words(at);
    slider.setAttribute("aria-valuetext", words(at));
    shown.forEach((grid, run) => {
      for (const figure of all(`figure[id^="grid-${run}-"]`)) {
        figure.hidden = figure.id !== `grid-${run}-${grid}`;
      }
    });
    readSamples();
  }

  function move(by) {
    slider.value = Number(slider.value) + by;
    show();
  }

  function followKeys(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (by && !other && event.target === document.body) move(by);
  }

  function changeClock() {
    slider.max = report.stops[clock()].length - 1;
    slider.value = slider.max;
    show();
  }

  // --- curves ------------------------------------------------------------------------------------

  const plots = () => (report.charts ? Bokeh.documents[0].roots() : []);
  const mark = (name) => Bokeh.documents[0].get_model_by_name(report.marks[name]);

  // What draws the line of a name and the seeds of it, the line itself first.
  function renderers({ panel, line }) {
    const elements = report.charts.items[0].roots;
    const plot = plots().find((one) => elements[one.id] === panel);
    return plot.renderers.filter((drawn) => drawn.name === line);
  }

  // The value of the latest row of the log at or before the step, or undefined.
  function valueAt({ data_source }, step) {
    const [steps, values] = ["x", "y"].map((name) => data_source.get_column(name));
    return values[steps.findLastIndex((at) => at <= step)];
  }

  // Writes the values at a step of each run, and the words that say which.
  function read(steps, text) {
    for (const label of all(".at")) label.textContent = text;
    for (const place of all(".value")) {
      const value = valueAt(renderers(place.dataset)[0], steps[place.dataset.run]);
      place.textContent = Number.isFinite(value) ? Number(value.toPrecision(4)) : "-";
    }
  }

  function readSamples() {
    if (!report.charts) return;
    mark("pointed").visible = false;
    if (!slider) return read(report.grids.map(() => Infinity), "at the end");
    const { at, shown } = stop();
    const bySteps = clock() === "step";
    mark("shown").visible = bySteps;
    if (bySteps) mark("shown").location = at;
    const steps = shown.map((grid, run) => (bySteps ? at : report.grids[run][grid]));
    read(steps, `at ${words(at)}`);
  }

  function readPointed(step) {
    mark("pointed").location = step;
    mark("pointed").visible = true;
    read(report.grids.map(() => step), `at step ${Math.floor(step)}`);
  }

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const [ink, line] = ["--faint", "--line"].map((name) => style.getPropertyValue(name).trim());
    for (const plot of plots()) {
      for (const axis of [...plot.below, ...plot.left]) {
        axis.setv({
          axis_label_text_color: ink, axis_label_text_font_style: "normal",
          major_label_text_color: ink, axis_line_color: line,
          major_tick_line_color: line, minor_tick_line_color: null,
        });
      }
      for (const part of plot.center) {
        if ("grid_line_color" in part) part.grid_line_color = line;
      }
    }
  }

  // A tap keeps its step: a finger leaves the chart at once.
  function followPointer(plot) {
    let kept = false;
    const point = (name, keep) => plot.on_event(name, ({ x }) => { kept = keep; readPointed(x); });
    point("mousemove", false);
    point("tap", true);
    plot.on_event("mouseleave", () => { if (!kept) readSamples(); });
  }

  async function draw() {
    await Bokeh.embed.embed_items(report.charts.documents, report.charts.items);
    paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    plots().forEach(followPointer);
    for (const box of all("input[data-line]")) {
      box.addEventListener("change", () => {
        for (const drawn of renderers(box.dataset)) drawn.visible = box.checked;
      });
    }
  }

  async function begin() {
    if (report.charts) await draw();
    if (slider) {
      slider.addEventListener("input", show);
      document.addEventListener("keydown", followKeys);
      for (const choice of all('input[name="clock"]')) choice.addEventListener("change", changeClock);
      show();
    } else {
      readSamples();
    }
    document.documentElement.dataset.ready = "yes";
  }

  begin();
})();
